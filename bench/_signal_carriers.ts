/** Two ends that send each other numbered messages: by `npm:mqtt` alone, by its list of servers, and by ours. */

import { Buffer } from "node:buffer";

import { connect, type IClientOptions, type MqttClient } from "mqtt";
import { makeIdentity } from "../signal/identity.ts";
import { mqtt } from "../signal/mqtt.ts";
import { joinSignal } from "../signal/peer.ts";
import type { Mosquitto } from "../tests/_mosquitto.ts";

/** A sender and a receiver in this process. */
export interface Carrier extends AsyncDisposable {
  /**
   * Sends a message that begins with a number.
   *
   * @returns Resolves when the sender has its acknowledgement; never rejects.
   */
  send(number: number): Promise<void>;
  /** Called for each message that came. */
  onMessage: (number: number) => void;
  /** The port of a broker that the receiver uses now. */
  broker(): number;
  /** Waits until messages can pass again. */
  ready(): Promise<void>;
  /** How many packets both ends have published, acknowledgements too; `null` where nobody counts. */
  published(): number | null;
}

/** Makes one that uses these brokers. */
export type MakeCarrier = (brokers: readonly Mosquitto[]) => Promise<Carrier>;

const SIZE = 300;

function message(number: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SIZE);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

function numberOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}

/** `npm:mqtt` at QoS 1; with several brokers they are its `servers`, otherwise as it comes. */
export const bare: MakeCarrier = (brokers) => makeBare(brokers, {});

/** The same, where the two ends do not come back at the same time. */
export const unequal: MakeCarrier = (brokers) => makeBare(brokers, { reconnectPeriod: 300 });

async function makeBare(brokers: readonly Mosquitto[], ofSender: IClientOptions): Promise<Carrier> {
  const servers = brokers.map(({ port }) => ({ host: "127.0.0.1", port, protocol: "mqtt" as const }));
  const options: IClientOptions = servers.length > 1
    ? { servers }
    : { host: "127.0.0.1", port: servers[0]?.port ?? 0, protocol: "mqtt" };
  // It writes the name of the client into its options.
  const clients = [connect({ ...options, ...ofSender }), connect({ ...options })] as const;
  const [sender, receiver] = clients;
  // It tries again by itself, and tells each failure.
  for (const client of clients) client.on("error", () => {});
  await Promise.all(clients.map(connected));
  await receiver.subscribeAsync("bench", { qos: 1 });
  const carrier: Carrier = {
    onMessage: () => {},
    send: (number) =>
      sender.publishAsync("bench", Buffer.from(message(number)), { qos: 1 }).then(() => {}, () => {}),
    broker: () => (receiver.stream as unknown as { readonly remotePort: number }).remotePort,
    ready: async () => void await Promise.all(clients.map(connected)),
    published: () => null,
    [Symbol.asyncDispose]: async () => void await Promise.all(clients.map((client) => client.endAsync(true))),
  };
  receiver.on("message", (_topic, payload) => carrier.onMessage(numberOf(payload)));
  return carrier;
}

/** Ours over all brokers at once. */
export const ours: MakeCarrier = async (brokers) => {
  const join = () => joinSignal({ identity: makeIdentity(), brokers: brokers.map(({ url }) => mqtt(url)) });
  const sender = await join();
  const receiver = await join();
  let next = 0;
  const carrier: Carrier = {
    onMessage: () => {},
    send: (number) => sender.send(receiver.id, message(number)).then(() => {}, () => {}),
    // One after the other, so that each is killed in its turn.
    broker: () => brokers[next++ % brokers.length]?.port ?? 0,
    ready: async () => {
      const all = () =>
        [sender, receiver].every((peer) => peer.status().brokers.every(({ state }) => state === "up"));
      while (!all()) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    published: () =>
      [sender, receiver].flatMap((peer) => peer.status().brokers).reduce(
        (sum, one) => sum + one.published,
        0,
      ),
    async [Symbol.asyncDispose]() {
      handling[Symbol.dispose]();
      await Promise.all([sender.close(), receiver.close()]);
    },
  };
  const handling = receiver.handle((one) => carrier.onMessage(numberOf(one.data)));
  await carrier.ready();
  return carrier;
};

function connected(client: MqttClient): Promise<void> {
  return client.connected
    ? Promise.resolve()
    : new Promise((resolve) => client.once("connect", () => resolve()));
}
