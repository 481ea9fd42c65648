/** Connecting over WebSocket that is called off: whatever the moment, nothing is left behind. */

import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import { makeCertificates } from "../tests/_certificates.ts";
import { descriptorsOf, eventually } from "../tests/_child.ts";
import { requires, scale } from "../tests/_require.ts";
import { hostOf } from "../tests/_ws_ends.ts";
import { connect, listen, type WebSocketPipeOptions } from "./ws.ts";

/** How often it is called off, at each server. */
const TIMES = scale(500, 5000);

const { ca, valid: { cert, key } } = await makeCertificates();
const tls = { caCerts: [ca] };
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Where to come from; such a connection is made in another way. */
const FROM = { address: "127.0.0.1" } as const;

/** How one attempt went. */
type Outcome = "connected" | "called off";

/** Connects, calls that off when it is time, and closes what came of it all the same. */
async function attempt(
  url: string,
  time: (connecting: Promise<unknown>) => Promise<unknown>,
  options: WebSocketPipeOptions = {},
): Promise<Outcome> {
  const stop = new AbortController();
  const reason = new Error("enough");
  const connecting = connect(url, { ...options, signal: stop.signal });
  connecting.catch(() => {}); // it is awaited below
  await time(connecting);
  stop.abort(reason);
  try {
    (await connecting).abort();
    return "connected";
  } catch (error) {
    assertEquals(error, reason);
    return "called off";
  }
}

/** Lets some turns of the event loop go by, where the system is heard, and then some of promises. */
async function turns(count: number, ofPromises: number): Promise<void> {
  for (let n = 0; n < count; n++) await new Promise<void>((resolve) => setImmediate(resolve));
  for (let n = 0; n < ofPromises; n++) await null;
}

/** Sees that there are no more descriptors than before. */
async function assertNothingLeft(before: number, what: string): Promise<void> {
  // Sooner or later the runtime makes itself a pair of sockets, once.
  await eventually(`all descriptors to be closed, ${what}`, () => descriptorsOf().length <= before + 2);
}

for (const scheme of ["ws", "wss"] as const) {
  Deno.test({
    name: `${scheme}: an attempt is called off ${TIMES} times, a turn later each time`,
    ...requires({ os: ["linux"] }),
    async fn() {
      await using server = await listen(`${scheme}://127.0.0.1:0`, { tls: { cert, key } });
      const accepting = (async () => {
        for await (const pipe of server) pipe.abort();
      })();
      const url = `${scheme}://${hostOf(server)}`;
      let [calledOff, sweeps, later, before] = [0, 0, 0, 0];
      for (let n = 0; calledOff < TIMES; n++) {
        // From before the first step of it, a turn later each time, until it is too late; and once more from the beginning.
        const outcome = await attempt(url, () => turns(later++, n % 11), { tls });
        if (outcome === "called off") calledOff++;
        else [sweeps, later] = [sweeps + 1, 0];
        if (n !== 60) continue;
        // What is loaded once is loaded by now.
        await eventually("the server's ends to be closed", () => server.connections === 0);
        before = descriptorsOf().length;
      }
      console.log(`${scheme}: called off ${calledOff} times, in ${sweeps} sweeps`);
      assert(before > 0 && sweeps > 0, `${sweeps} sweeps`);
      await eventually("the server's ends to be closed", () => server.connections === 0);
      await assertNothingLeft(before, `after ${TIMES} attempts`);
      await server.close();
      await accepting;
    },
  });
}

for (const [way, options] of [["by the runtime", {}], ["from an address", { via: FROM }]] as const) {
  Deno.test({
    name: `ws: an attempt is called off after each byte of the answer, ${way}`,
    ...requires({ os: ["linux"] }),
    async fn() {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const url = `ws://127.0.0.1:${listener.addr.port}`;
      const run = async (count: number): Promise<boolean> => {
        let served: Awaited<ReturnType<typeof serve>> | undefined;
        const outcome = await attempt(url, async (connecting) => {
          served = await serve(await listener.accept(), count);
          // A whole answer is waited for; of a part of it nothing is heard.
          await (served.whole ? connecting : turns(3, 0));
        }, options);
        assertEquals(outcome, served?.whole ? "connected" : "called off", `after ${count} bytes`);
        await served?.gone;
        return served?.whole ?? true;
      };
      await run(10);
      const before = descriptorsOf().length;
      let count = 0;
      while (!await run(count)) count++;
      await assertNothingLeft(before, `after each of ${count} bytes`);
      assert(count > 100, `${count} bytes`);
    },
  });
}

/** Takes a request, and answers it by so many bytes; tells when the other end is gone. */
async function serve(
  conn: Deno.Conn,
  count: number,
): Promise<{ readonly whole: boolean; readonly gone: Promise<void> }> {
  const answer = bytesOf(await answerTo(await requestOf(conn)));
  if (count > 0) await conn.write(answer.subarray(0, count));
  const gone = conn.read(new Uint8Array(1000)).catch(() => null).then(() => conn.close());
  return { whole: count >= answer.length, gone };
}

/** What a client asks for. */
async function requestOf(conn: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(4096);
  let text = "";
  while (!text.endsWith("\r\n\r\n")) {
    text += new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
  }
  return text;
}

/** What a server of WebSocket answers (RFC 6455 section 4.2.2). */
async function answerTo(request: string): Promise<string> {
  const [, asked = ""] = /^sec-websocket-key: (.*)\r$/im.exec(request) ?? [];
  const digest = await crypto.subtle.digest(
    "SHA-1",
    bytesOf(`${asked}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`) as Uint8Array<ArrayBuffer>,
  );
  return [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${new Uint8Array(digest).toBase64()}`,
    "\r\n",
  ].join("\r\n");
}
