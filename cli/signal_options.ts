/** The options of `holdfast signal`: which belong to which action, and what they say. */

import { PermissionError } from "../internal/errors.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { type Broker, mqtt } from "../signal/mqtt.ts";
import { parseCard } from "../signal/card.ts";
import { isPeerId } from "../signal/identity.ts";
import { loadIdentity } from "../signal/identity_file.ts";
import { joinSignal } from "../signal/peer.ts";
import type { SignalPeer } from "../signal/signal_peer.ts";
import { watchNetwork } from "../watch/mod.ts";
import type { Context } from "./spec.ts";
import { UsageError } from "./usage_error.ts";
import type { Values } from "./values.ts";

/** The variable that has brokers. */
const BROKERS_VARIABLE = "HOLDFAST_BROKERS";

const CONNECTING = ["broker", "broker-file", "ca"] as const;

/** What each action takes. */
const TAKES: Readonly<Record<string, readonly string[]>> = {
  identity: [],
  listen: ["identity", "count", ...CONNECTING],
  send: ["identity", "to", "message", "ttl", ...CONNECTING],
  status: ["timeout", ...CONNECTING],
  broker: ["listen"],
};

/** A mistake on the command line. */
export function wrong(action: string, why: string, hint: string): UsageError {
  return new UsageError(`Cannot run "holdfast signal ${action}": ${why}`, hint);
}

/**
 * Refuses what is not for an action.
 *
 * @param action Which one.
 * @param args What is typed behind it.
 * @param values The options.
 * @throws {UsageError} For what does not belong there, or is missing.
 */
export function checkSignalOptions(action: string, args: readonly string[], values: Values): void {
  const takes = [...TAKES[action] ?? [], "json", "help"];
  for (const name of values.names) {
    if (takes.includes(name)) continue;
    const users = Object.keys(TAKES).filter((one) => TAKES[one]?.includes(name));
    throw wrong(action, `"--${name}" is not for it`, `It is for: ${users.join(", ")}`);
  }
  const most = action === "identity" ? 1 : 0;
  if (args.length < most) throw wrong(action, "the argument FILE is missing", 'Run "holdfast help signal"');
  if (args.length > most) throw wrong(action, `extra argument "${args[most]}"`, 'Run "holdfast help signal"');
  for (const name of action === "send" ? ["identity", "to"] : action === "listen" ? ["identity"] : []) {
    if (values.text(name) !== undefined) continue;
    const hint = name === "identity"
      ? 'Run "holdfast signal identity me.key", and write "--identity me.key"'
      : 'The recipient gets its id by "holdfast signal identity FILE"';
    throw wrong(action, `"--${name}" is missing`, hint);
  }
  const to = values.text("to");
  if (to === undefined || isPeerId(to)) return;
  try {
    parseCard(to);
  } catch (error) {
    const why = error instanceof Error ? ` (${error.message})` : "";
    throw wrong(
      action,
      `"${to}" is neither an id nor a contact card${why}`,
      "An id has 52 letters and digits",
    );
  }
}

/**
 * The brokers that are given. What is wrong with a URL is told without it, for it may have a password.
 *
 * @throws {UsageError} Where there are none, or one is no broker's URL.
 */
export async function brokersOf(action: string, values: Values): Promise<readonly Broker[]> {
  const file = values.text("broker-file");
  const lines = file === undefined
    ? []
    : (await Deno.readTextFile(file)).split("\n").map((line) => line.trim());
  const urls = [
    ...values.list("broker"),
    ...lines.filter((line) => line !== "" && !line.startsWith("#")),
    ...(variable(BROKERS_VARIABLE)?.split(/\s+/).filter(Boolean) ?? []),
  ];
  if (urls.length === 0) {
    throw wrong(
      action,
      "it needs a broker",
      'Write "--broker mqtts://HOST"; for a first try run "holdfast signal broker"',
    );
  }
  const ca = values.text("ca");
  const tls = ca === undefined ? {} : { caCerts: [await Deno.readTextFile(ca)] };
  const brokers = new Map<string, Broker>();
  for (const url of urls) {
    try {
      const broker = mqtt(url, { tls });
      brokers.set(broker.url, broker);
    } catch (error) {
      const why = error instanceof Error ? error.message.replace("Cannot use a broker: ", "") : String(error);
      throw wrong(action, why, "Write it as mqtts://HOST, or wss://HOST/PATH");
    }
  }
  return [...brokers.values()];
}

/** A peer on the air, and what goes with it. */
export interface Joined extends AsyncDisposable {
  /** The peer; it ends with the command. */
  readonly peer: SignalPeer;
}

/**
 * Goes on the air as the options say.
 *
 * @param action Which action, for what is wrong.
 * @param context What was typed, and what ends it.
 */
export async function join(action: string, context: Context): Promise<Joined> {
  const { values, signal } = context;
  const identity = await loadIdentity(values.text("identity") ?? "");
  const brokers = await brokersOf(action, values);
  await using stack = new AsyncDisposableStack();
  const network = await openNetwork(context);
  if (network) stack.use(network);
  const peer = stack.use(await joinSignal({ identity, brokers, ...(network ? { network } : {}) }));
  const stop = (): void => void peer.close();
  signal.addEventListener("abort", stop, { once: true });
  stack.defer(() => signal.removeEventListener("abort", stop));
  if (signal.aborted) stop();
  const kept = stack.move();
  return { peer, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The network's events are of use, and not needed. */
export async function openNetwork(
  { signal, note }: Context,
): Promise<(NetworkView & AsyncDisposable) | undefined> {
  try {
    return await watchNetwork({ signal });
  } catch (error) {
    if (!(error instanceof PermissionError)) throw error;
    await note(`Cannot see the network's events (add ${error.flags.join(" ")})`);
    return undefined;
  }
}

function variable(name: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch {
    // Not allowed: then it is not there.
    return undefined;
  }
}
