/** Failures of HTTP: brought about, known by name, and healed. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { constant } from "../recover/backoff.ts";
import { classify } from "../recover/classify.ts";
import { compose, type Policy } from "../recover/policy.ts";
import { ready } from "../recover/ready.ts";
import { retry, type RetryPolicy } from "../recover/retry.ts";
import { timeout } from "../recover/timeout.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import type { Fault } from "../testing/fault.ts";
import { startFaultServer } from "../testing/fault_server.ts";
import { online } from "./_online.ts";
import { serveRaw, whole } from "./_raw_http.ts";

/** Loads a page under a policy, and throws what is no success. */
function load(
  policy: Policy,
  url: string,
  init: RequestInit & { client?: Deno.HttpClient } = {},
): Promise<string> {
  return policy.execute(async ({ signal }) => {
    const answer = await fetch(url, { ...init, signal });
    if (answer.ok) return await answer.text();
    await answer.body?.cancel();
    throw answer;
  });
}

/** What `classify()` makes of a request that fails. */
async function known(request: () => Promise<unknown>): Promise<string> {
  const error = await request().then(() => null, (error) => error);
  const { scenario, kind, retry, sent } = classify(error, { operation: "request" });
  return `${scenario} ${kind} ${retry} ${sent}`;
}

/** Whether a promise has neither resolved nor rejected yet. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  return await Promise.race([promise, Promise.resolve(pending)]).catch(() => null) === pending;
}

/** Again at once, as often as a test needs it. */
function patient(idempotent = true): RetryPolicy {
  return retry({ idempotent, backoff: constant(1) });
}

Deno.test("captive-portal: plain code takes the login page for the answer, with the probe it waits for the person", async () => {
  await using portal = await startFaultServer({ fault: { type: "redirect" } });
  await using here = await online();
  const url = `http://127.0.0.1:${portal.port}/`;
  const plain = await fetch(url);
  assertEquals([plain.status, plain.redirected], [200, true]);
  assertStringIncludes(await plain.text(), "<title>Log in</title>");

  const network = here.watcher;
  const policy = retry({ network, idempotent: true, maxAttempts: Infinity, safetyPoll: 600_000 });
  const caught = Promise.withResolvers<unknown>();
  using _failures = policy.on("failure", ({ failure, next }) => caught.resolve([failure.scenario, next]));
  let pages = 0;
  const page = policy.execute(async ({ signal }) => {
    const { ready: free, steps } = await ready(network, { portal: { url, body: "free" }, signal });
    if (!free) throw new Error(steps.at(-1)?.detail);
    pages++;
    return await (await fetch(url, { signal })).text();
  });
  assertEquals(await Promise.race([caught.promise, page]), ["captive-portal", "change"]);
  assertEquals([pages, await isPending(page)], [0, true]);
  // A person logs in; any event of the network is reason enough to look again.
  portal.setFault({ type: "http", body: "free" });
  here.network.setDns({ servers: ["9.9.9.9"], search: [] });
  assertEquals([await page, pages], ["free", 1]);
});

Deno.test("pooled-connection-closed: fetch() itself sends a request again, and a POST, too, unless it is kept from it", async () => {
  // Answers the first request of each connection, reads the second, and closes.
  await using server = serveRaw(({ turn }) => turn === 1 ? whole("ok") : null);
  const seen = (path: string): number => server.requests.filter((request) => request.path === path).length;
  let request = 0;
  /** Sends requests until one of them meets a kept connection, and gives its path and what became of it. */
  const second = async (init: () => RequestInit): Promise<readonly [path: string, outcome: unknown]> => {
    for (;;) {
      await (await fetch(`${server.origin}/before`)).text();
      const path = `/${++request}`;
      const outcome = await fetch(server.origin + path, init()).then(
        (answer) => answer.text(),
        (error) => error,
      );
      if (server.requests.some((one) => one.path === path && one.turn === 2)) return [path, outcome];
    }
  };
  for (const method of ["GET", "POST"]) {
    const [path, outcome] = await second(() => method === "GET" ? {} : { method, body: "pay 10" });
    assertEquals([outcome, seen(path)], ["ok", 2], `${method}: no error, and the server has read it twice`);
  }
  const [path, error] = await second(() => ({ method: "POST", body: new Blob(["pay 10"]).stream() }));
  assertEquals(seen(path), 1, "a stream can be sent once only");
  assertEquals(await known(() => Promise.reject(error)), "pooled-connection-closed reset now maybe");
  assertStringIncludes(
    ((error as Error).cause as Error).message,
    "connection closed before message completed",
  );

  // A new connection for each request keeps fetch() from it: then the policy decides.
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  let cut = true;
  await using mortal = serveRaw(() => cut ? null : whole("ok"));
  const pay = { method: "POST", body: "pay 10", client };
  await assertRejects(() => load(patient(false), mortal.origin, pay), TypeError, "fetch failed");
  assertEquals(mortal.requests.length, 1, "it may have been carried out");
  const policy = retry({ idempotent: true, maxAttempts: 2, backoff: constant(0) });
  const failures: unknown[] = [];
  using _failures = policy.on("failure", ({ failure, next }) => {
    failures.push(failure.scenario, next);
    cut = false;
  });
  assertEquals(await load(policy, mortal.origin, { client }), "ok");
  assertEquals(failures, ["pooled-connection-closed", "now"]);
  assertEquals(mortal.requests.map(({ method }) => method), ["POST", "GET", "GET"]);
});

/** Goes on where the attempt before ended, as long as it is still the same file. */
function download(url: string, policy: Policy): Promise<string> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  let tag = "";
  return policy.execute(async ({ signal }) => {
    const headers = new Headers();
    if (length > 0 && tag !== "") {
      headers.set("range", `bytes=${length}-`);
      headers.set("if-range", tag);
    }
    const answer = await fetch(url, { signal, headers });
    if (answer.status !== 206) length = parts.length = 0;
    tag = answer.headers.get("etag") ?? "";
    for await (const part of answer.body ?? []) length = (parts.push(part), length + part.length);
    return await new Blob(parts).text();
  });
}

Deno.test("body-cut: reading fails after status 200, and only the rest is asked for again", async () => {
  for (const framing of ["length", "chunked"] as const) {
    for (const how of ["end", "reset"] as const) {
      await using server = await startFaultServer({ fault: { type: "http-body-cut", framing, how } });
      const answer = await fetch(`http://127.0.0.1:${server.port}/`);
      assertEquals(answer.status, 200);
      const words = "error reading a body from connection";
      const error = await assertRejects(() => answer.text(), TypeError, words);
      const known = classify(error, { operation: "read" });
      assertEquals([known.scenario, known.retry, known.sent], ["body-cut", "later", "yes"]);
    }
  }

  const file = Array.from({ length: 1000 }, (_, i) => i % 10).join("");
  for (const changes of [false, true]) {
    let cut = true;
    await using server = serveRaw(({ headers }) => {
      const tag = changes && !cut ? '"new"' : '"old"';
      if (cut) {
        cut = false;
        const head = `HTTP/1.1 200 OK\r\nETag: ${tag}\r\nContent-Length: ${file.length}\r\n\r\n`;
        return { text: head + file.slice(0, 300), end: true };
      }
      if (headers.get("if-range") !== tag) return whole(file.toUpperCase() + "changed", `ETag: ${tag}`);
      const from = Number(/^bytes=(\d+)-$/.exec(headers.get("range") ?? "")?.[1]);
      const rest = file.slice(from);
      const head = [
        "HTTP/1.1 206 Partial Content",
        `ETag: ${tag}`,
        `Content-Length: ${rest.length}`,
        `Content-Range: bytes ${from}-${file.length - 1}/${file.length}`,
      ];
      return { text: `${head.join("\r\n")}\r\n\r\n${rest}` };
    });
    const got = await download(server.origin, patient());
    assertEquals(got, changes ? `${file}changed` : file);
    assertEquals(server.requests.map(({ headers }) => headers.get("range")), [undefined, "bytes=300-"]);
  }
});

Deno.test("response-stalls: plain fetch waits on, with a time limit the next attempt comes through", async () => {
  for (const type of ["http-header-stall", "http-body-stall"] as const) {
    await using server = await startFaultServer({ fault: { type } });
    const url = `http://127.0.0.1:${server.port}/`;
    const stop = new AbortController();
    const plain = fetch(url, { signal: stop.signal }).then((answer) => answer.text());
    await server.connected(1);

    const clock = new FakeClock();
    const limit = timeout(10_000, { clock });
    const pay = { method: "POST", body: "pay 10" };
    const paying = known(() => load(compose(patient(false), limit), url, pay));
    await server.connected(2);
    await clock.tickAsync(10_000);
    const repeated = server.connected(3).then(() => "it was sent again", () => "");
    assertEquals(await Promise.race([paying, repeated]), "response-stalls timeout later maybe");
    assertEquals(server.connections, 2, "it may have been carried out");

    using _timeouts = limit.on("timeout", () => server.setFault({ type: "http" }));
    const page = load(compose(patient(), limit), url);
    await server.connected(3);
    await clock.tickAsync(10_000);
    assertEquals([await page, server.connections], ["ok", 4]);
    assert(await isPending(plain), "nothing has told it");
    // As AbortSignal.timeout() does it.
    stop.abort(new DOMException("Signal timed out.", "TimeoutError"));
    assertEquals(await known(() => plain), "response-stalls timeout later maybe");
  }
});

Deno.test("overloaded: as long as the server asks for, no attempt is made", async () => {
  const inSeconds = (seconds: number): string => new Date(Date.now() + 1000 * seconds).toUTCString();
  const faults: readonly [Fault, least: number][] = [
    [{ type: "http-status", status: 503, retryAfter: 20 }, 20_000],
    // A date has no fractions of a second, and some time passes until it is read.
    [{ type: "http-status", status: 429, retryAfter: inSeconds(120) }, 60_000],
  ];
  for (const [fault, least] of faults) {
    await using server = await startFaultServer({ fault });
    const url = `http://127.0.0.1:${server.port}/`;
    const failed = await known(() => load(retry({ maxAttempts: 1 }), url));
    assertEquals(failed, "overloaded exhausted later yes");

    const clock = new FakeClock();
    const policy = retry({ idempotent: true, clock });
    const told = Promise.withResolvers<readonly [next: string, delay: number]>();
    using _failures = policy.on("failure", ({ next, delay }) => told.resolve([next, delay ?? 0]));
    const page = load(policy, url);
    const [next, delay] = await told.promise;
    assert(next === "retry-after" && delay >= least, `${next} ${delay} ms`);
    server.setFault({ type: "http" });
    await clock.tickAsync(delay - 1);
    assertEquals([server.connections, await isPending(page)], [2, true]);
    await clock.tickAsync(1);
    assertEquals([await page, server.connections], ["ok", 3]);
  }
});

Deno.test("proxy-refuses: one that wants a login is asked once, one that cannot reach the server again", async () => {
  await using proxy = await startFaultServer({ fault: { type: "http-status", status: 407 } });
  using client = Deno.createHttpClient({ proxy: { url: `http://127.0.0.1:${proxy.port}` } });
  for (const url of ["http://far.test/", "https://far.test/"]) {
    const before = proxy.connections;
    const failed = await known(() => load(patient(), url, { client }));
    assertEquals(failed.replace(/ \w+$/, ""), "proxy-refuses permission never", url);
    assertEquals(proxy.connections, before + 1);
  }
  proxy.setFault({ type: "http-status", status: 502 });
  const tunnel = await known(() => load(retry({ maxAttempts: 1 }), "https://far.test/", { client }));
  assertEquals(tunnel, "proxy-refuses protocol later no");
  const policy = patient();
  const seen: (string | null)[] = [];
  using _failures = policy.on("failure", ({ failure }) => {
    seen.push(failure.scenario);
    if (seen.length === 2) proxy.setFault({ type: "http", body: "from far" });
  });
  assertEquals(await load(policy, "http://far.test/", { client }), "from far");
  assertEquals(seen, ["proxy-refuses", "proxy-refuses"]);
});
