/** The suite that every pipe passes, over WebSocket. */

import { pipeFromWebSocket, webSocket } from "../pipes/ws.ts";
import { listen } from "../pipes/listen.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { connectedPair, first, pipeContract, type PipeSubject } from "./_pipe_contract.ts";

const authority = await makeTestAuthority();
const { cert, key } = await authority.issue();

const message = { unit: "message", reliable: true, halfClose: false, resets: true } as const;
const transports = [webSocket()];

const SUBJECTS: readonly PipeSubject[] = [
  {
    ...message,
    name: "ws",
    pair: (options) => {
      const both = { ...options, transports };
      return connectedPair("ws://127.0.0.1:0/path", { connect: both, listen: both });
    },
  },
  ...(["native", "node:tls"] as const).map((by): PipeSubject => ({
    ...message,
    name: `wss by ${by}`,
    pair: (options) =>
      connectedPair("wss://127.0.0.1:0", {
        connect: { ...options, transports, tls: { caCerts: [authority.cert] } },
        listen: { ...options, transports, tls: { cert, key, by } },
      }),
  })),
  {
    ...message,
    name: "ws from the runtime's",
    async pair(options) {
      const server = await listen("ws://127.0.0.1:0", { ...options, transports });
      const a = pipeFromWebSocket(new WebSocket(server.url), options);
      const b = await first(server);
      return {
        ...{ a, b },
        async [Symbol.asyncDispose]() {
          await Promise.all([a.close(), b.close(), server.close()]);
        },
      };
    },
  },
];

for (const subject of SUBJECTS) pipeContract(subject);
