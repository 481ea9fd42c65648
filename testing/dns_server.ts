/** A DNS server for tests, with the faults that real ones have. */

import { type Clock, systemClock } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { parseIp } from "../internal/ip.ts";
import { openUdp, type UdpSocket } from "../watch/_udp.ts";
import { decodeQuery, type DnsQuery, type DnsRecord, encodeBad, encodeReply } from "./_dns_message.ts";

/** What a name has. */
export interface DnsRecords {
  /** Its IPv4 addresses. */
  readonly A?: readonly string[];
  /** Its IPv6 addresses. */
  readonly AAAA?: readonly string[];
  /** The name it stands for, whose records are given along. */
  readonly CNAME?: string;
}

/** What was asked. */
export interface DnsQuestion {
  /** The name in lower case, without the last dot. */
  readonly name: string;
  /** `"A"`, `"AAAA"` and the like; a type without a name here is told by number, for example `"TYPE64"`. */
  readonly type: string;
}

/**
 * How the server treats a question.
 *
 * - `answer`: answers by the records; a name without any does not exist, one without those asked for is empty
 * - `nxdomain`: says that the name does not exist
 * - `empty`: says that the name exists and has no such record
 * - `servfail`, `refused`: says that it failed, or that it does not want to
 * - `drop`: says nothing
 * - `truncate`: says that the answer is too long for a datagram; there is no other way to it
 * - `wrong-id`: answers another question
 * - `garbage`: answers with random bytes
 */
export type DnsFault =
  | "answer"
  | "nxdomain"
  | "empty"
  | "servfail"
  | "refused"
  | "drop"
  | "truncate"
  | "wrong-id"
  | "garbage";

/** What is done to some questions. */
export interface DnsRule {
  /**
   * The name it is for, or `*.` and the end of the names.
   *
   * @default {undefined} Every name.
   */
  readonly name?: string;
  /**
   * The type it is for, for example `"AAAA"`.
   *
   * @default {undefined} Every type.
   */
  readonly type?: string;
  /**
   * What is done.
   *
   * @default {"answer"}
   */
  readonly fault?: DnsFault;
  /**
   * How many milliseconds the answer waits.
   *
   * @default {0}
   */
  readonly delay?: number;
}

/** How a {@linkcode DnsServer} is set up. */
export interface DnsServerOptions {
  /**
   * The IP address to listen on.
   *
   * @default {"127.0.0.1"}
   */
  readonly hostname?: string;
  /**
   * The UDP port to listen on.
   *
   * @default a free one
   */
  readonly port?: number;
  /** What the names have, in lower case, or a function that says what one has. */
  readonly records?:
    | Readonly<Record<string, DnsRecords>>
    | ((question: DnsQuestion) => DnsRecords | undefined);
  /**
   * What is done to which question: the first rule that fits; or a function that says so.
   *
   * @default {[]} Every question is answered.
   */
  readonly rules?: readonly DnsRule[] | ((question: DnsQuestion) => Pick<DnsRule, "fault" | "delay">);
  /**
   * For how many seconds answers may be kept.
   *
   * @default {0}
   */
  readonly ttl?: number;
  /**
   * Source of time for answers that wait.
   *
   * @default {systemClock}
   */
  readonly clock?: Clock;
}

/** A running server. */
export interface DnsServer extends AsyncDisposable {
  /** Where it listens. */
  readonly hostname: string;
  /** The port it listens on. */
  readonly port: number;
  /** The questions it has got, oldest first; no more than the last 10,000. */
  readonly questions: readonly DnsQuestion[];
  /** What the names have; may be changed at any time. */
  records: NonNullable<DnsServerOptions["records"]>;
  /** What is done to which question; may be changed at any time. */
  rules: NonNullable<DnsServerOptions["rules"]>;
  /**
   * Waits for questions.
   *
   * @param count How many, counted from the start of the server.
   * @returns Resolves when there have been that many; rejects when the server is closed before.
   */
  received(count: number): Promise<void>;
  /** Closes it; answers that wait are never given. Safe twice. */
  close(): Promise<void>;
}

/**
 * Starts a DNS server with the faults of your choice. It speaks UDP.
 *
 * Needs the permission `net` for its own address and for those who ask it.
 *
 * @param options Where it listens, what it knows, and what it does to whom.
 * @returns The server, listening.
 *
 * @example
 * ```ts
 * import { startDnsServer } from "@holdfast/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * await using dns = await startDnsServer({
 *   records: { "a.test": { A: ["192.0.2.1"], AAAA: ["2001:db8::1"] } },
 *   rules: [{ type: "AAAA", fault: "drop" }],
 * });
 * const nameServer = { ipAddr: dns.hostname, port: dns.port };
 * assertEquals(await Deno.resolveDns("a.test", "A", { nameServer }), ["192.0.2.1"]);
 * assertEquals(dns.questions, [{ name: "a.test", type: "A" }]);
 * ```
 */
export async function startDnsServer(options: DnsServerOptions = {}): Promise<DnsServer> {
  const { hostname = "127.0.0.1", port = 0 } = options;
  const server = new FakeDnsServer(options);
  await server.listen(hostname, port);
  return server;
}

/** How many questions are remembered. */
const MAX_QUESTIONS = 10_000;

/** A chain of names that goes on for longer leads nowhere. */
const MAX_CHAIN = 8;

type Address = { readonly address: string; readonly port: number };

class FakeDnsServer implements DnsServer {
  records: NonNullable<DnsServerOptions["records"]>;
  rules: NonNullable<DnsServerOptions["rules"]>;
  readonly questions: DnsQuestion[] = [];
  readonly #ttl: number;
  readonly #clock: Clock;
  readonly #timers = new Set<{ cancel(): void }>();
  readonly #waiting = new Set<{ count: number; resolve: () => void; reject: (error: Error) => void }>();
  #count = 0;
  #socket: UdpSocket | undefined;

  constructor({ records = {}, rules = [], ttl = 0, clock = systemClock }: DnsServerOptions) {
    this.records = records;
    this.rules = rules;
    this.#ttl = ttl;
    this.#clock = clock;
  }

  get hostname(): string {
    return this.#socket?.local.address ?? "";
  }

  get port(): number {
    return this.#socket?.local.port ?? 0;
  }

  async listen(address: string, port: number): Promise<void> {
    this.#socket = await openUdp({
      family: parseIp(address)?.length === 16 ? 6 : 4,
      address,
      port,
      ref: true,
      onMessage: (bytes, from) => this.#take(bytes, from),
    });
  }

  received(count: number): Promise<void> {
    if (this.#count >= count) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.add({ count, resolve, reject }));
  }

  // deno-lint-ignore require-await
  async close(): Promise<void> {
    this.#socket?.close();
    for (const timer of this.#timers) timer.cancel();
    for (const { count, reject } of this.#waiting) {
      const why = `Cannot wait for ${count} questions: the DNS server is closed`;
      reject(new HoldfastError(why, { code: "closed", operation: "wait for DNS questions" }));
    }
    this.#timers.clear();
    this.#waiting.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #take(bytes: Uint8Array, from: Address): void {
    const query = decodeQuery(bytes);
    if (!query) return;
    if ("bad" in query) return this.#send(encodeBad(query.bad), from);
    const question = { name: query.name, type: query.type };
    if (this.questions.push(question) > MAX_QUESTIONS) this.questions.shift();
    this.#count++;
    for (const waiting of this.#waiting) {
      if (this.#count < waiting.count) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
    const { fault = "answer", delay = 0 } = this.#rule(question);
    if (fault === "drop") return;
    const reply = this.#reply(query, fault);
    if (delay === 0) return this.#send(reply, from);
    const timer = this.#clock.after(delay, () => {
      this.#timers.delete(timer);
      this.#send(reply, from);
    }, { ref: true });
    this.#timers.add(timer);
  }

  #rule(question: DnsQuestion): Pick<DnsRule, "fault" | "delay"> {
    const { rules } = this;
    return typeof rules === "function" ? rules(question) : rules.find((rule) => fits(rule, question)) ?? {};
  }

  #reply(query: DnsQuery, fault: Exclude<DnsFault, "drop">): Uint8Array {
    switch (fault) {
      case "answer":
        return this.#answer(query);
      case "empty":
        return encodeReply(query, { rcode: "noerror" });
      case "nxdomain":
      case "servfail":
      case "refused":
        return encodeReply(query, { rcode: fault });
      case "truncate":
        return encodeReply(query, { rcode: "noerror", truncated: true });
      case "wrong-id":
        return this.#answer({ ...query, id: query.id ^ 0xffff });
      case "garbage":
        return crypto.getRandomValues(new Uint8Array(64));
    }
  }

  #answer(query: DnsQuery): Uint8Array {
    const found: DnsRecord[] = [];
    let { name } = query;
    for (let step = 0; step < MAX_CHAIN; step++) {
      const known = this.#known({ name, type: query.type });
      if (!known) break;
      if (known.CNAME === undefined || query.type === "CNAME") {
        const { type } = query;
        const values = type === "A" || type === "AAAA" ? known[type] ?? [] : [];
        for (const value of values) found.push({ name, type: type as "A" | "AAAA", value });
        if (type === "CNAME" && known.CNAME) found.push({ name, type, value: known.CNAME });
        return encodeReply(query, { rcode: "noerror", records: found, ttl: this.#ttl });
      }
      found.push({ name, type: "CNAME", value: known.CNAME });
      name = known.CNAME.toLowerCase();
    }
    return encodeReply(query, { rcode: "nxdomain", records: found, ttl: this.#ttl });
  }

  #known(question: DnsQuestion): DnsRecords | undefined {
    const { records } = this;
    if (typeof records === "function") return records(question);
    // What is asked comes from outside, and must not find what every object has.
    return Object.hasOwn(records, question.name) ? records[question.name] : undefined;
  }

  #send(bytes: Uint8Array, to: Address): void {
    // One who has gone away meanwhile is none of our faults.
    this.#socket?.send(bytes, to).catch(() => {});
  }
}

function fits(rule: DnsRule, { name, type }: DnsQuestion): boolean {
  if (rule.type !== undefined && rule.type !== type) return false;
  if (rule.name?.startsWith("*.")) return name.endsWith(rule.name.slice(1).toLowerCase());
  return rule.name === undefined || rule.name.toLowerCase() === name;
}
