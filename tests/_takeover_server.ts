/**
 * A server of HTTP that is taken over by the next of its kind.
 *
 * Arguments: the path; the port for the first one; `"crash"` to end before it is ready, `"hang"` never to be ready.
 *
 * @module
 */

import { offerListeners, type OfferListenersOptions } from "../pipes/push/offer_listeners.ts";
import type { OfferedListener } from "../pipes/push/_offered.ts";
import { serveHttp } from "../pipes/push/serve_http.ts";
import { takeListeners } from "../pipes/push/take_listeners.ts";

const [path = "", port = "0", mode = "serve"] = Deno.args;
const takeover = await takeListeners(path);
const generation = takeover?.generation ?? 1;
const answer = async (request: Request): Promise<Response> => {
  // Some are under way whenever it is.
  if (request.url.endsWith("/slow")) await new Promise((resolve) => setTimeout(resolve, 20));
  return new Response(`generation ${generation}`);
};
const web = takeover?.listeners["web"];
const by = generation % 2 === 0 ? "node:http" : "auto";
const server: OfferedListener = web
  ? mode === "serve" ? await serveHttp(web, answer, { by }) : web
  : Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen() {} }, answer);
if (mode === "crash") {
  // It has the listeners, and is no more.
  console.log(`state ${JSON.stringify(takeover?.state)}`);
  Deno.kill(Deno.pid, "SIGKILL");
}
if (mode === "hang") {
  console.log("hanging");
  await new Promise((resolve) => setTimeout(resolve, 60_000));
}
await takeover?.ready();
const options: OfferListenersOptions = {
  generation,
  timeout: 2000,
  idle: 300,
  state: () => ({ from: generation }),
  onFailure: (reason) => console.log(`failed: ${reason}`),
};
const offer = await offerListeners(path, { web: server }, options);
console.log(`ready ${generation}`);
await offer.finished;
await takeover?.close();
console.log("drained");
