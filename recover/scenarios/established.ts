/** Failures that end an open connection, or leave it open and dead. */

import type { ScenarioText } from "./scenario.ts";

/** Failures that end an open connection, or leave it open and dead. */
export const established: readonly ScenarioText[] = [
  {
    id: "reset-by-peer",
    title: "The other end reset the connection",
    symptom:
      '"Connection reset by peer", ECONNRESET (os error 104 on Linux, 54 on macOS, 10054 or 64 on Windows) from a read; ' +
      'the next write says "Broken pipe", EPIPE.',
    cause:
      "The other end closed with data unread, crashed, or forgot the connection; or a firewall, NAT or load balancer did " +
      "it in its name.",
    detection: "The code, from a connection that worked before.",
    remedy:
      "What was sent may have been carried out. Repeat only what may happen twice: Failure.sent says maybe, and retry() " +
      "stops there unless it is told that the work is idempotent.",
    code: `import { classify } from "@holdfast/net/recover";

// Whether a request may be sent again: always if it may happen twice, else only if it never left.
function mayRepeat(error: unknown, idempotent: boolean): boolean {
  const { retry, sent } = classify(error, { operation: "request" });
  return retry !== "never" && (idempotent || sent === "no");
}`,
    searchTerms: [
      "ECONNRESET",
      "Connection reset by peer",
      "ConnectionReset",
      "socket hang up",
      "forcibly closed",
      "EPIPE",
      "Broken pipe",
    ],
    proof: "provoked",
  },
  {
    id: "aborted-locally",
    title: "This machine aborted the connection",
    symptom:
      '"Software caused connection abort", ECONNABORTED (os error 103 on Linux, 53 on macOS, 10053 or 1236 on Windows); ' +
      "writes say EPIPE.",
    cause: "A VPN client or administrator killed the socket, or Windows did, because its interface changed.",
    detection: "The code: the other end would have given ECONNRESET.",
    remedy:
      "The network has just changed under it: dial() again at once, or let retry() with a network do so.",
    code: `import { dial, retry } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// A conversation that may be begun anew, on the network as it is then.
async function talk(address: string, work: (connection: Deno.TcpConn) => Promise<void>): Promise<void> {
  await using network = await watchNetwork();
  await retry({ network, idempotent: true }).execute(async ({ signal }) => {
    using connection = (await dial(address, { network, signal })).conn;
    await work(connection);
  });
}`,
    searchTerms: [
      "ECONNABORTED",
      "Software caused connection abort",
      "ConnectionAborted",
      "aborted by the software",
    ],
    proof: "provoked",
  },
  {
    id: "end-without-goodbye",
    title: "The connection ended politely, in the middle of the conversation",
    symptom: "read() returns null as at any end. The first write after that succeeds, the second says EPIPE.",
    cause: "The process at the other end died: its kernel closes the connection as if all were well.",
    detection: "The end came where the protocol expected more.",
    remedy:
      "The end of the stream proves nothing. Have an explicit last message in the protocol; without it take the end as a " +
      "loss and retry().",
    code: `// The end of the stream is an error unless the last line said goodbye.
async function readAll(connection: Deno.Conn): Promise<string> {
  let text = "";
  for await (const part of connection.readable.pipeThrough(new TextDecoderStream())) text += part;
  if (!text.endsWith("BYE\\n")) {
    throw new Deno.errors.UnexpectedEof("Cannot read the answer: the connection ended in the middle");
  }
  return text;
}`,
    searchTerms: [
      "EOF",
      "unexpected end",
      "UnexpectedEof",
      "end of file",
      "EPIPE",
      "Broken pipe",
      "connection closed",
    ],
    proof: "provoked",
  },
  {
    id: "peer-rebooted",
    title: "The other machine rebooted and knows nothing of us",
    symptom:
      "Nothing while idle. The first write succeeds, then the read says ECONNRESET, and later writes EPIPE.",
    cause: "It lost power: no goodbye was sent, and the new system has never heard of the connection.",
    detection: "A reset as the answer to the first write after a long silence.",
    remedy:
      "Its memory is gone: begin anew, from what was kept on disk. heartbeat() finds it out while idle, before it hurts.",
    code: `import { heartbeat } from "@holdfast/net/recover";

// Asks every 15 s, so that a reboot is noticed before there is something to say.
function guard(connection: Deno.Conn, ping: (signal: AbortSignal) => Promise<void>): Disposable {
  const beat = heartbeat({ ping, interval: 15_000 });
  beat.on("dead", () => connection.close());
  return beat;
}`,
    searchTerms: ["ECONNRESET", "Connection reset by peer", "server rebooted", "power loss"],
    proof: "provoked",
  },
  {
    id: "path-lost-sending",
    title: "The path broke while data was on its way",
    symptom:
      "Writes go on succeeding, into a buffer. The error, ETIMEDOUT, comes 13 to 30 minutes later on a Linux with its " +
      "usual settings.",
    cause:
      "Packets are dropped in silence, and the kernel sends them again, ever more seldom, before it gives up.",
    detection: "No answer from the other program for some seconds, while ours is sending.",
    remedy: "Ask for an answer by the application itself and set a time limit on progress: heartbeat().",
    code: `import { heartbeat } from "@holdfast/net/recover";

// Ends the work when the other program does not answer for 5 s, whatever the kernel still hopes for.
async function guarded(
  ping: (signal: AbortSignal) => Promise<void>,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  using beat = heartbeat({ ping, interval: 5000, timeout: 5000 });
  await work(beat.signal);
}`,
    searchTerms: ["ETIMEDOUT", "Connection timed out", "tcp_retries2", "retransmission", "writes succeed"],
    proof: "provoked",
  },
  {
    id: "path-lost-idle",
    title: "Half-open: the connection is dead and nobody notices",
    symptom: "Nothing, for ever. No error, no end, no data; it looks idle.",
    cause:
      "The other end or the path went away without a word. TCP says nothing unless somebody sends, and keep-alive is off " +
      "by default (when on, it takes more than two hours).",
    detection: "No answer to a ping.",
    remedy:
      "heartbeat(): a ping of the application's own when nothing was heard, and an end when nothing comes back. The " +
      "runtime's keep-alive is no substitute.",
    code: `import { heartbeat } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// One question when nothing was heard for 15 s, and at once when the network has changed.
async function guarded(
  ping: (signal: AbortSignal) => Promise<void>,
  work: (signal: AbortSignal, heard: () => void) => Promise<void>,
): Promise<void> {
  await using network = await watchNetwork();
  using beat = heartbeat({ ping, network, interval: 15_000 });
  // Whatever comes in is a sign of life: work() calls heard() for it.
  await work(beat.signal, () => beat.alive());
}`,
    searchTerms: ["half-open", "half open", "keepalive", "keep-alive", "hangs forever", "dead connection"],
    proof: "provoked",
  },
  {
    id: "kernel-waits-on",
    title: "The network is back, and the old connection still waits",
    symptom:
      "After an outage of 30 s an old connection took 24 s more to move, while a new one answered within 1.3 ms.",
    cause: "The kernel doubles the pause between its attempts, and does not know that the path is back.",
    detection: "The network is online, a new connection works, the old one is silent.",
    remedy: "Do not wait for the old one. At the event online, dial() a new connection and drop the old one.",
    code: `import { dial } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// A new connection at each return of the network; the old one goes when the new one is there.
async function follow(address: string, use: (connection: Deno.TcpConn) => void): Promise<void> {
  await using network = await watchNetwork();
  let { conn } = await dial(address, { network });
  use(conn);
  for await (const event of network.events) {
    if (event.type !== "online") continue;
    const old = conn;
    ({ conn } = await dial(address, { network }));
    use(conn);
    old.close();
  }
}`,
    searchTerms: ["slow to recover", "still hangs after reconnect", "retransmission", "RTO"],
    proof: "provoked",
  },
  {
    id: "nat-entry-lost",
    title: "The router forgot the connection",
    symptom:
      "The side that writes first reads ECONNRESET. When it is the server that writes, the client learns nothing at all and " +
      "stays half-open.",
    cause:
      "The router was restarted or its table was flushed: packets of the old connection belong to nobody.",
    detection: "All connections through that router break at once, those that send first.",
    remedy: "The client must ping, not the server, and more often than the router forgets: heartbeat().",
    code: `import { heartbeat } from "@holdfast/net/recover";

// The client asks, every 30 s; a server that does so finds out, and the client does not.
function guard(connection: Deno.Conn, ping: (signal: AbortSignal) => Promise<void>): Disposable {
  const beat = heartbeat({ ping, interval: 30_000 });
  beat.on("dead", ({ error }) => {
    console.warn(error.message);
    connection.close();
  });
  return beat;
}`,
    searchTerms: ["NAT", "conntrack", "router restarted", "ECONNRESET", "Connection reset by peer"],
    proof: "provoked",
  },
  {
    id: "nat-idle-timeout",
    title: "A NAT forgets connections that are idle",
    symptom:
      "Connections die after some minutes of silence, always about the same number, and only on some networks.",
    cause:
      "A NAT keeps an entry for 2 to 30 min for TCP and often 30 s for UDP, though the standards ask for 2 h 4 min and 2 " +
      "min (RFC 5382, RFC 4787).",
    detection: "It works while there is traffic, and breaks after a pause.",
    remedy:
      "Ping before the entry goes: heartbeat() with an interval of 60 to 240 s for TCP, 15 to 25 s for UDP.",
    code: `import { heartbeat } from "@holdfast/net/recover";

// Often enough for every NAT: each ping also keeps its entry alive.
function keepAlive(protocol: "tcp" | "udp", ping: (signal: AbortSignal) => Promise<void>): Disposable {
  return heartbeat({ ping, interval: protocol === "tcp" ? 60_000 : 15_000 });
}`,
    searchTerms: ["idle timeout", "NAT timeout", "dies after minutes", "idle connection"],
    proof: "documented",
  },
];
