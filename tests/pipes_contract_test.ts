/** The suite that every pipe passes, over the transports that are built in. */

import { formatPipeAddress, type HostAddress } from "../pipes/address.ts";
import { pipeFromConn } from "../pipes/from_conn.ts";
import { makePipe } from "../pipes/_make_pipe.ts";
import type { UdpPipe } from "../pipes/pipe.ts";
import { openUdpLink } from "../pipes/_udp_link.ts";
import { listenUdp } from "../pipes/_udp_listener.ts";
import { makeTestAuthority } from "../testing/certificates.ts";
import { connectedPair, pipeContract, type PipeSubject } from "./_pipe_contract.ts";

const authority = await makeTestAuthority();
const { cert, key } = await authority.issue();

const stream = { unit: "bytes", reliable: true, halfClose: true, resets: true } as const;
const adopt = (connection: unknown) => pipeFromConn(connection as Deno.TcpConn);

const SUBJECTS: readonly PipeSubject[] = [
  {
    ...stream,
    name: "tcp",
    pair: (options) => connectedPair("tcp://127.0.0.1:0", { connect: options, listen: options }),
    // Linux has a call for it, behind --allow-ffi.
    resets: Deno.build.os === "linux",
    adopt,
  },
  {
    ...stream,
    name: "tcp from an address",
    pair: (options) =>
      connectedPair("tcp://127.0.0.1:0", {
        connect: { ...options, via: { address: "127.0.0.1" } },
        listen: options,
      }),
    adopt,
  },
  ...(["native", "node:tls"] as const).map((by): PipeSubject => ({
    ...stream,
    name: `tls by ${by}`,
    pair: (options) =>
      connectedPair("tls://127.0.0.1:0", {
        connect: { ...options, tls: { caCerts: [authority.cert] } },
        listen: { ...options, tls: { cert, key, by } },
      }),
    ...(by === "native" ? { adopt } : {}),
  })),
  {
    ...stream,
    name: "tls over an address",
    pair: (options) =>
      connectedPair("tls://127.0.0.1:0", {
        connect: { ...options, tls: { caCerts: [authority.cert] }, via: { address: "127.0.0.1" } },
        listen: { ...options, tls: { cert, key, by: "native" } },
      }),
    adopt,
  },
  {
    ...stream,
    name: "unix",
    async pair(options) {
      const folder = await Deno.makeTempDir({ prefix: "holdfast-unix-" });
      const pair = await connectedPair(`unix:${folder}/a.sock`, { connect: options, listen: options });
      return {
        ...pair,
        async [Symbol.asyncDispose]() {
          await pair[Symbol.asyncDispose]();
          await Deno.remove(folder);
        },
      };
    },
    resets: false,
    adopt,
  },
  {
    ...stream,
    name: "memory",
    pair: (options) => connectedPair(`memory:${crypto.randomUUID()}`, { connect: options, listen: options }),
  },
  {
    name: "udp",
    unit: "message",
    reliable: false,
    halfClose: false,
    resets: false,
    // A server over UDP knows of nobody before the first datagram, which is none of those that the suite counts.
    async pair(options) {
      const server = await listenUdp("udp://127.0.0.1:0");
      const near = await openUdpLink(formatPipeAddress(server.addresses[0] as HostAddress));
      await near.write(new Uint8Array(0));
      const far = await server.accept();
      if (!far) throw new Error("Cannot accept: the server was closed");
      await far.read(new Uint8Array(0));
      const [a, b] = [makePipe(near, options), makePipe(far, options)];
      return {
        a: a as unknown as UdpPipe,
        b: b as unknown as UdpPipe,
        async [Symbol.asyncDispose]() {
          await Promise.all([a.close(), b.close()]);
          await server.close();
        },
      };
    },
  },
];

for (const subject of SUBJECTS) pipeContract(subject);
