/** What goes wrong with a proxy. */

import { HoldfastError } from "../internal/errors.ts";
import { classify } from "../recover/classify.ts";
import type { Failure } from "../recover/failure.ts";

/**
 * What a proxy says: it wants other credentials; it does not allow this; it cannot reach the other end; or it breaks the rules,
 * as what is no proxy does.
 */
export type ProxyErrorCode = "proxy-auth" | "proxy-refused" | "proxy-unreachable" | "proxy-protocol";

/** Why a proxy will not do, found by who reads its answer. */
export class ProxyRefusal extends Error {
  /** The class's name. */
  override name = "ProxyRefusal";
  /** Which of them. */
  readonly code: ProxyErrorCode;
  /** The headers of its answer that tell what helps. */
  readonly headers: Headers;

  /**
   * @param code Which of them.
   * @param message What it said.
   * @param headers The headers of its answer that tell what helps.
   */
  constructor(code: ProxyErrorCode, message: string, headers: Headers = new Headers()) {
    super(message);
    this.code = code;
    this.headers = headers;
  }
}

/** A connection that a proxy did not make. */
export class ProxyError extends HoldfastError {
  /** The class's name. */
  override name = "ProxyError";
  /** Which of them. */
  declare readonly code: ProxyErrorCode;
  /** What it means for another attempt. */
  readonly failure: Failure;

  /**
   * @param proxy The proxy, without credentials.
   * @param refusal What it said.
   */
  constructor(proxy: string, refusal: ProxyRefusal) {
    const { code, message, headers } = refusal;
    const hint = HINTS[code];
    const operation = "connect through a proxy";
    super(`Cannot connect through the proxy ${proxy}: ${message}`, { code, operation, cause: refusal, hint });
    const failure = classify({ ...LIKE[code], headers }, { operation: "connect" });
    this.failure = { ...failure, hint, error: this };
  }
}

/** A proxy that could not be reached itself. */
export class ProxyDialError extends HoldfastError {
  /** The class's name. */
  override name = "ProxyDialError";
  /** What it means for another attempt: what the failure below means. */
  readonly failure: Failure;

  /**
   * @param proxy The proxy, without credentials.
   * @param failure Why it could not be reached.
   * @param cause What was thrown.
   */
  constructor(proxy: string, failure: Failure, cause: unknown) {
    const { error, hint } = failure;
    const why = error instanceof Error ? error.message : String(error);
    const operation = "connect to a proxy";
    super(`Cannot reach the proxy ${proxy}: ${why}`, { code: "proxy-dial", operation, cause, hint });
    this.failure = { ...failure, error: this };
  }
}

const HINTS: Readonly<Record<ProxyErrorCode, string>> = {
  "proxy-auth": "Put the user and password into the proxy's URL, as in http://USER:PASSWORD@HOST:PORT",
  "proxy-refused": "Ask who runs the proxy to allow this host and port, or go without it",
  "proxy-unreachable": "The proxy cannot reach the server: back off, or go without it",
  "proxy-protocol": "Check the proxy's scheme and port: what answers there does not speak as a proxy",
};

/** What each of them is like, so that it is understood as that is: statuses of HTTP (RFC 9110 section 15). */
const LIKE: Readonly<Record<ProxyErrorCode, { readonly status: number } | { readonly code: string }>> = {
  "proxy-auth": { status: 407 },
  "proxy-refused": { status: 403 },
  "proxy-unreachable": { status: 502 },
  "proxy-protocol": { code: "ERR_INVALID_HTTP_RESPONSE" },
};
