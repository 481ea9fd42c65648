/** The URLs of `holdfast pipe`, and what the options say about them. */

import type { ConnectOptions } from "../pipes/connect.ts";
import { parsePipeUrl, type PipeUrl } from "../pipes/address.ts";
import { type Framer, lengthPrefix, lines } from "../pipes/framing.ts";
import type { ListenOptions } from "../pipes/listen.ts";
import { webSocketClient } from "./pipe_web_socket.ts";
import { UsageError } from "./usage_error.ts";
import { given, type Values } from "./values.ts";

/** Most of a message that is typed, or sent by length, in bytes. */
export const MAX_MESSAGE: number = 16 * 1024 * 1024;

/**
 * Reads a URL.
 *
 * @param text As it was typed.
 * @param use What it is for.
 * @returns Its parts.
 * @throws {UsageError} When it is none, or none that the command can use.
 */
export function pipeTarget(text: string, use: "connect" | "listen"): PipeUrl {
  let url: PipeUrl;
  try {
    url = parsePipeUrl(text, use);
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message, hintFor(text));
    throw error;
  }
  if (url.transport === "memory") {
    throw new UsageError(`Cannot ${use} to "${text}": memory: is within one process`, hintFor(""));
  }
  if (url.transport === "exec") {
    throw new UsageError(
      `Cannot ${use} to "${text}": exec: needs a command, which only a program can give`,
      hintFor(""),
    );
  }
  if (use === "listen" && (url.transport === "ws" || url.transport === "wss")) {
    throw new UsageError(
      `Cannot listen on "${text}": the command is only a client of WebSocket`,
      'A program can be a server: see "@holdfast/net/pipes/ws"',
    );
  }
  return url;
}

function hintFor(text: string): string {
  if (/^(?:[^/:@\s]+|\[[^\]]+\]):\d+$/.test(text)) return `Did you mean "tcp://${text}"?`;
  return "Write tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:/PATH or ws://HOST/PATH";
}

/** Whether the other end can be told that we have said all, and go on. */
export function hasHalfClose({ transport }: Pick<PipeUrl, "transport">): boolean {
  return transport === "tcp" || transport === "tls" || transport === "unix";
}

/**
 * Whether standard input and output are messages, one a line.
 *
 * @param values The options.
 * @param url Where the pipe leads: a WebSocket has messages anyway.
 */
export function areMessages(values: Values, { transport }: PipeUrl): boolean {
  const framing = values.text("framing");
  return framing === undefined ? transport === "ws" || transport === "wss" : framing !== "none";
}

/**
 * The options of connecting.
 *
 * @param values The options of the command.
 * @param url Where to.
 * @param signal What ends it.
 * @throws {UsageError} When an option is not for this transport.
 */
export async function connectOptions(
  values: Values,
  url: PipeUrl,
  signal: AbortSignal,
): Promise<ConnectOptions> {
  const ca = values.text("ca");
  if (url.transport === "wss" && values.flag("any-certificate")) {
    throw new UsageError(
      'Cannot run "holdfast pipe": "--any-certificate" is for tls: only',
      'For wss: write "--ca FILE" with the certificate to trust',
    );
  }
  const caCerts = ca === undefined ? undefined : [await readPem("ca", ca)];
  const dangerouslyAcceptAnyCertificate = values.flag("any-certificate");
  return {
    signal,
    tls: { dangerouslyAcceptAnyCertificate, ...given({ caCerts }) },
    transports: [webSocketClient()],
    ...given({
      framing: framerOf(values),
      timeout: values.number("timeout"),
      family: values.family(),
      reconnect: values.flag("reconnect") ? true : undefined,
    }),
  };
}

/**
 * The options of listening.
 *
 * @param values The options of the command.
 * @param url Where.
 * @throws {UsageError} When TLS lacks a certificate or a key.
 */
export async function listenOptions(values: Values, url: PipeUrl): Promise<ListenOptions> {
  const framing = given({ framing: framerOf(values) });
  if (url.transport !== "tls") return framing;
  const [cert, key] = [values.text("cert"), values.text("key")];
  if (cert === undefined || key === undefined) {
    throw new UsageError(
      'Cannot run "holdfast pipe": to listen on tls: a certificate and its key are needed',
      'Write "--cert FILE" and "--key FILE", both in PEM',
    );
  }
  return { ...framing, tls: { cert: await readPem("cert", cert), key: await readPem("key", key) } };
}

function framerOf(values: Values): Framer | undefined {
  switch (values.text("framing")) {
    case "lines":
      return lines({ max: MAX_MESSAGE });
    case "length":
      return lengthPrefix({ max: MAX_MESSAGE });
    default:
      return undefined;
  }
}

async function readPem(option: string, path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.IsADirectory)) throw error;
    throw new UsageError(
      `Cannot read "${path}": there is no such file`,
      `Write "--${option}" and a PEM file`,
    );
  }
}
