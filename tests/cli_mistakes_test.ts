/** The golden table of user mistakes: what is typed, and exactly what is said about it. */

import { assertEquals } from "@std/assert";
import { libcCandidates } from "../internal/ffi/libc.ts";
import { runChild, runMain } from "./_cli.ts";
import { requires } from "./_require.ts";

interface Mistake {
  /** What is typed behind `holdfast`. */
  readonly argv: readonly string[];
  /** The line on standard error, without `holdfast: `. */
  readonly message: string;
  /** The line below it; none, if left out. */
  readonly hint?: string;
  /** The exit code. */
  readonly code: number;
  /** Runs it as a process with just these permission flags. */
  readonly flags?: readonly string[];
  /** Variables of that process. */
  readonly env?: Readonly<Record<string, string>>;
  /** The system it is about; any, if left out. */
  readonly os?: typeof Deno.build.os;
}

const LIBC = libcCandidates()[0];

const MISTAKES: readonly Mistake[] = [
  // Commands
  {
    argv: ["wacth"],
    message: 'Cannot run "holdfast wacth": unknown command',
    hint: 'Did you mean "watch"?',
    code: 2,
  },
  {
    argv: ["frobnicate"],
    message: 'Cannot run "holdfast frobnicate": unknown command',
    hint: 'Run "holdfast help" to see the commands',
    code: 2,
  },
  {
    argv: ["help", "stauts"],
    message: 'Cannot run "holdfast stauts": unknown command',
    hint: 'Did you mean "status"?',
    code: 2,
  },
  {
    argv: ["--json", "status"],
    message: 'Cannot run "holdfast": the option "--json" stands before the command',
    hint: 'Write it behind: "holdfast COMMAND --json"',
    code: 2,
  },
  {
    argv: ["--verison"],
    message: 'Cannot run "holdfast": unknown option "--verison"',
    hint: 'Did you mean "--version"?',
    code: 2,
  },
  // Options
  {
    argv: ["watch", "--jsno"],
    message: 'Cannot run "holdfast watch": unknown option "--jsno"',
    hint: 'Did you mean "--json"?',
    code: 2,
  },
  {
    argv: ["status", "-j"],
    message: 'Cannot run "holdfast status": unknown option "-j"',
    hint: 'Run "holdfast help status" to see the options',
    code: 2,
  },
  {
    argv: ["status", "--settled"],
    message: 'Cannot run "holdfast status": unknown option "--settled"',
    hint: 'Run "holdfast help status" to see the options',
    code: 2,
  },
  {
    argv: ["watch", "--no-json"],
    message: 'Cannot run "holdfast watch": unknown option "--no-json"',
    hint: 'Run "holdfast help watch" to see the options',
    code: 2,
  },
  {
    argv: ["watch", "--settled=yes"],
    message: 'Cannot run "holdfast watch": the option "--settled" takes no value, got "yes"',
    hint: 'Write "--settled"',
    code: 2,
  },
  {
    argv: ["watch", "--settled", "true"],
    message: 'Cannot run "holdfast watch": the option "--settled" takes no value, got "true"',
    hint: 'Write "--settled"',
    code: 2,
  },
  {
    argv: ["wait", "--timeout"],
    message: 'Cannot run "holdfast wait": the option "--timeout" needs a value',
    hint: 'Write "--timeout" and TIME',
    code: 2,
  },
  {
    argv: ["wait", "--timeout="],
    message: 'Cannot run "holdfast wait": the option "--timeout" needs a value',
    hint: 'Write "--timeout" and TIME',
    code: 2,
  },
  {
    argv: ["wait", "--timeout", "-5s"],
    message: 'Cannot run "holdfast wait": the option "--timeout" needs a value',
    hint: 'Write "--timeout" and TIME',
    code: 2,
  },
  {
    argv: ["wait", "--timeout", "1s", "--timeout", "2s"],
    message: 'Cannot run "holdfast wait": the option "--timeout" is given 2 times',
    hint: "Give it once",
    code: 2,
  },
  // Values
  {
    argv: ["wait", "--timeout", "30"],
    message: 'Cannot run "holdfast wait": bad value of "--timeout": "30" has no unit',
    hint: 'Did you mean "30s"?',
    code: 2,
  },
  {
    argv: ["wait", "--timeout", "soon"],
    message: 'Cannot run "holdfast wait": bad value of "--timeout": "soon" is not a duration',
    hint: "Write it as 30s, 500ms, 2m or 1h",
    code: 2,
  },
  {
    argv: ["wait", "--timeout", "60d"],
    message: 'Cannot run "holdfast wait": bad value of "--timeout": "60d" is more than 24 days',
    hint: "The longest duration is 24d",
    code: 2,
  },
  {
    argv: ["watch", "--poll-interval", "0s"],
    message: "Cannot watch the network: pollInterval must be milliseconds above 0, got 0",
    code: 2,
  },
  {
    argv: ["watch", "--backend", "netlnik"],
    message: 'Cannot run "holdfast watch": the option "--backend" cannot be "netlnik"',
    hint: 'Did you mean "netlink"?',
    code: 2,
  },
  {
    argv: ["watch", "--backend", "magic"],
    message: 'Cannot run "holdfast watch": the option "--backend" cannot be "magic"',
    hint:
      "It can be one of: auto, netlink, routing-socket, iphlpapi, ip-monitor, route-monitor, powershell, poll",
    code: 2,
  },
  {
    argv: ["watch", "--backend", "iphlpapi"],
    message: 'Cannot use the backend "iphlpapi": watch does not have it on linux',
    hint: "It can be one of: auto, netlink, ip-monitor, poll",
    code: 2,
    os: "linux",
  },
  {
    argv: ["wait", "--family", "5"],
    message: 'Cannot run "holdfast wait": the option "--family" cannot be "5"',
    hint: "It can be one of: 4, 6",
    code: 2,
  },
  {
    argv: ["wait", "[::1]:80", "--family", "4"],
    message: 'Cannot run "holdfast wait": ::1 is not an IPv4 address',
    hint: 'Leave out "--family", or write "--family 6"',
    code: 2,
  },
  // Arguments
  {
    argv: ["status", "now"],
    message: 'Cannot run "holdfast status": extra argument "now"',
    hint: 'Run "holdfast help status" to see what it takes',
    code: 2,
  },
  {
    argv: ["wait", "a:1", "b:2"],
    message: 'Cannot run "holdfast wait": extra argument "b:2"',
    hint: 'Run "holdfast help wait" to see what it takes',
    code: 2,
  },
  {
    argv: ["permissions"],
    message: 'Cannot run "holdfast permissions": the argument MODULE is missing',
    hint: "It can be one of: watch, recover, pipes, pipes/push",
    code: 2,
  },
  {
    argv: ["permissions", "wach"],
    message: 'Cannot run "holdfast permissions": unknown MODULE "wach"',
    hint: 'Did you mean "watch"?',
    code: 2,
  },
  {
    argv: ["permissions", "watch", "--format", "json"],
    message: 'Cannot run "holdfast permissions": the option "--format" cannot be "json"',
    hint: "It can be one of: flags, deno.json",
    code: 2,
  },
  {
    argv: ["completion", "tcsh"],
    message: 'Cannot run "holdfast completion": unknown SHELL "tcsh"',
    hint: "It can be one of: bash, zsh, fish",
    code: 2,
  },
  {
    argv: ["external"],
    message: 'Cannot run "holdfast external": no server is given',
    hint: 'Write "--stun HOST"; it may be given several times',
    code: 2,
  },
  // Pipes
  {
    argv: ["pipe"],
    message: 'Cannot run "holdfast pipe": the argument URL is missing',
    hint: 'Run "holdfast help pipe"',
    code: 2,
  },
  {
    argv: ["pipe", "localhost:80"],
    message:
      'Cannot connect to "localhost:80": the scheme must be one of tcp, tls, udp, ws, wss, unix, memory, exec',
    hint: 'Did you mean "tcp://localhost:80"?',
    code: 2,
  },
  {
    argv: ["pipe", "http://localhost/"],
    message:
      'Cannot connect to "http://localhost/": the scheme must be one of tcp, tls, udp, ws, wss, unix, memory, exec',
    hint: "Write tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:/PATH or ws://HOST/PATH",
    code: 2,
  },
  {
    argv: ["pipe", "tcp://localhost"],
    message: 'Cannot connect to "tcp://localhost": the port is missing',
    hint: "Write tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:/PATH or ws://HOST/PATH",
    code: 2,
  },
  {
    argv: ["pipe", "memory:chat"],
    message: 'Cannot connect to "memory:chat": memory: is within one process',
    hint: "Write tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:/PATH or ws://HOST/PATH",
    code: 2,
  },
  {
    argv: ["pipe", "exec:"],
    message: 'Cannot connect to "exec:": exec: needs a command, which only a program can give',
    hint: "Write tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:/PATH or ws://HOST/PATH",
    code: 2,
  },
  {
    argv: ["pipe", "--listen", "ws://127.0.0.1:0"],
    message: 'Cannot listen on "ws://127.0.0.1:0": the command is only a client of WebSocket',
    hint: 'A program can be a server: see "@holdfast/net/pipes/ws"',
    code: 2,
  },
  {
    argv: ["pipe", "--listen", "tls://127.0.0.1:0", "--cert", "cert.pem"],
    message: 'Cannot run "holdfast pipe": to listen on tls: a certificate and its key are needed',
    hint: 'Write "--cert FILE" and "--key FILE", both in PEM',
    code: 2,
  },
  {
    argv: ["pipe", "tls://localhost:1", "--ca", "/nonexistent/ca.pem"],
    message: 'Cannot read "/nonexistent/ca.pem": there is no such file',
    hint: 'Write "--ca" and a PEM file',
    code: 2,
  },
  {
    argv: ["pipe", "wss://localhost:1", "--any-certificate"],
    message: 'Cannot run "holdfast pipe": "--any-certificate" is for tls: only',
    hint: 'For wss: write "--ca FILE" with the certificate to trust',
    code: 2,
  },
  {
    argv: ["pipe", "tcp://localhost:1", "tcp://localhost:2", "--linger", "1s"],
    message: 'Cannot run "holdfast pipe": "--linger" is for standard input, and two URLs are given',
    hint: 'Leave out "--linger", or one of the URLs',
    code: 2,
  },
  {
    argv: ["pipe", "--listen", "tcp://localhost:0", "--reconnect"],
    message: 'Cannot run "holdfast pipe": "--reconnect" is for whoever connects, and it listens',
    hint: 'Leave out "--reconnect" or "--listen"',
    code: 2,
  },
  {
    argv: ["pipe", "tcp://localhost:1", "--framing", "line"],
    message: 'Cannot run "holdfast pipe": the option "--framing" cannot be "line"',
    hint: 'Did you mean "lines"?',
    code: 2,
  },
  {
    argv: ["pipe", "tcp://localhost:1", "--timeout", "0s"],
    message: "Cannot connect: timeout must be above 0, got 0",
    code: 2,
  },
  {
    argv: ["pipe", "tcp://127.0.0.1:1"],
    message: "Cannot connect to tcp://127.0.0.1:1: Connection refused (os error 111), 4 attempts",
    hint: "The host is there, yet nothing listens on that port: check the port and the server, and back off",
    code: 1,
    os: "linux",
  },
  {
    argv: ["pipe", "tcp://127.0.0.1:1"],
    flags: [],
    message: "Cannot connect to tcp://127.0.0.1:1: permission missing, add --allow-net=127.0.0.1:1",
    hint: "Run again with --allow-net=127.0.0.1:1",
    code: 3,
  },
  {
    argv: ["pipe", "--listen", "tcp://127.0.0.1:4711"],
    flags: [],
    message: "Cannot listen on tcp://127.0.0.1:4711: permission missing, add --allow-net=127.0.0.1:4711",
    hint: "Run again with --allow-net=127.0.0.1:4711",
    code: 3,
  },
  // Failures to explain
  {
    argv: ["explain"],
    message: 'Cannot run "holdfast explain": there is no text',
    hint: 'Write an error message behind it, or "--all"',
    code: 2,
  },
  {
    argv: ["explain", "--all", "ECONNREFUSED"],
    message: 'Cannot run "holdfast explain": "--all" takes no text',
    hint: 'Leave out the text, or "--all"',
    code: 2,
  },
  {
    argv: ["explain", "port-closd"],
    message: 'Cannot run "holdfast explain": unknown scenario "port-closd"',
    hint: 'Did you mean "port-closed"?',
    code: 2,
  },
  {
    argv: ["explain", "F99"],
    message: 'Cannot run "holdfast explain": no scenario has the number "F99"',
    hint: "They go from F01 to F86",
    code: 2,
  },
  {
    argv: ["explain", "--os", "macos", "61"],
    message: 'Cannot run "holdfast explain": the option "--os" cannot be "macos"',
    hint: "It can be one of: linux, darwin, windows",
    code: 2,
  },
  {
    argv: ["explain", "ECONREFUSED"],
    message: 'Cannot explain it: nothing is known about "ECONREFUSED"',
    hint: 'Did you mean "ECONNREFUSED"?',
    code: 1,
  },
  {
    argv: ["explain", "TypeError: fetch failed"],
    message: 'Cannot explain it: nothing is known about "TypeError: fetch failed"',
    hint: "The request failed and the runtime does not say why: check the address and the network",
    code: 1,
  },
  {
    argv: ["explain", "the cat sat on the keyboard"],
    message: 'Cannot explain it: nothing is known about "the cat sat on the keyboard"',
    hint: 'Run "holdfast explain --all" to see what is known',
    code: 1,
  },
  {
    argv: ["explain", "\x1b[2Jx"],
    message: 'Cannot explain it: nothing is known about "\\u001b[2Jx"',
    hint: 'Run "holdfast explain --all" to see what is known',
    code: 1,
  },
  // HOST:PORT
  {
    argv: ["wait", "example.com"],
    message: 'Cannot read "example.com": the port is missing',
    hint: 'Write it as HOST:PORT, for example "example.com:443"',
    code: 2,
  },
  {
    argv: ["wait", ":443"],
    message: 'Cannot read ":443": the host is missing',
    hint: 'Write it as HOST:PORT, for example "localhost:443"',
    code: 2,
  },
  {
    argv: ["wait", "example.com:https"],
    message: 'Cannot read "example.com:https": "https" is not a port',
    hint: "A port is a number from 1 to 65535",
    code: 2,
  },
  {
    argv: ["wait", "example.com:65536"],
    message: 'Cannot read "example.com:65536": port 65536 is out of range',
    hint: "A port is a number from 1 to 65535",
    code: 2,
  },
  {
    argv: ["wait", "example.com:0"],
    message: 'Cannot read "example.com:0": port 0 is out of range',
    hint: "A port is a number from 1 to 65535",
    code: 2,
  },
  {
    argv: ["wait", "2001:db8::1"],
    message: 'Cannot read "2001:db8::1": an IPv6 address needs brackets',
    hint: "Write it as [ADDRESS]:PORT",
    code: 2,
  },
  {
    argv: ["wait", "https://example.com/"],
    message: 'Cannot read "https://example.com/": it is a URL',
    hint: 'Write it as HOST:PORT, for example "example.com:443"',
    code: 2,
  },
  {
    argv: ["external", "--stun", "stun.example.org:"],
    message: 'Cannot read "stun.example.org:": the port is missing',
    hint: 'Write it as HOST:PORT, for example "stun.example.org:3478"',
    code: 2,
  },
  {
    argv: ["watch", "--external", "https://stun.example.org"],
    message: 'Cannot read "https://stun.example.org": it is a URL',
    hint: 'Write it as HOST:PORT, for example "stun.example.org:3478"',
    code: 2,
  },
  // Permissions and tools
  {
    argv: ["status"],
    flags: [],
    message: `Cannot watch the network: permission missing, add --allow-ffi=${LIBC}`,
    hint: "Or, seeing less or later: --allow-run=ip or --allow-sys=networkInterfaces",
    code: 3,
    os: "linux",
  },
  {
    argv: ["status", "--backend", "netlink"],
    flags: [],
    message: `Cannot open the C library: permission missing, add --allow-ffi=${LIBC}`,
    hint: `Run again with --allow-ffi=${LIBC}`,
    code: 3,
    os: "linux",
  },
  {
    argv: ["watch", "--backend", "ip-monitor"],
    flags: [`--allow-ffi=${LIBC}`],
    message: "Cannot watch the network by ip monitor: permission missing, add --allow-run=ip",
    hint: "Run again with --allow-run=ip",
    code: 3,
    os: "linux",
  },
  {
    argv: ["wait", "localhost:1"],
    flags: ["--allow-sys=networkInterfaces"],
    message: "Cannot connect to localhost:1: permission missing, add --allow-net=localhost:1",
    hint: "Run again with --allow-net=localhost:1",
    code: 3,
  },
  {
    argv: ["wait", "localhost:1", "--family", "4"],
    flags: ["--allow-sys=networkInterfaces"],
    message: "Cannot connect to localhost:1: permission missing, add --allow-net=localhost:1",
    hint: "Run again with --allow-net=localhost:1",
    code: 3,
  },
  {
    argv: ["external", "--stun", "localhost:3478"],
    flags: [],
    message: "Cannot ask for the external address: permission missing, add --allow-net",
    hint: "Run again with --allow-net",
    code: 3,
  },
  {
    argv: ["watch", "--backend", "ip-monitor"],
    flags: ["--allow-run=ip"],
    env: { PATH: "/nonexistent" },
    message: 'Cannot watch the network by ip monitor: the program "ip" was not found',
    hint:
      'Install the package "iproute2", or make sure that /usr/sbin or /sbin is in PATH. If it is in /usr/sbin, have that in PATH or add --allow-run=/usr/sbin/ip',
    code: 4,
    os: "linux",
  },
  // Time
  {
    argv: ["wait", "localhost:1", "--timeout", "0s"],
    message: "Cannot reach localhost:1 within 0.0s: no answer",
    code: 124,
  },
];

for (const { argv, message, hint, code, flags, env, os } of MISTAKES) {
  const grant = flags === undefined ? "" : ` under ${flags.length === 0 ? "no permission" : flags.join(" ")}`;
  const where = env === undefined
    ? ""
    : ` with ${Object.entries(env).map((pair) => pair.join("=")).join(" ")}`;
  Deno.test({
    name: `holdfast ${argv.join(" ")}${grant}${where}: exit code ${code}, and the words for it`,
    ...requires(os ? { os: [os] } : {}),
    async fn() {
      const result = flags ? await runChild(argv, { flags, env: env ?? {} }) : await runMain(argv);
      const stderr = `holdfast: ${message}\n${hint === undefined ? "" : `  hint: ${hint}\n`}`;
      // Some are told on standard output as well, and only where --json asks for it.
      assertEquals(result, { code, stderr, stdout: argv.includes("--json") ? result.stdout : "" });
    },
  });
}

Deno.test("no two mistakes of the table are the same", () => {
  const calls = MISTAKES.map(({ argv, flags, env }) => JSON.stringify([argv, flags, env]));
  assertEquals(calls.length, new Set(calls).size);
});
