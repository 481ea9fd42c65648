/**
 * Run on a host of the laboratory: pipes that say hello, and whatever they are told. Its arguments are the URLs; it writes a line of JSON when
 * all are connected, and then one for each that it reads: the states of the pipes.
 */

import { connect } from "../../pipes/connect.ts";
import { webSocket } from "../../pipes/ws.ts";

const pipes = await Promise.all(Deno.args.map((url) => connect(url, { transports: [webSocket()] })));
for (const pipe of pipes) pipe.on("message", ({ data }) => pipe.send(data));
for (const pipe of pipes) await pipe.send("hello");
const tell = (): void => console.log(JSON.stringify({ states: pipes.map(({ state }) => state.type) }));
tell();
for await (const _ of Deno.stdin.readable) tell();
