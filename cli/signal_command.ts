/** The row of `holdfast signal` in the command table. */

import { JSON_OPTION } from "./common_options.ts";
import type { CommandSpec } from "./spec.ts";

/** What can be done with it. */
export const SIGNAL_ACTIONS: readonly string[] = ["identity", "listen", "send", "status", "broker"];

/** What to know of it without loading it. */
export const signalCommand: CommandSpec = {
  name: "signal",
  summary: "Send messages over several MQTT brokers at once",
  description:
    "Messages between two peers go over all brokers that are given, encrypted, and arrive once and in order as long as one of " +
    "them works. A peer is known by its id, which is the public half of its identity; make one with identity, and give the id " +
    "to those who are to write. For a first try, broker runs one on this machine.",
  arguments: [
    {
      name: "ACTION",
      summary:
        "identity FILE makes one and prints its id; listen and send are the two ends; status tries the brokers",
      required: true,
      choices: SIGNAL_ACTIONS,
    },
    { name: "FILE", summary: "The file of identity", required: false },
  ],
  options: [
    JSON_OPTION,
    { name: "identity", type: "string", value: "FILE", summary: "listen, send: who we are" },
    {
      name: "broker",
      type: "list",
      value: "URL",
      summary:
        "mqtt://, mqtts://, ws:// or wss://; may be given several times (also in the variable HOLDFAST_BROKERS)",
    },
    {
      name: "broker-file",
      type: "string",
      value: "FILE",
      summary:
        "More of them, one in a line; for those with a login, which others could see on the command line",
    },
    { name: "ca", type: "string", value: "FILE", summary: "Trust the certificates in this file too (PEM)" },
    { name: "to", type: "string", value: "ID", summary: "send: id or contact card of the recipient" },
    {
      name: "message",
      type: "list",
      value: "TEXT",
      summary: "send: what to send (otherwise each line of standard input); may be given several times",
    },
    {
      name: "ttl",
      type: "duration",
      value: "TIME",
      summary: "send: how long there is to deliver a message (otherwise 30s)",
    },
    { name: "count", type: "count", value: "N", summary: "listen: end after so many messages" },
    { name: "timeout", type: "duration", value: "TIME", summary: "status: how long to wait (otherwise 5s)" },
    {
      name: "listen",
      type: "string",
      value: "HOST:PORT",
      summary: "broker: where to listen (otherwise 127.0.0.1:1883)",
    },
  ],
  examples: [
    { run: "holdfast signal broker", does: "Run a broker on this machine" },
    { run: "holdfast signal identity me.key", does: "Make an identity, and print its id" },
    { run: "holdfast signal listen --identity me.key --broker mqtt://127.0.0.1", does: "Print what comes" },
    {
      run:
        "holdfast signal send --identity my.key --to ID --broker mqtts://a.example --broker wss://b.example/mqtt",
      does: "Send each line that is typed",
    },
  ],
  permissions:
    "--allow-net for the brokers; --allow-read and --allow-write for the files; those of watch are of use but not needed.",
  load: () => import("./commands/signal.ts"),
};
