/** Faults of a byte stream, whatever is spoken on it. */

import { type Link, onBytes } from "./_fault_server_link.ts";
import type { DripFault, EarlyReplyFault, Fault, HalfHandshakeFault } from "./fault.ts";

/** The faults that know nothing of HTTP. */
export type StreamFault = Extract<
  Fault,
  {
    readonly type:
      | "echo"
      | "silent"
      | "never-read"
      | "half-handshake"
      | "reset"
      | "end"
      | "close-without-notify"
      | "drip"
      | "early-reply"
      | "not-tls";
  }
>;

/** Does to a connection what the fault says. */
export function serveStreamFault(fault: StreamFault, link: Link): void {
  const { raw, stream } = link;
  switch (fault.type) {
    case "echo":
      return echo(link, Infinity, () => {});
    case "silent":
      return void onBytes(link, () => {});
    case "never-read":
      return;
    case "half-handshake":
      return halfHandshake(fault, link);
    case "reset":
      return echo(link, fault.after ?? 0, () => void raw.resetAndDestroy());
    case "end":
      return echo(link, fault.after ?? 0, () => void stream.end());
    case "close-without-notify":
      return echo(link, fault.after ?? 1, () => void raw.end());
    case "drip":
      return drip(fault, link);
    case "early-reply":
      return earlyReply(fault, link);
    case "not-tls":
      return void onBytes(
        link,
        () => void stream.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
      );
  }
}

/** Echoes so many bytes, and then does something else. */
function echo(link: Link, limit: number, then: () => void): void {
  const { raw, stream } = link;
  let left = limit;
  let done = false;
  const finish = (): void => {
    done = true;
    then();
  };
  if (left === 0) finish();
  onBytes(link, (bytes) => {
    // The system's answer to what is sent to a socket that nobody has any more.
    if (done) return void raw.resetAndDestroy();
    if (left === 0) return;
    const part = bytes.subarray(0, Math.min(left, bytes.length));
    left -= part.length;
    const over = left === 0;
    // Not before it has been handed to the system: an RST throws away what is still queued.
    const fits = stream.write(part, () => {
      if (over) finish();
    });
    if (fits || over) return;
    stream.pause();
    stream.once("drain", () => stream.resume());
  });
  stream.on("end", () => stream.end());
}

/** How a record with a ServerHello begins (RFC 8446, 5.1 and 4.1.3). */
const SERVER_HELLO = Uint8Array.of(0x16, 0x03, 0x03, 0x00, 0x7a, 0x02, 0x00, 0x00, 0x76, 0x03, 0x03);

function halfHandshake({ answer = 0, then = "silent" }: HalfHandshakeFault, link: Link): void {
  let answered = false;
  onBytes(link, () => {
    if (answered) return;
    answered = true;
    link.raw.write(SERVER_HELLO.subarray(0, answer), () => {
      if (then === "end") link.raw.end();
      if (then === "reset") link.raw.resetAndDestroy();
    });
  });
}

function drip({ interval = 1000, text = "" }: DripFault, link: Link): void {
  const { raw, stream, clock } = link;
  const bytes = new TextEncoder().encode(text);
  let sent = 0;
  const next = () =>
    clock.after(interval, () => {
      stream.write(Uint8Array.of(bytes[sent++] ?? 0x2e));
      timer = next();
    }, { ref: true });
  let timer = next();
  raw.once("close", () => timer.cancel());
  onBytes(link, () => {});
}

function earlyReply({ after = 1024, text = "too much" }: EarlyReplyFault, link: Link): void {
  const { raw, stream } = link;
  let left = after;
  onBytes(link, (bytes) => {
    if (left <= 0) return;
    left -= bytes.length;
    if (left > 0) return;
    // No more is read; so the close, with data unread, becomes an RST for the writer, after the answer.
    stream.pause();
    stream.end(text, () => void raw.destroy());
  });
}
