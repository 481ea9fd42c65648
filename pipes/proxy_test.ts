import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { setImmediate } from "node:timers";
import { holdProcess } from "../internal/clock.ts";
import { constant } from "../recover/backoff.ts";
import { retry } from "../recover/retry.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { FakeClock } from "../testing/fake_clock.ts";
import { descriptorsOf, eventually } from "../tests/_child.ts";
import { runCode } from "../tests/_code.ts";
import { requires, scale } from "../tests/_require.ts";
import { startProxy } from "../tests/_proxy_server.ts";
import { parsePipeUrl } from "./address.ts";
import { connect, type ConnectOptions } from "./connect.ts";
import { listen } from "./listen.ts";
import { PipeError } from "./pipe_error.ts";
import { formatProxy, parseProxy, proxyFor, systemProxy } from "./_proxy_address.ts";

const SECRET = "s3cret";

/** A proxy that does what it is told, and not more. */
interface HostileProxy extends AsyncDisposable {
  readonly port: number;
  /** How many came. */
  readonly count: number;
  /** What the last one sent so far. */
  readonly heard: string;
  /** How many have gone again. */
  readonly gone: number;
}

/** Runs a script for each connection, while what comes is read; the connection is closed when both are over. */
function hostile(script: (conn: Deno.TcpConn, heard: () => string) => Promise<void>): HostileProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const state = { count: 0, heard: "", gone: 0 };
  const all: Promise<void>[] = [];
  const one = async (conn: Deno.TcpConn): Promise<void> => {
    let heard = "";
    const reading = (async () => {
      const buffer = new Uint8Array(4096);
      for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
        heard += String.fromCharCode(...buffer.subarray(0, n));
        state.heard = heard;
      }
    })().catch(() => {}); // reset, which is an end as well
    await script(conn, () => heard).catch(() => {}); // nobody reads it any more
    await reading;
    state.gone++;
    conn.close();
  };
  const serving = (async () => {
    for await (const conn of listener) {
      state.count++;
      all.push(one(conn));
    }
    await Promise.all(all);
  })();
  return {
    port: listener.addr.port,
    get count() {
      return state.count;
    },
    get heard() {
      return state.heard;
    },
    get gone() {
      return state.gone;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(text, (one) => one.charCodeAt(0));

/** Answers a request for a tunnel. */
function answering(answer: string, end = false): HostileProxy {
  return hostile(async (conn, heard) => {
    await eventually("the request", () => heard().endsWith("\r\n\r\n"));
    await conn.write(bytesOf(answer));
    if (end) await conn.closeWrite();
  });
}

/** Says one thing after the other, each when so many bytes were heard. */
function socks(...says: readonly (readonly [after: number, bytes: readonly number[]])[]): HostileProxy {
  return hostile(async (conn, heard) => {
    for (const [after, bytes] of says) {
      await eventually("what the client says", () => heard().length >= after);
      await conn.write(Uint8Array.from(bytes));
    }
    await conn.closeWrite();
  });
}

async function failure(proxy: string, options: ConnectOptions = {}): Promise<PipeError> {
  const error = await assertRejects(
    () => connect("tcp://service.example:7000", { retry: false, proxy, ...options }),
    PipeError,
  );
  assert(!Deno.inspect(error, { depth: 20 }).includes(SECRET), "the password is shown");
  return error;
}

Deno.test("a proxy is read from its URL, and written without its user and password", () => {
  const read = (text: string): string => {
    const { scheme, hostname, port, login } = parseProxy(text);
    return [scheme, hostname, port, login?.user, login?.password].join(" ");
  };
  assertEquals(read("http://proxy"), "http proxy 80  ");
  assertEquals(read("https://proxy/"), "https proxy 443  ");
  assertEquals(read("socks5://10.0.0.1"), "socks5 10.0.0.1 1080  ");
  assertEquals(read("SOCKS5H://u:p@[::1]:9050"), "socks5h ::1 9050 u p");
  assertEquals(read("http://a%40b:%3A%2F@proxy:3128"), "http proxy 3128 a@b :/");
  assertEquals(read("http://only@proxy"), "http proxy 80 only ");
  assertEquals(parseProxy(new URL("http://proxy:81")).port, 81);
  assertEquals(formatProxy(parseProxy(`http://u:${SECRET}@[::1]:9`)), "http://[::1]:9");
});

Deno.test("a proxy that makes no sense is refused, and its password is not shown", () => {
  const wrong: readonly [string, string][] = [
    ["", "it must be a URL"],
    ["proxy:3128", "it must be a URL"],
    [`u:${SECRET}@proxy:3128`, "it must be a URL"],
    [`http://u:${SECRET}@proxy:99999`, "it must be a URL"],
    [`ftp://u:${SECRET}@proxy`, 'one of http, https, socks5, socks5h, got "ftp:"'],
    [`socks4://u:${SECRET}@proxy`, 'got "socks4:"'],
    [`http://u:${SECRET}@proxy/path`, "nothing may follow the port"],
    [`http://u:${SECRET}@proxy?x`, "nothing may follow the port"],
    [`socks5://u:${SECRET}@pr%20xy`, "a host must follow"],
    [`socks5://proxy:0`, "the port must be 1 to 65535"],
    [`http://u%3Ax:${SECRET}@proxy`, "must not have a colon"],
    [`http://u:${SECRET}%0d%0aX@proxy`, "control characters"],
    [`http://u:${SECRET}%zz@proxy`, "not percent-encoded"],
    [`socks5://u:${SECRET.repeat(50)}@proxy`, "at most 255 bytes"],
  ];
  for (const [proxy, message] of wrong) {
    const error = assertThrows(() => parseProxy(proxy), TypeError);
    assertStringIncludes(error.message, message);
    assert(!error.message.includes(SECRET), error.message);
  }
});

Deno.test("what knows no proxy is refused with one, and passes with that of the system", async () => {
  for (const url of ["udp://192.0.2.1:1", "unix:/x", "memory:x", "exec:"]) {
    const place = parsePipeUrl(url);
    const error = assertThrows(() => proxyFor(place, "http://proxy"), TypeError);
    assertStringIncludes(
      error.message,
      `proxy is for tcp:, tls:, ws: and wss:, and ${place.transport}: knows none`,
    );
    assertEquals(proxyFor(place, "system"), null);
    assertEquals(proxyFor(place, null), null);
  }
  await assertRejects(
    () => connect("udp://192.0.2.1:1", { proxy: "http://proxy" }),
    TypeError,
    "udp: knows none",
  );
  await assertRejects(() => connect("tcp://192.0.2.1:1", { proxy: "" }), TypeError, "it must be a URL");
});

Deno.test("the environment names a proxy, lower case first, and whom to spare", () => {
  const found = (
    variables: Record<string, string>,
    hostname = "www.example.com",
    port = 443,
  ): string | null => {
    const proxy = systemProxy({ hostname, port }, (name) => variables[name]);
    return proxy && formatProxy(proxy);
  };
  assertEquals(found({}), null);
  assertEquals(found({ HTTPS_PROXY: "http://a:1" }), "http://a:1");
  assertEquals(found({ HTTPS_PROXY: "http://a:1", https_proxy: "b:2" }), "http://b:2");
  assertEquals(found({ ALL_PROXY: "socks5h://c", HTTPS_PROXY: "http://a:1" }), "http://a:1");
  assertEquals(found({ ALL_PROXY: "socks5h://c", HTTPS_PROXY: " " }), "socks5h://c:1080");
  assertEquals(found({ HTTP_PROXY: "http://a:1" }), null);
  for (const own of ["localhost", "a.localhost", "127.3.2.1", "::1"]) {
    assertEquals(found({ ALL_PROXY: "a:1" }, own), null);
  }

  const spared = (list: string, hostname?: string, port?: number): boolean =>
    found({ ALL_PROXY: "a:1", NO_PROXY: list }, hostname, port) === null;
  for (
    const list of [
      "*",
      "example.com",
      ".example.com",
      "*.example.com",
      "x, WWW.EXAMPLE.COM.",
      "a b,example.com:443",
    ]
  ) {
    assert(spared(list), list);
  }
  for (
    const list of ["", ",", "ample.com", "ww.example.com", "example.com:80", "com.", "www.example.com.org"]
  ) {
    assertEquals(spared(list), list === "com.", list);
  }
  for (const list of ["10.1.2.3", "10.0.0.0/8", "10.1.2.3:443", "10.1.2.2/31"]) {
    assert(spared(list, "10.1.2.3"), list);
  }
  for (
    const list of ["10.1.2.4", "10.0.0.0/16", "10.1.2.3:80", "10.1.2.3/33", "10.1.2.0/x", "1.2.3", "::/0"]
  ) {
    assert(!spared(list, "10.1.2.3"), list);
  }
  for (const list of ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443", "2001:db8::/32"]) {
    assert(spared(list, "2001:db8::1"), list);
  }
  assert(!spared("[2001:db8::1]:80", "2001:db8::1"));
});

Deno.test("a tunnel is asked for by name, with the login; what comes right behind the answer is not lost", async () => {
  await using proxy = answering(
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  );
  const url = `http://us%20er:${SECRET}@127.0.0.1:${proxy.port}`;
  await using pipe = await connect("tcp://Service.Example:7000", { proxy: url });
  assertEquals(
    proxy.heard,
    "CONNECT service.example:7000 HTTP/1.1\r\nHost: service.example:7000\r\n" +
      `Proxy-Authorization: Basic ${btoa(`us er:${SECRET}`)}\r\n\r\n`,
  );
  assertEquals(pipe.remoteAddress, { transport: "tcp", hostname: "Service.Example", port: 7000 });
  assertEquals(pipe.localAddress.transport, "tcp");
  const two = [await pipe.recv({ into: new Uint8Array(2) }), await pipe.recv()];
  assertEquals(two.map((part) => new TextDecoder().decode(part ?? undefined)), ["he", "llo"]);
  await pipe.send("on");
  await eventually("what was sent through", () => proxy.heard.endsWith("\r\n\r\non"));
});

Deno.test("an address goes as it is, one of IPv6 in brackets, and one of this machine's links not at all", async () => {
  await using proxy = answering("HTTP/1.1 200 OK\r\n\r\n");
  const options = { proxy: `http://127.0.0.1:${proxy.port}`, retry: false } as const;
  await using _pipe = await connect("tcp://[2001:db8::1]:7000", options);
  assertStringIncludes(
    proxy.heard,
    "CONNECT [2001:db8::1]:7000 HTTP/1.1\r\nHost: [2001:db8::1]:7000\r\n\r\n",
  );
  await assertRejects(
    () => connect("tcp://[fe80::1%eth0]:1", options),
    TypeError,
    "an interface of this machine",
  );
  await assertRejects(() => connect("tcp://[x\r\nX-Y: z]:1", options), TypeError, "is no name of a host");
  await assertRejects(() => connect("tcp://b\u0000d:1", options), TypeError, "is no name of a host");
  assertEquals(proxy.count, 1);
});

Deno.test("what an HTTP proxy answers has a code of its own, and the server's words", async () => {
  const cases: readonly [string, string, string, string][] = [
    ["407 Who?", "proxy-auth", "never", "status 407 (Who?): it wants a user and password, or other ones"],
    ["403 No\x07", "proxy-refused", "never", "status 403 (No?): it does not allow this host and port"],
    ["502 Bad Gateway", "proxy-unreachable", "later", "status 502 (Bad Gateway): it cannot reach the server"],
    ["503", "proxy-unreachable", "later", "status 503: it cannot reach the server, or has too much to do"],
    ["504 ", "proxy-unreachable", "later", "status 504: the server did not answer it in time"],
    ["400 Bad", "proxy-refused", "never", "status 400 (Bad)"],
    ["302 Found", "proxy-protocol", "never", "status 302 (Found)"],
    ["101 Switching", "proxy-protocol", "never", "status 101 (Switching)"],
  ];
  for (const [status, code, again, words] of cases) {
    await using proxy = answering(
      `HTTP/1.1 ${status}\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno`,
      true,
    );
    const url = `http://u:${SECRET}@127.0.0.1:${proxy.port}`;
    const error = await failure(url);
    assertEquals([error.code, error.failure?.retry], [code, again]);
    assertEquals(
      error.message,
      "Cannot connect to tcp://service.example:7000: Cannot connect through the proxy " +
        `http://127.0.0.1:${proxy.port}: it answered with ${words}`,
    );
    assert((error.hint ?? "").length > 10);
    // The connection is not left open.
    await eventually("the connection to end", () => proxy.gone === 1);
  }
});

Deno.test("a refusal is not tried again, and what may pass is; then the last answer tells", async () => {
  await using refusing = answering("HTTP/1.1 403 No\r\n\r\n", true);
  await failure(`http://127.0.0.1:${refusing.port}`, {
    retry: retry({ idempotent: true, operation: "connect" }),
  });
  assertEquals(refusing.count, 1);
  await using failing = answering("HTTP/1.1 502 Bad\r\n\r\n", true);
  const policy = retry({ maxAttempts: 3, backoff: constant(1), idempotent: true, operation: "connect" });
  const error = await failure(`http://127.0.0.1:${failing.port}`, { retry: policy });
  assertEquals([error.code, failing.count], ["proxy-unreachable", 3]);
  assertMatch(error.message, /status 502 \(Bad\): it cannot reach the server, 3 attempts$/);
});

Deno.test("an answer that comes byte by byte is understood, in both languages", async () => {
  const drip = (
    all: Uint8Array,
    after: number,
    rest: Uint8Array = new Uint8Array(),
    more = 0,
  ): HostileProxy =>
    hostile(async (conn, heard) => {
      for (const [part, from] of [[all, after], [rest, more]] as const) {
        await eventually("the client", () => heard().length >= from);
        conn.setNoDelay(true);
        for (const byte of part) await conn.write(Uint8Array.of(byte));
      }
    });
  const name = [3, 4, 0x61, 0x62, 0x63, 0x64];
  for (
    const [proxy, scheme] of [
      [drip(bytesOf("HTTP/1.1 200 OK\r\nA: b\r\n\r\nx"), 20), "http"],
      [drip(Uint8Array.of(5, 0), 3, Uint8Array.of(5, 0, 0, ...name, 1, 1, 0x78), 4), "socks5h"],
    ] as const
  ) {
    await using _proxy = proxy;
    await using pipe = await connect("tcp://a.example:1", { proxy: `${scheme}://127.0.0.1:${proxy.port}` });
    assertEquals(await pipe.recv(), Uint8Array.of(0x78));
  }
});

Deno.test("a head without an end is given up after 16 KiB, and what is no HTTP after its first bytes", async () => {
  await using endless = hostile(async (conn, heard) => {
    await eventually("the request", () => heard().endsWith("\r\n\r\n"));
    await conn.write(bytesOf("HTTP/1.1 200 OK\r\n"));
    for (let n = 0; n < 100_000; n++) await conn.write(bytesOf(`X-${n}: ${"y".repeat(200)}\r\n`));
  });
  const error = await failure(`http://127.0.0.1:${endless.port}`);
  assertEquals([error.code, error.failure?.retry], ["proxy-protocol", "never"]);
  assertStringIncludes(error.message, "its answer has no end within 16384 bytes");
  await eventually("the connection to end", () => endless.gone === 1);
  await using ssh = hostile(async (conn) => void await conn.write(bytesOf("SSH-2.0-x")));
  assertStringIncludes((await failure(`http://127.0.0.1:${ssh.port}`)).message, "it does not speak HTTP");
  for (
    const answer of [
      "HTTP/2 200\r\n\r\n",
      "HTTP/1.1 200 OK\r\nbad line\r\n\r\n",
      "HTTP/1.1 2000\r\n\r\n",
      "\r\n\r\n",
    ]
  ) {
    await using proxy = answering(answer);
    assertEquals((await failure(`http://127.0.0.1:${proxy.port}`)).code, "proxy-protocol", answer);
  }
});

Deno.test("a proxy that says nothing is given up after ten seconds, and one that goes away at once", async () => {
  for (const scheme of ["http", "socks5h"]) {
    using _hold = holdProcess();
    const clock = new FakeClock();
    await using silent = hostile(() => Promise.resolve());
    const failing = failure(`${scheme}://127.0.0.1:${silent.port}`, { clock });
    await eventually("the request", () => silent.heard !== "");
    await clock.tickAsync(9999);
    assertEquals(silent.gone, 0);
    await clock.tickAsync(1);
    const error = await failing;
    assertEquals([error.code, error.failure?.kind], ["connect", "timeout"]);
    await eventually("the connection to end", () => silent.gone === 1);
    await using leaving = hostile(async (conn) => {
      await conn.write(Uint8Array.from(scheme === "http" ? bytesOf("HTTP/1.1 20") : [5]));
      await conn.closeWrite();
    });
    const lost = await failure(`${scheme}://127.0.0.1:${leaving.port}`);
    assertEquals([lost.code, lost.failure?.kind], ["connect", "reset"]);
    assertStringIncludes(lost.message, "the proxy closed the connection before there was a tunnel");
  }
});

Deno.test("who aborts while the proxy thinks gets the reason, and no connection is left", async () => {
  await using silent = hostile(() => Promise.resolve());
  const stop = new AbortController();
  const proxy = `socks5h://127.0.0.1:${silent.port}`;
  const waiting = assertRejects(
    () => connect("tcp://a.example:1", { proxy, signal: stop.signal }),
    RangeError,
    "enough",
  );
  await eventually("the request", () => silent.heard !== "");
  stop.abort(new RangeError("enough"));
  await waiting;
  await eventually("the connection to end", () => silent.gone === 1);
});

Deno.test({
  name: "calls that are aborted at any moment leave no connection, through proxies of all kinds",
  ...requires({ os: ["linux"] }),
  async fn() {
    const authority = await makeTestAuthority();
    const certificate = await authority.issue();
    await using server = await listen("tls://127.0.0.1:0", { tls: certificate });
    void (async () => {
      for await (const pipe of server) void pipe.recv().catch(() => {}).then(() => pipe.close());
    })();
    const tls = { caCerts: [authority.cert] };
    for (const scheme of ["http", "https", "socks5"] as const) {
      const kind = scheme === "socks5" ? scheme : "http";
      await using proxy = startProxy({ kind, ...(scheme === "https" ? { tls: certificate } : {}) });
      const dial = (signal?: AbortSignal) =>
        connect(server.url.replace("127.0.0.1", "localhost"), {
          ...{ proxy: `${scheme}://127.0.0.1:${proxy.port}`, tls, signal, retry: false },
          resolver: () => Promise.resolve(["127.0.0.1"]),
        });
      // The first of a kind loads what the runtime keeps.
      await (await dial()).close();
      const settled = () => server.connections === 0;
      await eventually("the first one to be over", settled);
      const before = descriptorsOf().length;
      const ends = { connected: 0, aborted: 0 };
      for (let n = 0; n < scale(40, 400); n++) {
        const stop = new AbortController();
        const dialling = dial(stop.signal);
        for (let turns = n; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
        stop.abort(new RangeError("enough"));
        const pipe = await dialling.catch((error) => {
          if (!(error instanceof RangeError)) throw error;
        });
        ends[pipe ? "connected" : "aborted"]++;
        pipe?.abort();
      }
      assert(ends.aborted > 0, "none was aborted");
      await eventually("all connections to be closed", () => descriptorsOf().length <= before);
    }
  },
});

Deno.test("SOCKS: the name is left to the proxy with socks5h, and looked up here with socks5", async () => {
  const yes = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  await using far = socks([3, [5, 0]], [4, [...yes, 0x21]]);
  {
    const proxy = `socks5h://127.0.0.1:${far.port}`;
    await using pipe = await connect("tcp://service.example:258", { proxy });
    assertEquals(far.heard, "\x05\x01\x00\x05\x01\x00\x03\x0fservice.example\x01\x02");
    assertEquals(await pipe.recv(), Uint8Array.of(0x21));
  }
  await using near = socks([3, [5, 0]], [4, yes]);
  const asked: string[] = [];
  await using pipe = await connect("tcp://service.example:258", {
    proxy: `socks5://127.0.0.1:${near.port}`,
    resolver: (hostname, type) => {
      asked.push(`${hostname} ${type}`);
      return Promise.resolve(type === "A" ? ["192.0.2.7"] : []);
    },
  });
  assertEquals(near.heard, "\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x07\x01\x02");
  assertEquals(asked.sort(), ["service.example A", "service.example AAAA"]);
  assertEquals(pipe.remoteAddress.hostname, "service.example");
});

Deno.test("SOCKS: an address of IPv6 goes as such, and the login only to who wants it", async () => {
  const yes = [5, 0, 0, 4, ...new Array(16).fill(0), 0, 0];
  await using proxy = socks([4, [5, 2]], [8, [1, 0]], [30, yes]);
  const url = `socks5://u:${SECRET}@127.0.0.1:${proxy.port}`;
  await using _pipe = await connect("tcp://[2001:db8::1]:258", { proxy: url });
  const login = `\x01\x01u\x06${SECRET}`;
  const address = `\x20\x01\x0d\xb8${"\0".repeat(11)}\x01`;
  assertEquals(proxy.heard, `\x05\x02\x00\x02${login}\x05\x01\x00\x04${address}\x01\x02`);
});

Deno.test("SOCKS: what a proxy answers has a code of its own", async () => {
  const reply = (code: number): HostileProxy => socks([4, [5, 0]], [5, [5, code]]);
  const cases: readonly [HostileProxy, string, string, string][] = [
    [reply(1), "proxy-unreachable", "later", "it failed, and does not say why"],
    [reply(2), "proxy-refused", "never", "its rules do not allow this host and port"],
    [reply(4), "proxy-unreachable", "later", "it cannot reach the server, or not find its name"],
    [reply(5), "proxy-unreachable", "later", "the server refuses the connection"],
    [reply(99), "proxy-protocol", "never", "it answered with 99, which means nothing"],
    [socks([4, [5, 255]]), "proxy-auth", "never", "it takes no user and password"],
    [socks([4, [5, 1]]), "proxy-protocol", "never", "it chose the login method 1, which was not offered"],
    [socks([4, [5, 2]], [6, [1, 1]]), "proxy-auth", "never", "it refuses the user and password"],
    [socks([4, [5, 2]], [6, [5, 0]]), "proxy-protocol", "never", "its answer to the login begins with 5"],
    [socks([4, [4, 90]]), "proxy-protocol", "never", "its answer begins with 4"],
    [socks([4, [0, 90]]), "proxy-protocol", "never", "begins with 0, as version 4 does"],
    [socks([4, [0x48]]), "proxy-protocol", "never", "begins with 72, as HTTP does"],
    [socks([4, [5, 0, 5, 0]]), "proxy-protocol", "never", "it answers before it is asked"],
    [
      socks([4, [5, 0]], [5, [5, 0, 0, 9, 0]]),
      "proxy-protocol",
      "never",
      "its reply has an address of kind 9",
    ],
    [socks([4, [5, 0]], [5, [6]]), "proxy-protocol", "never", "its answer begins with 6"],
  ];
  for (const [proxy, code, again, words] of cases) {
    await using _proxy = proxy;
    const error = await failure(`socks5h://u:${SECRET}@127.0.0.1:${proxy.port}`);
    assertEquals([error.code, error.failure?.retry], [code, again], words);
    assertStringIncludes(error.message, words);
    await eventually("the connection to end", () => proxy.gone === 1);
  }
  await using strict = socks([3, [5, 255]]);
  assertStringIncludes(
    (await failure(`socks5h://127.0.0.1:${strict.port}`)).message,
    "it wants to know who asks",
  );
});

Deno.test("a proxy that is not there is told as such, and not taken for the target", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  for (const scheme of ["http", "socks5h", "socks5"]) {
    const resolver = (_name: string, type: string) => Promise.resolve(type === "A" ? ["192.0.2.1"] : []);
    const error = await failure(`${scheme}://u:${SECRET}@127.0.0.1:${port}`, { resolver });
    assertEquals([error.code, error.failure?.kind], ["connect", "refused"]);
    assertStringIncludes(error.message, `Cannot reach the proxy ${scheme}://127.0.0.1:${port}: `);
  }
});

Deno.test("TLS through a proxy checks the name of the target, and that of an https proxy its own", async () => {
  const authority = await makeTestAuthority();
  const [good, other, own] = await Promise.all([
    authority.issue({ names: ["service.example"] }),
    authority.issue({ names: ["other.example"] }),
    authority.issue(),
  ]);
  const tls = { caCerts: [authority.cert] };
  for (const kind of ["http", "https", "socks5"] as const) {
    for (const [certificate, fine] of [[good, true], [other, false]] as const) {
      await using server = await listen("tls://127.0.0.1:0", { tls: certificate });
      const { port } = new URL(server.url.replace("tls:", "http:"));
      await using proxy = startProxy({
        kind: kind === "socks5" ? kind : "http",
        to: { hostname: "127.0.0.1", port: Number(port) },
        ...(kind === "https" ? { tls: own } : {}),
      });
      const scheme = kind === "socks5" ? "socks5h" : kind;
      const options = { tls, proxy: `${scheme}://127.0.0.1:${proxy.port}`, retry: false } as const;
      if (fine) {
        await using pipe = await connect("tls://service.example:443", options);
        assertEquals([pipe.transport, pipe.remoteAddress.hostname], ["tls", "service.example"]);
        await assertRejects(
          () =>
            connect("tls://service.example:443", { ...options, tls: { ...tls, serverName: "no.example" } }),
          PipeError,
        );
      } else {
        const error = await assertRejects(() => connect("tls://service.example:443", options), PipeError);
        assertEquals([error.code, error.failure?.kind], ["connect", "tls"]);
        const careless = { ...tls, dangerouslyAcceptAnyCertificate: true };
        await using pipe = await connect("tls://service.example:443", { ...options, tls: careless });
        assertEquals(pipe.state.type, "open");
      }
      assertEquals(new Set(proxy.asked), new Set(["service.example:443"]));
    }
  }
  // The proxy's own certificate counts although that of the target does not.
  await using stranger = startProxy({ kind: "http", tls: other });
  const error = await failure(`https://127.0.0.1:${stranger.port}`, {
    tls: { ...tls, dangerouslyAcceptAnyCertificate: true },
  });
  assertEquals([error.failure?.kind, stranger.asked.length], ["tls", 0]);
});

Deno.test("the proxy of the system is used where it is asked for, and the flags it takes are named", async () => {
  await using server = await listen("tcp://127.0.0.1:0");
  const port = Number(server.url.split(":").at(-1));
  await using proxy = startProxy({ kind: "http", to: { hostname: "127.0.0.1", port } });
  const code = `
    import { connect } from "#/pipes/connect.ts";
    try {
      await using pipe = await connect("tcp://service.example:7000", { proxy: "system" });
      console.log(pipe.remoteAddress.hostname);
    } catch (error) {
      console.log(error.name, error.flags?.join(" "));
    }`;
  const env = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`, https_proxy: "", NO_PROXY: "x", no_proxy: "" };
  const variables = "https_proxy,HTTPS_PROXY,all_proxy,ALL_PROXY,no_proxy,NO_PROXY";
  const flags = ["--no-prompt", `--allow-net=127.0.0.1:${proxy.port}`];
  const allowed = await runCode(code, { env, flags: [...flags, `--allow-env=${variables}`] });
  assertEquals([allowed.stdout, allowed.stderr], ["service.example\n", ""]);
  assertEquals(proxy.asked, ["service.example:7000"]);
  const refused = await runCode(code, { env, flags });
  assertEquals(refused.stdout, `PermissionError --allow-env=${variables}\n`);
  // Nobody is sent to the target's flag when it is the proxy's that is missing.
  const walled = await runCode(code, { env, flags: ["--no-prompt", `--allow-env=${variables}`] });
  assertEquals(walled.stdout, `PermissionError --allow-net=127.0.0.1:${proxy.port}\n`);
});
