/** Nothing that is kept between connections, in the place of the store that `npm:mqtt` brings. */

import { Readable } from "node:stream";
import type { IClientOptions } from "mqtt";

/** What the client asks for. */
type MqttStore = NonNullable<IClientOptions["outgoingStore"]>;

/**
 * Makes a store that is always empty: what was on its way when a connection ended is sent again by whoever knows whether
 * that makes sense. The client's own sets a timer for each connection that outlives it.
 */
export function noStore(): MqttStore {
  const store: MqttStore = {
    put(_packet, done) {
      done();
      return store;
    },
    // A stream of Node's has all that the client uses of its own.
    createStream: () => Readable.from([]) as unknown as ReturnType<MqttStore["createStream"]>,
    del(packet, done) {
      done(undefined, packet as Parameters<typeof done>[1]);
      return store;
    },
    get(_packet, done) {
      done(new Error("Cannot find a packet: none is kept"));
      return store;
    },
    close(done) {
      done();
    },
  };
  return store;
}
