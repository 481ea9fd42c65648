/** Sessions with the second implementation, which knows docs/PROTOCOLS.md and nothing else: both ways, in all modes, with cuts. */

import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { connect } from "../pipes/connect.ts";
import { KeyPair } from "../pipes/resume/key_text.ts";
import { serveSessions } from "../pipes/resume/serve_sessions.ts";
import type { SessionSealOptions } from "../pipes/resume/session_options.ts";
import type { SessionServerSealOptions } from "../pipes/resume/session_server_options.ts";
import { requires, scale } from "./_require.ts";
import { startSessionPeer } from "./_session_peer.ts";

const [SHARED, SERVER, CLIENT] = [7, 11, 13].map((byte) => new Uint8Array(32).fill(byte));
const [server, client] = [new KeyPair(SERVER ?? new Uint8Array()), new KeyPair(CLIENT ?? new Uint8Array())];
const shared = SHARED ?? new Uint8Array();

/** How both ends are told the same. */
interface Mode {
  readonly name: string;
  readonly secrecy: string;
  /** Ours. */
  readonly asClient?: SessionSealOptions;
  readonly asServer?: SessionServerSealOptions;
  /** Its own. */
  readonly itsServer: readonly string[];
  readonly itsClient: readonly string[];
}

const MODES: readonly Mode[] = [
  { name: "in the open", secrecy: "plain", itsServer: [], itsClient: [] },
  {
    name: "sealed by a shared key",
    secrecy: "sealed",
    asClient: { key: shared },
    asServer: { key: shared },
    itsServer: ["--sealed", "--shared-key", shared.toHex()],
    itsClient: ["--sealed", "--shared-key", shared.toHex()],
  },
  {
    name: "sealed with a pinned server that knows its client",
    secrecy: "sealed",
    asClient: { serverKeys: [server], identity: client },
    asServer: { identity: server, clients: [client.publicKey] },
    itsServer: ["--sealed", "--private-key", server.seed.toHex(), "--allow", client.publicKey.toHex()],
    itsClient: ["--sealed", "--private-key", client.seed.toHex(), "--pin", server.publicKey.toHex()],
  },
];

async function first<T>(all: AsyncIterable<T>): Promise<T> {
  for await (const one of all) return one;
  throw new Error("Cannot go on: the server has ended");
}

/** What peer.py sends: byte `n` is byte `n mod 32` of the SHA-256 of `n div 32`. */
function pattern(count: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(count / 32) * 32);
  for (let at = 0; at < bytes.length; at += 32) {
    const number = new Uint8Array(8);
    new DataView(number.buffer).setBigUint64(0, BigInt(at / 32));
    bytes.set(createHash("sha256").update(number).digest(), at);
  }
  return bytes.subarray(0, count);
}

const TOTAL = scale(1_500_000);

/** Cuts in the handshake, right behind it, and in the middle. */
const CUTS = "300000,150,400,500000,250000";
const data = pattern(TOTAL);
const digest = createHash("sha256").update(data).digest("hex");

for (const { name, secrecy, asClient, itsServer } of MODES) {
  Deno.test({
    name: `a session of ours with its server, ${name}, is whole in both directions over cuts`,
    ...requires({ tools: ["python3"] }),
    async fn() {
      await using peer = startSessionPeer(["--listen", "127.0.0.1:0", "--echo", "--cut", CUTS, ...itsServer]);
      const { address } = await peer.until("listening");
      const pipe = await connect(`resume+tcp://${address}`, {
        session: { greeting: "hello", ...(asClient ? { seal: asClient } : {}) },
      });
      const opened = await peer.until("session");
      assertEquals([opened.id, opened.greeting], [pipe.session.id, "hello"]);
      const sending = (async () => {
        for (let at = 0; at < data.length; at += 50_000) await pipe.send(data.subarray(at, at + 50_000));
        await pipe.closeWrite();
      })();
      const hash = createHash("sha256");
      for await (const bytes of pipe.messages) hash.update(bytes);
      await sending;
      assertEquals(hash.digest("hex"), digest);
      await pipe.close();
      const { session } = pipe;
      assertEquals([session.state, session.acknowledged, session.secrecy], ["closed", TOTAL, secrecy]);
      const end = await peer.until("end");
      assertEquals([end.reason, end.received, end.sha256, end.intact], ["closed", TOTAL, digest, true]);
      assert(session.resumes >= 2, `${session.resumes} resumes`);
    },
  });
}

for (const { name, secrecy, asServer, itsClient } of MODES) {
  Deno.test({
    name: `a session of its client with us, ${name}, is whole in both directions over cuts`,
    ...requires({ tools: ["python3"] }),
    async fn() {
      await using own = await serveSessions("resume+tcp://127.0.0.1:0", {
        session: asServer ? { seal: asServer } : {},
      });
      const args = ["--send", `${TOTAL}`, "--cut", CUTS, "--greeting", "hello", ...itsClient];
      await using peer = startSessionPeer(["--connect", own.url.replace("resume+tcp://", ""), ...args]);
      const pipe = await first(own);
      const hash = createHash("sha256");
      for await (const bytes of pipe.messages) {
        hash.update(bytes);
        await pipe.send(bytes);
      }
      assertEquals(hash.digest("hex"), digest);
      await pipe.closeWrite();
      const end = await peer.until("end");
      assertEquals([end.reason, end.received, end.sha256, end.intact], ["closed", TOTAL, digest, true]);
      assertEquals([end.id, end.acknowledged], [pipe.session.id, TOTAL + 1]);
      assertEquals(pipe.session.secrecy, secrecy);
      await pipe.close();
      assert(pipe.session.resumes >= 2, `${pipe.session.resumes} resumes`);
    },
  });
}

Deno.test({
  name: "its server in the open is refused by a client of ours that seals, and the other way round",
  ...requires({ tools: ["python3"] }),
  async fn() {
    for (const [seal, its] of [[{ key: shared }, []], [undefined, MODES[1]?.itsServer ?? []]] as const) {
      await using peer = startSessionPeer(["--listen", "127.0.0.1:0", ...its]);
      const { address } = await peer.until("listening");
      const failed = await connect(`resume+tcp://${address}`, { session: { seal } }).then(
        () => "connected",
        ({ reason }) => reason,
      );
      assertEquals(failed, "mode");
    }
  },
});
