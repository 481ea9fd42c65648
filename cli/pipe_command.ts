/** The row of `holdfast pipe` in the command table. */

import { FAMILY_OPTION, JSON_OPTION } from "./common_options.ts";
import type { CommandSpec } from "./spec.ts";

/** What to know of it without loading it. */
export const pipeCommand: CommandSpec = {
  name: "pipe",
  summary: "Talk over a connection, or relay between two",
  description:
    "With one URL: sends what comes on standard input and writes what is received, over TCP, TLS, UDP, a Unix socket " +
    "or WebSocket. It tries again where that can help, and ends when both directions have ended; at a terminal when " +
    "the other end has. With two URLs: passes on between them. An end is passed on as an end, and a failure as a reset.",
  arguments: [
    {
      name: "URL",
      summary:
        "tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:/PATH, ws://HOST/PATH or wss://HOST/PATH",
      required: true,
    },
    { name: "OTHER", summary: "Relay to this URL, in place of standard input and output", required: false },
  ],
  options: [
    JSON_OPTION,
    {
      name: "listen",
      type: "boolean",
      summary: "Wait for connections at the first URL: for one, or with two URLs for any number",
    },
    {
      name: "framing",
      type: "choice",
      value: "FRAMING",
      choices: ["none", "lines", "length"],
      summary:
        "How messages lie in the stream; with lines and length each line of input is one (otherwise none, " +
        "and lines for WebSocket)",
    },
    {
      name: "reconnect",
      type: "boolean",
      summary:
        "Connect again after a loss; what was on its way then may be lost, with lines and length as whole messages only",
    },
    {
      name: "linger",
      type: "duration",
      value: "TIME",
      summary:
        "After the end of input go on receiving for this long at most (otherwise until the other end has " +
        "ended; 1s over UDP and WebSocket)",
    },
    {
      name: "timeout",
      type: "duration",
      value: "TIME",
      summary: "Give up connecting after this long",
      default: "30s",
    },
    FAMILY_OPTION,
    { name: "ca", type: "string", value: "FILE", summary: "Trust the certificates in this file too (PEM)" },
    { name: "any-certificate", type: "boolean", summary: "Take any certificate of tls: (for tests)" },
    { name: "cert", type: "string", value: "FILE", summary: "Our certificate, to listen on tls: (PEM)" },
    { name: "key", type: "string", value: "FILE", summary: "Its private key (PEM)" },
  ],
  examples: [
    { run: "holdfast pipe tcp://example.com:7", does: "Talk to a server" },
    { run: "holdfast pipe --listen tcp://:9000", does: "Wait for somebody, and talk to him" },
    {
      run: "holdfast pipe --listen tcp://127.0.0.1:5432 tls://db.example:5432",
      does: "A door to a server",
    },
    {
      run: "holdfast pipe wss://example.com/feed --reconnect --json",
      does: "Follow a feed, for a program",
    },
  ],
  permissions:
    "--allow-net, and --allow-read and --allow-write for unix:. To see the network's events, not needed: " +
    'see "holdfast permissions watch".',
  load: () => import("./commands/pipe.ts"),
};
