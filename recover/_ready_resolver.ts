/** The third step of the readiness gate: the resolver belongs to this network, and answers. */

import { holdProcess, wait } from "../internal/clock.ts";
import { type HoldfastError, PermissionError } from "../internal/errors.ts";
import { isLoopback, parseIp } from "../internal/ip.ts";
import type { NetworkView } from "../internal/network_view.ts";
import { limited } from "./_limited.ts";
import { orAbort } from "./_or_abort.ts";
import { isUnsupported } from "./_need_runtime.ts";
import { messageOf, ok, skipped, type StepContext, type StepResult } from "./_ready_step.ts";
import { networkKey } from "./network_key.ts";

/** A question that has found no answer within this many milliseconds is asked again, beside the one that waits. */
const ASK_AGAIN = 250;

/** The resolver that each network was left with: one that stays the same in another network may be the old one's. */
const known = new WeakMap<NetworkView, { readonly key: string; readonly servers: string }>();

/** Remembers which resolver belongs to the network there is now. */
export function rememberResolver(network: NetworkView): void {
  const servers = serversOf(network).join(" ");
  const key = networkKey(network);
  if (key !== "") known.set(network, { key, servers });
}

/** Waits until the target's name is found, or a name server answers, or is another than that of the network before. */
export async function resolverStep(context: StepContext): Promise<StepResult> {
  const { network, target, tools, family } = context;
  const address = target && parseIp(target.hostname.split("%")[0] ?? "");
  if (address) return skipped("the target is an address");
  const name = target?.hostname;
  if (name === undefined && serversOf(network).length === 0) return skipped("the resolver is out of sight");
  const ask = async (signal: AbortSignal): Promise<string> => {
    if (name !== undefined) {
      const [address] = await tools.resolve(name, { family, signal });
      return `${name} is ${address}`;
    }
    return await Promise.any(
      serversOf(network).map(async (server) => {
        await tools.ask(server, signal);
        return `${server} answers`;
      }),
    );
  };
  try {
    return ok(await firstOf(context, ask));
  } catch (error) {
    context.signal.throwIfAborted();
    // It cannot be asked; whether it has changed with the network is to be seen all the same.
    const stale = (): boolean => isStale(network);
    if (!stale()) return skipped(messageOf(error));
    context.waiting(`the name server is still ${serversOf(network).join(" and ")}, as in the network before`);
    await changed(context, () => !stale());
    return ok(`the name server is ${serversOf(network).join(" and ")} now`);
  }
}

/** Waits for the first answer, asking again when one fails or is long in coming; rejects when asking is not possible. */
async function firstOf(context: StepContext, ask: (signal: AbortSignal) => Promise<string>): Promise<string> {
  const { clock, signal, network } = context;
  using all = limited(Infinity, signal, clock);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const question = async (): Promise<void> => {
    try {
      resolve(await orAbort(ask(all.signal), all.signal));
    } catch (error) {
      const impossible = whyImpossible(error);
      if (impossible) reject(impossible);
      if (!all.signal.aborted) context.waiting(`no answer by name: ${reasonOf(error)}`);
    }
  };
  context.waiting("no name server answers");
  // Another server is worth a question at once.
  using _ = network.subscribe(({ type }) => {
    if (type === "dnschange") question();
  });
  const repeat = async (): Promise<never> => {
    while (true) {
      question();
      await wait(ASK_AGAIN, { signal: all.signal, clock });
    }
  };
  return await Promise.race([promise, repeat()]);
}

/** What forbids to ask at all, where that is all that was said. */
function whyImpossible(error: unknown): HoldfastError | undefined {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  const impossible = (one: unknown): one is HoldfastError =>
    one instanceof PermissionError || isUnsupported(one);
  return errors.every(impossible) ? errors.find(impossible) : undefined;
}

function reasonOf(error: unknown): string {
  return messageOf(error instanceof AggregateError ? error.errors[0] : error);
}

function serversOf(network: NetworkView): readonly string[] {
  return network.state.dns?.servers ?? [];
}

/** Whether the resolver is that of the network before, and one that hardly serves two: private, and not on this machine. */
function isStale(network: NetworkView): boolean {
  const before = known.get(network);
  const servers = serversOf(network);
  return before !== undefined && servers.length > 0 && before.key !== networkKey(network) &&
    before.servers === servers.join(" ") && servers.every(isPrivate);
}

/** RFC 1918 and RFC 4193, and addresses of the link. */
function isPrivate(server: string): boolean {
  const bytes = parseIp(server.split("%")[0] ?? "");
  if (!bytes || isLoopback(bytes)) return false;
  const [first = 0, second = 0] = bytes;
  if (bytes.length === 16) return (first & 0xfe) === 0xfc || first === 0xfe && (second & 0xc0) === 0x80;
  return first === 10 || first === 172 && (second & 0xf0) === 16 || first === 192 && second === 168 ||
    first === 169 && second === 254;
}

async function changed({ network, signal, clock }: StepContext, done: () => boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  using _hold = holdProcess(clock);
  using _ = network.subscribe(() => {
    if (done()) resolve();
  });
  await orAbort(promise, signal);
}
