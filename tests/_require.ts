/** What a test needs from the machine, said once when it is not there, and how much of it is run. */

/** What a test cannot do without. */
export interface Requirements {
  /** User id 0, also the one of a user namespace. */
  readonly root?: boolean;
  /** Programs that must be installed. */
  readonly tools?: readonly string[];
  /** Network and mount namespaces of its own: the test may change both as it likes. */
  readonly netns?: boolean;
  /** The systems it can run on. */
  readonly os?: readonly (typeof Deno.build.os)[];
}

/** The Debian package of each program that a test asks for. */
const PACKAGES: Readonly<Record<string, string>> = {
  bash: "bash",
  conntrack: "conntrack",
  fish: "fish",
  gcc: "gcc libc6-dev",
  go: "golang-go",
  ip: "iproute2",
  ldconfig: "libc-bin",
  mosquitto: "mosquitto",
  mosquitto_pub: "mosquitto-clients",
  mosquitto_sub: "mosquitto-clients",
  mount: "mount",
  nft: "nftables",
  nginx: "nginx-light",
  node: "nodejs",
  npm: "npm",
  nsenter: "util-linux",
  openssl: "openssl",
  ping: "iputils-ping",
  prlimit: "util-linux",
  ps: "procps",
  script: "bsdutils",
  python3: "python3",
  "redis-cli": "redis-server",
  "redis-server": "redis-server",
  scp: "openssh-client",
  setpriv: "util-linux",
  socat: "socat",
  ss: "iproute2",
  ssh: "openssh-client",
  sshd: "openssh-server",
  "ssh-keygen": "openssh-client",
  strace: "strace",
  sysctl: "procps",
  "systemd-socket-activate": "systemd",
  tc: "iproute2",
  tmux: "tmux",
  turnserver: "coturn",
  unshare: "util-linux",
  wine: "wine wine64",
  "x86_64-w64-mingw32-gcc": "gcc-mingw-w64-x86-64-win32",
  zsh: "zsh",
};

const said = new Set<string>();

/**
 * Whether a test can run here: `Deno.test({ name, ...requires({ tools: ["ip"] }), fn })`.
 *
 * Each reason against it is printed once. With `HOLDFAST_REQUIRE=all` what is missing is an error instead; only the
 * operating system, which nobody can install, still is a reason to skip.
 *
 * @param what What the test needs.
 * @returns What to spread into the test's definition.
 */
export function requires(what: Requirements): { ignore: boolean } {
  if (what.os && !what.os.includes(Deno.build.os)) {
    say(`for ${what.os.join(", ")} only`);
    return { ignore: true };
  }
  const missing = [...missingOf(what)];
  if (missing.length === 0) return { ignore: false };
  const reason = `needs ${missing.join(", ")}`;
  if (Deno.env.get("HOLDFAST_REQUIRE") === "all") {
    throw new Error(`Cannot skip a test with HOLDFAST_REQUIRE=all: it ${reason}`);
  }
  say(reason);
  return { ignore: true };
}

function* missingOf(what: Requirements): Generator<string> {
  if (what.root && Deno.uid() !== 0) yield "root";
  if (what.netns && Deno.env.get("HOLDFAST_NETNS") !== "1") {
    yield "namespaces of its own (run it by: deno task test FILE)";
  }
  for (const tool of what.tools ?? []) {
    if (!isInstalled(tool)) yield `"${tool}" (Debian package ${PACKAGES[tool] ?? tool})`;
  }
}

/** `dev/test.ts` collects lines that begin like this. */
function say(reason: string): void {
  if (said.has(reason)) return;
  said.add(reason);
  console.log(`skipped: ${reason}`);
}

function isInstalled(tool: string): boolean {
  // Administrators' tools are there for others too, if not on their search path.
  return [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/sbin"].some((folder) => {
    try {
      const { isFile, mode } = Deno.statSync(`${folder}/${tool}`);
      return isFile && ((mode ?? 0) & 0o111) !== 0;
    } catch (error) {
      // A folder on the search path need not exist, nor be ours to look into.
      const { NotFound, NotADirectory, PermissionDenied } = Deno.errors;
      if ([NotFound, NotADirectory, PermissionDenied].some((kind) => error instanceof kind)) return false;
      throw error;
    }
  });
}

/**
 * How often something is done: `count` in the normal run, `full` in the soak run (`HOLDFAST_SCALE=10`), in proportion
 * between and beyond.
 *
 * @param count How often at scale 1.
 * @param full How often at scale 10.
 */
export function scale(count: number, full: number = count * 10): number {
  const factor = Number(Deno.env.get("HOLDFAST_SCALE") ?? 1);
  if (!(factor > 0)) throw new RangeError(`Cannot scale: HOLDFAST_SCALE must be above 0, got ${factor}`);
  const scaled = factor <= 1 ? count * factor : count + (full - count) * (factor - 1) / 9;
  return Math.max(1, Math.round(scaled));
}

/** The seed of all that is random in a test: `HOLDFAST_SEED`, else the same every time. */
export function seed(): number {
  const text = Deno.env.get("HOLDFAST_SEED") ?? "1";
  const number = Number(text);
  if (!Number.isInteger(number)) {
    throw new RangeError(`Cannot seed: HOLDFAST_SEED must be an integer, got "${text}"`);
  }
  return number;
}
