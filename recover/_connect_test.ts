import { assertRejects, assertStrictEquals } from "@std/assert";
import { startFaultServer } from "../testing/fault_server.ts";
import { assertNoSocketLost } from "../tests/_lost_socket.ts";
import { connectTo } from "./_connect.ts";

const PLAIN = { tls: null, noDelay: true, proof: undefined, step: () => {} } as const;

Deno.test("a connection that is made in the moment it is called off is closed, which the runtime would not do", async () => {
  await assertNoSocketLost((signal) => connectTo("192.0.2.1", { ...PLAIN, port: 1 }, signal));
});

Deno.test("a pending connection is called off at once, with the reason", async () => {
  await using server = await startFaultServer({ fault: { type: "silent" } });
  const { hostname, port } = server;
  const reason = new Error("enough");
  await assertRejects(
    () => connectTo(hostname, { ...PLAIN, port }, AbortSignal.abort(reason)),
    Error,
    "enough",
  );
  const stop = new AbortController();
  const tls = { serverName: "a.test", options: {} };
  const step = (name: string): void =>
    void (name === "handshake" && queueMicrotask(() => stop.abort(reason)));
  const handshake = connectTo(hostname, { ...PLAIN, port, tls, step }, stop.signal);
  assertStrictEquals(await assertRejects(() => handshake), reason);
});

Deno.test("a proof that does not obey its signal is left alone, and its connection closed", async () => {
  await using server = await startFaultServer({ fault: { type: "silent" } });
  const { hostname, port } = server;
  const stop = new AbortController();
  const reason = new Error("enough");
  let read: Promise<unknown> = Promise.resolve();
  const proof = (conn: Deno.Conn): Promise<never> => {
    read = assertRejects(() => conn.read(new Uint8Array(1)));
    stop.abort(reason);
    return new Promise(() => {});
  };
  const pending = connectTo(hostname, { ...PLAIN, port, proof }, stop.signal);
  assertStrictEquals(await assertRejects(() => pending), reason);
  await read;
});

Deno.test("a proof that throws closes the connection", async () => {
  await using server = await startFaultServer({ fault: { type: "echo" } });
  const { hostname, port } = server;
  const conns: Deno.Conn[] = [];
  const proof = (conn: Deno.Conn): Promise<never> => {
    conns.push(conn);
    return Promise.reject(new Error("not he"));
  };
  const { signal } = new AbortController();
  await assertRejects(() => connectTo(hostname, { ...PLAIN, port, proof }, signal), Error, "not he");
  await assertRejects(async () => await conns[0]?.write(new Uint8Array(1)), Deno.errors.BadResource);
});
