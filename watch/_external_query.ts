/** One family's question to all servers over one socket. */

import type { Clock, Timer } from "../internal/clock.ts";
import { HoldfastError, PermissionError } from "../internal/errors.ts";
import { isLoopback, isUnicast, parseIp } from "../internal/ip.ts";
import { wouldPrompt } from "../internal/permissions.ts";
import { locate, type ServerName } from "./_external_servers.ts";
import type { FamilyAnswer, Sighting } from "./_external_verdict.ts";
import {
  type BindingResponse,
  decodeBindingResponse,
  encodeBindingRequest,
  type Endpoint,
  newTransactionId,
  StunError,
  type StunReason,
} from "./_stun.ts";
import { hostOf, openUdp, type UdpSocket } from "./_udp.ts";
import type { ExternalFailure, ExternalServerOutcome } from "./external.ts";
import type { Family } from "./state.ts";

/** When a request is repeated, in milliseconds: sooner than RFC 8489 section 6.2.1 has it, since a person may wait. */
const REPEATS = [250, 750, 1750];

/** How long the second address of an only server is waited for: many offer one and do not answer there. */
const SECOND_WAIT = 1000;

/** What to ask. */
export interface FamilyQueryOptions {
  /** The family. */
  readonly family: Family;
  /** The servers, in order. */
  readonly servers: readonly ServerName[];
  /** The local address to bind. */
  readonly localAddress: string | undefined;
  /** When to give up, in milliseconds. */
  readonly timeout: number;
  /** Whether the wait keeps the process alive. */
  readonly ref: boolean;
  /** Source of time. */
  readonly clock: Clock;
  /** Calls it off. */
  readonly signal: AbortSignal;
}

/** One request under way: settles by an answer, a failure, or a missing permission. */
interface Transaction {
  readonly to: Endpoint;
  readonly id: Uint8Array;
  begun: number;
  readonly result: PromiseWithResolvers<Answer | Failure>;
  settled: boolean;
  sent: boolean;
  malformed: number;
}

type Answer = { readonly response: BindingResponse; readonly elapsed: number };
type Failure = { readonly reason: ExternalFailure; readonly detail: string };

/** What came of one server. */
interface Asked {
  readonly server: string;
  readonly to: Endpoint | null;
  readonly result: Answer | Failure;
}

/** Asks all servers once; made for one {@linkcode FamilyQuery.run}. */
export class FamilyQuery {
  readonly #options: FamilyQueryOptions;
  /** By address and port: only from there a reply counts. */
  readonly #transactions = new Map<string, Transaction>();
  readonly #timers: Timer[] = [];
  readonly #timeout = Promise.withResolvers<Failure>();
  #socket: Promise<UdpSocket> | undefined;
  #over = false;

  /**
   * Prepares the question.
   *
   * @param options What to ask.
   */
  constructor(options: FamilyQueryOptions) {
    this.#options = options;
  }

  /**
   * Asks.
   *
   * @returns What came of it, at the timeout or when all is known.
   * @throws {PermissionError} When a permission is missing.
   */
  async run(): Promise<FamilyAnswer> {
    const { family, servers, timeout, signal, clock, ref } = this.#options;
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort);
    this.#timers.push(clock.after(timeout, () => this.#giveUp(), { ref }));
    try {
      const mine = servers.filter(({ literal }) => literal === null || literal === family);
      const asked = await Promise.race([Promise.all(mine.map((s) => this.#askServer(s))), aborted.promise]);
      const second = await Promise.race([this.#askSecond(asked), aborted.promise]);
      const socket = await this.#socket?.catch(() => undefined);
      return {
        family,
        outcomes: asked.map((one) => outcomeOf(one, family)),
        sightings: asked.flatMap(({ to, result }) =>
          to && "response" in result ? [sightingOf(to, result)] : []
        ),
        second,
        local: localOf(socket),
      };
    } finally {
      this.#giveUp();
      signal.removeEventListener("abort", abort);
      for (const timer of this.#timers) timer.cancel();
      await this.#socket?.then((socket) => socket.close(), () => {});
    }
  }

  /** What is still open has failed. */
  #giveUp(): void {
    this.#over = true;
    this.#timeout.resolve({ reason: "unresolved", detail: "looking up its name takes too long" });
    for (const transaction of this.#transactions.values()) settle(transaction, lateness(transaction));
  }

  async #askServer(server: ServerName): Promise<Asked> {
    const to = await Promise.race([this.#locate(server), this.#timeout.promise]);
    if ("reason" in to) return { server: server.text, to: null, result: to };
    const same = this.#transactions.has(hostOf(to));
    const result = same ? DUPLICATE : await this.#ask(to);
    return { server: server.text, to, result };
  }

  async #locate(server: ServerName): Promise<Endpoint | Failure> {
    const { family } = this.#options;
    try {
      return await locate(server, family) ??
        { reason: "unresolved", detail: `its name has no IPv${family} address` };
    } catch (error) {
      if (!(error instanceof HoldfastError) || error instanceof PermissionError) throw error;
      return { reason: "unresolved", detail: error.message };
    }
  }

  async #ask(to: Endpoint): Promise<Answer | Failure> {
    const { clock } = this.#options;
    const transaction: Transaction = {
      to,
      id: newTransactionId(),
      begun: 0,
      result: Promise.withResolvers(),
      settled: false,
      sent: false,
      malformed: 0,
    };
    this.#transactions.set(hostOf(to), transaction);
    try {
      const socket = await (this.#socket ??= this.#open());
      if (this.#over) return lateness(transaction);
      transaction.begun = clock.monotonic();
      const send = (): void => void sendRequest(socket, transaction);
      for (const at of REPEATS) this.#timers.push(clock.after(at, send));
      send();
      return await transaction.result.promise;
    } catch (error) {
      if (!(error instanceof HoldfastError) || error instanceof PermissionError) throw error;
      return { reason: "unbound", detail: error.message };
    }
  }

  #open(): Promise<UdpSocket> {
    const { family, localAddress } = this.#options;
    return openUdp({ family, address: localAddress, onMessage: (bytes, from) => this.#take(bytes, from) });
  }

  /** Takes a datagram: from a stranger, from the past, or the answer. */
  #take(bytes: Uint8Array, from: { readonly address: string; readonly port: number }): void {
    const transaction = this.#transactions.get(hostOf(from));
    if (!transaction || transaction.settled) return;
    const { family, clock } = this.#options;
    try {
      const response = decodeBindingResponse(bytes, transaction.id);
      const { mapped } = response;
      if (mapped.family === family) {
        settle(transaction, { response, elapsed: clock.monotonic() - transaction.begun });
      } else settle(transaction, { reason: "other-family", detail: `it sees the address ${mapped.address}` });
    } catch (error) {
      if (!(error instanceof StunError)) throw error;
      transaction.malformed++;
      // Only the server itself can know the transaction id; all else may be forged, and the answer still come.
      const reason = FINAL.get(error.reason);
      if (reason) settle(transaction, { reason, detail: error.message });
    }
  }

  /** Learns from the second address of an only server (RFC 5780) what a second server would have told. */
  async #askSecond(asked: readonly Asked[]): Promise<Sighting | null> {
    const [only, ...more] = asked.filter(({ result }) => result !== DUPLICATE);
    if (!only?.to || more.length > 0 || !("response" in only.result) || this.#over) return null;
    const { otherAddress } = only.result.response;
    if (!otherAddress || !mayBeAsked(otherAddress, only.to)) return null;
    const transactions = this.#transactions;
    const late = this.#options.clock.after(SECOND_WAIT, () => {
      const transaction = transactions.get(hostOf(otherAddress));
      if (transaction) settle(transaction, lateness(transaction));
    });
    this.#timers.push(late);
    try {
      const result = await this.#ask(otherAddress);
      return "response" in result ? sightingOf(otherAddress, result) : null;
    } catch (error) {
      // Nobody has chosen this address, so that nobody need have allowed it.
      if (error instanceof PermissionError) return null;
      throw error;
    }
  }
}

const DUPLICATE: Failure = { reason: "duplicate", detail: "it is the same address and port as another one" };

/** What a server says with the right transaction id is its last word. */
const FINAL: ReadonlyMap<StunReason, ExternalFailure> = new Map([
  ["error-response", "error"],
  ["alternate-server", "alternate-server"],
  ["unknown-attribute", "malformed"],
  ["no-address", "malformed"],
]);

function settle(transaction: Transaction, result: Answer | Failure): void {
  transaction.settled = true;
  transaction.result.resolve(result);
}

function lateness({ malformed }: Transaction): Failure {
  if (malformed === 0) return { reason: "silent", detail: "it has not answered" };
  return {
    reason: "malformed",
    detail: `it has sent ${malformed} unusable ${malformed === 1 ? "reply" : "replies"}`,
  };
}

async function sendRequest(socket: UdpSocket, transaction: Transaction): Promise<void> {
  if (transaction.settled) return;
  try {
    await socket.send(encodeBindingRequest(transaction.id), transaction.to);
    transaction.sent = true;
  } catch (error) {
    if (error instanceof PermissionError) transaction.result.reject(error);
    // Once a request is out, the answer may come, whatever befalls the next one.
    else if (!transaction.sent) {
      settle(transaction, { reason: "unsendable", detail: (error as Error).message });
    }
  }
}

/**
 * Whether the address that a server names may be asked: another one than its own, somebody's, not this machine as seen
 * by a stranger, and nothing that makes the runtime ask a person.
 */
export function mayBeAsked(other: Endpoint, server: Endpoint): boolean {
  const bytes = parseIp(other.address);
  if (!bytes || other.family !== server.family || other.port === 0 || !isUnicast(bytes)) return false;
  if (hostOf(other) === hostOf(server)) return false;
  const isOurs = isLoopback(bytes) && !isLoopback(parseIp(server.address) ?? bytes);
  return !isOurs && !wouldPrompt([{ name: "net", host: hostOf(other) }]);
}

function sightingOf(from: Endpoint, { response }: Answer): Sighting {
  return { from, mapped: response.mapped };
}

function outcomeOf({ server, to, result }: Asked, family: Family): ExternalServerOutcome {
  const base = { server, family, endpoint: to && hostOf(to) };
  if ("reason" in result) return { ...base, outcome: "failed", ...result };
  const { mapped: { address, port }, software } = result.response;
  return { ...base, outcome: "answered", address, port, elapsed: result.elapsed, software };
}

function localOf(socket: UdpSocket | undefined): FamilyAnswer["local"] {
  if (!socket) return { address: null, port: 0 };
  const { address, port } = socket.local;
  const isChosenLater = parseIp(address)?.every((byte) => byte === 0) ?? true;
  return { address: isChosenLater ? null : address, port };
}
