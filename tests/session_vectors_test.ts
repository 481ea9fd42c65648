/** The test vectors of the session protocol, which a second implementation checks itself against. */

import { assertEquals } from "@std/assert";
import { ends, type VectorHandshake, type Vectors } from "../dev/_session_vector.ts";
import { sessionVectors, VECTORS } from "../dev/session_vectors.ts";
import { encodeFrame, FRAME, readHeader } from "../pipes/resume/_frames.ts";
import type { ClientStep, ServerStep } from "../pipes/resume/_handshake.ts";

const vectors: Vectors = JSON.parse(await Deno.readTextFile(VECTORS));

/** Gives each end what the other one says in the vector, and compares what it says itself. */
function check(vector: VectorHandshake): readonly string[] {
  const { client, server } = ends(vector);
  const said: Record<"client" | "server", string> = { client: client.start().toHex(), server: "" };
  const steps: string[] = [];
  for (const { from, what, bytes } of vector.messages) {
    if (steps.includes("confirmed")) {
      // Behind the handshake each end opens what the other one sealed.
      steps.push(what);
      continue;
    }
    assertEquals(said[from], bytes, `${vector.name}: ${what}`);
    const to = from === "client" ? "server" : "client";
    const step: ClientStep | ServerStep = (from === "client" ? server : client).receive(
      Uint8Array.fromHex(bytes),
    );
    steps.push(step.type);
    said[to] = "send" in step && step.send ? step.send.toHex() : "";
    const fresh = step.type === "ready" || step.type === "welcomed" ? step.session : null;
    if (fresh) {
      const { id, clientKey, serverKey } = fresh;
      const keys = { id: id.toHex(), clientKey: clientKey.toHex(), serverKey: serverKey.toHex() };
      assertEquals(keys, vector.keys ?? undefined, vector.name);
    }
    if (step.type === "failed") {
      assertEquals(step.failure.reason, "rejected");
      const refused = { code: 1, wait: 0, text: "" };
      assertEquals(step.failure.rejection, vector.rejection ?? refused, vector.name);
    }
    if (step.type === "confirmed" && step.codec) {
      const records = vector.messages.filter((other) => other.from === "client").slice(-2);
      const frames = records.flatMap((record) => step.codec?.open(Uint8Array.fromHex(record.bytes)) ?? []);
      assertEquals(frames.map((frame) => readHeader(frame).type), [FRAME.ack, FRAME.data]);
      assertEquals(new TextDecoder().decode(frames[1]?.subarray(12)), "from the client");
    }
  }
  return steps;
}

Deno.test("both ends say what the vectors say, byte by byte", () => {
  const data = ["record: ACK", "record: DATA", "record: ACK", "record: DATA"];
  assertEquals(Object.fromEntries(vectors.handshakes.map((vector) => [vector.name, check(vector)])), {
    "open, new": ["welcomed", "ready", "confirmed"],
    "open, resumed": ["wait", "ready", "confirmed"],
    "open, resume of a session that is not there": ["failed", "failed"],
    "open, resume of a session that has moved": ["failed", "failed"],
    "sealed by a shared key, new": ["wait", "wait", "welcomed", "ready", "confirmed", ...data],
    "sealed by a shared key, resumed": ["wait", "wait", "wait", "ready", "confirmed", ...data],
    "sealed, pinned server key and client key, new": [
      ...["wait", "wait", "welcomed", "ready", "confirmed"],
      ...data,
    ],
    "sealed, shared key and pinned server key and client key, new": [
      ...["wait", "wait", "welcomed", "ready", "confirmed"],
      ...data,
    ],
    "sealed by a shared key, refused": ["wait", "wait", "failed", "failed"],
  });
});

Deno.test("frames of the data phase have the bytes of the vectors", () => {
  for (const { type, offset, payload, bytes } of vectors.frames) {
    const name = type as keyof typeof FRAME;
    assertEquals(encodeFrame(FRAME[name], offset, Uint8Array.fromHex(payload)).toHex(), bytes, type);
    assertEquals(readHeader(Uint8Array.fromHex(bytes)), {
      type: FRAME[name],
      flags: 0,
      length: payload.length / 2,
      offset,
    });
  }
  assertEquals(vectors.frames.length, 9);
});

Deno.test("the vectors are those that dev/session_vectors.ts writes", () => {
  assertEquals(sessionVectors(), vectors);
});
