/** Hostile bytes for the netlink parsers: whatever they are, data comes out or the typed error. */

import { assert, assertEquals } from "@std/assert";
import { formatIp } from "../internal/ip.ts";
import { HoldfastError } from "../internal/errors.ts";
import {
  addressLength,
  type Message,
  NetlinkError,
  parseAddress,
  parseError,
  parseLink,
  parseMessages,
  parseNeighbour,
  parseRoute,
  TYPE,
} from "../watch/_netlink.ts";
import { NetlinkReader } from "../watch/_read_netlink.ts";
import { diffStates } from "../watch/diff.ts";
import { toState } from "../watch/_reading.ts";
import { fuzz, mutate, type Random } from "./_fuzz.ts";
import { bodies, datagrams, exchanges, fakeLibc, SCENES } from "./_recordings.ts";
import { scale } from "./_require.ts";

function checkIp(bytes: Uint8Array | undefined): void {
  if (bytes) assert(formatIp(bytes) !== "");
}

function parseBody({ type, body }: Pick<Message, "type" | "body">): void {
  switch (type) {
    case TYPE.NEWLINK:
    case TYPE.DELLINK: {
      const { name, mac } = parseLink(body);
      assert(name.length <= body.length && !name.includes("\0"));
      assert(mac === undefined || mac.buffer !== body.buffer);
      break;
    }
    case TYPE.NEWADDR:
    case TYPE.DELADDR: {
      const { address, family, prefix } = parseAddress(body);
      assertEquals(address.length, addressLength(family));
      assert(prefix <= address.length * 8);
      break;
    }
    case TYPE.NEWROUTE:
    case TYPE.DELROUTE: {
      const { gateway, source } = parseRoute(body);
      checkIp(gateway);
      checkIp(source);
      break;
    }
    case TYPE.NEWNEIGH:
    case TYPE.DELNEIGH:
      checkIp(parseNeighbour(body).address);
      break;
    default:
      assert(Number.isInteger(parseError(body)));
  }
}

/** "read", or the name of the only error allowed. */
function outcome(action: () => void, error: typeof HoldfastError | typeof NetlinkError): string {
  try {
    action();
    return "read";
  } catch (thrown) {
    if (!(thrown instanceof error) || thrown.name === "Error") throw thrown;
    return thrown.code;
  }
}

Deno.test("a datagram of any bytes is read, or refused by a NetlinkError", () => {
  const recorded = datagrams();
  const make = (random: Random): Uint8Array =>
    random.below(10) === 0 ? random.bytes(random.below(200)) : mutate(random, random.one(recorded), recorded);
  const ends = fuzz(scale(2500, 50_000), make, (bytes) =>
    outcome(() => {
      let size = 0;
      for (const message of parseMessages(bytes)) {
        size += 16 + message.body.length;
        parseBody(message);
      }
      assert(size <= bytes.length, "no byte is in two messages");
    }, NetlinkError));
  // A fuzz that ends one way only proves little.
  assertEquals([...ends.keys()].toSorted(), ["protocol", "read"]);
});

Deno.test("a message body of any bytes is read, or refused by a NetlinkError", () => {
  const types = [TYPE.ERROR, TYPE.NEWLINK, TYPE.NEWADDR, TYPE.NEWROUTE, TYPE.NEWNEIGH] as const;
  const recorded = new Map(types.map((type) => [type, bodies(type)]));
  const all = [...recorded.values()].flat();
  const make = (random: Random): { type: number; body: Uint8Array } => {
    const type = random.one(types);
    const body = random.one(random.below(10) === 0 ? all : recorded.get(type) ?? all);
    return { type, body: random.below(50) === 0 ? body : mutate(random, body, all) };
  };
  const ends = fuzz(scale(2500, 50_000), make, (message) => outcome(() => parseBody(message), NetlinkError));
  assertEquals([...ends.keys()].toSorted(), ["protocol", "read"]);
});

Deno.test("a reading of any answers is a whole state, or refused by an error of ours", () => {
  const recorded = SCENES.map(exchanges);
  const all = datagrams();
  const make = (random: Random): Uint8Array[][] => {
    const hit = random.below(4);
    return random.one(recorded).map(({ answers }, n) =>
      answers.map((answer) => n === hit ? mutate(random, answer, all) : answer)
    );
  };
  const ends = fuzz(scale(500, 10_000), make, (answers) =>
    outcome(() => {
      let n = 0;
      using reader = new NetlinkReader(fakeLibc({ answer: () => answers[n++] ?? [] }));
      const state = toState(reader.read(null));
      assertEquals(diffStates(state, structuredClone(state)), []);
    }, HoldfastError));
  assertEquals([...ends.keys()].toSorted(), ["protocol", "read", "system"]);
});
