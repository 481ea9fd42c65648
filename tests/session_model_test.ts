/** Sessions in virtual time: whatever is cut wherever, each byte comes once and in order, or the session ends loudly. */

import { assert, assertEquals } from "@std/assert";
import { Random } from "./_fuzz.ts";
import { scale, seed } from "./_require.ts";
import { other, type Side, SIDES, type Wire, World } from "./_session_model.ts";

/** What happens at random, and how often. */
const CHOICES = [
  ...Array(8).fill("push"),
  ...Array(8).fill("deliver"),
  ...Array(4).fill("write"),
  ...Array(4).fill("read"),
  ...Array(2).fill("time"),
  "cut",
  "notice",
  "dial",
  "finish",
] as const;

function size(random: Random): number {
  return random.one([
    1 + random.below(3),
    1 + random.below(40),
    1 + random.below(40),
    random.below(3000),
    70_000,
  ]);
}

function step(world: World, random: Random): void {
  const side = random.one(SIDES);
  const wire = world.wires.length > 0 ? random.one(world.wires) : world.dial();
  switch (random.one(CHOICES)) {
    case "push":
      world.push(wire, side, size(random));
      break;
    case "deliver":
      world.deliver(wire, side, size(random));
      break;
    case "write":
      world.write(side, size(random));
      break;
    case "read":
      world.read(side, size(random));
      break;
    case "time":
      world.advance(random.one([1, 10, 60, 60, 200, 200, 3000]));
      break;
    case "cut":
      if (random.below(2) === 0) {
        world.cut(wire, { client: random.one([0, size(random)]), server: random.one([0, size(random)]) });
      }
      break;
    case "notice":
      if (world.isOver(wire, side)) world.notice(wire, side);
      break;
    case "dial":
      // Also beside one that is well: of two under way at once the one with the higher epoch stays.
      if (!world.hopeful || random.below(8) === 0) world.dial();
      break;
    case "finish":
      if (random.below(10) === 0) world.finish(side);
      else if (random.below(200) === 0) world.abort(side);
  }
  world.prune();
}

/** Everything goes its way until both ends are through. */
function settle(world: World): void {
  for (let round = 0; !world.over; round++) {
    assert(round < 3000, `no end: ${describe(world)}`);
    for (const wire of world.wires) {
      for (const side of SIDES) {
        while (world.push(wire, side, 1e6) > 0);
        while (world.deliver(wire, side, 1e6) > 0);
        if (world.isOver(wire, side)) world.notice(wire, side);
      }
    }
    for (const side of SIDES) {
      while (world.read(side, 70_000) > 0);
      world.finish(side);
    }
    world.prune();
    if (!world.hopeful) world.dial();
    world.advance(50);
  }
}

function describe(world: World): string {
  return JSON.stringify({ apps: world.apps, wires: world.wires.length, ends: ends(world) });
}

function ends(world: World): unknown {
  return Object.fromEntries(SIDES.map((side) => {
    const core = world.cores[side];
    return [
      side,
      core && {
        written: core.written,
        sent: core.sent,
        acknowledged: core.acknowledged,
        received: core.received,
        consumed: core.consumed,
        failure: core.failure,
      },
    ];
  }));
}

function checkEnd(world: World): void {
  world.check();
  if (!world.aborted) {
    for (const side of SIDES) {
      assert(world.apps[side].ended, `the ${side} did not get the end`);
      assertEquals(world.apps[side].read, world.apps[other(side)].written);
    }
  }
  for (const side of SIDES) assertEquals(world.cores[side]?.memory, 0);
}

function episode(random: Random, steps: number): World {
  const world = new World({
    window: random.one([65_536, 100_001, 1_048_576]),
    keepalive: random.one([0, 100, 15_000]),
    sealed: random.below(8) === 0,
  });
  world.dial();
  for (let n = 0; n < steps; n++) {
    step(world, random);
    world.check();
  }
  settle(world);
  checkEnd(world);
  return world;
}

/** How a conversation ends. */
const ENDINGS = ["client first", "server first", "client aborts", "server aborts"] as const;

/** One cut: after so many bytes of one direction of a carrier. */
interface Cut {
  readonly wire: number;
  readonly from: Side;
  readonly at: number;
  /** Whether what was under way the other way still comes, and who sees the loss first. */
  readonly late: boolean;
  readonly first: Side;
}

/** What one carrier brought in an uncut conversation. */
type Brought = Record<Side, number>;

/** A conversation that has every frame in it; cut as it is told to. */
function converse(
  ending: typeof ENDINGS[number],
  plan: readonly Cut[],
): { world: World; marks: Brought[]; all: Brought[] } {
  const world = new World({ window: 65_536, keepalive: 1000 });
  const all: Brought[] = [];
  const run = (): void => {
    for (let moved = true; moved;) {
      moved = false;
      for (const wire of world.wires) {
        for (const side of SIDES) if (move(world, wire, side, plan)) moved = true;
      }
      for (const { number, ends } of world.wires) {
        all[number] = { client: ends.client.delivered, server: ends.server.delivered };
      }
      world.prune();
      if (!world.hopeful && !world.over) {
        world.dial();
        moved = true;
      }
    }
  };
  run();
  world.write("client", 30);
  world.write("server", 20);
  run();
  for (const side of SIDES) world.read(side, 8);
  world.advance(200);
  run();
  world.advance(1000);
  run();
  world.write("client", 5);
  world.write("server", 5);
  run();
  world.advance(2000);
  run();
  world.cores.server?.sendAddresses(["tcp://a.example:1"]);
  run();
  const marks = all.map((brought) => ({ ...brought }));
  const [side, what] = ending.split(" ") as [Side, string];
  if (what === "aborts") world.abort(side);
  else world.finish(side);
  run();
  world.write(other(side), 10);
  for (const reader of SIDES) while (world.read(reader, 100) > 0);
  run();
  world.advance(200);
  run();
  world.finish(other(side));
  run();
  for (const reader of SIDES) while (world.read(reader, 100) > 0);
  run();
  settle(world);
  checkEnd(world);
  return { world, marks, all };
}

/** Moves everything that can come over one direction; where it is to be cut, the rest does not. */
function move(world: World, wire: Wire, side: Side, plan: readonly Cut[]): boolean {
  const end = wire.ends[side];
  let moved = world.push(wire, side, 1e6) > 0;
  const cut = plan.find(({ wire: number, from }) => number === wire.number && from === side);
  if (!cut || wire.cut) return world.deliver(wire, side, 1e6) > 0 || moved;
  if (world.deliver(wire, side, cut.at - end.delivered) > 0) moved = true;
  if (end.delivered < cut.at) return moved;
  world.cut(wire, { client: 0, server: 0, [other(side)]: cut.late ? 1e6 : 0 });
  world.deliver(wire, other(side), 1e6);
  world.notice(wire, cut.first);
  // The other one sees it when a new carrier is under way already.
  if (cut.first === "client") world.dial();
  world.notice(wire, other(cut.first));
  return true;
}

/** Every place of one carrier from some places on, each with a number. */
function* places(wire: number, from: Brought, to: Brought): Generator<Cut> {
  for (const side of SIDES) {
    for (let at = from[side]; at < to[side]; at++) {
      for (let n = 0; n < scale(1, 4); n++) {
        const mode = at + n;
        yield { wire, from: side, at, late: mode % 2 === 0, first: mode % 4 < 2 ? "client" : "server" };
      }
    }
  }
}

function add(to: Map<string, number>, from: ReadonlyMap<string, number>): void {
  for (const [cell, count] of from) to.set(cell, (to.get(cell) ?? 0) + count);
}

/** What has to be cut: frames inside by state and direction. */
const CELLS: Readonly<Record<string, Readonly<Record<Side, readonly string[]>>>> = {
  "new": { client: ["preface", "hello", "confirm"], server: ["preface", "welcome"] },
  "resuming": { client: ["preface", "resume", "confirm"], server: ["preface", "resumed"] },
  "open": { client: ["ack", "data", "ping", "pong"], server: ["ack", "data", "ping", "pong", "addr"] },
  "client finished": { client: ["ack", "fin"], server: ["ack", "data"] },
  "server finished": { client: ["ack", "data"], server: ["ack", "fin"] },
  "both finished": { client: ["ack", "fin"], server: ["ack", "fin"] },
  "aborted": { client: ["abort"], server: ["abort"] },
};

const NOTHING: Brought = { client: 0, server: 0 };

Deno.test("a session survives a cut at every byte of every frame, in both directions and both orders", () => {
  const cuts = new Map<string, number>();
  const run = (ending: typeof ENDINGS[number], plan: readonly Cut[]): void => {
    try {
      add(cuts, converse(ending, plan).world.cuts);
    } catch (error) {
      throw new Error(`${ending}, cut at ${JSON.stringify(plan)}`, { cause: error });
    }
  };
  for (const ending of ENDINGS) {
    const { marks: [mark = NOTHING], all: [all = NOTHING] } = converse(ending, []);
    for (const cut of places(0, ending === "client first" ? NOTHING : mark, all)) run(ending, [cut]);
  }
  // In the middle of the first data, and then anywhere in what resumes.
  const first: Cut = {
    wire: 0,
    from: "client",
    at: 12 + 92 + 44 + 12 + 12 + 15,
    late: false,
    first: "server",
  };
  const { all: [, resumed = NOTHING] } = converse("client first", [first]);
  for (const cut of places(1, NOTHING, resumed)) run("client first", [first, cut]);
  for (const [state, frames] of Object.entries(CELLS)) {
    for (const side of SIDES) {
      for (const frame of frames[side]) {
        assert(
          cuts.get(`${state} | in ${frame} | from ${side}`),
          `no cut ${state} in ${frame} from ${side}: ${show(cuts)}`,
        );
      }
    }
  }
});

Deno.test("a session cut anywhere delivers each byte once and in order, or ends loudly", () => {
  const from = seed();
  const random = new Random(from);
  const total = scale(20_000, 1_000_000);
  const cuts = new Map<string, number>();
  for (let [done, number] = [0, 0]; done < total; number++) {
    const steps = random.one([50, 200, 600, 1500]);
    try {
      add(cuts, episode(random, steps).cuts);
    } catch (error) {
      throw new Error(`seed ${from}, episode ${number}`, { cause: error });
    }
    done += steps;
  }
  console.log(`seed ${from}`);
  // A few thousand steps come by all of them only where luck has it; the test above does in any case.
  if (total < 1_000_000) return;
  console.log(`cuts by state and frame:\n${show(cuts)}`);
  for (const state of Object.keys(CELLS)) assert(sum(cuts, (cell) => cell.startsWith(state)) >= 20, state);
  for (const side of SIDES) {
    const frames = new Set(Object.values(CELLS).flatMap((cells) => cells[side]));
    // The model sends no addresses.
    frames.delete("addr");
    for (const frame of frames) {
      const count = sum(cuts, (cell) => cell.endsWith(` ${frame} | from ${side}`));
      assert(count >= 20, `${count} cuts at ${frame} from ${side}`);
    }
  }
});

function sum(cuts: ReadonlyMap<string, number>, which: (cell: string) => boolean): number {
  return [...cuts].reduce((total, [cell, count]) => which(cell) ? total + count : total, 0);
}

function show(cuts: ReadonlyMap<string, number>): string {
  return [...cuts].sort().map(([cell, count]) => `${cell}: ${count}`).join("\n");
}
