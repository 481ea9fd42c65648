/**
 * Run under Wine: a pipe over UDP to where nobody listens. Windows tells that as an error of reading; Wine keeps it to itself,
 * so that error is made by hand where the socket is tested. Prints what came of it.
 */

import { listen } from "../../pipes/listen.ts";
import { connect } from "../../pipes/connect.ts";

const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? undefined);

const first = await listen("udp://127.0.0.1:0");
const { url } = first;
await first.close();
await using pipe = await connect(url as `udp:${string}`);
for (let i = 0; i < 20; i++) {
  await pipe.send("anybody?");
  await pipe.flush();
}
await using server = await listen(url as `udp:${string}`);
const answering = (async () => {
  for await (const peer of server) {
    await peer.send(`echo:${text(await peer.recv())}`);
    await peer.close();
    return;
  }
})();
await pipe.send("hello");
const answer = text(await pipe.recv({ timeout: 20_000 }));
await answering;
console.log(JSON.stringify({ os: Deno.build.os, answer, state: pipe.state.type }));
