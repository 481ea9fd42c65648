/** The handshake of the end that opens carriers: a new session, or one that goes on; docs/PROTOCOLS.md. */

import { FRAME } from "./_frames.ts";
import type { ClientSeal, ClientStep, NewSession, SessionKeys } from "./_handshake.ts";
import {
  DIFFERENT_SECRETS,
  end,
  HandshakeCarrier,
  HandshakeEnd,
  needed,
  sessionKeys,
  step,
} from "./_handshake_carrier.ts";
import {
  decodeReject,
  decodeResumed,
  decodeWelcome,
  encodeConfirm,
  encodeHello,
  encodePreface,
  encodeResume,
  expecting,
  MAX_GREETING,
  MODE,
  proven,
  type RawFrame,
  REJECT,
  type Terms,
  VERSION,
} from "./_handshake_frames.ts";
import { agree, agreementPair, isSame, KEY_LENGTH, type RandomBytes, randomBytes } from "./_keys.ts";
import { RECORD_LIMIT, RECORD_UNPROVEN, SealedCodec } from "./_seal.ts";
import { checkClientSeal, decodeIdentity, encodeIdentity, sealSecrets } from "./_seal_exchange.ts";
import { checkTerms, isGrantOf } from "./_terms.ts";

/** A session that a client goes on with. */
export interface ResumableSession extends SessionKeys {
  /** Its name, 16 bytes. */
  readonly id: Uint8Array;
  /** One more than any carrier of this session had, whatever came of it. */
  readonly epoch: number;
  /** Everything before this position was received; asked for whenever it is said. */
  received(): number;
}

/** What a {@linkcode ClientHandshake} needs to know. */
export interface ClientHandshakeOptions {
  /** What the client wishes for a new session. */
  readonly wishes: Terms;
  /** What a new session says to the application of the server, at most 256 bytes. @default {nothing} */
  readonly greeting?: Uint8Array | undefined;
  /** The session to go on with. @default {a new one} */
  readonly session?: ResumableSession | undefined;
  /** How the server is known on a sealed carrier. @default {the carrier is open} */
  readonly seal?: ClientSeal | undefined;
  /** Where randomness comes from: the carrier's key if sealed, the nonce, the session's key if new. */
  readonly random?: RandomBytes | undefined;
}

/** One handshake on one carrier. */
export class ClientHandshake {
  readonly #options: ClientHandshakeOptions;
  readonly #random: RandomBytes;
  readonly #carrier = new HandshakeCarrier();
  readonly #mode: number;
  readonly #preface: Uint8Array;
  readonly #steps: Generator<ClientStep, ClientStep, undefined>;
  #phase: "new" | "under way" | "over" = "new";

  /**
   * Makes a handshake.
   *
   * @param options What it is about.
   * @throws {RangeError} Where a wish or the epoch is none, or the greeting too long.
   * @throws {TypeError} Where a sealed carrier has nothing to know the server by.
   */
  constructor(options: ClientHandshakeOptions) {
    const { wishes, greeting, session, seal } = options;
    checkTerms(wishes);
    if (session && !(session.epoch >= 1 && session.epoch < 2 ** 32)) {
      throw new RangeError(`Cannot resume with epoch ${session.epoch}: it must be 1 to 4294967295`);
    }
    if (greeting && greeting.length > MAX_GREETING) {
      throw new RangeError(`Cannot greet with ${greeting.length} bytes: ${MAX_GREETING} at most`);
    }
    if (seal) checkClientSeal(seal);
    this.#options = options;
    this.#random = options.random ?? randomBytes;
    this.#mode = seal ? MODE.sealed : MODE.open;
    this.#preface = encodePreface({ mode: this.#mode, lowest: VERSION, highest: VERSION });
    this.#steps = this.#run();
  }

  /** What to send first. To be called once, before anything else. */
  start(): Uint8Array {
    if (this.#phase !== "new") throw new Error("Cannot begin a handshake twice");
    this.#phase = "under way";
    const first = this.#steps.next().value;
    // The steps begin with a wait for the other end's preface.
    return "send" in first && first.send ? first.send : new Uint8Array(0);
  }

  /**
   * Takes bytes of the carrier.
   *
   * @param bytes What came, cut anywhere; it may be used again afterwards.
   * @returns What to do next. After `stands` and `failed` there is nothing more to be asked.
   */
  receive(bytes: Uint8Array): ClientStep {
    if (this.#phase !== "under way") throw new Error(`Cannot go on with a handshake: it is ${this.#phase}`);
    const taken = step(this.#carrier, bytes, () => this.#steps.next().value);
    if (taken.type === "failed" || taken.type === "stands") this.#phase = "over";
    return taken;
  }

  *#run(): Generator<ClientStep, ClientStep, undefined> {
    const carrier = this.#carrier;
    const { seal, session } = this.#options;
    carrier.note(this.#preface);
    carrier.write(this.#preface);
    const serverPreface = seal ? yield* this.#seal(seal) : null;
    const { keys, fresh, peerReceived } = session
      ? yield* this.#resume(session, serverPreface)
      : yield* this.#hello(serverPreface);
    carrier.expectNothing();
    let confirm: Uint8Array | undefined;
    // What it says is true for as long as nothing more is received, so it is made when it is to be sent.
    const send = (): Uint8Array => {
      if (confirm) return confirm;
      carrier.note(carrier.writeProven(encodeConfirm(session?.received() ?? 0), keys.clientKey));
      return confirm = carrier.flush() ?? new Uint8Array(0);
    };
    yield {
      type: "ready",
      get send() {
        return send();
      },
      ...{ session: fresh, peerReceived, codec: carrier.codec },
    };
    send();

    const type = yield* needed(carrier, () => carrier.peekType());
    if (type === FRAME.reject) {
      rejected(carrier, yield* needed(carrier, () => carrier.readFrame(REFUSAL)), keys.serverKey);
    }
    return { type: "stands", rest: carrier.rest() };
  }

  /** Agrees on the keys of a sealed carrier, and finds out who the server is. Gives the server's preface. */
  *#seal(seal: ClientSeal): Generator<ClientStep, Uint8Array, undefined> {
    const carrier = this.#carrier;
    const own = agreementPair(this.#random(KEY_LENGTH));
    carrier.write(own.publicKey);
    const preface = yield* this.#readPreface();
    const serverPublic = yield* needed(carrier, () => carrier.read(KEY_LENGTH));
    const agreed = agree(own.privateKey, serverPublic) ?? end("seal", DIFFERENT_SECRETS);
    const open = [this.#preface, own.publicKey, preface, serverPublic];
    const { clientKey, serverKey, binding } = sealSecrets(open, agreed, seal.sharedKey);
    const codec = new SealedCodec({ sendKey: clientKey, receiveKey: serverKey, limit: RECORD_UNPROVEN });
    carrier.seal(codec, binding);
    const server = decodeIdentity("server", yield* needed(carrier, () => carrier.readRecord()), binding);
    const isPinned = seal.serverKeys?.some((key) => server instanceof Uint8Array && isSame(key, server));
    if (server === "forged" || isPinned === false) end("identity", "the server does not have the pinned key");
    // The server is known: its records may have any size from now on.
    codec.limit = RECORD_LIMIT;
    carrier.write(encodeIdentity("client", seal.identity, binding));
    return preface;
  }

  /** The preface of a server that speaks what this client speaks. */
  *#readPreface(): Generator<ClientStep, Uint8Array, undefined> {
    const { preface, bytes } = yield* needed(this.#carrier, () => this.#carrier.readPreface());
    if (preface.mode !== this.#mode) end("mode", "one end is sealed, the other open");
    if (preface.lowest !== VERSION || preface.highest !== VERSION) {
      end("version", `the server speaks versions ${preface.lowest} to ${preface.highest}, not ${VERSION}`);
    }
    return bytes;
  }

  /** Asks for a new session. */
  *#hello(serverPreface: Uint8Array | null): Generator<ClientStep, Agreed, undefined> {
    const carrier = this.#carrier;
    const nonce = this.#random(KEY_LENGTH);
    const own = agreementPair(this.#random(KEY_LENGTH));
    const { wishes, greeting = new Uint8Array(0) } = this.#options;
    const hello = encodeHello({ nonce, publicKey: own.publicKey, features: 0, terms: wishes, greeting });
    carrier.write(hello);
    carrier.note(hello, serverPreface ?? (yield* this.#readPreface()));
    const frame = yield* needed(carrier, () => carrier.readFrame(WELCOME));
    if (frame.type === FRAME.reject) rejected(carrier, frame, null);
    const { id, publicKey, features, terms } = decodeWelcome(frame);
    if (features !== 0 || !isGrantOf(wishes, terms)) {
      end("violation", "the server grants what was not asked for");
    }
    const agreed = agree(own.privateKey, publicKey) ?? end("violation", "the server's key is none");
    const keys = sessionKeys(carrier.digest(proven(frame)), agreed);
    if (!carrier.isProven(frame, keys.serverKey)) end("proof", NO_PROOF);
    carrier.note(frame.bytes);
    return { keys, fresh: { ...keys, id, terms }, peerReceived: 0 };
  }

  /** Asks to go on with a session. */
  *#resume(
    session: ResumableSession,
    serverPreface: Uint8Array | null,
  ): Generator<ClientStep, Agreed, undefined> {
    const carrier = this.#carrier;
    const nonce = this.#random(KEY_LENGTH);
    const { id, epoch } = session;
    const resume = encodeResume({ received: session.received(), id, epoch, nonce });
    const first = carrier.writeProven(resume, session.clientKey);
    carrier.note(first, serverPreface ?? (yield* this.#readPreface()));
    const frame = yield* needed(carrier, () => carrier.readFrame(RESUMED));
    if (frame.type === FRAME.reject) rejected(carrier, frame, session.serverKey);
    if (!carrier.isProven(frame, session.serverKey)) end("proof", NO_PROOF);
    carrier.note(frame.bytes);
    return { keys: session, fresh: null, peerReceived: decodeResumed(frame).received };
  }
}

/** What both ends know once the server has proven itself. */
interface Agreed {
  readonly keys: SessionKeys;
  readonly fresh: NewSession | null;
  readonly peerReceived: number;
}

const NO_PROOF = "the server does not have the keys of the session";

const WELCOME = expecting("welcome", "reject");
const RESUMED = expecting("resumed", "reject");
const REFUSAL = expecting("reject");

/** The codes that mean something only from a server that has the session. */
const NEED_PROOF: readonly number[] = [REJECT.expired, REJECT.moved, REJECT.resources];

/** The codes that anybody may give. */
const NEED_NONE: readonly number[] = [REJECT.refused, REJECT.busy, REJECT.notAllowed];

/** Ends the handshake with what the server said, as far as it can be believed. */
function rejected(carrier: HandshakeCarrier, frame: RawFrame, serverKey: Uint8Array | null): never {
  const { code, wait, text } = decodeReject(frame);
  const isProven = serverKey !== null && carrier.isProven(frame, serverKey);
  const isBelieved = NEED_NONE.includes(code) || (NEED_PROOF.includes(code) && isProven);
  const rejection = isBelieved ? { code, wait, text } : { code: REJECT.refused, wait: 0, text: "" };
  const name = Object.entries(REJECT).find(([, value]) => value === rejection.code)?.[0];
  throw new HandshakeEnd({ reason: "rejected", message: `the server refused: ${name}`, rejection });
}
