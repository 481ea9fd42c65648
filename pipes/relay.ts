/** Passing on what comes from one pipe to another, both ways. */

import type { Transport } from "./address.ts";
import type { Pipe } from "./pipe.ts";
import { PipeError } from "./pipe_error.ts";

/** What {@linkcode relay} takes. */
export interface RelayOptions {
  /** Ends both pipes at once. */
  readonly signal?: AbortSignal | undefined;
  /** Called when a pipe fails, before the other one is ended by it: whoever wants to end that one in another way does so here. */
  readonly failed?: ((failure: RelayFailure) => void) | undefined;
}

/** What went one way. */
export interface RelayFlow {
  /** Bytes that came from one end and were handed to the other; the system may still have had some of the last. */
  readonly bytes: number;
  /** How many pieces that was: messages where there are such, else whatever arrived at once. */
  readonly messages: number;
  /** Bytes that came when the other end took nothing any more. */
  readonly dropped: number;
  /** Whether the sender has ended its direction, and the other end was told. */
  readonly ended: boolean;
}

/** What ended a relay before its time, or made it drop what came. */
export interface RelayFailure {
  /** Which of the two pipes it was. */
  readonly pipe: "a" | "b";
  /** What went wrong with it, a {@linkcode PipeError} in most cases. */
  readonly error: unknown;
}

/** How a relay ended. */
export interface RelayReport {
  /** From the first pipe to the second. */
  readonly aToB: RelayFlow;
  /** From the second pipe to the first. */
  readonly bToA: RelayFlow;
  /** What went wrong first, and at which pipe; `null` where both ended well. */
  readonly failure: RelayFailure | null;
}

/**
 * Passes on what comes from one pipe to the other, both ways, until both have ended; of whatever transport they are.
 *
 * Nothing is read that the other end has no room for, so whoever sends too fast is held back. Where both pipes have messages,
 * they are kept; give both a `framing` where they are streams of bytes. The end of one direction is passed on as such; a pipe
 * that cannot end one direction alone (WebSocket, UDP) is closed by it, and then so is the other one. When one pipe fails, the
 * other one is ended by {@linkcode PipeBase.abort}, so that nobody takes a part for the whole.
 *
 * Both pipes belong to it from then on, and are over when it is. Nobody else may read them.
 *
 * @param a The one pipe.
 * @param b The other one.
 * @param options What calls it off.
 * @returns What went each way, and what failed: a pipe that fails is no failure of the relay.
 * @throws The signal's reason, when it is aborted; both pipes have ended then.
 * @throws {TypeError} When both are the same pipe, or somebody else reads one of them.
 *
 * @example
 * ```ts
 * import { connect, listen, relay } from "@holdfast/net/pipes";
 * import { assertEquals } from "@std/assert";
 *
 * await using inner = await listen("memory:inner");
 * await using outer = await listen("memory:outer");
 * const door = (async () => {
 *   for await (const client of outer) return await relay(client, await connect("memory:inner"));
 * })();
 *
 * const client = await connect("memory:outer");
 * await client.send("ping");
 * for await (const server of inner) {
 *   assertEquals(await server.recv(), new TextEncoder().encode("ping"));
 *   await server.close();
 *   break;
 * }
 * assertEquals(await client.recv(), null);
 * await client.close();
 * assertEquals((await door)?.aToB.bytes, 4);
 * ```
 */
export async function relay(a: Pipe, b: Pipe, options: RelayOptions = {}): Promise<RelayReport> {
  const { signal } = options;
  if (a === b) throw new TypeError("Cannot relay: both ends are the same pipe");
  const run = new Relay(a, b, options.failed);
  const stop = (): void => run.abort(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted) stop();
  try {
    await run.run();
  } finally {
    signal?.removeEventListener("abort", stop);
  }
  signal?.throwIfAborted();
  const { failure } = run;
  // Nobody's network is to blame for it.
  if (failure?.error instanceof TypeError) throw failure.error;
  return { aToB: run.there.flow(), bToA: run.back.flow(), failure };
}

/** Those that cannot end one direction alone. */
const WHOLE: readonly Transport[] = ["udp", "ws", "wss"];

/** A session ends one direction alone, whatever carries it. */
function isWhole({ transport, resumable }: Pipe): boolean {
  return WHOLE.includes(transport) && !resumable;
}

/** What comes in pieces that are larger is read into the same memory again and again. */
const BUSY = 4096;

/** The most that is read at once. */
const LARGE = 64 * 1024;

/** One direction. */
class Way {
  readonly from: Pipe;
  readonly to: Pipe;
  bytes = 0;
  messages = 0;
  dropped = 0;
  ended = false;
  /** Whether the receiver takes nothing any more, though it may have something to say yet. */
  blocked = false;

  constructor(from: Pipe, to: Pipe) {
    this.from = from;
    this.to = to;
  }

  flow(): RelayFlow {
    const { bytes, messages, dropped, ended } = this;
    return { bytes, messages, dropped, ended };
  }
}

/** Both directions. */
class Relay {
  readonly #a: Pipe;
  readonly #b: Pipe;
  readonly there: Way;
  readonly back: Way;
  readonly #failed: RelayOptions["failed"];
  failure: RelayFailure | null = null;

  constructor(a: Pipe, b: Pipe, failed: RelayOptions["failed"]) {
    this.#a = a;
    this.#b = b;
    this.#failed = failed;
    this.there = new Way(a, b);
    this.back = new Way(b, a);
  }

  abort(reason: unknown): void {
    this.#a.abort(reason);
    this.#b.abort(reason);
  }

  async run(): Promise<void> {
    const { there, back } = this;
    await Promise.all([this.#carry(there, back), this.#carry(back, there)]);
    await Promise.all([this.#a.close(), this.#b.close()]);
  }

  async #carry(way: Way, other: Way): Promise<void> {
    const { from, to } = way;
    try {
      await this.#messages(way);
    } catch (error) {
      // It ended because of us: closing is all that the other end could get.
      if (from.state.type !== "closed") return this.#fail(from, error);
    }
    try {
      if (!way.blocked) {
        await to.closeWrite();
        way.ended = true;
      }
    } catch (error) {
      if (to.state.type !== "closed") return this.#fail(to, error);
    }
    // Whatever the other end says from now on could reach nobody.
    if (other.blocked || from.state.type === "closed" || isWhole(from)) await to.close();
  }

  /** Passes on until the sender ends its direction; throws when it fails. */
  async #messages(way: Way): Promise<void> {
    const { from, to } = way;
    let into: Uint8Array<ArrayBuffer> | undefined;
    while (true) {
      const data = await from.recv(into ? { into } : {});
      if (!data) return;
      if (way.blocked) way.dropped += data.length;
      else if (await this.#send(way, data)) {
        way.bytes += data.length;
        way.messages++;
      } else way.dropped += data.length;
      if (to.state.type === "failed") return;
      into = data.length < BUSY ? undefined : into ?? new Uint8Array(LARGE);
    }
  }

  /** Sends, and tells whether that was taken. */
  async #send(way: Way, data: Uint8Array): Promise<boolean> {
    const { to } = way;
    try {
      await to.send(data);
      return true;
    } catch (error) {
      way.blocked = true;
      if (to.state.type === "closed") return false;
      // A broken connection may still hold what the other end said before, often the reason.
      if (to.state.type === "failed" || !(error instanceof PipeError)) this.#fail(to, error);
      else this.#note(to, error);
      return false;
    }
  }

  #note(pipe: Pipe, error: unknown): void {
    this.failure ??= failureOf(pipe, this.#a, error);
  }

  #fail(pipe: Pipe, error: unknown): void {
    this.#failed?.(this.failure ?? failureOf(pipe, this.#a, error));
    this.#note(pipe, error);
    this.abort(error);
  }
}

function failureOf(pipe: Pipe, a: Pipe, error: unknown): RelayFailure {
  return { pipe: pipe === a ? "a" : "b", error };
}
