/** A broker that says what a test tells it to say: MQTT packets byte by byte, and refusals that no real broker makes on demand. */

/** A packet from the client, as far as the tests look at it. */
export interface ClientPacket {
  /** The type: 1 CONNECT, 3 PUBLISH, 8 SUBSCRIBE, 12 PINGREQ, 14 DISCONNECT. */
  readonly type: number;
  /** The lower half of the first byte. */
  readonly flags: number;
  /** What follows the header. */
  readonly body: Uint8Array;
}

/** What a scripted broker answers to a packet of connection number `connection`, counted from 0; `null` ends the connection. */
export type Script = (packet: ClientPacket, connection: number) => readonly Uint8Array[] | null;

/** Builds a packet from its first byte and what follows the length. */
export function packet(first: number, ...body: readonly (number | Uint8Array)[]): Uint8Array {
  const bytes = body.flatMap((part) => typeof part === "number" ? [part] : [...part]);
  const length: number[] = [];
  let left = bytes.length;
  do {
    length.push(left > 127 ? left % 128 | 0x80 : left);
    left = Math.floor(left / 128);
  } while (left > 0);
  return Uint8Array.from([first, ...length, ...bytes]);
}

/** A string with its length before it. */
export function text(value: string): Uint8Array {
  const bytes = new TextEncoder().encode(value);
  return Uint8Array.from([bytes.length >> 8, bytes.length & 255, ...bytes]);
}

/** A CONNACK of version 5, accepted or not; properties as they are encoded. */
export function connack(code = 0, properties: Uint8Array = new Uint8Array()): Uint8Array {
  return packet(0x20, 0, code, properties.length, properties);
}

/** A PUBLISH of version 5 at QoS 0. */
export function publish(topic: string, payload: Uint8Array | string): Uint8Array {
  return packet(
    0x30,
    text(topic),
    0,
    typeof payload === "string" ? new TextEncoder().encode(payload) : payload,
  );
}

/** The answer to whatever needs one in version 5: everything is accepted. `echo` sends publishes back to their sender. */
export function accepting({ type, flags, body }: ClientPacket, echo = true): readonly Uint8Array[] {
  const id = body.subarray(0, 2);
  if (type === 1) return [connack()];
  if (type === 8) return [packet(0x90, id, 0, 0)];
  if (type === 10) return [packet(0xb0, id, 0, 0)];
  if (type === 12) return [packet(0xd0)];
  if (type !== 3) return [];
  const published = publishOf({ type, flags, body });
  return [
    ...(published.id ? [packet(0x40, published.id)] : []),
    ...(echo ? [publish(published.topic, published.payload)] : []),
  ];
}

/** Reads a PUBLISH of version 5 without properties. */
export function publishOf(
  { flags, body }: ClientPacket,
): { topic: string; payload: Uint8Array; id: Uint8Array | null } {
  const end = 2 + (body[0] ?? 0) * 256 + (body[1] ?? 0);
  const withId = (flags & 6) !== 0;
  return {
    topic: new TextDecoder().decode(body.subarray(2, end)),
    id: withId ? body.slice(end, end + 2) : null,
    payload: body.slice(end + (withId ? 2 : 0) + 1),
  };
}

/** Takes the complete packets out of what has come. */
export function* packetsOf(pending: { bytes: Uint8Array }): Generator<ClientPacket> {
  for (;;) {
    const { bytes } = pending;
    let length = 0;
    let at = 1;
    for (let scale = 1;; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) return;
      length += (byte & 127) * scale;
      if (byte < 128) break;
    }
    if (bytes.length < at + length) return;
    const [first = 0] = bytes;
    pending.bytes = bytes.slice(at + length);
    yield { type: first >> 4, flags: first & 15, body: bytes.slice(at, at + length) };
  }
}

/** The broker, on a port of 127.0.0.1. */
export class ScriptedBroker implements AsyncDisposable {
  /** How many connections there have been. */
  connections = 0;
  readonly #script: Script;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.TcpConn>();
  readonly #running: Promise<void>;

  constructor(script: Script) {
    this.#script = script;
    this.#running = this.#serve();
  }

  /** Its port. */
  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** Where it is. */
  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#open) conn.close();
    await this.#running;
  }

  async #serve(): Promise<void> {
    const talks: Promise<void>[] = [];
    for await (const conn of this.#listener) talks.push(this.#talk(conn, this.connections++));
    await Promise.all(talks);
  }

  async #talk(conn: Deno.TcpConn, number: number): Promise<void> {
    this.#open.add(conn);
    try {
      const pending = { bytes: new Uint8Array() };
      for await (const chunk of conn.readable) {
        pending.bytes = Uint8Array.from([...pending.bytes, ...chunk]);
        for (const one of packetsOf(pending)) {
          const answers = this.#script(one, number);
          if (answers === null) return;
          for (const answer of answers) await conn.write(answer);
        }
      }
    } catch {
      // The client has gone.
    } finally {
      this.#open.delete(conn);
      try {
        conn.close();
      } catch {
        // Its stream has closed it.
      }
    }
  }
}
