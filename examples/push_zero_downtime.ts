/**
 * A server of HTTP that is replaced without a client noticing: `examples/push_zero_downtime.ts PORT [PATH]`.
 *
 * Start it, and start it again, as often as you like, with another version of the code for example: each takes over from
 * the one before, which ends when its requests are answered. One that crashes on its way changes nothing.
 */

// run: deno run -A examples/push_zero_downtime.ts 8000 /tmp/holdfast-takeover

import { offerListeners, serveHttp, takeListeners } from "@holdfast/net/pipes/push";

const [port = "8000", path = "/tmp/holdfast-takeover"] = Deno.args;

// Nothing where this process is the first.
await using takeover = await takeListeners(path);
const generation = takeover?.generation ?? 1;
const answer = (): Response => new Response(`Served by generation ${generation}, process ${Deno.pid}\n`);

const listener = takeover?.listeners["web"];
const server = listener
  ? await serveHttp(listener, answer)
  : Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen() {} }, answer);

// Until here the old process accepts as well; now it stops.
await takeover?.ready();
const offer = await offerListeners(path, { web: server }, {
  generation,
  onReady: ({ pid }) => console.log(`Process ${pid} has taken over, and all is answered here`),
  onFailure: (reason) => console.log(`Nobody has taken over: ${reason}`),
});
console.log(`Generation ${generation} serves http://127.0.0.1:${port}`);
await offer.finished;
