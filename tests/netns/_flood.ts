/** Addresses that come and go by the thousand, and what the kernel says of messages that nobody had room for. */

/** A generator of random numbers in [0, 1) that can be repeated (mulberry32). */
export function randomness(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The address of a number, out of 100.64.0.0/10. */
export function addressOf(n: number): string {
  return `100.${64 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
}

/**
 * The commands of a flood: addresses are added to an interface and deleted again, in random order.
 *
 * @param device The interface.
 * @param count How many addresses.
 * @param kept Those that stay, by number.
 * @param random Source of random numbers.
 */
export function floodCommands(
  device: string,
  count: number,
  kept: ReadonlySet<number>,
  random: () => number,
): readonly string[] {
  const commands: string[] = [];
  const standing: number[] = [];
  let next = 0;
  while (next < count || standing.length > 0) {
    if (next < count && (standing.length === 0 || random() < 0.6)) {
      commands.push(`address add ${addressOf(next)}/32 dev ${device}`);
      if (!kept.has(next)) standing.push(next);
      next++;
    } else {
      const [gone = 0] = standing.splice(Math.floor(random() * standing.length), 1);
      commands.push(`address delete ${addressOf(gone)}/32 dev ${device}`);
    }
  }
  return commands;
}

/**
 * Runs commands of `ip` while this thread does nothing else at all: no handler runs, no timer fires.
 *
 * @param commands The commands.
 * @param least How long the thread stands still at least, in milliseconds.
 */
export function runStandingStill(commands: readonly string[], least: number): void {
  const end = performance.now() + least;
  const file = Deno.makeTempFileSync({ prefix: "holdfast-flood-" });
  try {
    Deno.writeTextFileSync(file, `${commands.join("\n")}\n`);
    const { success, stderr } = new Deno.Command("ip", { args: ["-batch", file], stderr: "piped" })
      .outputSync();
    if (!success) throw new Error(`Cannot flood: ${new TextDecoder().decode(stderr)}`);
  } finally {
    Deno.removeSync(file);
  }
  const left = end - performance.now();
  if (left > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, left);
}

/** How many messages the kernel had to drop, over all sockets of this namespace that listen to the network's tables. */
export function drops(): number {
  let sum = 0;
  for (const line of Deno.readTextFileSync("/proc/net/netlink").split("\n").slice(1)) {
    const [, protocol, , groups = "0", , , , , dropped = "0"] = line.trim().split(/\s+/);
    if (protocol === "0" && parseInt(groups, 16) !== 0) sum += Number(dropped);
  }
  return sum;
}
