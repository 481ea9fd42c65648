/** Hostile bytes in place of a proxy's answers: whatever they are, a tunnel comes out, or the typed refusal, or nothing yet. */

import { assert, assertEquals } from "@std/assert";
import { connectExchange, MAX_HEAD } from "../pipes/_proxy_connect.ts";
import { ProxyRefusal } from "../pipes/_proxy_error.ts";
import type { ProxyExchange, ProxyLogin, ProxyTarget } from "../pipes/_proxy_exchange.ts";
import { socks5Exchange } from "../pipes/_proxy_socks5.ts";
import { fuzz, mutate, Random } from "./_fuzz.ts";
import { scale } from "./_require.ts";

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (one) => one.charCodeAt(0));
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

const TARGETS: readonly ProxyTarget[] = [
  { hostname: "example.com", port: 443 },
  { hostname: "192.0.2.1", port: 1 },
  { hostname: "2001:db8::1", port: 65_535 },
  { hostname: "a".repeat(255), port: 80 },
];
const LOGINS: readonly (ProxyLogin | null)[] = [null, { user: "u", password: "p" }, {
  user: "ü".repeat(127),
  password: "",
}];

/** How a talk ended, and the first bytes of its tunnel. */
interface End {
  readonly name: string;
  readonly tunnel: string;
}

/** Gives parts one by one, each cut into pieces, until there is an end. */
function talk(exchange: ProxyExchange, parts: readonly Uint8Array[], piece: (left: number) => number): End {
  let tunnel: string | null = null;
  try {
    for (const part of parts) {
      for (let at = 0; at < part.length;) {
        const size = Math.max(1, piece(part.length - at));
        const given = part.slice(at, at + size);
        at += given.length;
        // The caller uses the memory again.
        if (tunnel === null) {
          const step = exchange.push(given);
          assert(step.send === null || step.tunnel === null, "both at once");
          assert(step.send === null || step.send.length <= 520, "too much to say");
          given.fill(0xee);
          tunnel = step.tunnel && step.tunnel.toHex();
        } else tunnel += given.toHex();
      }
    }
  } catch (error) {
    if (!(error instanceof ProxyRefusal)) throw error;
    assert(error.message.length < 300 && !/\p{Cc}/u.test(error.message), error.message);
    return { name: error.code, tunnel: "" };
  }
  return { name: tunnel === null ? "incomplete" : "tunnel", tunnel: tunnel ?? "" };
}

const HEADS: readonly Uint8Array[] = [
  "HTTP/1.1 200 OK\r\n\r\n",
  "HTTP/1.0 200 Connection established\r\nProxy-Agent: x/1\r\nVia: 1.0 y\r\n\r\nfirst bytes",
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204\r\nContent-Length: 3\r\n\r\n\r\n\r\n",
  "HTTP/1.1 200 \nA: b\n\nx",
  'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n\r\nno',
  "HTTP/1.1 403 Forb\x07idden\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n",
  "HTTP/1.1 502 Bad Gateway\r\nRetry-After: 3\r\nRetry-After: 4\r\n\r\n",
  "HTTP/1.1 503\r\n\r\n",
  "HTTP/1.1 429 Slow\r\n\r\n",
  "HTTP/1.1 401 No\r\n\r\n",
  "HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\n\r\n",
  "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
  "HTTP/2 200\r\n\r\n",
  `HTTP/1.1 200 OK\r\nX: ${"y".repeat(MAX_HEAD)}\r\n\r\n`,
  `HTTP/1.1 200 OK\r\nX: ${"y".repeat(MAX_HEAD - 24)}\r\n\r\nzz`,
  "HTTP/1.1 200 OK\r\n",
  "SSH-2.0-x\r\n",
  "\x05\x00",
].map(ascii);

const SHORT = HEADS.filter(({ length }) => length < 1000);

Deno.test("CONNECT: any answer is a tunnel, a refusal or incomplete, and the same one however it is cut", () => {
  const ends = fuzz(
    scale(3000, 60_000),
    (random) => {
      const head = random.one(random.below(30) === 0 ? HEADS : SHORT);
      const answer = random.below(4) === 0 ? head : mutate(random, head, HEADS);
      return {
        answer,
        target: random.one(TARGETS),
        login: random.one(LOGINS),
        seed: random.below(1_000_000),
      };
    },
    ({ answer, target, login, seed }) => {
      const random = new Random(seed);
      const start = (): ProxyExchange => connectExchange(target, login);
      const whole = talk(start(), [answer], (left) => left);
      const cut = talk(start(), [answer], () => random.one([1, 2, 3, 50, 5000]));
      assertEquals(cut, whole);
      assertEquals(talk(start(), [answer], () => 1), whole);
      return whole.name;
    },
  );
  const expected = [
    "incomplete",
    "proxy-auth",
    "proxy-protocol",
    "proxy-refused",
    "proxy-unreachable",
    "tunnel",
  ];
  assertEquals([...ends.keys()].sort(), expected);
});

const REPLIES: readonly Uint8Array[] = [
  bytes(5, 0, 0, 1, 10, 0, 0, 1, 4, 56),
  bytes(5, 0, 0, 4, ...new Array(16).fill(1), 4, 56, 0x68, 0x69),
  bytes(5, 0, 0, 3, 2, 0x61, 0x62, 0, 80),
  bytes(5, 0, 0, 3, 0, 0, 80),
  bytes(5, 0, 0, 3, 255, ...new Array(257).fill(0x61), 0x21),
  bytes(5, 0, 0, 9, 0, 0),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 255].map((code) => bytes(5, code, 0, 1, 0, 0, 0, 0, 0, 0)),
  bytes(4, 90, 0, 0),
];
const METHODS = [
  bytes(5, 0),
  bytes(5, 2),
  bytes(5, 2),
  bytes(5, 255),
  bytes(5, 1),
  bytes(5),
  bytes(4, 0),
  bytes(0),
  ascii("H"),
];
const LOGIN_ANSWERS = [bytes(1, 0), bytes(1, 0), bytes(1, 1), bytes(5, 0), bytes(1)];

Deno.test("SOCKS: any answers are a tunnel, a refusal or incomplete", () => {
  const all = [...REPLIES, ...METHODS, ...LOGIN_ANSWERS];
  const ends = fuzz(
    scale(5000, 100_000),
    (random) => {
      const login = random.one(LOGINS);
      const method = random.one(METHODS);
      const asksLogin = method[1] === 2 && login !== null;
      const right = [method, ...(asksLogin ? [random.one(LOGIN_ANSWERS)] : []), random.one(REPLIES)];
      const answers = right.map((one) => random.below(4) === 0 ? mutate(random, one, all) : one);
      return { answers, login, target: random.one(TARGETS), size: random.one([1, 2, 1000]) };
    },
    ({ answers, login, target, size }) => talk(socks5Exchange(target, login), answers, () => size).name,
  );
  const expected = [
    "incomplete",
    "proxy-auth",
    "proxy-protocol",
    "proxy-refused",
    "proxy-unreachable",
    "tunnel",
  ];
  assertEquals([...ends.keys()].sort(), expected);
});

Deno.test("SOCKS: what comes behind the reply is the tunnel, however both are cut", () => {
  const random = new Random(7);
  for (let n = 0; n < scale(200, 2000); n++) {
    const login = random.one(LOGINS);
    const reply = random.one(REPLIES.filter(([, code], at) => code === 0 && at < 5));
    const more = random.bytes(random.below(2000));
    const [, , , kind, size = 0] = reply;
    const length = 4 + (kind === 1 ? 4 : kind === 4 ? 16 : 1 + size) + 2;
    const last = Uint8Array.of(...reply.subarray(0, length), ...more);
    const parts = login ? [bytes(5, 2), bytes(1, 0), last] : [bytes(5, 0), last];
    const piece = random.one([1, 3, 100, 10_000]);
    const end = talk(socks5Exchange(random.one(TARGETS), login), parts, () => piece);
    assertEquals(end, { name: "tunnel", tunnel: more.toHex() });
  }
});
