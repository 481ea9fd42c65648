/** The beginning of SOCKS 5 (RFC 1928), as a proxy speaks it: who wants to go where. */

import type { Pipe } from "../pipe.ts";
import { formatIp } from "../../internal/ip.ts";
import { canonicalHost, type TunnelTarget } from "./target.ts";

/** How long the beginning may take, in milliseconds. */
const PATIENCE = 10_000;

/** What a request is answered with. */
export const SOCKS = {
  fine: 0,
  failed: 1,
  notAllowed: 2,
  unreachable: 4,
  refused: 5,
  noCommand: 7,
  noAddress: 8,
} as const;

/**
 * Reads where a program wants to go.
 *
 * @param pipe The program.
 * @returns The target; `null` where it asks for something else, and was told.
 */
export async function readSocksRequest(pipe: Pipe): Promise<TunnelTarget | null> {
  const [version = 0, count = 0] = await readExactly(pipe, 2);
  if (version !== 5) return null;
  const methods = await readExactly(pipe, count);
  // Without a password: who may come to this address may use it.
  const method = methods.includes(0) ? 0 : 0xff;
  await pipe.send(Uint8Array.of(5, method));
  if (method !== 0) return null;
  const [again = 0, command = 0, , type = 0] = await readExactly(pipe, 4);
  if (again !== 5) return null;
  const host = await readHost(pipe, type);
  const [high = 0, low = 0] = await readExactly(pipe, 2);
  const port = high * 256 + low;
  const answer = command !== 1 ? SOCKS.noCommand : host === null || port === 0 ? SOCKS.noAddress : null;
  if (answer === null && host !== null) return { hostname: host, port };
  await answerSocks(pipe, answer ?? SOCKS.noAddress);
  return null;
}

/** Answers it. Which address the server connects from is nobody's business here. */
export async function answerSocks(pipe: Pipe, code: number): Promise<void> {
  await pipe.send(Uint8Array.of(5, code, 0, 1, 0, 0, 0, 0, 0, 0));
}

/** What a failure is for SOCKS. */
export function socksCode(code: string): number {
  switch (code) {
    case "not-allowed":
    case "revoked":
      return SOCKS.notAllowed;
    case "unreachable":
      return SOCKS.unreachable;
    default:
      return SOCKS.failed;
  }
}

async function readHost(pipe: Pipe, type: number): Promise<string | null> {
  if (type === 1) return formatIp(await readExactly(pipe, 4));
  if (type === 4) return formatIp(await readExactly(pipe, 16));
  if (type !== 3) return null;
  const [length = 0] = await readExactly(pipe, 1);
  const name = await readExactly(pipe, length);
  return canonicalHost(String.fromCharCode(...name));
}

/**
 * Reads so many bytes and none more: what follows is for somebody else.
 *
 * @param pipe Where from.
 * @param length How many.
 * @param timeout For how many milliseconds each part is waited for; `null` for ever.
 */
export async function readExactly(
  pipe: Pick<Pipe, "recv">,
  length: number,
  timeout: number | null = PATIENCE,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const part = await pipe.recv({
      into: new Uint8Array(length - at),
      ...(timeout === null ? {} : { timeout }),
    });
    if (!part) throw new Deno.errors.UnexpectedEof("Cannot read the request: the program has ended it");
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
