/** The rows of `holdfast push` and `holdfast receive` in the command table. */

import { JSON_OPTION } from "./common_options.ts";
import type { CommandSpec } from "./spec.ts";

const FFI = "--allow-ffi with the path of the C library";

/** What to know of `holdfast push` without loading it. */
export const pushCommand: CommandSpec = {
  name: "push",
  summary: "Accept connections and hand them to other processes",
  description:
    "Accepts connections, and hands each as it is to a process that takes them: by the library's receive(), by " +
    '"holdfast receive", or by a few lines in another language (see docs/PROTOCOLS.md, with --plain). With --route it ' +
    "looks at the first bytes and reads none, so TLS is ended in the process that owns the name. A connection stays " +
    "here until somebody has taken it; of several processes the one with the least to do is asked first. Linux only.",
  arguments: [],
  options: [
    JSON_OPTION,
    { name: "listen", type: "string", value: "HOST:PORT", summary: "Where to accept connections" },
    {
      name: "to",
      type: "list",
      value: "PATH",
      summary: "Who takes them, or with --route the rest of them; may be given several times",
    },
    {
      name: "route",
      type: "list",
      value: "KIND:NAME=PATH",
      summary:
        "Who takes those that ask for a name: sni:NAME, host:NAME (HTTP), alpn:PROTOCOL or proxy:ADDRESS; may be given " +
        "several times",
    },
    {
      name: "timeout",
      type: "duration",
      value: "TIME",
      summary: "How long a client has to say where it wants to go",
      default: "5s",
    },
    { name: "plain", type: "boolean", summary: "The processes speak plain mode" },
  ],
  examples: [
    { run: "holdfast push --listen :8080 --to /run/a.sock --to /run/b.sock", does: "Two workers" },
    {
      run: "holdfast push --listen :443 --route sni:a.example=/run/a.sock --to /run/rest.sock",
      does: "By the names of TLS servers",
    },
  ],
  permissions: `--allow-net=HOST:PORT and ${FFI}`,
  load: () => import("./commands/push.ts"),
};

/** What to know of `holdfast receive` without loading it. */
export const receiveCommand: CommandSpec = {
  name: "receive",
  summary: "Take connections that another process hands over",
  description:
    'Takes what "holdfast push" or the library\'s pushTo() hands to a path. With --exec each connection is the ' +
    "standard input and output of a program that is started for it, as inetd does it. With --fdpass it takes one, and " +
    "passes it on over its standard output as OpenSSH wants it with ProxyUseFdpass. Linux only.",
  arguments: [
    { name: "PATH", summary: "The Unix socket to take them from; it is made", required: true },
    { name: "ARG", summary: "Arguments of the program", required: false, many: true },
  ],
  options: [
    JSON_OPTION,
    { name: "exec", type: "string", value: "PROGRAM", summary: "The program; no shell reads it" },
    { name: "fdpass", type: "boolean", summary: "Pass one connection on, over standard output" },
    {
      name: "most",
      type: "count",
      value: "COUNT",
      summary: "How many programs may run at a time",
      default: "64",
    },
  ],
  examples: [
    { run: "holdfast receive /run/a.sock --exec cat", does: "An echo server" },
    {
      run: "holdfast receive /run/a.sock --fdpass",
      does: "For ssh -o ProxyUseFdpass=yes -o ProxyCommand='...' host",
    },
  ],
  permissions: `${FFI}; with --exec also --allow-run=PROGRAM and --allow-env`,
  load: () => import("./commands/receive.ts"),
};
