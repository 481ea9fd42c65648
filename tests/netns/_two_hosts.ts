/** Two hosts with a router between them: the test itself is the client, router and server lie in namespaces of their own. */

import type { FarCommand, FarOptions, FarState } from "./_far_server.ts";
import { call, ip, Network } from "./_network.ts";

/** The addresses of everybody. */
export const ADDRESS = {
  client: { v4: "10.9.1.2", v6: "fd09:1::2" },
  /** The router, as the client and as the server see it. */
  near: { v4: "10.9.1.1", v6: "fd09:1::1" },
  far: { v4: "10.9.2.1", v6: "fd09:2::1" },
  server: { v4: "10.9.2.2", v6: "fd09:2::2" },
} as const;

/** Who is who: `client` is the test's own namespace, with the interface `vc`; the router has `rc` and `rs`, the server `vs`. */
export type Host = "client" | "router" | "server";

const TUNING: Readonly<Record<Host, readonly string[]>> = {
  client: ["net.ipv4.tcp_syn_retries=1", "net.ipv4.tcp_retries2=5"],
  router: ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.icmp_ratelimit=0"],
  server: [],
};

/** Servers on the server's side. */
export interface Far {
  /** The port for connections. */
  readonly port: number;
  /** Tells them something, and learns what has happened there. */
  tell(command: FarCommand): Promise<FarState>;
  /** Ends the process as `kill -9` does. */
  kill(): Promise<void>;
}

/** A program in a host's namespace that writes a line of JSON for each that it reads. */
export interface Program extends AsyncDisposable {
  /** Sends a line, and gives back what the program answers. */
  ask<T>(line: unknown): Promise<T>;
  /** What it said when it was ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Its process number. */
  readonly pid: number;
  /** Ends it as the kernel does, without a word. */
  kill(): Promise<void>;
}

/** The laboratory. */
export class TwoHosts implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();

  /** Makes the hosts, connects them, and gives them addresses and routes of both families. */
  static async make(): Promise<TwoHosts> {
    const hosts = new TwoHosts();
    try {
      await hosts.#build();
      return hosts;
    } catch (error) {
      await hosts[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #build(): Promise<void> {
    const network = this.#stack.use(await Network.make());
    const router = await network.namespace("router");
    const server = await network.namespace("server");
    await ip(
      "link add vc type veth peer name rc netns router",
      `address add ${ADDRESS.client.v4}/24 dev vc`,
      `address add ${ADDRESS.client.v6}/64 dev vc nodad`,
    );
    await router(
      "link set lo up",
      "link add rs type veth peer name vs netns server",
      `address add ${ADDRESS.near.v4}/24 dev rc`,
      `address add ${ADDRESS.near.v6}/64 dev rc nodad`,
      `address add ${ADDRESS.far.v4}/24 dev rs`,
      `address add ${ADDRESS.far.v6}/64 dev rs nodad`,
      "link set rc up",
      "link set rs up",
    );
    await server(
      "link set lo up",
      `address add ${ADDRESS.server.v4}/24 dev vs`,
      `address add ${ADDRESS.server.v6}/64 dev vs nodad`,
      "link set vs up",
      `route add default via ${ADDRESS.far.v4}`,
      `route add default via ${ADDRESS.far.v6}`,
    );
    await ip("link set vc up");
    await this.routes();
    for (const [host, settings] of Object.entries(TUNING)) {
      if (settings.length > 0) await this.run(host as Host, "sysctl", "-qw", ...settings);
    }
  }

  /** Gives the client its default routes, again after a test took them away. */
  async routes(): Promise<void> {
    await ip(
      `route replace default via ${ADDRESS.near.v4}`,
      `route replace default via ${ADDRESS.near.v6}`,
    );
  }

  /** Runs a program on a host, and returns what it wrote. */
  run(host: Host, program: string, ...args: readonly string[]): Promise<string> {
    return host === "client" ? call(program, args) : call("ip", ["netns", "exec", host, program, ...args]);
  }

  /** Runs commands of `ip` on a host. */
  async ip(host: Host, ...commands: readonly string[]): Promise<void> {
    const where = host === "client" ? [] : ["-n", host];
    await call("ip", [...where, "-batch", "-"], `${commands.join("\n")}\n`);
  }

  /**
   * Filters packets on a host: a rule of nftables for each text, for example `tcp dport 80 drop`.
   *
   * @returns Takes the rules away again.
   */
  async filter(
    host: Host,
    hook: "input" | "forward" | "output",
    ...rules: readonly string[]
  ): Promise<AsyncDisposable & { heal(): Promise<void> }> {
    const name = `lab${++this.#tables}`;
    const lines = [
      `add table inet ${name}`,
      `add chain inet ${name} chain0 { type filter hook ${hook} priority 0; }`,
      ...rules.map((rule) => `add rule inet ${name} chain0 ${rule}`),
    ];
    const nft = (text: string): Promise<string> =>
      host === "client"
        ? call("nft", ["-f", "-"], text)
        : call("ip", ["netns", "exec", host, "nft", "-f", "-"], text);
    await nft(`${lines.join("\n")}\n`);
    let there = true;
    const heal = async (): Promise<void> => {
      if (there) await nft(`delete table inet ${name}\n`);
      there = false;
    };
    return { heal, [Symbol.asyncDispose]: heal };
  }

  #tables = 0;

  /** Everything that passes the router vanishes; the ends notice nothing. */
  silence(): Promise<AsyncDisposable & { heal(): Promise<void> }> {
    return this.filter("router", "forward", "drop");
  }

  /**
   * Starts a script of this folder on a host; it writes one line of JSON when it is ready, and one for each that it is
   * asked. It ends with the laboratory.
   */
  async start(host: Host, script: string, ...args: readonly string[]): Promise<Program> {
    const deno = [
      Deno.execPath(),
      "run",
      "-A",
      "--unstable-net",
      "--no-lock",
      new URL(script, import.meta.url).href,
      ...args,
    ];
    const [command = "", ...rest] = host === "client" ? deno : ["ip", "netns", "exec", host, ...deno];
    const child = new Deno.Command(command, { args: rest, stdin: "piped", stdout: "piped" }).spawn();
    return this.#stack.use(await talk(child));
  }

  /**
   * Starts servers at the server's IPv4 address (or where their options say); a name server there is the one that the
   * client asks.
   */
  async serve({ fault, dns }: FarOptions): Promise<Far> {
    const hostname = ADDRESS.server.v4;
    const options = {
      ...(fault ? { fault: { hostname, ...fault } } : {}),
      ...(dns ? { dns: { hostname, port: 53, ...dns } } : {}),
    };
    const program = await this.start("server", "_far_server.ts", JSON.stringify(options));
    if (dns) await this.changeNameserver(dns.hostname ?? hostname);
    return {
      port: Number(program.ready["port"]),
      tell: (command) => program.ask<FarState>(command),
      kill: program.kill,
    };
  }

  /** Makes the client ask a name server, and answers what is in `/etc/hosts` with no more than `localhost`. */
  async nameserver(address: string, options: string = "timeout:1 attempts:1"): Promise<void> {
    const folder = await Deno.makeTempDir({ dir: "/run", prefix: "holdfast-names-" });
    const files = {
      "resolv.conf": address === "" ? "" : `nameserver ${address}\noptions ${options}\n`,
      hosts: "127.0.0.1 localhost\n::1 localhost\n",
      "nsswitch.conf": "hosts: files dns\n",
    };
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
      await call("mount", ["--bind", `${folder}/${name}`, await realFile(`/etc/${name}`)]);
      this.#stack.defer(async () => void await call("umount", [await realFile(`/etc/${name}`)]));
    }
    this.#resolv = `${folder}/resolv.conf`;
  }

  #resolv: string | undefined;

  /** Lets the client ask another one. */
  async changeNameserver(address: string, options: string = "timeout:1 attempts:1"): Promise<void> {
    if (this.#resolv === undefined) return await this.nameserver(address, options);
    await Deno.writeTextFile(
      this.#resolv,
      address === "" ? "" : `nameserver ${address}\noptions ${options}\n`,
    );
  }

  /** Ends all programs, takes the rules and interfaces away. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** A file to mount over: a link is followed, and what is missing is made. */
async function realFile(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    await Deno.writeTextFile(path, "");
    return path;
  }
}

async function talk(child: Deno.ChildProcess): Promise<Program> {
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).values();
  const writer = child.stdin.getWriter();
  let rest = "";
  const read = async (): Promise<Readonly<Record<string, unknown>>> => {
    while (!rest.includes("\n")) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`Cannot go on: the program has ended after ${JSON.stringify(rest)}`);
      rest += value;
    }
    const at = rest.indexOf("\n");
    const line = rest.slice(0, at);
    rest = rest.slice(at + 1);
    return JSON.parse(line);
  };
  let alive = true;
  const kill = async (): Promise<void> => {
    if (!alive) return;
    alive = false;
    child.kill("SIGKILL");
    await child.status;
    await lines.return?.();
    await writer.abort().catch(() => {});
  };
  try {
    const ready = await read();
    return {
      ready,
      pid: child.pid,
      async ask<T>(line: unknown): Promise<T> {
        await writer.write(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
        return await read() as T;
      },
      kill,
      [Symbol.asyncDispose]: kill,
    };
  } catch (error) {
    await kill();
    throw error;
  }
}
