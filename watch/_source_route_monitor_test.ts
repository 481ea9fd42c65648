import { assertEquals, assertRejects } from "@std/assert";
import { HoldfastError } from "../internal/errors.ts";
import type { LineProcess } from "../internal/exec.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { readByIfconfig, type RunTool } from "./_read_ifconfig.ts";
import { openRouteMonitorSource, type RouteMonitorTools } from "./_source_route_monitor.ts";

function fixture(name: string): string {
  return Deno.readTextFileSync(new URL(`../tests/fixtures/darwin/${name}`, import.meta.url));
}

/** Tools that print what a Mac at home would; some of it replaced. */
function tools(replaced: Record<string, { code: number; stdout: string; stderr?: string }> = {}): RunTool {
  return (tool, args) => {
    const command = [tool, ...args].join(" ");
    const outputs: Record<string, string> = {
      "ifconfig -a -L -v": "ifconfig.txt",
      "route -n get 198.41.0.4": "route-get-4.txt",
      "route -n get -inet6 2001:503:ba3e::2:30": "route-get-6.txt",
      "netstat -rn": "netstat.txt",
      "scutil --dns": "scutil-dns.txt",
    };
    const name = outputs[command];
    if (name === undefined) throw new Error(`unexpected: ${command}`);
    return Promise.resolve({ code: 0, stdout: fixture(name), stderr: "", ...replaced[tool] });
  };
}

Deno.test("a reading is put together of what five tools say", async () => {
  const { interfaces, defaultRoute, gatewayMac, dns, blind } = await readByIfconfig(undefined, tools());
  assertEquals(interfaces.length, 7);
  assertEquals([defaultRoute.v4?.gateway, defaultRoute.v6?.gateway], ["192.168.1.1", "fe80::1"]);
  assertEquals(gatewayMac, { v4: "02:00:00:00:01:01", v6: "02:00:00:00:01:01" });
  assertEquals([dns?.servers, blind], [["192.168.1.1", "fe80::1%en0"], []]);
});

Deno.test("a route that says it knows no way is an answer", async () => {
  const stderr = "route: writing to routing socket: not in table\n";
  const reading = await readByIfconfig(undefined, tools({ route: { code: 1, stdout: "", stderr } }));
  assertEquals(reading.defaultRoute, { v4: null, v6: null });
});

Deno.test("an ifconfig that fails, or names nothing, is an error with its own words", async () => {
  const failed = {
    code: 1,
    stdout: fixture("ifconfig.txt"),
    stderr: "ifconfig: sysctl IFDATA_SUPPLEMENTAL\n",
  };
  const error = await assertRejects(
    () => readByIfconfig(undefined, tools({ ifconfig: failed })),
    HoldfastError,
  );
  assertEquals(error.message, "Cannot read the network by ifconfig: ifconfig: sysctl IFDATA_SUPPLEMENTAL");
  const silent = { code: 0, stdout: "" };
  await assertRejects(
    () => readByIfconfig(undefined, tools({ ifconfig: silent })),
    HoldfastError,
    "it named none",
  );
});

/** A monitor that says what the test says. */
class FakeMonitor {
  readonly clock = new FakeClock();
  readonly told: string[] = [];
  readonly #ended = Promise.withResolvers<number>();
  closed = 0;
  dnsClosed = 0;
  signal: AbortSignal | undefined;
  say: (line: string) => void = () => {};
  dnsChanged: () => void = () => {};

  readonly tools: RouteMonitorTools = {
    monitor: (onLine) => {
      this.say = (line) => onLine(line, "stdout");
      const process: LineProcess = {
        ended: this.#ended.promise,
        [Symbol.asyncDispose]: () => {
          this.closed++;
          return Promise.resolve();
        },
      };
      return process;
    },
    read: (signal) => {
      this.signal = signal;
      return readByIfconfig(signal, tools());
    },
    watchDns: (onChange) => {
      this.dnsChanged = onChange;
      return { [Symbol.dispose]: () => void this.dnsClosed++ };
    },
  };

  open(): ReturnType<typeof openRouteMonitorSource> {
    return openRouteMonitorSource(
      {
        hint: () => this.told.push(`hint ${this.clock.monotonic()}`),
        overflow: () => this.told.push("overflow"),
        failed: (error) => this.told.push((error as Error).message),
      },
      this.clock,
      this.tools,
    );
  }

  end(code: number): void {
    this.#ended.resolve(code);
  }

  break(error: Error): void {
    this.#ended.reject(error);
  }
}

Deno.test("the monitor's news are hints at once, and a while later for what it does not tell", async () => {
  const monitor = new FakeMonitor();
  const source = monitor.open();
  monitor.clock.tick(10_000);
  assertEquals(monitor.told.splice(0), ["hint 100", "hint 1000", "hint 5500"], "the first moments");
  for (const line of fixture("route-monitor.txt").split("\n").slice(0, 6)) monitor.say(line);
  monitor.clock.tick(10_000);
  assertEquals(monitor.told, [], "a failed look-up is no news");
  monitor.say("RTM_ADD: Add Route: len 148");
  monitor.clock.tick(50);
  monitor.say("RTM_ADD: Add Route: len 148");
  monitor.clock.tick(10_000);
  assertEquals(monitor.told, ["hint 20000", "hint 20050", "hint 20150", "hint 21050", "hint 25550"]);
  monitor.told.length = 0;
  monitor.dnsChanged();
  assertEquals(monitor.told, ["hint 30050"]);
  await source[Symbol.asyncDispose]();
});

Deno.test("closing ends the monitor, the watch of files, the timers and a reading under way", async () => {
  const monitor = new FakeMonitor();
  const source = monitor.open();
  assertEquals((await source.read()).interfaces.length, 7);
  await source[Symbol.asyncDispose]();
  assertEquals([monitor.closed, monitor.dnsClosed, monitor.clock.pending], [1, 1, 0]);
  assertEquals(monitor.signal?.aborted, true);
  monitor.end(137);
  await Promise.resolve();
  assertEquals(monitor.told, []);
});

Deno.test("a monitor that ends or breaks is told to whoever can replace the source", async () => {
  for (
    const [how, text] of [
      [
        (monitor: FakeMonitor) => monitor.end(1),
        "Cannot watch the network by route monitor: it ended with code 1",
      ],
      [(monitor: FakeMonitor) => monitor.break(new Error("no more")), "no more"],
    ] as const
  ) {
    const monitor = new FakeMonitor();
    const source = monitor.open();
    how(monitor);
    // What follows the end of a promise comes in the next turns of the queue.
    for (let turn = 0; turn < 3; turn++) await Promise.resolve();
    assertEquals(monitor.told, [text]);
    await source[Symbol.asyncDispose]();
  }
});
