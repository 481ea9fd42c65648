import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { memoryStore, type Store } from "./store.ts";

async function entries(store: Store, prefix: string): Promise<(readonly [string, number[]])[]> {
  const found: (readonly [string, number[]])[] = [];
  for await (const [key, value] of store.list(prefix)) found.push([key, [...value]]);
  return found;
}

Deno.test("a store gives back what was set last, and undefined for what is not there", async () => {
  await using store = memoryStore();
  assertEquals(await store.get("a"), undefined);
  await store.set("a", new Uint8Array([1]));
  await store.set("a", new Uint8Array([2, 3]));
  await store.set("", new Uint8Array());
  assertEquals(await store.get("a"), new Uint8Array([2, 3]));
  assertEquals(await store.get(""), new Uint8Array());
  await store.delete("a");
  await store.delete("a");
  assertEquals(await store.get("a"), undefined);
});

Deno.test("list() gives the entries under a prefix in the order of their keys, by code unit", async () => {
  await using store = memoryStore();
  for (const [i, key] of ["b/2", "b/10", "a", "b/\u{1F600}", "b/\uFF5E", "b/B", "bb"].entries()) {
    await store.set(key, new Uint8Array([i]));
  }
  const keys = (await entries(store, "b/")).map(([key]) => key);
  assertEquals(keys, ["b/10", "b/2", "b/B", "b/\u{1F600}", "b/\uFF5E"]);
  assertEquals((await entries(store, "")).length, 7);
  assertEquals(await entries(store, "c"), []);
});

Deno.test("list() passes over what is deleted meanwhile, and does not trip over what is added", async () => {
  await using store = memoryStore();
  for (const key of ["1", "2", "3"]) await store.set(key, new Uint8Array());
  const seen: string[] = [];
  for await (const [key] of store.list("")) {
    seen.push(key);
    await store.delete("2");
    await store.set("4", new Uint8Array());
  }
  assertEquals(seen, ["1", "3"]);
});

Deno.test("a store keeps copies: a buffer changed later changes nothing, be it a Node buffer or a piece of one", async () => {
  await using store = memoryStore();
  const whole = new Uint8Array([1, 2, 3, 4]);
  const node = Buffer.from([5, 6]);
  await store.set("piece", whole.subarray(1, 3));
  await store.set("node", node);
  whole.fill(0);
  node.fill(0);
  const [taken] = await Promise.all([store.get("piece")]);
  assertEquals(taken, new Uint8Array([2, 3]));
  taken?.fill(9);
  for await (const [, value] of store.list("")) value.fill(9);
  assertEquals(await entries(store, ""), [["node", [5, 6]], ["piece", [2, 3]]]);
});

Deno.test("a memory store keeps nothing beyond its disposal", async () => {
  const store = memoryStore();
  await store.set("a", new Uint8Array([1]));
  await store[Symbol.asyncDispose]();
  assertEquals(await store.get("a"), undefined);
});
