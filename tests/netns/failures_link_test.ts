/** Failures of the link: brought about, known by name, and healed. */

import { assert, assertEquals, assertInstanceOf, assertMatch } from "@std/assert";
import { classify } from "../../recover/classify.ts";
import { dial } from "../../recover/dial.ts";
import { DialError } from "../../recover/dial_error.ts";
import { dialMemory } from "../../recover/dial_memory.ts";
import {
  assertWaitsForNetwork,
  connectionsOf,
  echo,
  failing,
  hear,
  isPending,
  offline,
  provoke,
  socketsTo,
  thrown,
} from "./_provoke.ts";
import { ADDRESS } from "./_two_hosts.ts";

const { v4, v6 } = ADDRESS.server;

provoke(
  "no-default-route: plain code fails at once, retry() waits for the route and needs one attempt",
  async (scene) => {
    const { lab, far, network } = scene;
    const { port } = far;
    await lab.ip("client", "route delete default", `route delete default via ${ADDRESS.near.v6}`);
    await offline(network);

    const by4 = await thrown(Deno.connect({ hostname: v4, port }));
    assertInstanceOf(by4, Deno.errors.NetworkUnreachable);
    assertEquals(by4.code, "ENETUNREACH");
    const by6 = await thrown(Deno.connect({ hostname: v6, port }));
    const fetched = await thrown(fetch(`http://${v4}:${port}/`));
    assertEquals([fetched.name, fetched.message], ["TypeError", "fetch failed"]);
    assertMatch((fetched.cause as Error).message, /Network is unreachable \(os error 101\)/);
    for (const error of [by4, by6, fetched]) {
      // With the state of the network and without: the code alone tells.
      for (const state of [network.state, undefined]) {
        const { scenario, kind, retry } = classify(error, { network: state });
        assertEquals([scenario, kind, retry], ["no-default-route", "offline", "after-change"]);
      }
    }
    const byName = await thrown(Deno.connect({ hostname: "far.test", port }));
    assertMatch(byName.message, /Temporary failure in name resolution/);
    assertEquals(classify(byName, { network: network.state }).kind, "offline");

    const dialled = await thrown(dial(`${v4}:${port}`, { network, memory: dialMemory() }));
    assertInstanceOf(dialled, DialError);
    assertEquals(dialled.failure.scenario, "no-default-route");
    await assertWaitsForNetwork(
      scene,
      () => thrown(Deno.connect({ hostname: v4, port })),
      () => lab.routes(),
    );
  },
);

provoke(
  "link-down: an open connection says nothing and goes on later, retry() makes no attempt meanwhile",
  async (scene) => {
    const { lab, far, network } = scene;
    const { port } = far;
    using open = await Deno.connect({ hostname: v4, port });
    assertEquals(await echo(open, "before"), "before");
    await lab.ip("client", "link set vc down");
    await offline(network);

    const { error, elapsed } = await failing(() => Deno.connect({ hostname: v4, port }));
    assertEquals(error.code, "ENETUNREACH");
    const failure = classify(error, {
      operation: "connect",
      remoteAddress: v4,
      network: network.state,
      elapsed,
    });
    assertEquals([failure.scenario, failure.retry, failure.sent], ["link-down", "after-change", "no"]);
    await open.write(new TextEncoder().encode("into the void"));
    const reading = hear(open);

    await assertWaitsForNetwork(scene, async () => {
      await thrown(Deno.connect({ hostname: v4, port }));
      assert(await isPending(reading));
      assertEquals(await socketsTo(lab, port), ["ESTAB"]);
    }, async () => {
      await lab.ip("client", "link set vc up");
      await lab.ip("client", `route replace default via ${ADDRESS.near.v4}`);
    });
    assertEquals(await reading, "into the void", "the address came back, and so did the connection");
  },
);

provoke(
  "no-carrier: there are address and route, and yet nothing goes out until the carrier is back",
  async (scene) => {
    const { lab, far, network } = scene;
    const { port } = far;
    await lab.ip("router", "link set rc down");
    await offline(network);
    const vc = network.state.interfaces.find(({ name }) => name === "vc");
    assertEquals([vc?.up, vc?.running], [true, false]);
    assert(vc?.addresses.some(({ address }) => address === ADDRESS.client.v4));

    const { error, elapsed } = await failing(() => Deno.connect({ hostname: v4, port }));
    assert(["EHOSTUNREACH", "ETIMEDOUT"].includes(error.code ?? ""), String(error));
    assert(elapsed > 900, `it failed after ${elapsed} ms: not at once`);
    const failure = classify(error, {
      operation: "connect",
      remoteAddress: v4,
      network: network.state,
      elapsed,
    });
    assertEquals([failure.scenario, failure.kind, failure.retry], ["no-carrier", "offline", "after-change"]);
    await assertWaitsForNetwork(
      scene,
      () => connectionsOf(far),
      () => lab.ip("router", "link set rc up"),
    );
  },
);
