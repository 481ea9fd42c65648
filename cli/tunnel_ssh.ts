/** `holdfast tunnel ssh USER@HOST`: a shell whose connection stays, with nothing but ssh and this program at the other end. */

import { HoldfastError } from "../internal/errors.ts";
import { spawn } from "../internal/exec.ts";
import { execBytes } from "../internal/exec_bytes.ts";
import { formatKey, makeSharedKey } from "../pipes/resume/key_text.ts";
import { openTunnel } from "../pipes/tunnel/open_tunnel.ts";
import { EXIT } from "./failure.ts";
import type { Context } from "./spec.ts";
import { printable } from "./style.ts";
import { openNetwork } from "./tunnel_connect.ts";
import { innerAddress, wrong } from "./tunnel_options.ts";
import { given } from "./values.ts";

/** How the ssh that carries it finds out by itself that nobody is there. */
const CARRIER = [
  "-T",
  "-o",
  "ServerAliveInterval=5",
  "-o",
  "ServerAliveCountMax=3",
  "-o",
  "ConnectTimeout=10",
];

const SSH = { operation: "start ssh", hint: "Install it (Debian: apt install openssh-client)" } as const;

/**
 * Starts the server's end over ssh, connects to it over ssh, and runs ssh through that.
 *
 * @param args Where to, and what to run there.
 * @param context What was typed, and the signal that ends it.
 * @returns The exit code of ssh.
 */
export async function openShell(
  [destination = "", ...command]: readonly string[],
  context: Context,
): Promise<number> {
  const { values, signal } = context;
  if (destination.startsWith("-")) throw wrong("ssh", `"${destination}" is no host`, "Write USER@HOST");
  const options = values.list("ssh-option").flatMap((one) => ["-o", one]);
  const remote = values.text("remote") ?? "holdfast";
  const to = innerAddress("ssh", values.list("to")[0] ?? "127.0.0.1:22", "connect");
  const alias = await hostKeyName(options, destination);
  const key = makeSharedKey();
  const folder = await startServer([...CARRIER, ...options, destination], remote, to, formatKey(key));
  await using stack = new AsyncDisposableStack();
  const network = await openNetwork(context);
  if (network) stack.use(network);
  const carrier = ["ssh", ...CARRIER, "-o", "BatchMode=yes", ...options, destination];
  const tunnel = stack.use(
    await openTunnel("exec:", {
      exec: [...carrier, `${remote} pipe unix:${folder}/socket`],
      ...{ key, forwards: [{ listen: "127.0.0.1:0" }], signal },
      ...given({ network, expiry: values.number("expiry"), timeout: values.number("timeout") }),
    }),
  );
  tunnel.on("refused", ({ message }) => void context.complain(printable(message)).catch(() => {}));
  await tunnel.check();
  const port = tunnel.addresses[0]?.split(":").at(-1) ?? "";
  const through = [
    "HostName=127.0.0.1",
    `Port=${port}`,
    `HostKeyAlias=${alias}`,
    "ProxyCommand=none",
    "ProxyJump=none",
  ];
  // What is given first counts.
  const args = [...through.flatMap((one) => ["-o", one]), ...options, destination, ...command];
  const child = spawn("ssh", { args, ...SSH }, { env: {}, terminal: true });
  const stop = (): void => child.kill("SIGTERM");
  signal.addEventListener("abort", stop, { once: true });
  try {
    const { code } = await child.status;
    return code;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** The name under which the host's key is known: that of its real host and port. */
async function hostKeyName(options: readonly string[], destination: string): Promise<string> {
  const text = await output(["-G", ...options, destination], "");
  const field = (name: string): string | undefined => new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1];
  const [host, port, alias] = [field("hostname"), field("port"), field("hostkeyalias")];
  if (alias !== undefined) return alias;
  return port === undefined || port === "22" ? host ?? destination : `[${host}]:${port}`;
}

/** Starts the server's end there, in a folder of its own; it ends by itself when nobody has used it for a while. */
async function startServer(ssh: readonly string[], remote: string, to: string, key: string): Promise<string> {
  // The key goes through standard input: what stands in arguments can be seen by everybody on that machine.
  const script = `umask 077
d=$(mktemp -d "\${XDG_RUNTIME_DIR:-/tmp}/holdfast-XXXXXXXX") || exit 1
cat > "$d/key"
(nohup ${remote} tunnel serve --listen "unix:$d/socket" --to "${to}" --key-file "$d/key" --idle 2m --control "$d/control" \\
  > "$d/log" 2>&1 < /dev/null; touch "$d/over"; sleep 1; rm -rf "$d") > /dev/null 2>&1 &
n=0
while [ ! -S "$d/socket" ]; do
  n=$((n+1))
  if [ -e "$d/over" ] || [ $n -gt 300 ]; then cat "$d/log" >&2; exit 1; fi
  sleep 0.1
done
echo "holdfast-folder $d"`;
  const text = await output([...ssh, `exec sh -c ${quoted(script)}`], key);
  const folder = /^holdfast-folder (\/[\w./-]+)$/m.exec(text)?.[1];
  if (folder === undefined) throw failed("the other end did not say where it is");
  return folder;
}

async function output(args: readonly string[], input: string): Promise<string> {
  const process = execBytes("ssh", { args, ...SSH });
  try {
    await process.write(new TextEncoder().encode(input));
    await process.closeInput();
    const decoder = new TextDecoder();
    let text = "";
    for (let part = await process.read(); part && text.length < 65_536; part = await process.read()) {
      text += decoder.decode(part, { stream: true });
    }
    const { code, stderr } = await process.ended;
    if (code !== EXIT.fine) {
      throw failed(stderr.trim().split("\n").slice(-3).join("; ") || `ssh ended with code ${code}`);
    }
    return text;
  } finally {
    process.kill();
  }
}

function failed(why: string): HoldfastError {
  return new HoldfastError(`Cannot open the tunnel by ssh: ${why}`, {
    code: "ssh",
    operation: "open the tunnel by ssh",
    hint:
      'See that "ssh" works alone, and that holdfast is installed there; "--remote COMMAND" says how it is called',
  });
}

/** A text as one word of a shell, whichever it is. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
