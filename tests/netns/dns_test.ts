/** The resolver's configuration as each backend sees it, with an `/etc` and a `/run` of the test's own. */

import { type BackendName, snapshot } from "@holdfast/net/watch";
import { assertEquals } from "@std/assert";
import { requires } from "../_require.ts";
import { call, Observer } from "./_network.ts";

/** Replaces a file in one go, as the programs that manage it do. */
async function replace(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(`${path}.new`, text);
  await Deno.rename(`${path}.new`, path);
}

/** Makes a link, or lets one lead elsewhere, in one go. */
async function link(path: string, target: string): Promise<void> {
  await Deno.symlink(target, `${path}.new`);
  await Deno.rename(`${path}.new`, path);
}

function server(address: string): string {
  return `nameserver ${address}\nsearch example.net\n`;
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

const RESOLV = "/etc/resolv.conf";

interface Lab {
  readonly observer: Observer;
  /** Changes files, and waits until the watcher knows the servers. */
  step(servers: readonly string[], act: () => Promise<void>): Promise<void>;
  /** Changes files in a way that must not show. */
  quietly(what: string, act: () => Promise<void>): Promise<void>;
}

/** Mounts a directory of the test's own over another one, for as long as it is held. */
async function mounted(directory: string): Promise<AsyncDisposable> {
  // The namespace's own, so that it is gone with it even where the test is killed.
  const own = await Deno.makeTempDir({ dir: "/run", prefix: "holdfast-dns-" });
  // Without it some systems do not find the libraries of the programs that the test runs.
  await Deno.copyFile(`${directory}/ld.so.cache`, `${own}/ld.so.cache`).catch(unlessMissing);
  await call("mount", ["--bind", own, directory]);
  return {
    async [Symbol.asyncDispose]() {
      await call("umount", [directory]);
      await Deno.remove(own, { recursive: true });
    },
  };
}

/**
 * Runs a function where `/etc` and `/run` may be changed.
 *
 * @param prepare Makes the files that are there before the watcher is.
 */
async function inLab(
  backend: BackendName,
  prepare: () => Promise<void>,
  work: (lab: Lab) => Promise<void>,
): Promise<void> {
  await using _etc = await mounted("/etc");
  await using _run = await mounted("/run");
  await prepare();
  // So long an interval shows that what is seen is the files' change, not the next reading.
  await using observer = await Observer.open({ backend, pollInterval: 60_000, quiet: 75 });
  const agree = async (): Promise<void> => {
    for (const reader of [backend, "netlink", "ip-monitor"] as const) {
      assertEquals(
        (await snapshot({ backend: reader })).dns,
        observer.watcher.state.dns,
        `read by ${reader}`,
      );
    }
  };
  await agree();
  await work({
    observer,
    async step(servers, act) {
      const wanted = servers.join(",");
      const { net } = await observer.step(
        `servers ${wanted}`,
        act,
        ({ dns }) => (dns?.servers ?? []).join(",") === wanted,
      );
      assertEquals(net, [`dnschange ${wanted}`]);
      await agree();
    },
    quietly: (what, act) => observer.quietly(what, act),
  });
}

/** Writes the file as it is when a test begins. */
async function plain(): Promise<void> {
  await Deno.writeTextFile(RESOLV, server("10.0.0.53"));
}

for (const backend of ["netlink", "ip-monitor", "poll"] as const) {
  const test = (name: string, prepare: () => Promise<void>, work: (lab: Lab) => Promise<void>): void =>
    Deno.test({
      name: `${backend}: ${name}`,
      ...requires({ netns: true, tools: ["ip", "mount"] }),
      fn: () => inLab(backend, prepare, work),
    });

  test(
    "a resolv.conf that is replaced, written in place, removed and made again is followed",
    plain,
    async (lab) => {
      const { step, quietly } = lab;
      await step(["10.0.0.54"], () => replace(RESOLV, server("10.0.0.54")));
      await step(
        ["10.0.0.55", "2001:db8::53"],
        () => replace(RESOLV, server("10.0.0.55") + server("2001:db8::53")),
      );
      await step(["10.0.0.56"], () => Deno.writeTextFile(RESOLV, server("10.0.0.56")));
      await quietly("the same content", () => replace(RESOLV, `# touched\n${server("10.0.0.56")}`));
      await quietly("another file", () => replace("/etc/holdfast-test", server("10.0.0.99")));
      await step([], () => Deno.remove(RESOLV));
      await step(["10.0.0.57"], () => Deno.writeTextFile(RESOLV, server("10.0.0.57")));
    },
  );

  test(
    "a resolv.conf that is a link is followed when its target is replaced, and when the link is",
    async () => {
      await plain();
      await Deno.mkdir("/run/one");
      await Deno.mkdir("/run/two");
      await Deno.writeTextFile("/run/one/resolv.conf", server("10.1.0.1"));
      await Deno.writeTextFile("/run/two/other.conf", server("10.2.0.1"));
      await link(RESOLV, "../run/one/resolv.conf");
    },
    async ({ step, quietly }) => {
      await step(["10.1.0.2"], () => replace("/run/one/resolv.conf", server("10.1.0.2")));
      await step(["10.1.0.3"], () => replace("/run/one/resolv.conf", server("10.1.0.3")));
      await step(["10.2.0.1"], () => link(RESOLV, "/run/two/other.conf"));
      await step(["10.2.0.2"], () => replace("/run/two/other.conf", server("10.2.0.2")));
      await step(["10.2.0.3"], () => replace("/run/two/other.conf", server("10.2.0.3")));
      await quietly("the target of old", () => replace("/run/one/resolv.conf", server("10.1.0.9")));
      await step(["10.1.0.9"], () => link(RESOLV, "/run/one/resolv.conf"));
      await step(["10.0.0.60"], () => replace(RESOLV, server("10.0.0.60")));
    },
  );

  const stub = "/run/systemd/resolve/stub-resolv.conf";
  const real = "/run/systemd/resolve/resolv.conf";
  const resolved = async (): Promise<void> => {
    await Deno.mkdir("/run/systemd/resolve", { recursive: true });
    await Deno.writeTextFile(stub, server("127.0.0.53"));
    await Deno.writeTextFile(real, server("192.0.2.1"));
  };

  test(
    "behind the stub of systemd-resolved its own list of servers is followed",
    async () => {
      await plain();
      await resolved();
      await link(RESOLV, "../run/systemd/resolve/stub-resolv.conf");
    },
    async ({ step, quietly, observer }) => {
      assertEquals(observer.watcher.state.dns, { servers: ["192.0.2.1"], search: ["example.net"] });
      await step(["192.0.2.2"], () => replace(real, server("192.0.2.2")));
      await step(["192.0.2.3", "192.0.2.4"], () => replace(real, server("192.0.2.3") + server("192.0.2.4")));
      await quietly("the stub", () => replace(stub, server("127.0.0.54")));
      // Written by somebody who has no use for the stub any more.
      await step(["10.0.0.70"], () => replace(RESOLV, server("10.0.0.70")));
      await quietly("the list that nobody asks for", () => replace(real, server("192.0.2.9")));
    },
  );

  test("systemd-resolved that takes over while the watcher runs is followed", plain, async ({ step }) => {
    await step(["192.0.2.1"], async () => {
      await resolved();
      await link(RESOLV, stub);
    });
    await step(["192.0.2.2"], () => replace(real, server("192.0.2.2")));
    await step(["192.0.2.3"], () => replace(real, server("192.0.2.3")));
  });
}
