import { assertEquals } from "@std/assert";
import { connect } from "../pipes/connect.ts";
import { listen } from "../pipes/listen.ts";
import { serveSessions } from "../pipes/resume/serve_sessions.ts";
import type { SessionServer } from "../pipes/resume/session_server.ts";
import type { SessionPipe } from "../pipes/resume/session.ts";
import type { PipeServer } from "../pipes/server.ts";

async function next(server: SessionServer | PipeServer<SessionPipe>): Promise<SessionPipe> {
  for await (const pipe of server) return pipe;
  throw new Error("Cannot accept: the server has ended");
}

const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? undefined);

Deno.test("a server of sessions hands sessions out, and listen() with resume+ means the same", async () => {
  for (
    const start of [
      () => serveSessions("resume+tcp://127.0.0.1:0"),
      () => listen("resume+tcp://127.0.0.1:0"),
    ]
  ) {
    await using server = await start();
    await using client = await connect(server.url, {
      session: { greeting: "chat" },
    }) as unknown as SessionPipe;
    await using session = await next(server);
    assertEquals(text(session.session.greeting), "chat");
    assertEquals(session.session.id, client.session.id);
    assertEquals(server.connections, 1);
    await client.send("hello");
    assertEquals(text(await session.recv()), "hello");
    await session.send("welcome");
    assertEquals(text(await client.recv()), "welcome");
    await Promise.all([session.close(), client.close()]);
    assertEquals(server.connections, 0);
  }
});
