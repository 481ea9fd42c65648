/** Pipes within the process: names that are listened on, and links to them. */

import type { PipeUrl } from "./address.ts";
import type { Link, LinkListener } from "./_link.ts";
import { memoryLinks } from "./_memory_link.ts";
import type { PipeTransport } from "./_transport.ts";

/** How many links may wait to be accepted, as the queue of a listening socket. */
const BACKLOG = 128;

/** Who listens on which name. */
const names = new Map<string, MemoryListener>();

/** Carries `memory:`. */
export const memoryTransport: PipeTransport = {
  schemes: ["memory"],
  dial: (url) => async ({ signal }) => {
    signal.throwIfAborted();
    const name = nameOf(url);
    const listener = names.get(name);
    if (!listener) throw new Deno.errors.ConnectionRefused(`nobody listens on memory:${name}`);
    return await Promise.resolve(listener.connect());
  },
  listen: async (url) => {
    const name = nameOf(url);
    if (names.has(name)) throw new Deno.errors.AddrInUse(`memory:${name} is listened on already`);
    const listener = new MemoryListener(name);
    names.set(name, listener);
    return await Promise.resolve(listener);
  },
};

class MemoryListener implements LinkListener {
  readonly addresses: LinkListener["addresses"];
  readonly #name: string;
  readonly #waiting: Link[] = [];
  #accepting: ((link: Link | null) => void) | undefined;
  #closed = false;

  constructor(name: string) {
    this.#name = name;
    this.addresses = [{ transport: "memory", name }];
  }

  connect(): Link {
    if (this.#waiting.length >= BACKLOG) {
      throw new Deno.errors.ConnectionRefused(`${BACKLOG} connections wait on memory:${this.#name} already`);
    }
    const [mine, theirs] = memoryLinks(this.#name);
    if (this.#accepting) this.#accepting(theirs);
    else this.#waiting.push(theirs);
    this.#accepting = undefined;
    return mine;
  }

  accept(): Promise<Link | null> {
    if (this.#closed) return Promise.resolve(null);
    const link = this.#waiting.shift();
    if (link) return Promise.resolve(link);
    return new Promise((resolve) => this.#accepting = resolve);
  }

  close(): Promise<void> {
    if (!this.#closed) names.delete(this.#name);
    this.#closed = true;
    for (const link of this.#waiting.splice(0)) link.abort();
    this.#accepting?.(null);
    this.#accepting = undefined;
    return Promise.resolve();
  }
}

function nameOf(url: PipeUrl): string {
  if (url.transport === "memory") return url.name;
  throw new TypeError(`Cannot use ${url.transport}: this carries memory: only`);
}
