/** Sessions whose connections are cut, again and again, in every way that a network knows: nothing is lost, doubled or reordered. */

import { watchNetwork } from "@holdfast/net/watch";
import { assert, assertEquals } from "@std/assert";
import { connect } from "../../pipes/connect.ts";
import type { SessionPipe } from "../../pipes/resume/session.ts";
import { requires, scale } from "../_require.ts";
import type { Cut, CutState } from "./_cutting_link.ts";
import { call } from "./_network.ts";
import { within } from "./_provoke.ts";
import type { SessionAnswer, SessionFacts } from "./_session_program.ts";
import { drain, type Flow, pour } from "./_session_streams.ts";
import { ADDRESS, type Program, TwoHosts } from "./_two_hosts.ts";

const needs = requires({ root: true, netns: true, tools: ["ip", "nft", "sysctl", "tc", "conntrack"] });

/** How many sessions are cut at once. */
const SESSIONS = 5;

/** How much each of them sends at least in each direction, in bytes: 64 MiB in all, 1 GiB at full scale, over both tests. */
const EACH = scale(64, 1024) * 1024 * 1024 / SESSIONS / 2;

/** The port of the server. */
const PORT = 4400;

/** Sessions that pour in both directions, in this process and in one on the server. */
class Streams implements AsyncDisposable {
  readonly pipes: SessionPipe[] = [];
  /** Of each connection that was lost: its number, and how much of ours was on its way. */
  readonly losses: Map<string, [number, number, string][]> = new Map();
  readonly #server: Program;
  readonly #flows: Promise<readonly [Flow, Flow]>[] = [];
  readonly #checks = new Set<() => void>();
  #going = true;

  constructor(server: Program) {
    this.#server = server;
  }

  add(pipe: SessionPipe): void {
    const { session } = pipe;
    const lost: [number, number, string][] = [];
    this.losses.set(session.id, lost);
    this.pipes.push(pipe);
    pipe.on("suspended", ({ failure }) => {
      lost.push([session.epoch, session.sent - session.acknowledged, failure.kind]);
    });
    const look = (): void => {
      for (const check of [...this.#checks]) check();
    };
    for (const type of ["resumed", "migrated", "error"] as const) pipe.on(type, look);
    const flows = Promise.all([pour(pipe, this.pipes.length, () => this.#going), drain(pipe, look)]);
    flows.catch(() => {}); // compared in the end, unless something else fails first
    this.#flows.push(flows);
  }

  /** Waits for what is looked at whenever anything happens. */
  async until(what: string, condition: () => boolean): Promise<void> {
    if (condition()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = (): void => {
      if (condition()) resolve();
    };
    this.#checks.add(check);
    const facts = (): string =>
      this.pipes.map(({ session: { state, epoch, sent, acknowledged, received } }) =>
        `${state} ${epoch} ${sent} ${acknowledged} ${received}`
      ).join("; ");
    await within(() => `${what}: ${facts()}`, promise).finally(() => this.#checks.delete(check));
  }

  /** Waits until so much more has come through in both directions of every session. */
  async progress(bytes: number): Promise<void> {
    const marks = this.pipes.map(({ session: { acknowledged, received } }) => [acknowledged, received]);
    await this.until(`${bytes} bytes more`, () =>
      this.pipes.every(({ session }, n) => {
        const [acknowledged = 0, received = 0] = marks[n] ?? [];
        return session.acknowledged >= acknowledged + bytes && session.received >= received + bytes;
      }));
  }

  /** Ends all directions, and compares what came with what was sent, by hash. */
  async compare(): Promise<readonly SessionFacts[]> {
    this.#going = false;
    const [{ sessions, flows }, ...here] = await Promise.all([
      this.#server.ask<SessionAnswer>({ do: "stop" }),
      ...this.#flows,
    ]);
    for (const [n, [sent, received]] of here.entries()) {
      const there = flows[this.pipes[n]?.session.id ?? ""];
      assertEquals(there?.received, sent, "what the client has sent");
      assertEquals(there?.sent, received, "what the server has sent");
      assert(Math.min(sent.bytes, received.bytes) >= EACH, `${sent.bytes} and ${received.bytes} bytes`);
    }
    await Promise.all(this.pipes.map((pipe) => pipe.close()));
    assertEquals(this.pipes.map(({ session }) => session.state), this.pipes.map(() => "closed"));
    return sessions;
  }

  /** Of the connections that both ends saw lost: how many there were, and on how many something was on its way both ways. */
  inFlight(sessions: readonly SessionFacts[]): { readonly both: number; readonly all: number } {
    const pairs = sessions.flatMap(({ id, losses }) =>
      losses.flatMap(([epoch, pending]) => {
        const here = this.losses.get(id)?.find(([other]) => other === epoch);
        return here ? [pending > 0 && here[1] > 0] : [];
      })
    );
    return { both: pairs.filter(Boolean).length, all: pairs.length };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#going = false;
    for (const pipe of this.pipes) pipe.abort();
    await Promise.allSettled(this.#flows);
  }
}

/** A path that is not too fast: what is sent is on its way for a while. */
async function slow(lab: TwoHosts): Promise<void> {
  for (const device of ["rc", "rs"]) {
    const shape = `qdisc add dev ${device} root tbf rate 400mbit burst 128kb latency 20ms`;
    await lab.run("router", "tc", ...shape.split(" "));
  }
}

function print(title: string, counts: ReadonlyMap<string, number>): void {
  const rows = [...counts].sort().map(([name, count]) => `  ${name.padEnd(48)} ${count}`);
  console.log(`${title}\n${rows.join("\n")}`);
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** How far the handshake of a resumed session was, or `undefined` for what is behind it; by its bytes (docs/PROTOCOLS.md). */
function handshakeOf({ up, down, first }: Cut): string | undefined {
  if (first || down >= 100) return undefined;
  if (up < 12) return "within the client's preface";
  if (up < 108) return "within RESUME";
  if (down < 12) return "within the server's preface";
  if (down < 88) return "within RESUMED";
  return up < 152 ? "within CONFIRM" : "CONFIRM there, no frame of the server yet";
}

/** How many of them there are. */
const HANDSHAKES = 6;

function offsetOf(bytes: number): string {
  for (const power of [12, 16, 20, 24]) if (bytes < 2 ** power) return `below 2^${power} bytes`;
  return "above 2^24 bytes";
}

Deno.test({
  name: "sessions: resets and ends at any byte of any connection cost nothing, in either direction",
  ...needs,
  async fn() {
    await using lab = await TwoHosts.make();
    await slow(lab);
    const cuts = scale(25, 400);
    const serve = { serve: `resume+tcp://${ADDRESS.server.v4}:${PORT}` };
    const server = await lab.start("server", "_session_program.ts", JSON.stringify(serve));
    const apart = EACH * SESSIONS / cuts;
    const seed = Number(Deno.env.get("HOLDFAST_SEED") ?? "1");
    const args = [ADDRESS.far.v4, PORT, ADDRESS.server.v4, PORT, cuts, apart, SESSIONS, seed];
    const link = await lab.start("router", "_cutting_link.ts", ...args.map(String));
    await using network = await watchNetwork();
    await using streams = new Streams(server);
    for (let n = 0; n < SESSIONS; n++) {
      const session = { greeting: "pour", window: 1024 * 1024 };
      streams.add(await connect(`resume+tcp://${ADDRESS.far.v4}:${PORT}`, { network, session }));
    }
    let state = await link.ask<CutState>({});
    const quota = Math.floor(EACH / cuts);
    while (state.cuts.length < cuts) {
      await streams.progress(quota);
      state = await link.ask<CutState>({});
    }
    await streams.until(
      "what is to be sent",
      () => streams.pipes.every(({ session }) => Math.min(session.acknowledged, session.received) >= EACH),
    );
    const sessions = await streams.compare();
    const states = new Map<string, number>();
    const handshakes = new Map<string, number>();
    for (const cut of state.cuts) {
      const handshake = handshakeOf(cut);
      if (handshake !== undefined) count(handshakes, handshake);
      count(states, `${cut.how}: ${handshake ?? `data, at ${offsetOf(cut.up + cut.down)}`}`);
    }
    const { both, all } = streams.inFlight(sessions);
    print(
      `${state.cuts.length} cuts, ${state.connections} connections, ${both} of ${all} with data both ways:`,
      states,
    );
    assertEquals(state.cuts.length, cuts);
    assert(all > 0 && both >= all / 2, `${both} of ${all}`);
    assertEquals(handshakes.size, HANDSHAKES, "cuts in all parts of the handshake");
    assert(Math.min(...handshakes.values()) >= scale(1, 20), Deno.inspect(handshakes));
  },
});

/** Makes the router translate addresses, and forget nobody by itself; what belongs to no connection is dropped. */
async function masquerade(lab: TwoHosts): Promise<void> {
  await lab.run("router", "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=0").catch(() => {});
  const rules = `table ip nat {
    chain post { type nat hook postrouting priority 100; oifname "rs" masquerade; }
  }
  table ip known {
    chain pass { type filter hook forward priority 0; ct state invalid drop; }
  }`;
  await call("ip", ["netns", "exec", "router", "nft", "-f", "-"], rules);
  // It exists only now.
  await lab.run("router", "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=0");
}

/** What is done to all connections at once. Each resolves when all sessions go on. */
type Disaster = (lab: TwoHosts, streams: Streams, next: () => Promise<void>) => Promise<void>;

const DISASTERS: Readonly<Record<string, Disaster>> = {
  async silence(lab, { pipes }, next) {
    const ports = pipes.map(({ localAddress }) => "port" in localAddress ? localAddress.port : 0).join(", ");
    await using _silence = await lab.filter(
      "router",
      "forward",
      `tcp sport { ${ports} } drop`,
      `tcp dport { ${ports} } drop`,
    );
    await next();
  },
  async address(lab, { pipes }, next) {
    const [first] = pipes;
    const old = first && "hostname" in first.localAddress ? first.localAddress.hostname : "";
    const fresh = old === ADDRESS.client.v4 ? "10.9.1.3" : ADDRESS.client.v4;
    await lab.ip(
      "client",
      `address delete ${old}/24 dev vc`,
      `address add ${fresh}/24 dev vc`,
      `route replace default via ${ADDRESS.near.v4}`,
    );
    await next();
  },
  async "NAT flushed"(lab, _streams, next) {
    await lab.run("router", "conntrack", "-D", "-p", "tcp");
    await next();
  },
};

Deno.test({
  name: "sessions: silence, another address and a router that forgets cost nothing, in either direction",
  ...needs,
  async fn() {
    await using lab = await TwoHosts.make();
    await slow(lab);
    await masquerade(lab);
    const serve = { serve: `resume+tcp://${ADDRESS.server.v4}:${PORT}` };
    const server = await lab.start("server", "_session_program.ts", JSON.stringify(serve));
    await using network = await watchNetwork();
    await using streams = new Streams(server);
    for (let n = 0; n < SESSIONS; n++) {
      const session = { greeting: "pour", window: 1024 * 1024 };
      streams.add(await connect(`resume+tcp://${ADDRESS.server.v4}:${PORT}`, { network, session }));
    }
    const rounds = [
      ...Array.from({ length: scale(3, 60) }, () => "address"),
      ...Array.from({ length: scale(1, 30) }, () => "silence"),
      ...Array.from({ length: scale(1, 30) }, () => "NAT flushed"),
    ];
    const found = new Map<string, number>();
    const took = new Map<string, number[]>();
    let both = 0;
    for (const name of rounds) {
      await streams.progress(EACH / rounds.length);
      const there = await server.ask<SessionAnswer>({ do: "state" });
      both += there.sessions.filter(({ id, sent, acknowledged }) => {
        const here = streams.pipes.find(({ session }) => session.id === id)?.session;
        return sent > acknowledged && here && here.sent > here.acknowledged;
      }).length;
      const epochs = streams.pipes.map(({ session }) => session.epoch);
      for (const { session } of streams.pipes) {
        const pending = session.sent > session.acknowledged ? "something on its way" : "nothing on its way";
        count(found, `${name}: ${session.state}, ${pending}, at ${offsetOf(session.sent)}`);
      }
      const began = performance.now();
      await DISASTERS[name]?.(
        lab,
        streams,
        () =>
          streams.until(
            `all sessions to go on after ${name}`,
            () =>
              streams.pipes.every(({ session }, n) =>
                session.state === "open" && session.epoch > (epochs[n] ?? 0)
              ),
          ),
      );
      took.set(name, [...(took.get(name) ?? []), performance.now() - began]);
    }
    await streams.progress(EACH / rounds.length);
    await streams.compare();
    const all = SESSIONS * rounds.length;
    print(`${all} cuts, ${both} of them with data on its way both ways:`, found);
    for (const [name, times] of took) {
      console.log(`  all go on after ${name}: ${times.map(Math.round).join(", ")} ms`);
    }
    assert(both >= all / 2, `${both} of ${all}`);
    const resumes = streams.pipes.map(({ session }) => session.resumes + session.migrations);
    assert(Math.min(...resumes) >= rounds.length, `${resumes}`);
  },
});
