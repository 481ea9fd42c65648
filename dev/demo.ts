/**
 * The demonstration: `deno task demo`. It makes a network of its own in fresh namespaces, has `holdfast watch` look at it,
 * and changes it step by step: what is announced above is what the watcher then names. Nothing of the machine's own
 * network is touched.
 *
 * @module
 */

import { fileSystemPath, ROOT } from "./_files.ts";
import { findNamespaces } from "./_namespace.ts";

/** A change, and the event that shows that the watcher saw it. */
interface Step {
  readonly says: string;
  readonly change: () => Promise<void>;
  readonly shows: (line: Line) => boolean;
}

/** A line of `holdfast watch --json`. */
type Line = Readonly<Record<string, unknown>>;

/** How long an event may take to appear, in milliseconds; duplicate address detection alone takes one to two seconds. */
const PATIENCE = 10_000;
/** How long a person is given to read what a step brought, in milliseconds. */
const READING_TIME = 1200;
/** How long the real network is followed where there are no namespaces, in milliseconds. */
const REAL_TIME = 20_000;

const HERE = fileSystemPath(ROOT);

function holdfast(...args: readonly string[]): string[] {
  return [Deno.execPath(), "run", "--no-prompt", "-A", `${HERE}/cli/main.ts`, ...args];
}

function start(command: readonly string[], stdout: "inherit" | "piped"): Deno.ChildProcess {
  const [program = "", ...args] = command;
  return new Deno.Command(program, { args, stdin: "null", stdout, stderr: "inherit" }).spawn();
}

async function call(program: string, ...args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args], stdout: "null" }).output();
  if (!success) {
    throw new Error(`Cannot ${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  }
}

function ip(line: string): Promise<void> {
  return call("ip", ...line.split(" "));
}

const STEPS: readonly Step[] = [
  {
    says: "A network card is plugged in, with a cable in it",
    async change() {
      await ip("link add lan0 type veth peer name far0 netns router");
      await ip("-n router address add 10.77.0.1/24 dev far0");
      await ip("-n router address add 10.77.0.254/24 dev far0");
      await ip("-n router link set far0 up");
      await ip("link set lan0 up");
    },
    shows: (line) =>
      line["interface"] === "lan0" &&
      JSON.stringify(line["to"] ?? line["details"]).includes('"running":true'),
  },
  {
    says: "It gets an IPv4 address",
    change: () => ip("address add 10.77.0.2/24 dev lan0"),
    shows: (line) => line["type"] === "addressadd" && line["address"] === "10.77.0.2",
  },
  {
    says: "A default route: the machine is online",
    change: () => ip("route add default via 10.77.0.1"),
    shows: (line) => line["type"] === "online" && line["family"] === 4,
  },
  {
    says: "Another gateway takes over",
    change: () => ip("route replace default via 10.77.0.254"),
    shows: (line) => line["type"] === "gatewaychange" && JSON.stringify(line["to"]).includes("10.77.0.254"),
  },
  {
    says: "An IPv6 address comes: it counts only when nobody else turns out to have it",
    change: () => ip("-6 address add 2001:db8:77::2/64 dev lan0"),
    shows: (line) => line["type"] === "addresschange" && line["address"] === "2001:db8:77::2",
  },
  {
    says: "Another name server",
    change: () => writeResolvConf("10.77.0.254"),
    shows: (line) => line["type"] === "dnschange",
  },
  {
    says: "The cable is pulled at the other end",
    change: () => ip("-n router link set far0 down"),
    shows: (line) => line["type"] === "offline" && line["family"] === 4,
  },
  {
    says: "And plugged in again",
    change: () => ip("-n router link set far0 up"),
    shows: (line) => line["type"] === "online" && line["family"] === 4,
  },
  {
    says: "The network hands out another address: connections on the old one are dead",
    async change() {
      await ip("address delete 10.77.0.2/24 dev lan0");
      await ip("address add 10.77.0.9/24 dev lan0");
      await ip("route add default via 10.77.0.254");
    },
    shows: (line) => line["type"] === "change" && line["major"] === "required",
  },
];

/** Replaces the file in one go, as the programs that manage it do. */
async function writeResolvConf(server: string): Promise<void> {
  await Deno.writeTextFile("/etc/resolv.conf.new", `nameserver ${server}\n`);
  await Deno.rename("/etc/resolv.conf.new", "/etc/resolv.conf");
}

/** Puts a copy of `/etc` over the real one, for this mount namespace only, so that its files can be replaced. */
async function ownEtc(): Promise<void> {
  // `/run` is a file system of the namespace's own, gone with it.
  const copy = "/run/etc";
  await Deno.mkdir(copy);
  // Without root some files cannot be read, and none of those is needed here; so its exit code says nothing.
  await new Deno.Command("cp", { args: ["-a", "/etc/.", copy], stdout: "null", stderr: "null" }).output();
  await call("mount", "--bind", copy, "/etc");
  await writeResolvConf("10.77.0.1");
}

/** Reads the lines of the watcher that the steps are paced by. */
class Lines {
  readonly #waiting = new Set<(line: Line) => void>();
  /** How many single events there were. */
  events = 0;

  async read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line));
    }
  }

  #take(line: Line): void {
    if (line["type"] !== "state" && line["type"] !== "change") this.events++;
    for (const waiting of this.#waiting) waiting(line);
  }

  /** Waits for a line. */
  next(shows: (line: Line) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(waiting);
      };
      const waiting = (line: Line): void => {
        if (!shows(line)) return;
        done();
        resolve();
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`the watcher did not show it within ${PATIENCE / 1000} s`));
      }, PATIENCE);
      this.#waiting.add(waiting);
    });
  }
}

function announce(text: string): void {
  const colors = !Deno.noColor && Deno.stdout.isTerminal();
  console.log(colors ? `\n\x1b[1m=> ${text}\x1b[0m` : `\n=> ${text}`);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Ends a watcher the way a person does, and waits for it. */
async function interrupt(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGINT");
  } catch (error) {
    // It has ended already; its status tells.
    if (!(error instanceof TypeError)) throw error;
  }
  await child.status;
}

/** The show itself, within the namespaces. */
async function inside(): Promise<number> {
  await ip("netns add router");
  await ownEtc();
  const lines = new Lines();
  const pacer = start(holdfast("watch", "--json"), "piped");
  const reading = lines.read(pacer.stdout);
  let shown: Deno.ChildProcess | undefined;
  try {
    await lines.next((line) => line["type"] === "state");
    announce("A machine without any network. This is what `holdfast watch` shows:");
    shown = start(holdfast("watch"), "inherit");
    await pause(READING_TIME);
    for (const [at, { says, change, shows }] of STEPS.entries()) {
      announce(`${at + 1}/${STEPS.length} ${says}`);
      const seen = lines.next(shows);
      await Promise.all([seen, change()]);
      await pause(READING_TIME);
    }
  } catch (error) {
    console.error(`\nCannot go on with the demonstration: ${error instanceof Error ? error.message : error}`);
    return 1;
  } finally {
    if (shown) await interrupt(shown);
    await interrupt(pacer);
    await reading;
  }
  announce(`${STEPS.length} changes made, all of them seen, told in ${lines.events} events.`);
  return 0;
}

/** What is left without namespaces: the network as it is. */
async function real(why: string): Promise<number> {
  console.log(`The demonstration makes a network of its own, and cannot do so here: ${why}.`);
  announce(
    `So this is the real network of this machine, and its changes for ${REAL_TIME / 1000} seconds: ` +
      "unplug something, switch the Wi-Fi off and on.",
  );
  const watcher = start(holdfast("watch"), "inherit");
  const early = await Promise.race([watcher.status, pause(REAL_TIME)]);
  await interrupt(watcher);
  if (early) return early.code || 1;
  announce("That was it.");
  return 0;
}

async function hasTools(): Promise<string | undefined> {
  try {
    await call("ip", "-V");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return "the program ip is missing (Debian package iproute2)";
  }
}

async function main(): Promise<number> {
  if (Deno.args.includes("--inside")) return await inside();
  const namespaces = await findNamespaces();
  const why = namespaces.works ? await hasTools() : namespaces.why;
  if (!namespaces.works || why !== undefined) return await real(why ?? "");
  // Downloads first: in the namespace there is no way out.
  const cached = await start([Deno.execPath(), "cache", `${HERE}/cli/main.ts`], "inherit").status;
  if (!cached.success) return cached.code;
  const command = namespaces.wrap([
    Deno.execPath(),
    "run",
    "--no-prompt",
    "-A",
    `${HERE}/dev/demo.ts`,
    "--inside",
  ]);
  return (await start(command, "inherit").status).code;
}

if (import.meta.main) Deno.exit(await main());
