/** The row of `holdfast tunnel` in the command table. */

import { JSON_OPTION } from "./common_options.ts";
import type { CommandSpec } from "./spec.ts";

/** What can be done with tunnels. */
export const TUNNEL_ACTIONS: readonly string[] = ["key", "serve", "connect", "status", "ssh"];

/** What to know of it without loading it. */
export const tunnelCommand: CommandSpec = {
  name: "tunnel",
  summary: "Carry the connections of any program over links that break",
  description:
    'One end runs "tunnel serve" at or near the server, the other "tunnel connect" at the client. Programs connect to the ' +
    "client's end and reach the target behind the server's end; their connections stay open at both ends while the link " +
    "between is down or gets another address, and go on where they were. Everything between is encrypted with a key file: " +
    "the same at both ends, or one pair for each end. A tunnel carries streams, no UDP.",
  arguments: [
    {
      name: "ACTION",
      summary:
        "key FILE makes a key; serve and connect are the two ends; status shows one; ssh needs no server",
      required: true,
      choices: TUNNEL_ACTIONS,
    },
    {
      name: "FILE|USER@HOST",
      summary: "The key file of key; where ssh goes, and what it runs",
      required: false,
      many: true,
    },
  ],
  options: [
    JSON_OPTION,
    {
      name: "listen",
      type: "list",
      value: "ADDRESS[=TARGET]",
      summary: "Where to listen; of connect also where that leads, and it may be given several times",
    },
    {
      name: "server",
      type: "list",
      value: "HOST:PORT",
      summary: "Where the server is, or a URL: tls://, ws://, wss://, unix:; several are raced",
    },
    {
      name: "to",
      type: "list",
      value: "HOST:PORT",
      summary:
        'A target: of serve those allowed, the first one for who names none, "*" for any public one; of connect where to',
    },
    {
      name: "key-file",
      type: "string",
      value: "FILE",
      summary: "The key (otherwise the variable HOLDFAST_TUNNEL_KEY)",
    },
    {
      name: "pair",
      type: "boolean",
      summary: "key: make a pair, whose public half FILE.pub the other end needs",
    },
    { name: "comment", type: "string", value: "TEXT", summary: "key: whose it is" },
    {
      name: "server-key",
      type: "string",
      value: "FILE",
      summary: "connect: the public key of the server, for a pair",
    },
    {
      name: "authorized",
      type: "string",
      value: "FILE",
      summary: "serve: the public keys let in, for a pair",
    },
    { name: "plain", type: "boolean", summary: "No key and no encryption of ours; both ends must say so" },
    { name: "tls-cert", type: "string", value: "FILE", summary: "serve: TLS with this certificate (PEM)" },
    { name: "tls-key", type: "string", value: "FILE", summary: "serve: its private key (PEM)" },
    {
      name: "ca",
      type: "string",
      value: "FILE",
      summary: "connect: trust the certificates in this file too (PEM)",
    },
    {
      name: "stdio",
      type: "boolean",
      summary: "connect: carry standard input and output, for ssh -o ProxyCommand",
    },
    {
      name: "reverse",
      type: "list",
      value: "ADDRESS=TARGET",
      summary: "connect: the server listens there, and leads those who come to a target here",
    },
    {
      name: "socks",
      type: "list",
      value: "ADDRESS",
      summary: "connect: a SOCKS 5 proxy there, for programs that say themselves where to",
    },
    {
      name: "allow-listen",
      type: "list",
      value: "ADDRESS",
      summary: "serve: where clients may listen with --reverse; port 0 is any port",
    },
    { name: "allow-private", type: "boolean", summary: 'serve: "--to *" leads to private addresses too' },
    {
      name: "proxy",
      type: "string",
      value: "URL",
      summary:
        'connect: through this proxy, http:// or socks5:// ("system": what HTTPS_PROXY and the like say)',
    },
    {
      name: "control",
      type: "string",
      value: "PATH",
      summary:
        "The socket that status asks (otherwise tunnel-PID.sock in $XDG_RUNTIME_DIR/holdfast, of root in /run/holdfast)",
    },
    { name: "watch", type: "boolean", summary: "status: again and again, until Ctrl-C" },
    { name: "reconnect", type: "boolean", summary: "status: first move all connections to new links" },
    { name: "drain", type: "boolean", summary: "status: take no new connections, and end with the last one" },
    {
      name: "idle",
      type: "duration",
      value: "TIME",
      summary: "serve: end when there was no connection for so long (otherwise never)",
    },
    {
      name: "remote",
      type: "string",
      value: "COMMAND",
      summary: "ssh: how this program is called there [holdfast]",
    },
    {
      name: "ssh-option",
      type: "list",
      value: "OPTION",
      summary: "ssh: an option for ssh -o; may be given several times",
    },
    {
      name: "expiry",
      type: "duration",
      value: "TIME",
      summary: "Give a connection up after so long without a link (otherwise 1h of connect, 1d of serve)",
    },
    {
      name: "max-connections",
      type: "count",
      value: "N",
      summary: "How many connections there may be (otherwise 1024 of connect, 4096 of serve)",
    },
    {
      name: "max-per-client",
      type: "count",
      value: "N",
      summary: "serve: how many one client may have [1024]",
    },
    {
      name: "timeout",
      type: "duration",
      value: "TIME",
      summary: "How long beginning a connection may take",
      default: "30s",
    },
  ],
  examples: [
    { run: "holdfast tunnel key tunnel.key", does: "Make a key, and copy it to the other end" },
    {
      run: "holdfast tunnel serve --listen :7000 --to 127.0.0.1:22 --key-file tunnel.key",
      does: "The server's end",
    },
    {
      run: "holdfast tunnel connect --listen 2222 --server host:7000 --key-file tunnel.key",
      does: "The client's end; then: ssh -p 2222 127.0.0.1",
    },
    {
      run: "holdfast tunnel connect --stdio --server host:7000 --key-file tunnel.key",
      does: "For ssh -o ProxyCommand='...' host, with known_hosts as it is",
    },
    {
      run: "holdfast tunnel ssh user@host",
      does: "A shell that stays; opens no port, and needs holdfast there",
    },
  ],
  permissions:
    "--allow-net, --allow-read of the files, --allow-write of the key to be made. --allow-ffi of the C library makes it " +
    'faster, and lets it see the network\'s events: see "holdfast permissions watch".',
  load: () => import("./commands/tunnel.ts"),
};
