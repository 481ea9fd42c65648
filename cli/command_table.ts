/**
 * The command table: one row per command drives parsing, help, completion and the messages about mistakes.
 *
 * Importing it loads no command.
 */

import type { BackendName } from "../watch/events.ts";
import { FAMILY_OPTION, JSON_OPTION } from "./common_options.ts";
import { pipeCommand } from "./pipe_command.ts";
import { pushCommand, receiveCommand } from "./push_commands.ts";
import { signalCommand } from "./signal_command.ts";
import type { CommandSpec, OptionSpec } from "./spec.ts";
import { tunnelCommand } from "./tunnel_command.ts";

/** The values of `--backend`. */
export const BACKENDS: readonly (BackendName | "auto")[] = [
  "auto",
  "netlink",
  "routing-socket",
  "iphlpapi",
  "ip-monitor",
  "route-monitor",
  "powershell",
  "poll",
];

/** The modules that `doctor` and `permissions` know. */
export const MODULES: readonly string[] = ["watch", "recover", "pipes", "pipes/push"];

/** The shells that completion is written for. */
export const SHELLS: readonly string[] = ["bash", "zsh", "fish"];

/** The option that every command has. */
export const HELP_OPTION: OptionSpec = { name: "help", type: "boolean", summary: "Show this help" };

/** What can be given instead of a command. */
export const VERSION_OPTION: OptionSpec = { name: "version", type: "boolean", summary: "Show the version" };

/** One letter for an option. */
export const LETTERS: Readonly<Record<string, string>> = { help: "h", version: "V" };

const backend: OptionSpec = {
  name: "backend",
  type: "choice",
  value: "NAME",
  choices: BACKENDS,
  summary: "How to read the network",
  default: "auto",
};

const WATCH_PERMISSIONS = 'Those of a backend of watch: see "holdfast permissions watch".';

/** All commands, in the order of the help. */
export const commandTable: readonly CommandSpec[] = [
  {
    name: "watch",
    summary: "Show the network, and every change as it happens",
    description:
      "Shows the state of the network, then one line per event: the time, the time since the line before, " +
      "and what happened. After each burst of events a settled change says what it means for open connections. " +
      "Ends with Ctrl-C.",
    arguments: [],
    options: [
      JSON_OPTION,
      backend,
      { name: "settled", type: "boolean", summary: "Only settled changes, no single events" },
      {
        name: "external",
        type: "list",
        value: "SERVER",
        summary:
          "Follow the public address too, by this STUN server (HOST or HOST:PORT); may be given several times",
      },
      {
        name: "quiet",
        type: "duration",
        value: "TIME",
        summary: "A change is settled after this much quiet",
        default: "150ms",
      },
      {
        name: "ceiling",
        type: "duration",
        value: "TIME",
        summary: "A change is settled after this long at the latest",
        default: "1s",
      },
      {
        name: "grace",
        type: "duration",
        value: "TIME",
        summary:
          "Hold back the loss of carrier for this long (otherwise 1s, and that in settled changes only)",
      },
      {
        name: "poll-interval",
        type: "duration",
        value: "TIME",
        summary: "How often the backend poll reads",
        default: "2s",
      },
      {
        name: "log",
        type: "choice",
        value: "LEVEL",
        choices: ["debug", "info", "warn", "error"],
        summary: "What to tell on standard error",
        default: "warn",
      },
    ],
    examples: [
      { run: "holdfast watch", does: "Watch until Ctrl-C" },
      { run: "holdfast watch --json --settled", does: "Settled changes, for a program" },
      { run: "holdfast watch --external stun.example.org:3478", does: "Follow the public address too" },
    ],
    permissions: WATCH_PERMISSIONS + " --external needs --allow-net.",
    load: () => import("./commands/watch.ts"),
  },
  {
    name: "status",
    summary: "Show the network as it is now",
    description:
      "Shows whether the machine is online, its default routes, name servers, interfaces and addresses.",
    arguments: [],
    options: [JSON_OPTION, backend],
    examples: [
      { run: "holdfast status", does: "The network now" },
      { run: "holdfast status --json", does: "The same, for a program" },
    ],
    permissions: WATCH_PERMISSIONS,
    load: () => import("./commands/status.ts"),
  },
  {
    name: "external",
    summary: "Ask STUN servers for the public address",
    description: "Asks each server (RFC 8489) which address it sees, and tells how many agree. " +
      "Two servers or more also show how a router on the way maps ports.",
    arguments: [{ name: "SERVER", summary: "Further servers", required: false, many: true }],
    options: [
      JSON_OPTION,
      {
        name: "stun",
        type: "list",
        value: "SERVER",
        summary: "A STUN server: HOST or HOST:PORT; may be given several times",
      },
      FAMILY_OPTION,
      {
        name: "timeout",
        type: "duration",
        value: "TIME",
        summary: "How long to wait for answers",
        default: "5s",
      },
    ],
    examples: [
      { run: "holdfast external --stun stun.example.org:3478", does: "Ask one server" },
      {
        run: "holdfast external --stun a.example:3478 b.example:3478 --family 4",
        does: "Compare two, by IPv4",
      },
    ],
    permissions: "--allow-net",
    load: () => import("./commands/external.ts"),
  },
  {
    name: "wait",
    summary: "Wait until the network, or a server, can really be reached",
    description:
      "Without a target: until the machine is online and its gateway answers. With one: until a TCP connection " +
      "to it comes about; tried again at once when the network changes, and once a second at the latest. " +
      "What is needed before, a usable address, the gateway and the resolver, may hold that up for 3 seconds.",
    arguments: [{ name: "HOST:PORT", summary: "What to reach", required: false }],
    options: [
      JSON_OPTION,
      {
        name: "timeout",
        type: "duration",
        value: "TIME",
        summary: "Give up after this long",
        default: "30s",
      },
      FAMILY_OPTION,
      backend,
    ],
    examples: [
      { run: "holdfast wait && ./sync", does: "Run something as soon as the machine is online" },
      { run: "holdfast wait db.example:5432 --timeout 2m", does: "Wait for a server" },
    ],
    permissions: WATCH_PERMISSIONS +
      " With a target: --allow-net=HOST:PORT, and a backend is of use but not needed. The gateway is asked with " +
      "--allow-net=GATEWAY:9, the resolver with --allow-net=SERVER:53, where given.",
    load: () => import("./commands/wait.ts"),
  },
  pipeCommand,
  tunnelCommand,
  signalCommand,
  pushCommand,
  receiveCommand,
  {
    name: "explain",
    summary: "Tell what an error means, and what to do about it",
    description:
      "Finds the failure that a message, a code or a number stands for, and tells what one sees, why it is so, " +
      "how to be sure, and what to do, with code. The exit code is 1 when nothing is known.",
    arguments: [{
      name: "TEXT",
      summary: 'A message, a code, a number, the name of a scenario, or "-" for standard input',
      required: false,
      many: true,
    }],
    options: [
      JSON_OPTION,
      {
        name: "os",
        type: "choice",
        value: "SYSTEM",
        choices: ["linux", "darwin", "windows"],
        summary: "Where numbers in the text come from (otherwise this system)",
      },
      { name: "all", type: "boolean", summary: "List all that is known" },
    ],
    examples: [
      { run: 'holdfast explain "No route to host (os error 113)"', does: "What a message means" },
      { run: "holdfast explain ECONNREFUSED", does: "What a code means" },
      { run: "holdfast explain --os windows 10053", does: "What a number of Windows means" },
      { run: "deno run -A app.ts 2>&1 | holdfast explain -", does: "What a program ended with" },
    ],
    permissions: "None.",
    load: () => import("./commands/explain.ts"),
  },
  {
    name: "doctor",
    summary: "Tell what works on this machine, and what is missing",
    description: "Tries each backend of each module and says whether it is usable, why not, " +
      "and which flag or package to add.",
    arguments: [],
    options: [JSON_OPTION],
    examples: [{ run: "holdfast doctor", does: "What works here" }],
    permissions: "None; it tells what is missing.",
    load: () => import("./commands/doctor.ts"),
  },
  {
    name: "permissions",
    summary: "Print the exact permission flags for this machine",
    description: "Prints the flags that a program needs for a module, ready to paste.",
    arguments: [{ name: "MODULE", summary: "Of which module", required: true, many: true, choices: MODULES }],
    options: [
      JSON_OPTION,
      {
        name: "backend",
        type: "choice",
        value: "NAME",
        choices: BACKENDS,
        summary: "For this backend",
        default: "auto",
      },
      {
        name: "format",
        type: "choice",
        value: "FORMAT",
        choices: ["flags", "deno.json"],
        summary: "Flags for the command line, or a permission set for deno.json",
        default: "flags",
      },
      { name: "full", type: "boolean", summary: "Also what is not needed, but lets it see more" },
    ],
    examples: [
      { run: "deno run $(holdfast permissions watch) app.ts", does: "Run a program with just these" },
      { run: "holdfast permissions watch --backend ip-monitor", does: "Without FFI" },
      { run: "holdfast permissions watch --format deno.json", does: 'For "deno run -P"' },
    ],
    permissions: "None. With --allow-read it finds the C library itself instead of taking the usual path.",
    load: () => import("./commands/permissions.ts"),
  },
  {
    name: "completion",
    summary: "Print a script that completes commands in your shell",
    description: "Prints a script for your shell.",
    arguments: [{ name: "SHELL", summary: "Which shell", required: true, choices: SHELLS }],
    options: [],
    examples: [
      { run: 'eval "$(holdfast completion bash)"', does: "In ~/.bashrc" },
      { run: 'eval "$(holdfast completion zsh)"', does: "In ~/.zshrc, after compinit" },
      { run: "holdfast completion fish | source", does: "In ~/.config/fish/config.fish" },
    ],
    permissions: "None.",
    load: () => import("./commands/completion.ts"),
  },
  {
    name: "help",
    summary: "Show help on a command",
    description: "Shows what a command does, its arguments and options.",
    arguments: [{ name: "COMMAND", summary: "Which command", required: false }],
    options: [],
    examples: [{ run: "holdfast help watch", does: "Help on watch" }],
    permissions: "None.",
    load: () => import("./commands/help.ts"),
  },
];
