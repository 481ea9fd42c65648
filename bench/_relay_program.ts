/** Both ends of a relay in a process of their own: what is sent to the one port is counted at the other. */

const hostname = "127.0.0.1";
const source = Deno.listen({ hostname, port: 0 });
const sink = Deno.listen({ hostname, port: 0 });
console.log(JSON.stringify({ source: source.addr.port, sink: sink.addr.port }));

await Promise.all([send(), count()]);

/** Asked for so many writes of a size, sends them, and ends. */
async function send(): Promise<void> {
  for await (const conn of source) {
    const buffer = new Uint8Array(64);
    const asked = new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
    const [size = 0, writes = 0] = asked.split(" ").map(Number);
    const chunk = new Uint8Array(size);
    for (let n = 0; n < writes; n++) {
      for (let at = 0; at < size;) at += await conn.write(chunk.subarray(at));
    }
    await conn.closeWrite();
    while (await conn.read(buffer) !== null);
    conn.close();
  }
}

/** Counts what comes, and says how much it was. */
async function count(): Promise<void> {
  const buffer = new Uint8Array(256 * 1024);
  for await (const conn of sink) {
    let bytes = 0;
    for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) {
      bytes += length;
    }
    await conn.write(new TextEncoder().encode(String(bytes)));
    conn.close();
  }
}
