/** A tunnel through a SOCKS proxy of version 5 (RFC 1928), with a user and password where there are any (RFC 1929). */

import { parseIp } from "../internal/ip.ts";
import {
  type ProxyExchange,
  type ProxyLogin,
  type ProxyStep,
  type ProxyTarget,
  READ_ON,
} from "./_proxy_exchange.ts";
import { type ProxyErrorCode, ProxyRefusal } from "./_proxy_error.ts";

const VERSION = 5;
const LOGIN_VERSION = 1;

/** Ways to say who one is. */
const [OPEN, LOGIN, NONE] = [0x00, 0x02, 0xff];

/** Kinds of addresses. */
const [IPV4, NAME, IPV6] = [1, 3, 4];

/** The command that connects. */
const CONNECT = 1;

/**
 * Begins to ask for a tunnel.
 *
 * @param target Where it is to lead; a name is resolved by the proxy.
 * @param login Who asks, where the proxy wants to know; both of at most 255 bytes.
 */
export function socks5Exchange(target: ProxyTarget, login: ProxyLogin | null): ProxyExchange {
  return new Socks5Exchange(target, login);
}

class Socks5Exchange implements ProxyExchange {
  readonly hello: Uint8Array;
  readonly #target: ProxyTarget;
  readonly #login: ProxyLogin | null;
  #state: "method" | "login" | "reply" = "method";
  /** What has come and belongs to no whole answer. */
  #buffer = new Uint8Array();

  constructor(target: ProxyTarget, login: ProxyLogin | null) {
    this.#target = target;
    this.#login = login;
    const methods = login ? [OPEN, LOGIN] : [OPEN];
    this.hello = Uint8Array.of(VERSION, methods.length, ...methods);
  }

  push(bytes: Uint8Array): ProxyStep {
    // Behind the longest reply the tunnel begins, and nothing of it is lost.
    this.#buffer = joined(this.#buffer, bytes);
    switch (this.#state) {
      case "method":
        return this.#method();
      case "login":
        return this.#loggedIn();
      case "reply":
        return this.#reply();
    }
  }

  #method(): ProxyStep {
    const [version, method] = this.#buffer;
    if (version === undefined) return READ_ON;
    if (version !== VERSION) throw wrongVersion(version);
    if (method === undefined) return READ_ON;
    this.#shift(2);
    if (method === OPEN) return this.#ask();
    if (method === LOGIN && this.#login) {
      this.#state = "login";
      const [user, password] = [this.#login.user, this.#login.password].map((one) =>
        new TextEncoder().encode(one)
      ) as [Uint8Array, Uint8Array];
      return this.#send(Uint8Array.of(LOGIN_VERSION, user.length, ...user, password.length, ...password));
    }
    if (method === NONE) {
      const why = this.#login ? "it takes no user and password" : "it wants to know who asks";
      throw new ProxyRefusal("proxy-auth", why);
    }
    throw broken(`it chose the login method ${method}, which was not offered`);
  }

  #loggedIn(): ProxyStep {
    const [version, status] = this.#buffer;
    if (version === undefined) return READ_ON;
    if (version !== LOGIN_VERSION) throw broken(`its answer to the login begins with ${version}`);
    if (status === undefined) return READ_ON;
    if (status !== 0) throw new ProxyRefusal("proxy-auth", "it refuses the user and password");
    this.#shift(2);
    return this.#ask();
  }

  #ask(): ProxyStep {
    this.#state = "reply";
    const { hostname, port } = this.#target;
    const address = parseIp(hostname);
    const name = new TextEncoder().encode(hostname);
    const where = address ? [address.length === 4 ? IPV4 : IPV6, ...address] : [NAME, name.length, ...name];
    return this.#send(Uint8Array.of(VERSION, CONNECT, 0, ...where, port >> 8, port & 0xff));
  }

  #reply(): ProxyStep {
    const [version, reply, reserved, kind, size] = this.#buffer;
    if (version === undefined) return READ_ON;
    if (version !== VERSION) throw wrongVersion(version);
    if (reply === undefined) return READ_ON;
    // Some close the connection in the middle of such a reply.
    if (reply !== 0) throw refusal(reply);
    if (reserved === undefined || kind === undefined || size === undefined) return READ_ON;
    const length = kind === IPV4 ? 4 : kind === IPV6 ? 16 : kind === NAME ? 1 + size : null;
    if (length === null) throw broken(`its reply has an address of kind ${kind}`);
    const end = 4 + length + 2;
    if (this.#buffer.length < end) return READ_ON;
    return { send: null, tunnel: this.#buffer.slice(end) };
  }

  /** Sends, and takes what has come already as the answer: only who breaks the rules answers before he is asked. */
  #send(send: Uint8Array): ProxyStep {
    if (this.#buffer.length > 0) throw broken("it answers before it is asked");
    return { send, tunnel: null };
  }

  #shift(count: number): void {
    this.#buffer = this.#buffer.slice(count);
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** What each reply means (RFC 1928 section 6). */
const REPLIES: ReadonlyMap<number, readonly [ProxyErrorCode, string]> = new Map([
  [1, ["proxy-unreachable", "it failed, and does not say why"]],
  [2, ["proxy-refused", "its rules do not allow this host and port"]],
  [3, ["proxy-unreachable", "it has no way to the network of the server"]],
  [4, ["proxy-unreachable", "it cannot reach the server, or not find its name"]],
  [5, ["proxy-unreachable", "the server refuses the connection"]],
  [6, ["proxy-unreachable", "the server did not answer it in time"]],
  [7, ["proxy-refused", "it makes no connections"]],
  [8, ["proxy-refused", "it does not know this kind of address"]],
]);

function refusal(reply: number): ProxyRefusal {
  const [code, why] = REPLIES.get(reply) ??
    ["proxy-protocol", `it answered with ${reply}, which means nothing`];
  return new ProxyRefusal(code, why);
}

function wrongVersion(version: number): ProxyRefusal {
  // "H" of HTTP, and version 4 of SOCKS.
  const what = version === 0x48 ? ", as HTTP does" : version === 0 ? ", as version 4 does" : "";
  return broken(`it does not speak SOCKS 5: its answer begins with ${version}${what}`);
}

function broken(why: string): ProxyRefusal {
  return new ProxyRefusal("proxy-protocol", why);
}
