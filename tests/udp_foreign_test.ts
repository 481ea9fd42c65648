/** Pipes over UDP, and other people's programs at the other end. */

import { assertEquals } from "@std/assert";
import { connect } from "../pipes/connect.ts";
import { listen } from "../pipes/listen.ts";
import { requires } from "./_require.ts";

const PYTHON = requires({ os: ["linux"], tools: ["python3"] });

const SERVER = `
import asyncio
class Upper(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
        print(transport.get_extra_info("sockname")[1], flush=True)
    def datagram_received(self, data, peer):
        self.transport.sendto(data.upper(), peer)
async def main():
    await asyncio.get_running_loop().create_datagram_endpoint(Upper, ("127.0.0.1", 0))
    await asyncio.Event().wait()
asyncio.run(main())
`;

const CLIENT = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", int(sys.argv[1])))
for size in [0, 1, 1200, 65507]:
    s.send(b"x" * size)
    print(len(s.recv(65536)))
`;

Deno.test({
  name: "a server in Python answers datagram by datagram",
  ...PYTHON,
  async fn() {
    const child = new Deno.Command("python3", { args: ["-c", SERVER], stdout: "piped" }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).values();
    const port = Number((await lines.next()).value);
    {
      await using pipe = await connect(`udp://127.0.0.1:${port}`);
      for (const text of ["hello", "y".repeat(1200), "x".repeat(65_507)]) {
        await pipe.send(text);
        assertEquals(new TextDecoder().decode(await pipe.recv() ?? undefined), text.toUpperCase());
      }
    }
    child.kill("SIGKILL");
    await child.status;
    await lines.return?.();
  },
});

Deno.test({
  name: "a client in Python has a pipe, and gets back what it sent",
  ...PYTHON,
  async fn() {
    await using server = await listen("udp://127.0.0.1:0");
    const child = new Deno.Command("python3", {
      args: ["-c", CLIENT, String(server.addresses[0]?.port)],
      stdout: "piped",
    }).spawn();
    for await (const pipe of server) {
      for (let i = 0; i < 4; i++) await pipe.send(await pipe.recv() ?? "");
      await pipe.close();
      break;
    }
    const { stdout } = await child.output();
    assertEquals(new TextDecoder().decode(stdout), "0\n1\n1200\n65507\n");
  },
});
