/** Failures of UDP. */

import type { ScenarioText } from "./scenario.ts";

/** Failures of UDP. */
export const udp: readonly ScenarioText[] = [
  {
    id: "port-unreachable-unseen",
    title: "Nobody listens on the UDP port, and nobody says so",
    symptom: "Sending succeeds, no answer ever comes. On Windows a later receive may fail with 10054.",
    cause:
      "UDP has no connection; the ICMP message that says so reaches neither Deno's sockets nor node:dgram's on Linux.",
    detection: "None but the missing answer.",
    remedy:
      "Expect an answer and bound the wait: timeout() in retry(). On Windows receive again after 10054.",
    code: `import { compose, retry, timeout } from "@holdfast/net/recover";

// Asks three times, a second each.
const policy = compose(retry({ idempotent: true, maxAttempts: 3 }), timeout(1000));

function ask(socket: Deno.DatagramConn, question: Uint8Array, to: Deno.NetAddr): Promise<Uint8Array> {
  const answer = socket.receive().then(([bytes]) => bytes);
  return policy.execute(async () => {
    await socket.send(question, to);
    return await answer;
  });
}`,
    searchTerms: ["ECONNRESET", "UDP no answer", "port unreachable", "ICMP"],
    proof: "provoked",
  },
  {
    id: "datagram-too-long",
    title: "The datagram is too long",
    symptom:
      '"Message too long", EMSGSIZE (os error 90 on Linux, 40 on macOS, 10040 on Windows), above 65507 bytes. Above 1472 ' +
      "or so it is sent in pieces, which often get lost without a word.",
    cause: "UDP carries what fits in one IP packet, and the way carries what fits in one frame.",
    detection: "The code, or: small ones arrive and large ones do not.",
    remedy: "Keep to 1200 bytes, and cut larger messages up yourself.",
    code: `// Pieces that pass everywhere; the receiver puts them together by their numbers.
function pieces(message: Uint8Array, size = 1198): Uint8Array[] {
  const count = Math.max(1, Math.ceil(message.length / size));
  return Array.from({ length: count }, (_, i) => {
    const piece = message.subarray(i * size, (i + 1) * size);
    return new Uint8Array([i, count, ...piece]);
  });
}`,
    searchTerms: ["EMSGSIZE", "Message too long", "datagram too large"],
    proof: "provoked",
  },
  {
    id: "send-fails-for-now",
    title: "Sending a datagram fails, and later it works again",
    symptom:
      "send() fails with ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL or EPERM while the network is away; node:dgram says " +
      '"UNKNOWN" (errno -4094) for all of them.',
    cause: "There is no route at that moment. The socket itself is fine.",
    detection: "The same socket sends again when the network is back.",
    remedy: "Keep the socket. retry() with a network sends again when it can work.",
    code: `import { retry } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// The same socket, as soon as it can send again.
async function send(socket: Deno.DatagramConn, bytes: Uint8Array, to: Deno.NetAddr): Promise<void> {
  await using network = await watchNetwork();
  await retry({ network, operation: "send" }).execute(() => socket.send(bytes, to));
}`,
    searchTerms: ["UNKNOWN", "-4094", "send ENETUNREACH", "send EHOSTUNREACH", "send UNKNOWN"],
    proof: "provoked",
  },
  {
    id: "nat-rebinding",
    title: "The other end's address changes in mid-conversation",
    symptom: "Datagrams of a known partner suddenly come from another port or address.",
    cause: "Its router gave it a new mapping after a pause, or it changed its network.",
    detection: "The same id or key, from another source.",
    remedy:
      "Know partners by an authenticated id, never by address; check the new way with a question before sending much.",
    code:
      `// The partner is who has the id; where it is may change. Check what it says before sending it much.
const partners = new Map<string, Deno.NetAddr>();

function heard(id: string, from: Deno.NetAddr): boolean {
  const known = partners.get(id);
  partners.set(id, from);
  return known !== undefined && (known.hostname !== from.hostname || known.port !== from.port);
}`,
    searchTerms: ["NAT rebinding", "source port changed", "UDP address changed", "connection migration"],
    proof: "documented",
  },
];
