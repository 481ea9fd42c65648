/** Sources that break while they are in use: another takes over, says so once, and nothing is missed. */

import type { BackendEvent } from "@holdfast/net/watch";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { acquireLibc, cString } from "../../internal/ffi/libc_linux.ts";
import { childrenOf, eventually } from "../_child.ts";
import { startCode } from "../_code.ts";
import { requires } from "../_require.ts";
import { assertAgreement } from "./_agreement.ts";
import { ip, Network, Observer } from "./_network.ts";

const needs = requires({ netns: true, tools: ["ip"] });

/** What was said of the backend. */
function backendEvents(observer: Observer): readonly BackendEvent[] {
  return observer.events.filter((event) => event.type === "backend");
}

/** The netlink descriptors of this process: those that listen to groups, or those that ask. */
function netlinkDescriptors(kind: "listening" | "asking"): readonly number[] {
  const inodes = Deno.readTextFileSync("/proc/net/netlink").split("\n").slice(1).flatMap((line) => {
    const [, protocol, , groups = "", , , , , , inode] = line.trim().split(/\s+/);
    return protocol === "0" && (parseInt(groups, 16) !== 0) === (kind === "listening")
      ? [`socket:[${inode}]`]
      : [];
  });
  return [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name)).filter((fd) => {
    try {
      return inodes.includes(Deno.readLinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false; // the descriptor of the listing itself
    }
  });
}

for (const kind of ["asking", "listening"] as const) {
  Deno.test({
    name: `netlink whose ${kind} socket is taken away opens another, says so once, and misses nothing`,
    ...needs,
    async fn() {
      await using network = await Network.make();
      await network.plug("wan0", "peer0");
      await ip("link set wan0 up");
      await using observer = await Observer.open({ backend: "auto" });
      const [fd = -1] = netlinkDescriptors(kind);
      replaceByNull(fd);
      await ip("address add 10.1.0.2/24 dev wan0");
      // Who has lost his ear hears nothing of it, and finds out with the next look.
      if (kind === "listening") observer.watcher.wake();
      await observer.until("the address", () => observer.events.some(({ type }) => type === "addressadd"));
      assertEquals(backendEvents(observer).map(({ backend, reason }) => [backend, reason]), [[
        "netlink",
        "recovered",
      ]]);
      assertMatch(backendEvents(observer)[0]?.detail ?? "", /netlink/);
      assertMatch(String(observer.watcher.report.lastError), /^HoldfastError: Cannot .* netlink/);
      await ip("route add default via 10.1.0.1");
      await observer.until("the route", () => observer.watcher.state.online);
      await assertAgreement(observer);
      assertEquals(backendEvents(observer).length, 1);
    },
  });
}

Deno.test({
  name: "ip-monitor whose tool is killed starts it anew, says so once each time, and misses nothing",
  ...needs,
  async fn() {
    await using network = await Network.make();
    await network.plug("wan0", "peer0");
    await ip("link set wan0 up");
    await using observer = await Observer.open({ backend: "ip-monitor" });
    for (const round of [1, 2, 3]) {
      const tools = childrenOf(Deno.pid);
      assertEquals(tools.map(({ name }) => name), ["ip"]);
      for (const { pid } of tools) Deno.kill(pid, "SIGKILL");
      // While nobody listens.
      await ip(`address add 10.1.0.${round}/24 dev wan0`);
      await observer.until(
        `round ${round}: the new start, and the address`,
        () =>
          backendEvents(observer).length >= round &&
          observer.events.some((event) => event.type === "addressadd" && event.address === `10.1.0.${round}`),
      );
      await assertAgreement(observer);
    }
    const told = backendEvents(observer).map(({ backend, reason }) => [backend, reason]);
    assertEquals(told, Array.from({ length: 3 }, () => ["ip-monitor", "recovered"]));
    assertStringIncludes(String(observer.watcher.report.lastError), "ended with code 137");
  },
});

/**
 * Puts `/dev/null` in the place of a descriptor. Were it closed only, the next thing to be opened would get its number,
 * and lose it to its former owner in the end.
 */
function replaceByNull(fd: number): void {
  const F_DUPFD = 0;
  using libc = acquireLibc();
  const silence = libc.check(libc.call.open(cString("/dev/null"), 0, 0), "open /dev/null");
  libc.check(libc.call.close(fd), "close a descriptor of somebody else");
  assertEquals(libc.call.fcntl(silence, F_DUPFD, fd), fd);
  libc.call.close(silence);
}

/** A folder with an `ip` in it that works, or one that fails whatever it is asked. */
class ToolFolder implements Disposable {
  readonly path: string = Deno.makeTempDirSync({ prefix: "holdfast-tools-" });
  readonly #tool = `${this.path}/ip`;
  readonly #real: string;

  constructor() {
    const found = ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"].find((path) => {
      try {
        return Deno.statSync(path).isFile;
      } catch {
        return false; // not there
      }
    });
    this.#real = found ?? "";
    assert(this.#real);
  }

  works(): void {
    this.#write(`exec ${this.#real} "$@"`);
  }

  fails(): void {
    this.#write(`echo "out of order" >&2; exit 1`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }

  #write(script: string): void {
    // Renamed into place: a file that is written to cannot be run.
    Deno.writeTextFileSync(`${this.#tool}.new`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    Deno.renameSync(`${this.#tool}.new`, this.#tool);
  }
}

Deno.test({
  name:
    "auto starts without a better way that is out of order, takes it when it works, and falls back when it fails",
  ...needs,
  async fn() {
    await using network = await Network.make();
    await network.plug("wan0", "peer0");
    await ip("link set wan0 up");
    using tools = new ToolFolder();
    tools.fails();
    await using code = startCode(
      `
      import { watchNetwork } from "#/watch/mod.ts";
      const watcher = await watchNetwork({ pollInterval: 100 });
      const { backend, reader, passedOver } = watcher.report;
      console.log("begins with", backend, reader, passedOver.map(({ backend, reason }) => backend + ": " + reason).join("; "));
      let changes = 0;
      for await (const event of watcher.events) {
        if (event.type === "backend") {
          const { passedOver } = watcher.report;
          console.log(++changes, event.reason, watcher.backend, passedOver.map(({ backend }) => backend).join() + ":", event.detail);
        } else if (event.type === "addressadd") {
          console.log("saw", event.address, "by", watcher.backend);
          if (event.address === "10.1.0.9") break;
        }
      }
    `,
      {
        flags: ["--allow-run=ip", "--allow-sys=networkInterfaces"],
        env: { PATH: `${tools.path}:${Deno.env.get("PATH")}` },
      },
    );
    await code.said("begins with poll interfaces netlink: Cannot open the C library: permission missing");
    await ip("address add 10.1.0.1/24 dev wan0");
    await code.said("saw 10.1.0.1 by poll");
    tools.works();
    await code.said('1 recovered ip-monitor netlink: "ip-monitor" works again');
    await ip("address add 10.1.0.2/24 dev wan0");
    await code.said("saw 10.1.0.2 by ip-monitor");
    tools.fails();
    // A reading may have failed already, and the monitor been ended for that.
    for (const { pid } of childrenOf(code.pid)) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    await code.said("2 fallback poll netlink,ip-monitor:");
    await eventually("the end of the tool", () => childrenOf(code.pid).length === 0);
    await ip("address add 10.1.0.3/24 dev wan0");
    await code.said("saw 10.1.0.3 by poll");
    tools.works();
    await code.said('3 recovered ip-monitor netlink: "ip-monitor" works again');
    await ip("address add 10.1.0.9/24 dev wan0");
    const { code: exit, stdout, stderr } = await code.result;
    assertEquals([exit, stderr], [0, ""]);
    const said = stdout.split("\n").filter((line) => /^\d+ (recovered|fallback)/.test(line));
    assertEquals(said.length, 3, stdout);
  },
});
