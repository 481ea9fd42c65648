/** What is pushed to this process over Unix sockets: kept with whoever sent it until somebody here takes it. */

import type { Clock, Timer } from "../../internal/clock.ts";
import { pollEnded, POLLIN, whenReady } from "../../internal/ffi/descriptor_poll.ts";
import type { SocketCalls } from "../../internal/ffi/socket_calls.ts";
import type { ReceivedMessage } from "../../internal/ffi/socket_messages.ts";
import { normaliseSocket, peerCredentials } from "../../internal/ffi/descriptors.ts";
import { adopt, type Adopted, type AdoptedKind, identify } from "./_adopt.ts";
import { ScmChannel } from "./_scm_channel.ts";
import { encodeFrame, PLAIN_ACK, PLAIN_NAK, ScmDecoder, type ScmFrame } from "./_scm_frames.ts";
import { isTrusted, listenPath, type PushPeer, removePath, type TrustedUsers } from "./_scm_socket.ts";

// asm-generic/fcntl.h, asm-generic/errno.h
const [SOCK_NONBLOCK, SOCK_CLOEXEC] = [0x800, 0x80000];
const EAGAIN = 11;

/** After how many milliseconds accepting is tried again where the system has no descriptor to spare, for which there is no event. */
const PAUSE = 100;

/** How the receiver behaves; see the options of `receive()`. */
export interface ScmReceiverOptions {
  readonly users: TrustedUsers | undefined;
  readonly kinds: readonly AdoptedKind[];
  readonly window: number;
  readonly maxChannels: number;
  readonly maxMetadata: number;
  readonly maxPrefix: number;
  readonly frameTimeout: number;
  readonly clock: Clock;
}

/** What was taken. */
export interface Arrival {
  readonly adopted: Adopted;
  readonly metadata: unknown;
  readonly peer: PushPeer;
}

/** A process that pushes. */
interface Sender {
  readonly channel: ScmChannel;
  readonly peer: PushPeer;
  readonly decoder: ScmDecoder;
  readonly items: Map<number, Item>;
  greeted: boolean;
  /** Runs while something is to be completed. */
  deadline: Timer | undefined;
}

/** A socket that nobody has taken yet. */
interface Item {
  readonly sender: Sender;
  readonly id: number;
  readonly fd: number;
  readonly metadata: unknown;
  readonly prefix: Uint8Array;
  /** Whether it is being adopted, and so has an owner already. */
  adopting: boolean;
  /** Whether it was called back meanwhile, or its sender has gone. */
  gone: "revoked" | "ended" | null;
}

/** Listens on a path; whoever takes is told what came, and whoever sends learns of it then. */
export class ScmReceiver {
  readonly path: string;
  readonly #calls: SocketCalls;
  readonly #options: ScmReceiverOptions;
  readonly #fd: number;
  readonly #refused: (reason: string, peer: PushPeer) => void;
  readonly #senders = new Set<Sender>();
  readonly #ready: Item[] = [];
  #active = false;
  #accepting: Disposable | undefined;
  #pause: Timer | undefined;
  #wake: (() => void) | undefined;
  #closed = false;

  /**
   * Begins to listen.
   *
   * @param calls The C library, which it lets go of in the end.
   * @param path Where.
   * @param options How.
   * @param refused Told of what was not let in, and why.
   * @throws {PushError} `listen`.
   */
  constructor(
    calls: SocketCalls,
    path: string,
    options: ScmReceiverOptions,
    refused: (reason: string, peer: PushPeer) => void,
  ) {
    this.#fd = listenPath(calls, path, options.users);
    this.#calls = calls;
    this.path = path;
    this.#options = options;
    this.#refused = refused;
  }

  /** How many wait to be taken. */
  get waiting(): number {
    return this.#ready.length;
  }

  /** Whether anything is read and accepted: while somebody takes, or means to. */
  set active(on: boolean) {
    if (this.#closed || on === this.#active) return;
    this.#active = on;
    if (!on) this.#wake?.();
    for (const sender of this.#senders) {
      this.#read(sender);
      if (on) this.#limit(sender);
    }
    this.#accept();
  }

  /**
   * Takes the next socket. Its sender is told, and lets go of it, before this resolves.
   *
   * @returns It, or `null` when the receiver is closed, or was told not to be active.
   */
  async take(): Promise<Arrival | null> {
    while (this.#active) {
      const item = this.#ready.shift();
      if (item) {
        const arrival = await this.#adopt(item);
        if (arrival) return arrival;
      } else await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return null;
  }

  /** Ends it: what nobody has taken stays with whoever sent it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#active = false;
    this.#accepting?.[Symbol.dispose]();
    this.#pause?.cancel();
    for (const sender of [...this.#senders]) this.#end(sender);
    this.#calls.call.close(this.#fd);
    removePath(this.#calls, this.path);
    this.#wake?.();
    await pollEnded();
    this.#calls[Symbol.dispose]();
  }

  async #adopt(item: Item): Promise<Arrival | null> {
    const { sender, metadata, prefix } = item;
    item.adopting = true;
    let adopted: Adopted;
    try {
      adopted = await adopt(item.fd, { prefix });
    } catch (error) {
      this.#answer(item, (error as Error).message);
      return null;
    }
    if (item.gone === null && this.#answer(item, null)) return { adopted, metadata, peer: sender.peer };
    // Without a word to the other end, for somebody else has the socket.
    if (adopted.kind === "listener") await adopted.close();
    else adopted.abandon();
    if (item.gone === "revoked") this.#answer(item, "called back");
    return null;
  }

  #accept(): void {
    this.#accepting?.[Symbol.dispose]();
    this.#accepting = undefined;
    this.#pause?.cancel();
    this.#pause = undefined;
    if (!this.#active || this.#senders.size >= this.#options.maxChannels) return;
    this.#accepting = whenReady(this.#fd, POLLIN, () => {
      const fd = this.#calls.call.accept4(this.#fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) this.#came(fd);
      // A full table of descriptors would have the poll thread report the same connection without end.
      else if (this.#calls.errno() !== EAGAIN) return this.#acceptLater();
      this.#accept();
    });
  }

  #acceptLater(): void {
    this.#accepting = undefined;
    this.#pause = this.#options.clock.after(PAUSE, () => this.#accept());
  }

  #came(fd: number): void {
    const credentials = peerCredentials(this.#calls, fd);
    const peer = { pid: credentials?.pid ?? 0, uid: credentials?.uid ?? -1 };
    if (!isTrusted(this.#calls, credentials, this.#options.users)) {
      this.#calls.call.close(fd);
      return this.#refused(`a process of user ${peer.uid} is not trusted`, peer);
    }
    const { maxMetadata, maxPrefix } = this.#options;
    const sender: Sender = {
      channel: new ScmChannel(this.#calls, fd, {
        received: (message) => this.#received(sender, message),
        ended: () => this.#end(sender),
      }),
      peer,
      // What describes the socket besides takes little.
      decoder: new ScmDecoder({ maxText: maxMetadata + 256, maxBytes: maxPrefix }),
      items: new Map(),
      greeted: false,
      deadline: undefined,
    };
    this.#senders.add(sender);
    this.#read(sender);
    this.#limit(sender);
  }

  #received(sender: Sender, { data, descriptors, truncated }: ReceivedMessage): void {
    sender.decoder.feed(data, descriptors);
    if (truncated) return this.#drop(sender, "descriptors were lost, there may be too many open");
    this.#process(sender);
  }

  #process(sender: Sender): void {
    try {
      // In plain mode the next line waits for the answer to the one before.
      while (sender.decoder.mode !== "plain" || sender.items.size === 0) {
        const frame = sender.decoder.next();
        if (!frame) break;
        sender.deadline?.cancel();
        sender.deadline = undefined;
        this.#frame(sender, frame);
        if (sender.channel.closed) return;
      }
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return this.#drop(sender, error.message);
    }
    this.#limit(sender);
    this.#read(sender);
  }

  #frame(sender: Sender, frame: ScmFrame): void {
    const { window, maxMetadata, maxPrefix } = this.#options;
    if (sender.decoder.mode === "plain") return this.#push(sender, frame);
    if (!sender.greeted) {
      for (const fd of frame.descriptors) this.#calls.call.close(fd);
      if (frame.type !== "HELLO") throw new SyntaxError("Cannot read a frame: HELLO comes first");
      sender.greeted = true;
      const text = { pid: Deno.pid, window, maxText: maxMetadata, maxBytes: maxPrefix };
      sender.channel.send(encodeFrame("HELLO", 0, { text }));
    } else if (frame.type === "PUSH") this.#push(sender, frame);
    else if (frame.type === "REVOKE") this.#revoke(sender, frame.id);
    else throw new SyntaxError(`Cannot read a frame: ${frame.type} was not expected`);
  }

  #push(sender: Sender, { id, text, bytes, descriptors }: ScmFrame): void {
    const [fd = -1] = descriptors;
    const metadata = (text as { readonly metadata?: unknown } | null | undefined)?.metadata;
    const item: Item = { sender, id, fd, metadata, prefix: bytes, adopting: false, gone: null };
    if (sender.items.has(id)) {
      this.#calls.call.close(fd);
      throw new SyntaxError(`Cannot read a frame: the number ${id} is used twice`);
    }
    sender.items.set(id, item);
    const found = identify(this.#calls, fd);
    const why = found === null
      ? "it is no connected or listening socket"
      : !this.#options.kinds.includes(found.kind)
      ? `a ${found.kind} is not wanted`
      : sender.items.size > this.#options.window
      ? "too many wait already"
      : null;
    if (why !== null) {
      this.#calls.call.close(fd);
      this.#answer(item, why);
      return this.#refused(why, sender.peer);
    }
    normaliseSocket(this.#calls, fd);
    this.#ready.push(item);
    this.#wake?.();
  }

  #revoke(sender: Sender, id: number): void {
    const item = sender.items.get(id);
    // Where it is not there, ACK is on its way.
    if (!item || item.gone) return;
    item.gone = "revoked";
    if (item.adopting) return;
    this.#withdraw(item);
    this.#answer(item, "called back");
  }

  /** Closes what nobody has taken. */
  #withdraw(item: Item): void {
    const index = this.#ready.indexOf(item);
    if (index >= 0) this.#ready.splice(index, 1);
    this.#calls.call.close(item.fd);
  }

  /**
   * Says what has become of a socket.
   *
   * @returns Whether that could be said. Where not, it is not ours, and whoever sent it is gone or does not listen.
   */
  #answer({ sender, id }: Item, reason: string | null): boolean {
    sender.items.delete(id);
    if (sender.channel.closed) return false;
    const plain = sender.decoder.mode === "plain";
    const answer = plain
      ? new Uint8Array([reason === null ? PLAIN_ACK : PLAIN_NAK])
      : reason === null
      ? encodeFrame("ACK", id)
      : encodeFrame("NACK", id, { text: { reason } });
    if (reason === null) {
      if (!sender.channel.sendNow(answer)) {
        this.#drop(sender, "it does not read the answers");
        return false;
      }
    } else sender.channel.send(answer);
    // The next line of plain mode may be here already. Not at once: this may be in the midst of the one before.
    if (plain) queueMicrotask(() => sender.channel.closed || this.#process(sender));
    return true;
  }

  #drop(sender: Sender, reason: string): void {
    this.#end(sender);
    this.#refused(reason, sender.peer);
  }

  #end(sender: Sender): void {
    if (!this.#senders.delete(sender)) return;
    sender.deadline?.cancel();
    sender.channel.close();
    for (const fd of sender.decoder.leftover()) this.#calls.call.close(fd);
    for (const item of sender.items.values()) {
      if (!item.adopting) this.#withdraw(item);
      item.gone ??= "ended";
    }
    sender.items.clear();
    this.#accept();
  }

  #read(sender: Sender): void {
    const { items, decoder, channel } = sender;
    channel.reading = this.#active && (decoder.mode !== "plain" || items.size === 0);
  }

  /** Gives a sender time for what it has begun: its first words, or the rest of a frame. */
  #limit(sender: Sender): void {
    const { decoder, items } = sender;
    const begun = decoder.mode === null ||
      (decoder.midway && (decoder.mode === "frames" || items.size === 0));
    if (!this.#active || !begun || sender.deadline || sender.channel.closed) return;
    sender.deadline = this.#options.clock.after(this.#options.frameTimeout, () => {
      sender.deadline = undefined;
      if (this.#active) this.#drop(sender, "what it began to say did not come in time");
    });
  }
}
