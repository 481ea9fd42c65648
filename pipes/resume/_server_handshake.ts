/** The handshake of the end that is connected to: docs/PROTOCOLS.md. */

import { FRAME } from "./_frames.ts";
import type { KnownSession, NewSession, Rejection, ServerSeal, ServerStep } from "./_handshake.ts";
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
  decodeHello,
  decodeResume,
  encodePreface,
  encodeReject,
  encodeResumed,
  encodeWelcome,
  expecting,
  MODE,
  type Preface,
  type RawFrame,
  REJECT,
  type Terms,
  VERSION,
} from "./_handshake_frames.ts";
import { agree, agreementPair, KEY_LENGTH, type RandomBytes, randomBytes } from "./_keys.ts";
import { RECORD_LIMIT, RECORD_UNPROVEN, SealedCodec } from "./_seal.ts";
import { checkServerSeal, decodeIdentity, encodeIdentity, sealSecrets } from "./_seal_exchange.ts";
import { checkTerms, grant } from "./_terms.ts";

/** Who asks for a new session, and for what. */
export interface Caller {
  /** What the client sent for the application. */
  readonly greeting: Uint8Array;
  /** The key that the client of a sealed carrier has proven to own. */
  readonly client: Uint8Array | null;
}

/** What a {@linkcode ServerHandshake} needs to know. */
export interface ServerHandshakeOptions {
  /** Finds a session by its id, asked at RESUME and again at CONFIRM; `undefined` where there is none. */
  readonly find: (id: Uint8Array) => KnownSession | undefined;
  /** The most that a new session is granted. */
  readonly limits: Terms;
  /** Says no to a client that asks for a new session. @default {everybody may} */
  readonly refuse?: ((caller: Caller) => Rejection | null) | undefined;
  /** Makes the carrier sealed. @default {it is open} */
  readonly seal?: ServerSeal | undefined;
  /** Makes the id of a new session, 16 bytes. @default {random ones} */
  readonly newId?: (() => Uint8Array) | undefined;
  /** Where randomness comes from: the carrier's key if sealed, the id, the nonce, the session's key if new. */
  readonly random?: RandomBytes | undefined;
}

/** One handshake on one carrier. */
export class ServerHandshake {
  readonly #options: ServerHandshakeOptions;
  readonly #random: RandomBytes;
  readonly #mode: number;
  readonly #carrier = new HandshakeCarrier();
  readonly #steps: Generator<ServerStep, ServerStep, undefined>;
  /** Stands for the key of a session that is not there. */
  readonly #nobody = randomBytes(KEY_LENGTH);
  #isOver = false;

  /**
   * Makes a handshake.
   *
   * @param options What it is about.
   * @throws {RangeError} Where a limit is none.
   * @throws {TypeError} Where a sealed carrier has no key, or nothing says who may come in.
   */
  constructor(options: ServerHandshakeOptions) {
    checkTerms(options.limits);
    const { seal } = options;
    if (seal) checkServerSeal(seal);
    this.#options = options;
    this.#random = options.random ?? randomBytes;
    this.#mode = seal ? MODE.sealed : MODE.open;
    this.#steps = this.#run();
  }

  /**
   * Takes bytes of the carrier.
   *
   * @param bytes What came, cut anywhere; it may be used again afterwards.
   * @returns What to do next. After `confirmed` and `failed` there is nothing more to be asked.
   */
  receive(bytes: Uint8Array): ServerStep {
    if (this.#isOver) throw new Error("Cannot go on with a handshake: it is over");
    const taken = step(this.#carrier, bytes, () => this.#steps.next().value);
    this.#isOver = taken.type === "failed" || taken.type === "confirmed";
    return taken;
  }

  *#run(): Generator<ServerStep, ServerStep, undefined> {
    const carrier = this.#carrier;
    const { seal } = this.#options;
    const theirs = yield* needed(carrier, () => carrier.readPreface());
    const preface = encodePreface({ mode: this.#mode, lowest: VERSION, highest: VERSION });
    carrier.write(preface);
    this.#checkPreface(theirs.preface);
    carrier.note(theirs.bytes);
    const client = seal ? yield* this.#seal(seal, theirs.bytes, preface) : null;

    const first = yield* needed(carrier, () => carrier.readFrame(FIRST));
    carrier.expectNothing();
    if (seal?.admit?.(client) === false) {
      this.#reject({ code: REJECT.notAllowed }, null, "the client is not one that is let in");
    }
    const { id, epoch, clientKey } = first.type === FRAME.hello
      ? yield* this.#hello(first, preface, client)
      : this.#resume(first, preface);
    const confirm = yield* needed(carrier, () => carrier.readFrame(CONFIRM));
    const isProven = carrier.isProven(confirm, clientKey);
    // Another carrier may have become the current one, or the session may be gone, since it was found.
    const session = this.#options.find(id);
    if (!isProven) this.#refuse("CONFIRM has a wrong proof");
    if (!session) this.#refuse("the session is gone");
    if (session.epoch >= epoch) this.#refuse("a later carrier is the current one");
    carrier.note(confirm.bytes);
    if (session.rejection) this.#reject(session.rejection, session.serverKey);
    if (carrier.codec) carrier.codec.limit = RECORD_LIMIT;
    return {
      type: "confirmed",
      id,
      epoch,
      isNew: first.type === FRAME.hello,
      peerReceived: confirm.offset,
      codec: carrier.codec,
      client,
      rest: carrier.rest(),
    };
  }

  /** Ends the handshake where the client speaks nothing that this server speaks; what that is was written. */
  #checkPreface({ mode, lowest, highest }: Preface): void {
    if (mode !== this.#mode) end("mode", "one end is sealed, the other open");
    if (lowest > VERSION || highest < VERSION) {
      end("version", `the client speaks versions ${lowest} to ${highest}, not ${VERSION}`);
    }
  }

  /** Agrees on the keys of a sealed carrier, and finds out who the client is. */
  *#seal(
    seal: ServerSeal,
    clientPreface: Uint8Array,
    preface: Uint8Array,
  ): Generator<ServerStep, Uint8Array | null, undefined> {
    const carrier = this.#carrier;
    const clientPublic = yield* needed(carrier, () => carrier.read(KEY_LENGTH));
    const own = agreementPair(this.#random(KEY_LENGTH));
    const agreed = agree(own.privateKey, clientPublic) ?? end("seal", DIFFERENT_SECRETS);
    const open = [clientPreface, clientPublic, preface, own.publicKey];
    const { clientKey, serverKey, binding } = sealSecrets(open, agreed, seal.sharedKey);
    carrier.write(own.publicKey);
    carrier.seal(
      new SealedCodec({ sendKey: serverKey, receiveKey: clientKey, limit: RECORD_UNPROVEN }),
      binding,
    );
    carrier.write(encodeIdentity("server", seal.identity, binding));
    const record = yield* needed(carrier, () => carrier.readRecord());
    const client = decodeIdentity("client", record, binding);
    if (client === "forged") end("identity", "the client does not have the key it shows");
    return client;
  }

  /** Offers a new session. */
  *#hello(
    first: RawFrame,
    preface: Uint8Array,
    client: Uint8Array | null,
  ): Generator<ServerStep, Trial, undefined> {
    const carrier = this.#carrier;
    const hello = decodeHello(first);
    const rejection = this.#options.refuse?.({ greeting: hello.greeting, client });
    if (rejection) this.#reject(rejection, null);
    const id = this.#options.newId?.() ?? this.#random(16);
    const nonce = this.#random(KEY_LENGTH);
    const own = agreementPair(this.#random(KEY_LENGTH));
    const agreed = agree(own.privateKey, hello.publicKey) ?? end("violation", "the client's key is none");
    const terms = grant(hello.terms, this.#options.limits);
    carrier.note(first.bytes, preface);
    const welcome = encodeWelcome({ id, nonce, publicKey: own.publicKey, features: 0, terms });
    const session: NewSession = { id, terms, ...sessionKeys(carrier.digest(welcome), agreed) };
    carrier.note(carrier.writeProven(welcome, session.serverKey));
    const send = carrier.flush() ?? new Uint8Array(0);
    yield { type: "welcomed", send, session, greeting: hello.greeting, client };
    return { id, epoch: 1, clientKey: session.clientKey };
  }

  /** Answers a client that goes on; who has no proof gets one answer whatever is wrong, after the same work. */
  #resume(first: RawFrame, preface: Uint8Array): Trial {
    const carrier = this.#carrier;
    const { id, epoch } = decodeResume(first);
    const session = this.#options.find(id);
    const isProven = carrier.isProven(first, session?.clientKey ?? this.#nobody);
    if (!session) this.#refuse("no such session");
    if (!isProven) this.#refuse("RESUME has a wrong proof");
    if (session.epoch >= epoch) this.#refuse("RESUME has an old epoch");
    carrier.note(first.bytes, preface);
    if (session.rejection) this.#reject(session.rejection, session.serverKey);
    const resumed = encodeResumed({ received: session.received(), nonce: this.#random(KEY_LENGTH) });
    carrier.note(carrier.writeProven(resumed, session.serverKey));
    return { id, epoch, clientKey: session.clientKey };
  }

  /** Ends the handshake; the client learns nothing but that. */
  #refuse(message: string): never {
    this.#reject({ code: REJECT.refused }, null, message);
  }

  #reject({ code, wait = 0, text = "" }: Rejection, key: Uint8Array | null, message?: string): never {
    this.#carrier.writeProven(encodeReject({ code, wait, text }), key);
    const rejection = { code, wait, text };
    throw new HandshakeEnd({
      reason: "rejected",
      message: message ?? `refused with code ${code}`,
      rejection,
    });
  }
}

/** A carrier that waits for CONFIRM. */
interface Trial {
  readonly id: Uint8Array;
  readonly epoch: number;
  readonly clientKey: Uint8Array;
}

const FIRST = expecting("hello", "resume");
const CONFIRM = expecting("confirm");
