/** What a hostile process may push, and what is left of it: nothing, and nobody waits. */

import { assert, assertEquals } from "@std/assert";
import { pollEnded } from "../internal/ffi/descriptor_poll.ts";
import type { SocketCalls } from "../internal/ffi/socket_calls.ts";
import { sendMessage } from "../internal/ffi/socket_messages.ts";
import { needCalls } from "../pipes/push/_descriptor_calls.ts";
import { encodeFrame, encodeLine } from "../pipes/push/_scm_frames.ts";
import { connectPath } from "../pipes/push/_scm_socket.ts";
import { type PushReceiver, receive } from "../pipes/push/receive.ts";
import { countDescriptors, listeningDescriptor, settledCount, tcpPair } from "./_push_sockets.ts";
import { scale } from "./_require.ts";

const linux = { ignore: Deno.build.os !== "linux" };
const HELLO = encodeFrame("HELLO", 0, { text: { pid: 1 } });
const PUSH = encodeFrame("PUSH", 1, { text: { kind: "stream", metadata: null }, descriptors: 1 });

/** Opens something that is no connection; whoever called owns it. */
function openFile(calls: SocketCalls, path: string): number {
  return calls.check(calls.call.open(new TextEncoder().encode(`${path}\0`), 0, 0), "open");
}

/** The next refusal, in words. */
function refusal(receiver: PushReceiver): Promise<string> {
  return new Promise((resolve) => {
    const handler = receiver.on("refused", ({ reason }) => {
      handler[Symbol.dispose]();
      resolve(reason);
    });
  });
}

interface Attack {
  readonly name: string;
  readonly refused: string;
  /** Sends over a connection; closes what it opens. */
  send(calls: SocketCalls, fd: number, live: number): void;
}

/** Sends what is opened by a function, and closes it. */
function sending(open: (calls: SocketCalls) => readonly number[]): Attack["send"] {
  return (calls, fd) => {
    const descriptors = open(calls);
    sendMessage(calls, fd, HELLO);
    assert(sendMessage(calls, fd, PUSH, descriptors) > 0);
    for (const descriptor of descriptors) calls.call.close(descriptor);
  };
}

const copies = (calls: SocketCalls, count: number): number[] =>
  Array.from({ length: count }, () => openFile(calls, "/dev/null"));

const ATTACKS: readonly Attack[] = [
  { name: "a file", refused: "no connected", send: sending((calls) => copies(calls, 1)) },
  { name: "a directory", refused: "no connected", send: sending((calls) => [openFile(calls, "/")]) },
  {
    name: "a socket that is not connected",
    refused: "no connected",
    send: sending(({ call }) => [call.socket(2, 1, 0)]),
  },
  {
    name: "sequenced packets",
    refused: "no connected",
    send: sending(({ call }) => [call.socket(1, 5, 0)]),
  },
  {
    name: "a listener where none is wanted",
    refused: "a listener is not wanted",
    send: sending((calls) => [listeningDescriptor(calls)]),
  },
  { name: "two descriptors", refused: "no connected", send: sending((calls) => copies(calls, 2)) },
  {
    name: "all descriptors there can be",
    refused: "no connected",
    send: sending((calls) => copies(calls, 253)),
  },
  { name: "no descriptor", refused: "0 came", send: sending(() => []) },
  {
    name: "a descriptor with HELLO",
    refused: "too many",
    send: (calls, fd) => {
      const [file = -1] = copies(calls, 1);
      sendMessage(calls, fd, HELLO, [file]);
      calls.call.close(file);
    },
  },
  {
    name: "PUSH without HELLO",
    refused: "HELLO comes first",
    send: (calls, fd, live) => void sendMessage(calls, fd, PUSH, [live]),
  },
  {
    name: "the same number twice",
    refused: "is used twice",
    send: (calls, fd, live) => {
      sendMessage(calls, fd, HELLO);
      sendMessage(calls, fd, PUSH, [live]);
      sendMessage(calls, fd, PUSH, [live]);
    },
  },
  {
    name: "garbage with a descriptor",
    refused: "begins with something else",
    send: (calls, fd, live) => void sendMessage(calls, fd, new Uint8Array(100).fill(1), [live]),
  },
  {
    name: "a frame of four gigabytes",
    refused: "a body of",
    send: (calls, fd, live) => {
      const frame = PUSH.slice();
      frame.fill(0xff, 16, 20);
      sendMessage(calls, fd, HELLO);
      sendMessage(calls, fd, frame, [live]);
    },
  },
  {
    name: "a line that is no JSON",
    refused: "no JSON",
    send: (calls, fd, live) => void sendMessage(calls, fd, new TextEncoder().encode("{]\n"), [live]),
  },
  {
    name: "a line with a prefix that is no Base64",
    refused: "Base64",
    send: (calls, fd, live) =>
      void sendMessage(calls, fd, new TextEncoder().encode('{"prefix":"?"}\n'), [live]),
  },
  {
    name: "a line with a file",
    refused: "no connected",
    send: (calls, fd) => {
      const [file = -1] = copies(calls, 1);
      sendMessage(calls, fd, encodeLine({}, new Uint8Array(0)), [file]);
      calls.call.close(file);
    },
  },
];

/** Does one of them several times, and looks for descriptors that are left. */
async function attack({ refused, send }: Attack, rounds: number): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  using calls = needCalls("test");
  const pair = await tcpPair();
  try {
    const path = `${directory}/worker`;
    await using receiver = await receive(path, { kinds: ["stream", "datagram"] });
    const iterator = receiver[Symbol.asyncIterator]();
    let before = Infinity;
    // Taking nothing: what is let in stays with the sender.
    for (let round = 0; round < rounds; round++) {
      const told = refusal(receiver);
      const { fd } = connectPath(calls, path, undefined);
      send(calls, fd, pair.fd);
      const reason = await told;
      assert(reason.toLowerCase().includes(refused.toLowerCase()), `"${reason}"`);
      calls.call.close(fd);
      const after = await settledCount(before);
      assert(after <= before, `${before} descriptors before, ${after} after`);
      before = countDescriptors();
    }
    await iterator.return?.();
  } finally {
    calls.call.close(pair.fd);
    pair.close();
    await Deno.remove(directory, { recursive: true });
  }
  await pollEnded();
}

for (const one of ATTACKS) {
  const name = `a hostile process that pushes ${one.name} leaves nothing behind`;
  Deno.test({ ...linux, name }, () => attack(one, scale(3, 1000)));
}

Deno.test(
  { ...linux, name: "no call that the event loop waits for takes long, whatever is pushed" },
  async () => {
    using calls = needCalls("test");
    using meter = meterCalls(calls);
    for (const one of ATTACKS) await attack(one, scale(10, 100));
    await lingering(false);
    const { count, slow, longest, stalls } = meter;
    console.log(
      JSON.stringify({ calls: count, above5ms: slow, longestMs: Math.round(longest * 10) / 10, stalls }),
    );
    assert(count > 1000, `${count} calls`);
    // A machine that is busy takes the processor away now and then; what waits does so each time, and for seconds.
    assert(slow <= 3 + count / 1000, `${slow} of ${count} calls took more than 5 ms`);
    assert(longest < 1000, `a call took ${longest} ms`);
  },
);

Deno.test(
  { ...linux, name: "who drips one byte at a time is served; who stops midway is shown the door" },
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
    using calls = needCalls("test");
    const pair = await tcpPair();
    try {
      await using receiver = await receive(`${directory}/worker`, { frameTimeout: 3000 });
      const iterator = receiver[Symbol.asyncIterator]();
      const { fd } = connectPath(calls, receiver.path, undefined);
      const next = iterator.next();
      sendMessage(calls, fd, HELLO);
      for (let at = 0; at < PUSH.length; at++) {
        sendMessage(calls, fd, PUSH.subarray(at, at + 1), at === 0 ? [pair.fd] : []);
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      const { value } = await next;
      assertEquals(value?.kind, "stream");
      if (value?.kind === "stream") await value.pipe.close();
      const told = refusal(receiver);
      const waiting = iterator.next();
      sendMessage(calls, fd, PUSH.subarray(0, 30), [pair.fd]);
      assert((await told).includes("did not come in time"));
      calls.call.close(fd);
      await receiver.close();
      assertEquals((await waiting).done, true);
    } finally {
      calls.call.close(pair.fd);
      pair.close();
      await Deno.remove(directory, { recursive: true });
    }
  },
);

Deno.test({ ...linux, name: "a socket with a long SO_LINGER and much unsent holds nobody up" }, async () => {
  // Five seconds it would be; a machine that is busy takes less.
  assert(await lingering(true) < 2000);
});

/** Pushes a socket that would linger when closed; it is taken and aborted, or never taken. Returns how long closing took. */
async function lingering(take: boolean): Promise<number> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-push-" });
  using calls = needCalls("test");
  const pair = await tcpPair();
  try {
    await using receiver = await receive(`${directory}/worker`);
    const iterator = receiver[Symbol.asyncIterator]();
    calls.call.setsockopt(pair.fd, 1, 13, new Uint8Array(new Int32Array([1, 5]).buffer), 8);
    const much = new Uint8Array(64 * 1024);
    for (let sent = 1; sent > 0;) sent = sendMessage(calls, pair.fd, much);
    const { fd } = connectPath(calls, receiver.path, undefined);
    sendMessage(calls, fd, HELLO);
    sendMessage(calls, fd, PUSH, [pair.fd]);
    calls.call.close(pair.fd);
    const received = take ? (await iterator.next()).value : undefined;
    while (!take && receiver.waiting === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const started = performance.now();
    if (received?.kind === "stream") received.pipe.abort();
    else await receiver.close();
    const took = performance.now() - started;
    calls.call.close(fd);
    await iterator.return?.();
    return took;
  } finally {
    pair.close();
    await Deno.remove(directory, { recursive: true });
  }
}

/** Times every call that is made, and counts how often the event loop comes round late. */
function meterCalls({ call }: SocketCalls) {
  const symbols = call as unknown as Record<string, (...args: unknown[]) => unknown>;
  // The one that waits does so on a thread of its own.
  const { poll: _poll, ...originals } = symbols;
  const meter = { count: 0, slow: 0, longest: 0, stalls: 0 };
  for (const [name, original] of Object.entries(originals)) {
    symbols[name] = (...args) => {
      const started = performance.now();
      const result = original(...args);
      const took = performance.now() - started;
      meter.count++;
      if (took > 5) meter.slow++;
      meter.longest = Math.max(meter.longest, took);
      return result;
    };
  }
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    if (now - last > 10) meter.stalls++;
    last = now;
  }, 1);
  return Object.assign(meter, {
    [Symbol.dispose]() {
      clearInterval(timer);
      Object.assign(symbols, originals);
    },
  });
}
