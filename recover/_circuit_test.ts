import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { madeUp } from "../tests/_failures.ts";
import { scale, seed } from "../tests/_require.ts";
import { Circuit, CLOSED, type Pass } from "./_circuit.ts";
import { consecutiveTally } from "./_tally.ts";
import { constant } from "./backoff.ts";

const COOL_DOWN = 1000;

Deno.test("a circuit lets in nobody while it is open and no more trials than it should after, whatever comes", () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant({ type: "enter" as const }) },
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant("end" as const),
        which: fc.nat(9),
        how: fc.constantFrom("succeeded" as const, "failed" as const, "left" as const),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("tick" as const), time: fc.integer({ min: 1, max: 1500 }) }),
    },
  );
  const seen = new Set<string>();
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 100, size: "max" }),
      fc.integer({ min: 1, max: 3 }),
      (steps, halfOpen) => {
        const circuit = new Circuit({
          tally: () => consecutiveTally(2),
          coolDown: constant(COOL_DOWN),
          halfOpen,
          random: () => 0,
        });
        const running: Pass[] = [];
        let now = 0;
        let opened = -Infinity;
        for (const step of steps) {
          const before = circuit.state.type;
          if (step.type === "tick") now += step.time;
          if (step.type === "enter") {
            const { pass, change } = circuit.enter(now);
            if (before === "closed") assert(pass === CLOSED && change === null);
            if (before === "open") assertEquals(pass !== null, now >= opened + COOL_DOWN);
            assertEquals(change, before === "open" && pass !== null ? "halfopen" : null);
            if (pass !== null) running.push(pass);
            const trials = running.filter((other) => other === pass && pass !== CLOSED);
            assert(trials.length <= halfOpen, `${trials.length} trials of ${halfOpen}`);
          }
          if (step.type === "end" && running.length > 0) {
            const [pass = CLOSED] = running.splice(step.which % running.length, 1);
            if (step.how === "left") circuit.left(pass);
            else {
              const change = step.how === "failed"
                ? circuit.failed(pass, now, madeUp("x"))
                : circuit.succeeded(pass, now);
              if (change === "open") opened = now;
              assertEquals(circuit.state.type === before, change === null);
            }
          }
          seen.add(circuit.state.type);
        }
      },
    ),
    { numRuns: scale(200), seed: seed() },
  );
  assertEquals([...seen].sort(), ["closed", "half-open", "open"], "all of it was seen");
});
