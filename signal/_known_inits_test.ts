import { assert, assertEquals } from "@std/assert";
import { Random } from "../tests/_fuzz.ts";
import { seed } from "../tests/_require.ts";
import { type AnsweredInit, KnownInits } from "./_known_inits.ts";

class Scene {
  time = 0;
  readonly gone: string[] = [];
  readonly #random = new Random(seed());
  readonly inits = new KnownInits<AnsweredInit>({
    now: () => this.time,
    random: (length) => this.#random.bytes(length),
    gone: ({ name }) => void this.gone.push(name),
  });

  add(name: string, peer: string = "anna"): void {
    this.inits.add({ name, peer });
  }
}

Deno.test("an INIT is answered four times in 200 ms, and never once it is confirmed or 30 seconds old", () => {
  const world = new Scene();
  const at = (time: number, name: string): string => {
    world.time = time;
    const found = world.inits.find(name);
    return typeof found === "object" ? `answer ${found.name}` : `${found}`;
  };
  assertEquals(at(0, "a"), "undefined");
  world.add("a");
  world.add("b");
  assertEquals([1, 2, 3, 4, 199, 200, 201, 202, 203, 204].map((time) => at(time, "a")), [
    ...["answer a", "answer a", "answer a", "repeated", "repeated"],
    ...["answer a", "answer a", "answer a", "answer a", "repeated"],
  ]);
  world.inits.confirm("b");
  assertEquals(at(400, "b"), "repeated");
  assertEquals([at(30_000, "a"), world.gone], ["repeated", ["a"]]);
  world.inits.confirm("a");
  assertEquals(world.gone, ["a"]);
});

Deno.test("at most 16 answers of one peer and 1,024 in all are kept, and chance decides which one goes", () => {
  const world = new Scene();
  for (let n = 0; n < 1008; n++) world.add(`other ${n}`, `peer ${n}`);
  for (let n = 0; n < 16; n++) world.add(`${n}`);
  assertEquals(world.gone, []);
  for (let n = 16; n < 32; n++) world.add(`${n}`);
  // One of Anna's for each of Anna's, and not always the first or the last.
  assert(world.gone.length === 16 && world.gone.every((name) => /^\d+$/.test(name)));
  assert(new Set(world.gone).size === 16 && `${world.gone}` !== `${world.gone.toSorted((a, b) => +a - +b)}`);
  world.add("one more", "bob");
  assertEquals(world.gone.length, 17);
  // What had to go is not done with: its sender may say it again.
  for (const name of world.gone) assertEquals(world.inits.find(name), undefined);
});

Deno.test("64 are read at once, and as many a second after that", () => {
  const world = new Scene();
  const take = (): number => {
    let count = 0;
    while (count < 1000 && world.inits.take()) count++;
    return count;
  };
  assertEquals(take(), 64);
  world.time = 500;
  assertEquals(take(), 32);
  world.time = 100_000;
  assertEquals(take(), 64);
});

Deno.test("the last 4,096 that are done with are known", () => {
  const world = new Scene();
  for (let n = 0; n <= 4096; n++) {
    world.add(`${n}`);
    world.inits.confirm(`${n}`);
  }
  assertEquals([world.inits.find("0"), world.inits.find("1"), world.inits.find("4096")], [
    undefined,
    "repeated",
    "repeated",
  ]);
  // It was new, so it may be read again; nothing else is forgotten for that.
  assertEquals(world.gone, []);
});
