/** The addresses that one server listens on: kept up while addresses come and go, and accepted from as if they were one. */

import { isNotCapable } from "../internal/errors.ts";
import { wouldPrompt } from "../internal/permissions.ts";
import { holdProcess, systemClock, type Timer } from "../internal/clock.ts";
import { orAbort } from "../recover/_or_abort.ts";
import { hasLocalAddress, localAddressOf } from "../recover/_local_address.ts";
import { classify } from "../recover/classify.ts";
import type { PipeAddress, PipeUrl } from "./address.ts";
import { netNeed } from "./_failed.ts";
import type { Link, LinkListener } from "./_link.ts";
import type { ListenOptions } from "./listen.ts";
import { type Hosts, hostsOf } from "./_listen_hosts.ts";
import type { PipeTransport } from "./_transport.ts";

/** What {@linkcode Bindings} tell. */
export interface BindingsEvents {
  /** An address is listened on, at first or again. */
  listening(address: PipeAddress): void;
  /** An address that is listened on is gone. */
  lost(address: PipeAddress): void;
  /** An address could not be listened on, and will be tried again. */
  failed(host: string, error: unknown): void;
}

/** One address. */
interface Binding {
  readonly host: string;
  readonly listener: LinkListener;
  /** Whether this machine has the address no more. */
  lost: boolean;
  accepting: boolean;
}

/** What came. */
type Arrival = { readonly link: Link } | { readonly error: unknown };

/** How many free ports are tried until one is free at all addresses. */
const PORTS = 10;

/** After how many milliseconds an address that is there, and cannot be bound, is tried again. */
const AGAIN = 500;

/** For those who gave no signal. */
const NEVER = new AbortController().signal;

/** The listeners of a server. */
export class Bindings {
  readonly #place: PipeUrl;
  readonly #transport: PipeTransport;
  readonly #options: ListenOptions;
  readonly #events: BindingsEvents;
  readonly #bindings: Binding[] = [];
  readonly #arrivals: Arrival[] = [];
  readonly #bound = Promise.withResolvers<void>();
  #waiter: { readonly resolve: (link: Link) => void; readonly reject: (error: unknown) => void } | undefined;
  #port: number;
  #updating: Promise<void> | undefined;
  #changed = false;
  #again: Timer | undefined;
  #network: Disposable | undefined;
  #closing: Promise<void> | undefined;

  constructor(place: PipeUrl, transport: PipeTransport, options: ListenOptions, events: BindingsEvents) {
    this.#place = place;
    this.#transport = transport;
    this.#options = options;
    this.#events = events;
    this.#port = "port" in place ? place.port : 0;
  }

  /** Where it listens now. */
  get addresses(): readonly PipeAddress[] {
    return this.listeners.flatMap(({ addresses }) => addresses);
  }

  /** What listens now. */
  get listeners(): readonly LinkListener[] {
    return this.#bindings.filter(({ lost }) => !lost).map(({ listener }) => listener);
  }

  /**
   * Begins to listen. With a network, waits until one of the addresses is there.
   *
   * @throws What went wrong, as the runtime gave it.
   */
  async start(): Promise<void> {
    const { network, signal = NEVER } = this.#options;
    const place = this.#place;
    try {
      if (!("hostname" in place)) return this.#add("", await this.#transport.listen(place, this.#options));
      const missing = await this.#bindAll();
      if (!network) return this.#finish(missing);
      this.#network = network.subscribe(() => void this.#update());
      using _hold = holdProcess(this.#options.clock);
      await orAbort(this.#bound.promise, signal);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Waits for the next link. */
  accept(): Promise<Link> {
    const arrival = this.#arrivals.shift();
    if (arrival) return "link" in arrival ? Promise.resolve(arrival.link) : Promise.reject(arrival.error);
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      for (const binding of this.#bindings) this.#acceptFrom(binding);
    });
  }

  /** Ends the listening; links that nobody has taken are ended as well. */
  close(): Promise<void> {
    return this.#closing ??= (async () => {
      this.#again?.cancel();
      this.#network?.[Symbol.dispose]();
      this.#waiter?.reject(new Deno.errors.Interrupted("the server is closed"));
      this.#waiter = undefined;
      for (const arrival of this.#arrivals.splice(0)) if ("link" in arrival) arrival.link.abort();
      await Promise.all(this.#bindings.splice(0).map(({ listener }) => listener.close()));
    })();
  }

  get #hosts(): Hosts {
    const hostname = "hostname" in this.#place ? this.#place.hostname : "";
    const hosts = hostsOf(hostname, this.#options);
    if (hosts.required === "all") return hosts;
    // Nobody is asked for addresses that he did not name, unless nothing could be done without; then for one.
    const names = hosts.names.filter((host) => !wouldPrompt([netNeed(host, this.#port)]));
    return {
      ...hosts,
      names: names.length > 0 ? names : hosts.names.filter((host) => !host.includes(":")).slice(0, 1),
    };
  }

  /** Binds everything at the same port, which nobody may have chosen. Returns the errors of what is not there. */
  async #bindAll(): Promise<readonly unknown[]> {
    for (let tries = 1;; tries++) {
      const missing: unknown[] = [];
      try {
        for (const host of this.#hosts.names) missing.push(...await this.#bind(host));
        return missing;
      } catch (error) {
        // A free port was chosen at the first address, and somebody else has it at another one.
        const chosen = "port" in this.#place && this.#place.port === 0 && this.#bindings.length > 0;
        if (!chosen || tries === PORTS || classify(error).kind !== "address-in-use") throw error;
        this.#port = 0;
        await Promise.all(this.#bindings.splice(0).map(({ listener }) => listener.close()));
      }
    }
  }

  /** Without a network nobody will tell of an address that comes. */
  #finish(missing: readonly unknown[]): void {
    const all = this.#hosts.required === "all";
    if (missing.length > 0 && (all || this.#bindings.length === 0)) throw missing[0];
    if (this.#bindings.length === 0) {
      throw new Deno.errors.AddrNotAvailable("this machine has none of the addresses");
    }
  }

  /** Binds one address; returns the error where this machine does not have it. */
  async #bind(host: string): Promise<readonly unknown[]> {
    if (this.#closing || this.#bindings.some((binding) => binding.host === host)) return [];
    const place = { ...this.#place, hostname: host, port: this.#port } as PipeUrl;
    try {
      const listener = await this.#transport.listen(place, this.#options);
      if (this.#closing) await listener.close();
      else this.#add(host, listener);
      return [];
    } catch (error) {
      const { kind, code } = classify(error, { operation: "listen", localAddress: host });
      // One socket serves both families already.
      const both = host === "0.0.0.0" && kind === "address-in-use" &&
        this.#bindings.some((binding) => binding.host === "::");
      if (both) return [];
      const refused = isNotCapable(error) && this.#hosts.required === "some";
      if (refused || kind === "address-gone" || code === "EAFNOSUPPORT") return [error];
      throw error;
    }
  }

  #add(host: string, listener: LinkListener): void {
    const binding: Binding = { host, listener, lost: false, accepting: false };
    this.#bindings.push(binding);
    this.#bound.resolve();
    const [address] = listener.addresses;
    if (address && "port" in address) this.#port = address.port;
    if (address) this.#events.listening(address);
    if (this.#waiter) this.#acceptFrom(binding);
  }

  /** Looks at the network once more when it changed while it was looked at. */
  #update(): Promise<void> {
    this.#changed = true;
    return this.#updating ??= (async () => {
      while (this.#changed) {
        this.#changed = false;
        await this.#bindWhatIsThere();
      }
    })().finally(() => this.#updating = undefined);
  }

  async #bindWhatIsThere(): Promise<void> {
    const { network, clock = systemClock } = this.#options;
    if (this.#closing) return;
    this.#again?.cancel();
    for (const binding of [...this.#bindings]) this.#look(binding);
    for (const host of this.#hosts.names) {
      const own = localAddressOf(host);
      if (own !== null && !hasLocalAddress(own, network)) continue;
      try {
        const errors = await this.#bind(host);
        // An address of IPv6 is there some time before it can be used.
        if (errors.length === 0) continue;
      } catch (error) {
        this.#events.failed(host, error);
      }
      this.#again = clock.after(AGAIN, () => void this.#update());
    }
  }

  /** Sees whether an address has gone or is back; the listener is as good as before when it is back. */
  #look(binding: Binding): void {
    const own = localAddressOf(binding.host);
    const lost = own !== null && !hasLocalAddress(own, this.#options.network);
    if (lost === binding.lost) return;
    binding.lost = lost;
    for (const address of binding.listener.addresses) {
      if (lost) this.#events.lost(address);
      else this.#events.listening(address);
    }
    if (!lost || this.#hosts.fixed) return;
    // Addresses that nobody named need not come back.
    this.#bindings.splice(this.#bindings.indexOf(binding), 1);
    void binding.listener.close();
  }

  #acceptFrom(binding: Binding): void {
    if (binding.accepting) return;
    binding.accepting = true;
    binding.listener.accept().then((link) => {
      binding.accepting = false;
      if (link) this.#arrived({ link });
    }, (error) => {
      binding.accepting = false;
      this.#arrived({ error });
    });
  }

  #arrived(arrival: Arrival): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (this.#closing) {
      if ("link" in arrival) arrival.link.abort();
    } else if (!waiter) this.#arrivals.push(arrival);
    else if ("link" in arrival) waiter.resolve(arrival.link);
    else waiter.reject(arrival.error);
  }
}
