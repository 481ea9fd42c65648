/** A network to play with: interfaces whose other ends lie in namespaces of their own, and an observer of a watcher. */

import {
  applyEvents,
  type Clock,
  diffStates,
  equalStates,
  type NetworkChange,
  type NetworkEvent,
  type NetworkState,
  type NetworkWatcher,
  type Timer,
  watchNetwork,
  type WatchOptions,
} from "@holdfast/net/watch";
import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../internal/clock.ts";
import { describe, interfaceOf } from "./_describe.ts";

/** How long anything may take to show, in milliseconds: duplicate address detection alone takes up to two seconds. */
const PATIENCE = 15_000;

/** Runs a program, and returns what it wrote. */
export async function call(program: string, args: readonly string[], input = ""): Promise<string> {
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // A program that ends early does not read all of it; its exit code tells.
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { success, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  throw new Error(`Cannot ${program} ${args.join(" ")}: ${decoder.decode(stderr).trim()}\n${input}`);
}

/** Runs commands of `ip`, all in one process. */
export async function ip(...commands: readonly string[]): Promise<void> {
  await call("ip", ["-batch", "-"], `${commands.join("\n")}\n`);
}

/** Runs commands of `ip -6`, for what does not show its family. */
export async function ip6(...commands: readonly string[]): Promise<void> {
  await call("ip", ["-6", "-batch", "-"], `${commands.join("\n")}\n`);
}

/** A JSON object as a tool writes it. */
export type Row = Readonly<Record<string, unknown>>;

/** Runs one command of `ip`, and returns the rows that it prints; none where it fails. */
export async function ipRows(...args: readonly string[]): Promise<readonly Row[]> {
  const { stdout } = await new Deno.Command("ip", { args: ["-json", ...args], stderr: "null" }).output();
  const text = new TextDecoder().decode(stdout).trim();
  return text === "" ? [] : (JSON.parse(text) as Row[]).filter((row) => Object.keys(row).length > 0);
}

/** Makes interfaces, and takes all of them away in the end. */
export class Network implements AsyncDisposable {
  readonly #namespaces = new Set<string>();

  /** @throws {Error} Where this is not an empty namespace: the machine's own network must stay as it is. */
  static async make(): Promise<Network> {
    const names = (await ipRows("link")).map((row) => row["ifname"]);
    if (Deno.env.get("HOLDFAST_NETNS") === "1" && names.length === 1 && names[0] === "lo") {
      return new Network();
    }
    throw new Error(`Cannot play with the network: it is not an empty one, there is ${names.join(", ")}`);
  }

  /** Makes a namespace, and returns what runs commands of `ip` in it. */
  async namespace(name: string): Promise<(...commands: readonly string[]) => Promise<void>> {
    await ip(`netns add ${name}`);
    this.#namespaces.add(name);
    return async (...commands) =>
      void await call("ip", ["-n", name, "-batch", "-"], `${commands.join("\n")}\n`);
  }

  /**
   * Makes an interface with a cable to another one in the namespace `far`, which is switched on. Neither has a
   * link-local address, so that nothing is tentative but by intention.
   */
  async plug(name: string, far: string): Promise<(...commands: readonly string[]) => Promise<void>> {
    const away = this.#far ??= await this.namespace("far");
    await ip(
      `link add ${name} type veth peer name ${far} netns far`,
      `link set ${name} addrgenmode none`,
    );
    await away(`link set ${far} addrgenmode none`, `link set ${far} up`);
    return away;
  }

  #far: ((...commands: readonly string[]) => Promise<void>) | undefined;

  async [Symbol.asyncDispose](): Promise<void> {
    for (const row of await ipRows("link")) {
      const name = String(row["ifname"]);
      // One end of a pair takes the other along.
      if (name !== "lo") await ip(`link delete ${name}`).catch(() => {});
    }
    await Promise.all(["-4", "-6"].map(async (family) => {
      for (const row of await ipRows(family, "rule")) {
        const priority = Number(row["priority"]);
        if ([0, 32766, 32767].includes(priority)) continue;
        await call("ip", [family, "rule", "delete", "priority", `${priority}`]);
      }
    }));
    await ip("link set lo mtu 65536");
    for (const name of this.#namespaces) await ip(`netns delete ${name}`);
    const left = (await ipRows("link")).map((row) => row["ifname"]);
    assertEquals(left, ["lo"], "a test leaves nothing behind");
  }
}

/** What one change of the network brought. */
export interface Batch {
  /** Single events. */
  readonly events: readonly NetworkEvent[];
  /** Settled changes: one, unless the machine was slow. */
  readonly changes: readonly NetworkChange[];
  /** What it amounts to, described. */
  readonly net: readonly string[];
}

/** Follows a watcher, and waits for what it tells. */
export class Observer implements AsyncDisposable {
  readonly watcher: NetworkWatcher;
  readonly events: NetworkEvent[] = [];
  readonly changes: NetworkChange[] = [];
  readonly #checks = new Set<() => void>();
  /** Where the next step begins. */
  #mark: { readonly state: NetworkState; readonly events: number; readonly changes: number };

  private constructor(watcher: NetworkWatcher) {
    this.watcher = watcher;
    this.#mark = { state: watcher.state, events: 0, changes: 0 };
    watcher.subscribe((event) => {
      if (event.type === "change") this.changes.push(event);
      else this.events.push(event);
      for (const check of [...this.#checks]) check();
    });
  }

  /** Opens a watcher, and follows it. */
  static async open(options: WatchOptions): Promise<Observer> {
    if (options.backend !== "ip-monitor") return new Observer(await watchNetwork(options));
    const { clock, begin } = lateClock();
    const observer = new Observer(await watchNetwork({ ...options, clock }));
    begin();
    try {
      await observer.#listening();
      return observer;
    } catch (error) {
      await observer.watcher.close();
      throw error;
    }
  }

  /** Waits until the tool has begun to listen, of which it says nothing: until a change shows. */
  async #listening(): Promise<void> {
    let mtu = 65_536;
    const end = performance.now() + PATIENCE;
    while (this.events.length === 0) {
      if (performance.now() > end) throw new Error("Waited in vain for the tool to hear of anything");
      // Never back to what it was: that would settle as no change at all.
      mtu--;
      await ip(`link set lo mtu ${mtu}`);
      const patience = AbortSignal.timeout(50);
      await this.until("an event, for a while", () => this.events.length > 0 || patience.aborted, patience);
    }
    const known = (): boolean => interfaceOf(this.watcher.state, "lo")?.mtu === mtu;
    await this.#settled("that the tool listens", known);
    this.#mark = { state: this.watcher.state, events: this.events.length, changes: this.changes.length };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.watcher.close();
  }

  /** Waits until something is true, which is looked at with every event, and when the signal says so. */
  until(what: string, condition: () => boolean, signal?: AbortSignal): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#checks.delete(check);
        signal?.removeEventListener("abort", check);
      };
      const check = (): void => {
        if (!condition()) return;
        done();
        resolve();
      };
      const timer = setTimeout(() => {
        done();
        const told = this.events.slice(this.#mark.events).map(describe).join("\n  ");
        const { interfaces, defaultRoute, dns, families } = this.watcher.state;
        const state = JSON.stringify({ families, defaultRoute, dns, interfaces });
        reject(new Error(`Waited in vain for ${what}; told:\n  ${told}\nstate: ${state}`));
      }, PATIENCE);
      this.#checks.add(check);
      signal?.addEventListener("abort", check);
    });
  }

  /**
   * Changes the network, waits until the state shows it and until it is settled, and checks that single and settled
   * events alike lead from the state before to the one after.
   */
  async step(
    what: string,
    act: () => Promise<void>,
    reached: (state: NetworkState) => boolean,
  ): Promise<Batch> {
    await act();
    await this.#settled(what, () => reached(this.watcher.state));
    return this.#close(what);
  }

  async #settled(what: string, reached: () => boolean): Promise<void> {
    await this.until(what, reached);
    await this.until(`${what}, settled`, () => {
      const last = this.changes.at(-1);
      return this.changes.length > this.#mark.changes && !!last && equalStates(last.next, this.watcher.state);
    });
  }

  /**
   * Changes the network in a way that must not show. What does not happen cannot be waited for, so another change
   * follows, which must be the only one to show.
   */
  async quietly(what: string, act: () => Promise<void>): Promise<void> {
    await act();
    const loopback = interfaceOf(this.watcher.state, "lo");
    const mtu = loopback?.mtu === 65_536 ? 65_535 : 65_536;
    const sentinel = `interfacechange lo mtu=${mtu}`;
    const { events, net } = await this.step(
      `${what}, and the sentinel`,
      async () => {
        await ip(`link set lo mtu ${mtu}`);
        // A polling backend may be long in coming round to it.
        if (this.watcher.backend === "poll") this.watcher.wake();
      },
      ({ interfaces }) => interfaces.some((iface) => iface.name === "lo" && iface.mtu === mtu),
    );
    assertEquals(events.map(describe), [sentinel], what);
    assertEquals(net, [sentinel], what);
  }

  #close(what: string): Batch {
    const mark = this.#mark;
    const events = this.events.slice(mark.events);
    const changes = this.changes.slice(mark.changes);
    const { state } = this.watcher;
    assertSame(applyEvents(mark.state, events), state, `single events lead to the state: ${what}`);
    for (const { previous, next, events } of changes) {
      assertSame(applyEvents(previous, events), next, `settled events lead to the settled state: ${what}`);
    }
    for (const [n, { previous }] of changes.entries()) {
      if (n > 0) assert(previous === changes[n - 1]?.next, `settled changes join: ${what}`);
    }
    this.#mark = { state, events: this.events.length, changes: this.changes.length };
    return { events, changes, net: netOf(changes).map(describe) };
  }
}

/**
 * The system's clock, without the timers that are made before it begins. The tool's backend looks again a few times in
 * its first second; that would hide what it does not hear.
 */
function lateClock(): { readonly clock: Clock; begin(): void } {
  let begun = false;
  const never: Timer = { cancel() {} };
  return {
    clock: {
      ...systemClock,
      after: (delay, callback, options) => begun ? systemClock.after(delay, callback, options) : never,
    },
    begin: () => void (begun = true),
  };
}

/** What settled changes amount to: where there is but one, its own events. */
function netOf(changes: readonly NetworkChange[]): readonly NetworkEvent[] {
  const [first, last] = [changes[0], changes.at(-1)];
  if (!first || !last) return [];
  if (first === last) return first.events;
  const extra = changes.flatMap(({ events }) => events).filter(({ type }) => type === "identitychange");
  return [...extra, ...diffStates(first.previous, last.next)];
}

/** Fails with the difference where two states are not the same. */
export function assertSame(actual: NetworkState, expected: NetworkState, what: string): void {
  assertEquals(diffStates(actual, expected, () => true).map(describe), [], what);
}
