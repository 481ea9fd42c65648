/** The fourth step of the readiness gate: no captive portal answers in place of the Internet. */

import { wait } from "../internal/clock.ts";
import { isNotCapable } from "../internal/errors.ts";
import { messageOf, ok, type StepContext, type StepResult } from "./_ready_step.ts";
import type { PortalProbe } from "./ready.ts";

/** A probe that found no answer is repeated after this many milliseconds. */
const AGAIN = 250;

/**
 * Fetches the probe until there is an answer, and compares.
 *
 * @param context What the step works with.
 * @param probe What is expected; anything else is a portal.
 */
export async function portalStep(context: StepContext, probe: PortalProbe): Promise<StepResult> {
  const { tools, signal, clock } = context;
  const url = new URL(probe.url);
  while (true) {
    try {
      const response = await tools.fetch(url, { redirect: "manual", cache: "no-store", signal });
      return await compare(response, probe);
    } catch (error) {
      signal.throwIfAborted();
      if (isNotCapable(error)) return { outcome: "skipped", detail: error.message };
      context.waiting(`${url.host} does not answer: ${messageOf(error)}`);
    }
    await wait(AGAIN, { signal, clock });
  }
}

async function compare(
  response: Response,
  { body, status = body === undefined ? 204 : 200 }: PortalProbe,
): Promise<StepResult> {
  const portal = (why: string): StepResult => ({
    outcome: "failed",
    detail: `a captive portal answers: ${why}`,
  });
  if (response.status !== status || body === undefined) {
    await response.body?.cancel();
    if (response.status === status) return ok(`status ${status}, as expected`);
    const to = response.headers.get("location");
    return portal(`status ${response.status} instead of ${status}${to === null ? "" : `, to ${to}`}`);
  }
  const text = await beginning(response, body.length + 1);
  if (text.trim() !== body.trim()) return portal("another text than expected");
  return ok(`status ${status}, as expected`);
}

/** The beginning of a body that may have no end. */
async function beginning(response: Response, enough: number): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    // White space around it is of no concern.
    if (text.trim().length > enough || text.length > MAX_BODY) break;
  }
  return text;
}

const MAX_BODY = 64 * 1024;
