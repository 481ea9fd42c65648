/** What it costs to hand sockets over, beside Python's and Node's own ways, and what they are good for afterwards. */

import { POLLIN, POLLOUT, whenReady } from "../internal/ffi/descriptor_poll.ts";
import { EAGAIN, sendMessage } from "../internal/ffi/socket_messages.ts";
import { needCalls } from "../pipes/push/_descriptor_calls.ts";
import { listenPath } from "../pipes/push/_scm_socket.ts";
import { type PushChannel, pushTo } from "../pipes/push/push.ts";
import { type Figure, figure, median } from "./_figure.ts";

const local = { hostname: "127.0.0.1", port: 0 } as const;
const here = (name: string): string => new URL(name, import.meta.url).pathname;
const MIB = 1024 * 1024;

/** Another process, and what it says first. */
interface Far<T> extends AsyncDisposable {
  readonly said: T;
}

async function far<T>(...args: readonly string[]): Promise<Far<T>> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", here("_push_far.ts"), ...args],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const said = JSON.parse(new TextDecoder().decode((await reader.read()).value)) as T;
  return {
    said,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}

/**
 * Measures all of it.
 *
 * @param rounds How often each variant runs.
 */
export async function pushes(rounds: number): Promise<Figure[]> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-bench-" });
  try {
    const path = `${directory}/sink`;
    await using sink = await far<{ native: number; served: number }>("sink", path);
    await using channel = await pushTo(path);
    return [
      ...await bare(directory, rounds),
      ...await adopted(channel, rounds),
      ...await throughput(channel, sink.said.native, rounds),
      ...await http(channel, sink.said.served, rounds),
      ...await fronts(path, sink.said.native, rounds),
    ];
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** One descriptor after the other, and nothing said about it: this runtime beside Python. */
async function bare(directory: string, rounds: number): Promise<Figure[]> {
  const count = 20_000;
  const time: Record<"deno" | "python" | "control", number[]> = { deno: [], python: [], control: [] };
  for (let round = -1; round < rounds; round++) {
    for (const name of ["python", "deno", "control"] as const) {
      const seconds = name === "deno" ? await bareDeno(`${directory}/raw`, count) : await barePython(count);
      if (round >= 0) time[name].push(seconds);
    }
  }
  const rate = (name: keyof typeof time): string => `${(count / median(time[name])).toFixed(0)}/s`;
  return [
    figure(
      "push: bare descriptors, Python / Deno",
      median(time.deno) / median(time.python),
      "x",
      1,
      rounds,
      `${rate("deno")}, Python ${rate("python")}`,
    ),
    figure(
      "push: bare descriptors, control",
      median(time.control) / median(time.python),
      "x",
      null,
      rounds,
      rate("control"),
    ),
  ];
}

async function barePython(count: number): Promise<number> {
  const { stdout } = await new Deno.Command("python3", { args: [here("_push_raw.py"), String(count)] })
    .output();
  return Number(new TextDecoder().decode(stdout));
}

async function bareDeno(path: string, count: number): Promise<number> {
  using calls = needCalls("measure");
  const listener = listenPath(calls, path, undefined);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", here("_push_far.ts"), "raw", path, String(count)],
  }).spawn();
  const ready = (fd: number, events: number): Promise<void> =>
    new Promise((resolve) => void whenReady(fd, events, () => resolve()));
  await ready(listener, POLLIN);
  const fd = calls.call.accept4(listener, null, null, 0x800);
  const passed = calls.call.socket(2, 1, 0);
  const byte = new Uint8Array(1);
  const began = performance.now();
  for (let sent = 0; sent < count;) {
    const result = sendMessage(calls, fd, byte, [passed]);
    if (result === -EAGAIN || result === -109) await ready(fd, POLLOUT);
    else sent++;
  }
  await ready(fd, POLLIN);
  const seconds = (performance.now() - began) / 1000;
  for (const open of [passed, fd, listener]) calls.call.close(open);
  await child.status;
  return seconds;
}

/** Connections that become pipes of the other process, beside child.send() of Node and of this runtime. */
async function adopted(channel: PushChannel, rounds: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const atOnce of [64, 1]) {
    const count = 400;
    const time: Record<"ours" | "Node" | "Deno", number[]> = { ours: [], Node: [], Deno: [] };
    for (let round = -1; round < Math.max(2, rounds / 2); round++) {
      for (const name of ["ours", "Node", "Deno"] as const) {
        const seconds = name === "ours"
          ? await pushAll(channel, count, atOnce)
          : await childSend(name, count, atOnce);
        if (round >= 0) time[name].push(seconds);
      }
    }
    for (const name of ["Node", "Deno"] as const) {
      const [ours, theirs] = [median(time.ours), median(time[name])];
      const each = (seconds: number): string => `${(seconds / count * 1e6).toFixed(0)} us each`;
      figures.push(figure(
        `push: adopted connections, ${atOnce} at a time, time beside child.send() of ${name}`,
        ours / theirs,
        "x",
        atOnce === 1 ? 0.5 : 0.1,
        time.ours.length,
        `${each(ours)}, ${each(theirs)}`,
      ));
    }
  }
  return figures;
}

async function pushAll(channel: PushChannel, count: number, atOnce: number): Promise<number> {
  using listener = Deno.listen(local);
  const clients: Deno.Conn[] = [];
  const conns: Deno.TcpConn[] = [];
  for (let n = 0; n < count; n++) {
    clients.push(await Deno.connect({ ...local, port: listener.addr.port }));
    conns.push(await listener.accept());
  }
  const began = performance.now();
  const work = async (): Promise<void> => {
    for (let conn = conns.pop(); conn; conn = conns.pop()) await channel.push(conn, { metadata: "count" });
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  const seconds = (performance.now() - began) / 1000;
  for (const client of clients) client.close();
  return seconds;
}

async function childSend(by: "Node" | "Deno", count: number, atOnce: number): Promise<number> {
  const args = [here("_push_child_send.cjs"), String(count), String(atOnce)];
  const command = by === "Node"
    ? new Deno.Command("node", { args })
    : new Deno.Command(Deno.execPath(), { args: ["run", "-A", ...args] });
  const { stdout, stderr } = await command.output();
  const said = new TextDecoder().decode(stdout);
  if (said === "") throw new Error(`Cannot measure: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(said).seconds;
}

/** Sends so much, and waits until it is counted. */
async function stream(conn: Deno.Conn, bytes: number): Promise<number> {
  const chunk = new Uint8Array(64 * 1024);
  const began = performance.now();
  for (let sent = 0; sent < bytes;) sent += await conn.write(chunk);
  await conn.closeWrite();
  await conn.read(new Uint8Array(1));
  conn.close();
  return performance.now() - began;
}

async function throughput(channel: PushChannel, native: number, rounds: number): Promise<Figure[]> {
  const time: Record<"native" | "pushed" | "control", number[]> = { native: [], pushed: [], control: [] };
  const names = ["native", "pushed", "control"] as const;
  for (let round = -1; round < rounds * 2; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      using listener = Deno.listen(local);
      const port = name === "pushed" ? listener.addr.port : native;
      const client = await Deno.connect({ ...local, port });
      if (name === "pushed") await channel.push(await listener.accept());
      const took = await stream(client, 128 * MIB);
      if (round >= 0) time[name].push(took);
    }
  }
  const speed = (name: keyof typeof time): string => `${(128e3 / median(time[name])).toFixed(0)} MiB/s`;
  const of = (name: keyof typeof time): number => median(time[name]) / median(time.native);
  return [
    figure(
      "push: stream over an adopted connection / native",
      of("pushed"),
      "x",
      1.1,
      rounds * 2,
      `${speed("pushed")}, ${speed("native")}`,
    ),
    figure("push: stream, control", of("control"), "x", null, rounds * 2, speed("control")),
  ];
}

/** Requests on connections that stay open, one after the other on each of 16. */
async function requests(port: number, milliseconds: number): Promise<number> {
  const request = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const until = performance.now() + milliseconds;
  const one = async (): Promise<number> => {
    using conn = await Deno.connect({ ...local, port });
    const answer = new Uint8Array(4096);
    let count = 0;
    for (; performance.now() < until; count++) {
      await conn.write(request);
      // "hello" is the end of each answer.
      for (let size = 0; answer[size - 1] !== 0x6f;) size += await conn.read(answer.subarray(size)) ?? NaN;
      answer.fill(0);
    }
    return count;
  };
  const counts = await Promise.all(Array.from({ length: 16 }, one));
  return counts.reduce((sum, count) => sum + count) / milliseconds * 1000;
}

async function http(channel: PushChannel, served: number, rounds: number): Promise<Figure[]> {
  const ports: Record<string, number> = { "Deno.serve": served, control: served };
  for (const by of ["Deno.serve", "node:http"]) {
    const listener = Deno.listen(local);
    ports[`adopted, ${by}`] = listener.addr.port;
    await channel.push(listener, { metadata: by });
  }
  const rates: Record<string, number[]> = {};
  for (let round = -1; round < rounds; round++) {
    const names = Object.keys(ports);
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const rate = await requests(ports[name] ?? 0, 300);
      if (round >= 0) (rates[name] ??= []).push(rate);
    }
  }
  const of = (name: string): number => median(rates[name] ?? []);
  return Object.keys(ports).slice(1).map((name) =>
    figure(
      `push: HTTP keep-alive, Deno.serve / ${name}`,
      of("Deno.serve") / of(name),
      "x",
      name === "control" ? null : name.endsWith("node:http") ? 1 / 0.3 : 1 / 0.75,
      rounds,
      `${of(name).toFixed(0)}/s, ${of("Deno.serve").toFixed(0)}/s`,
    )
  );
}

/** What a front has to do with a stream that lasts four seconds. */
async function fronts(path: string, native: number, rounds: number): Promise<Figure[]> {
  await using front = await far<{ push: number; relay: number; cpu: number }>("front", path, String(native));
  const { push, relay, cpu } = front.said;
  const spent = async (): Promise<number> =>
    Number(await new Response((await Deno.connect({ ...local, port: cpu })).readable).text());
  const costs: Record<"push" | "relay", number[]> = { push: [], relay: [] };
  for (let round = -1; round < Math.max(1, rounds / 3); round++) {
    for (const [name, port] of [["push", push], ["relay", relay]] as const) {
      const before = await spent();
      const conn = await Deno.connect({ ...local, port });
      const until = performance.now() + (round < 0 ? 200 : 4000);
      const chunk = new Uint8Array(64 * 1024);
      while (performance.now() < until) await conn.write(chunk);
      conn.close();
      if (round >= 0) costs[name].push(await spent() - before);
    }
  }
  const [pushed, relayed] = [median(costs.push), median(costs.relay)];
  return [
    figure(
      "push: CPU of a front for a stream of 4 s, pushed / relayed",
      pushed / relayed,
      "x",
      0.05,
      costs.push.length,
      `${pushed.toFixed(0)} ms, ${relayed.toFixed(0)} ms`,
    ),
  ];
}
