/** Failures of servers and their sockets. */

import type { ScenarioText } from "./scenario.ts";

/** Failures of servers and their sockets. */
export const servers: readonly ScenarioText[] = [
  {
    id: "address-in-use",
    title: "The port is taken",
    symptom:
      '"Address already in use", EADDRINUSE (os error 98 on Linux, 48 on macOS, 10048 on Windows), from listening; also ' +
      "for UDP and for the file of a Unix socket.",
    cause:
      "Another process has it: often the one before, which has not ended yet. 0.0.0.0 collides with each single address.",
    detection: '"ss -ltnp" names the process.',
    remedy:
      "When restarting, try some five times 200 ms apart with retry(). Otherwise end the other one, or take another port.",
    code: `import { constant, retry } from "@holdfast/net/recover";

// The process before needs a moment to end.
function listen(port: number): Promise<Deno.TcpListener> {
  return retry({ operation: "listen", maxAttempts: 6, backoff: constant(200) }).execute(() =>
    Deno.listen({ port })
  );
}`,
    searchTerms: [
      "EADDRINUSE",
      "Address already in use",
      "AddrInUse",
      "Only one usage of each socket address",
    ],
    proof: "provoked",
  },
  {
    id: "listen-address-missing",
    title: "Listening on an address that this machine does not have",
    symptom:
      'Listening fails with "Cannot assign requested address", EADDRNOTAVAIL (os error 99 on Linux, 49 on macOS, 10049 on ' +
      "Windows); node:net calls it EINVAL.",
    cause: "The address is not here yet (DHCP, a VPN, a floating address), or the configuration is wrong.",
    detection: "The address is in none of the machine's interfaces.",
    remedy: "Wait for the address with a network, then listen; or listen on 0.0.0.0 or [::].",
    code: `import { retry } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// Listens as soon as the address is there.
async function listen(hostname: string, port: number): Promise<Deno.TcpListener> {
  await using network = await watchNetwork();
  return await retry({ network, operation: "listen", maxAttempts: 100 }).execute(() =>
    Deno.listen({ hostname, port })
  );
}`,
    searchTerms: [
      "EADDRNOTAVAIL",
      "Cannot assign requested address",
      "AddrNotAvailable",
    ],
    proof: "provoked",
  },
  {
    id: "port-privileged",
    title: "That port needs more rights",
    symptom:
      'Listening on a port below 1024 fails with "Permission denied", EACCES (os error 13; 10013 on Windows).',
    cause:
      "Linux and macOS reserve the low ports. Windows also reserves whole ranges, for Hyper-V for instance " +
      '("netsh int ipv4 show excludedportrange tcp").',
    detection: "The same program works with port 8080.",
    remedy:
      "Take a port above 1023, or grant the right: setcap cap_net_bind_service, or net.ipv4.ip_unprivileged_port_start. " +
      "Retrying is of no use, and classify() says never.",
    code: `import { classify } from "@holdfast/net/recover";

// Port 80 where that is allowed, else 8080.
function listen(): Deno.TcpListener {
  try {
    return Deno.listen({ port: 80 });
  } catch (error) {
    if (classify(error, { operation: "listen" }).scenario !== "port-privileged") throw error;
    return Deno.listen({ port: 8080 });
  }
}`,
    searchTerms: [
      "EACCES",
      "Permission denied",
      "PermissionDenied",
      "privileged port",
    ],
    proof: "provoked",
  },
  {
    id: "accept-files-exhausted",
    title: "The server ends when too many connections are open",
    symptom:
      '"Too many open files", EMFILE, out of accept(): "for await (const conn of listener)" throws and ends the server; of ' +
      "Deno.serve the promise finished rejects and, unseen, ends the process.",
    cause: "The limit of open files is reached by clients, and the loop takes one failure for the end.",
    detection: "The server was gone after a rush, with that text as its last words.",
    remedy:
      "acceptLoop() goes on after such an error and caps connections below the limit; serve() starts Deno.serve again. Both " +
      "answered again as soon as files were free.",
    code: `import { serve } from "@holdfast/net/recover";

// Deno.serve that comes back when files are free again, with 500 requests at a time at most.
async function run(answer: (request: Request) => Promise<Response>): Promise<void> {
  await using server = serve(answer, { port: 8080, maxInFlight: 500 });
  using _ = server.on("restart", ({ downFor }) => console.warn(\`The server was down for \${downFor} ms\`));
  await server.finished;
}`,
    searchTerms: [
      "EMFILE",
      "Too many open files",
      "accept failed",
      "Http: Too many open files",
      "ENFILE",
    ],
    proof: "provoked",
  },
  {
    id: "unix-socket-stale",
    title: "The file of a Unix socket was left behind",
    symptom:
      "Listening says EADDRINUSE though nobody listens; connecting says ECONNREFUSED (a file without an owner) or ENOENT " +
      "(no file).",
    cause: "The process before ended without removing its socket's file.",
    detection: "Connecting to it is refused.",
    remedy: "When listening fails, connect to it. If that is refused, remove the file and listen again.",
    code: `import { classify } from "@holdfast/net/recover";

async function listen(path: string): Promise<Deno.UnixListener> {
  try {
    return Deno.listen({ transport: "unix", path });
  } catch (error) {
    if (classify(error, { operation: "listen" }).kind !== "address-in-use") throw error;
  }
  // Is somebody there? Then it is in use indeed.
  const other = await Deno.connect({ transport: "unix", path }).catch(() => null);
  other?.close();
  if (other) throw new Deno.errors.AddrInUse(\`Cannot listen on \${path}: somebody does\`);
  await Deno.remove(path);
  return Deno.listen({ transport: "unix", path });
}`,
    searchTerms: [
      "unix socket",
      ".sock",
      "EADDRINUSE",
      "ENOENT",
      "No such file or directory",
      "stale socket",
    ],
    proof: "provoked",
  },
  {
    id: "listener-address-gone",
    title: "The address that the server listens on went away",
    symptom:
      "No event and no error on the server; clients hang. When the address came back, the same listener worked again.",
    cause: "Another network or lease. A listener on one address stays bound to it, whether it exists or not.",
    detection: "addressremove for the listener's own address.",
    remedy:
      "Listen on 0.0.0.0 or [::] where that is allowed. Otherwise keep the listener, open another on the new address, and tell " +
      "the clients.",
    code: `import { watchNetwork } from "@holdfast/net/watch";

// Tells where the server can be reached from now on.
async function announce(listener: Deno.TcpListener, tell: (addresses: string[]) => void): Promise<void> {
  await using network = await watchNetwork();
  for await (const { next } of network) {
    const all = next.interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => address));
    if (!all.includes(listener.addr.hostname)) tell(all);
  }
}`,
    searchTerms: ["listener stopped", "server unreachable after network change", "address removed"],
    proof: "provoked",
  },
  {
    id: "silent-clients",
    title: "Clients connect and say nothing",
    symptom: "The number of connections grows until EMFILE, while hardly any request comes in.",
    cause: "Scanners, half-open clients, or an attack that opens and waits.",
    detection: "Many connections without a first byte after some seconds.",
    remedy:
      "acceptLoop() caps the connections, per client as well, and cuts what has said nothing for 5 s (firstMessageDeadline).",
    code: `import { acceptLoop } from "@holdfast/net/recover";

// At most 500 clients, 20 per address, and 5 s for each to say something.
async function run(
  answer: (connection: Deno.TcpConn, first: Uint8Array) => Promise<void>,
): Promise<void> {
  const listener = Deno.listen({ port: 8080 });
  await using loop = acceptLoop(listener, async (connection, { established }) => {
    const buffer = new Uint8Array(4096);
    const length = await connection.read(buffer);
    if (length === null) return;
    established();
    await answer(connection, buffer.subarray(0, length));
  }, { maxConnections: 500, maxPerAddress: 20, firstMessageDeadline: 5000 });
  await loop.closed;
}`,
    searchTerms: ["slowloris", "idle clients", "connection flood", "too many connections"],
    proof: "documented",
  },
];
