import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  AttributeType,
  decodeBindingResponse,
  decodeMessage,
  encodeAddress,
  encodeBindingRequest,
  encodeMessage,
  MessageType,
  newTransactionId,
  type StunAttribute,
  StunError,
  type StunReason,
} from "./_stun.ts";

const ID = Uint8Array.from({ length: 12 }, (_, i) => i + 1);
const MAPPED = { address: "203.0.113.7", port: 40_000 };

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.replaceAll(/\s/g, "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function success(attributes: readonly StunAttribute[], options?: { fingerprint: boolean }): Uint8Array {
  return encodeMessage(MessageType.success, ID, attributes, options);
}

function xorMapped(): StunAttribute {
  return { type: AttributeType.xorMappedAddress, value: encodeAddress(MAPPED, ID) };
}

function assertRefused(bytes: Uint8Array, reason: StunReason, message = ""): StunError {
  const error = assertThrows(() => decodeBindingResponse(bytes, ID), StunError, message);
  assertEquals([error.reason, error.code], [reason, `stun-${reason}`], error.message);
  return error;
}

// RFC 5769 sections 2.2 and 2.3: written by others, with software name, MESSAGE-INTEGRITY and FINGERPRINT.
const VECTOR_ID = bytesOf("b7e7a701 bc34d686 fa87dfae");
const VECTOR_V4 = bytesOf(`
  0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220
  00200008 0001a147 e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96`);
const VECTOR_V6 = bytesOf(`
  01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220
  00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
  00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c`);

Deno.test("decodeBindingResponse() reads the IPv4 sample response of RFC 5769", () => {
  assertEquals(decodeBindingResponse(VECTOR_V4, VECTOR_ID), {
    mapped: { family: 4, address: "192.0.2.1", port: 32853 },
    xor: true,
    otherAddress: null,
    responseOrigin: null,
    software: "test vector",
  });
});

Deno.test("decodeBindingResponse() reads the IPv6 sample response of RFC 5769", () => {
  const { mapped } = decodeBindingResponse(VECTOR_V6, VECTOR_ID);
  assertEquals(mapped, { family: 6, address: "2001:db8:1234:5678:11:2233:4455:6677", port: 32853 });
});

Deno.test("decodeBindingResponse() never reads another address when a single bit is turned over", () => {
  for (const vector of [VECTOR_V4, VECTOR_V6]) {
    const { mapped } = decodeBindingResponse(vector, VECTOR_ID);
    for (let bit = 0; bit < vector.length * 8; bit++) {
      const at = bit >> 3;
      const broken = vector.with(at, (vector[at] ?? 0) ^ (1 << (bit & 7)));
      // The headers of MESSAGE-INTEGRITY and FINGERPRINT can hide the latter; all else it finds.
      const hides = [32, 8].some((fromEnd) =>
        at >= vector.length - fromEnd && at < vector.length - fromEnd + 4
      );
      const read = () => decodeBindingResponse(broken, VECTOR_ID);
      if (!hides) assertThrows(read, StunError, undefined, `bit ${bit}`);
      else assert(attempt(read)?.mapped.address === mapped.address || attempt(read) === null, `bit ${bit}`);
    }
  }
});

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    assert(error instanceof StunError);
    return null;
  }
}

Deno.test("encodeBindingRequest() writes the smallest request there is", () => {
  assertEquals(encodeBindingRequest(ID), bytesOf("00010000 2112a442 01020304 05060708 090a0b0c"));
  assertEquals(decodeMessage(encodeBindingRequest(ID)), {
    type: MessageType.request,
    id: ID,
    attributes: [],
  });
});

Deno.test("newTransactionId() gives another 12 bytes each time", () => {
  const ids = Array.from({ length: 100 }, () => newTransactionId().join());
  assertEquals(new Set(ids).size, 100);
  assertEquals(newTransactionId().length, 12);
});

Deno.test("decodeBindingResponse() prefers XOR-MAPPED-ADDRESS, wherever it stands", () => {
  const plain = { type: AttributeType.mappedAddress, value: encodeAddress({ address: "10.0.0.1", port: 1 }) };
  for (const attributes of [[plain, xorMapped()], [xorMapped(), plain]]) {
    const { mapped, xor } = decodeBindingResponse(success(attributes), ID);
    assertEquals([mapped, xor], [{ family: 4, ...MAPPED }, true]);
  }
  const { mapped, xor } = decodeBindingResponse(success([plain]), ID);
  assertEquals([mapped, xor], [{ family: 4, address: "10.0.0.1", port: 1 }, false]);
});

Deno.test("decodeBindingResponse() reads what RFC 5780 adds, and the first of attributes of one type", () => {
  const other = { address: "2001:db8::2", port: 3479 };
  const origin = { address: "198.51.100.1", port: 3478 };
  const response = decodeBindingResponse(
    success([
      xorMapped(),
      { type: AttributeType.xorMappedAddress, value: encodeAddress({ address: "9.9.9.9", port: 9 }, ID) },
      { type: AttributeType.otherAddress, value: encodeAddress(other) },
      { type: AttributeType.responseOrigin, value: encodeAddress(origin) },
      { type: AttributeType.software, value: new TextEncoder().encode("a\x1b[2J\u202eb\r\n  c ") },
      { type: 0xc0de, value: new Uint8Array(3) },
    ], { fingerprint: true }),
    ID,
  );
  assertEquals(response.mapped, { family: 4, ...MAPPED });
  assertEquals(response.otherAddress, { family: 6, ...other });
  assertEquals(response.responseOrigin, { family: 4, ...origin });
  assertEquals(response.software, "a [2J b c", "nothing that steers a terminal is left");
});

Deno.test("decodeBindingResponse() cuts a software name at 127 characters", () => {
  const value = new TextEncoder().encode("😀".repeat(300));
  const { software } = decodeBindingResponse(
    success([xorMapped(), { type: AttributeType.software, value }]),
    ID,
  );
  assertEquals(software, "😀".repeat(127));
});

Deno.test("decodeBindingResponse() accepts what servers of RFC 3489 send along", () => {
  const plain = encodeAddress(MAPPED);
  const response = success([0x0001, 0x0004, 0x0005].map((type) => ({ type, value: plain })));
  assertEquals(decodeBindingResponse(response, ID).mapped, { family: 4, ...MAPPED });
});

Deno.test("decodeBindingResponse() refuses every cut-off piece of a response, and trailing bytes", () => {
  const whole = success([xorMapped()], { fingerprint: true });
  for (let length = 0; length < whole.length; length++) assertRefused(whole.subarray(0, length), "truncated");
  assertRefused(Uint8Array.of(...whole, 0, 0, 0, 0), "malformed", "bytes follow its end");
});

Deno.test("decodeBindingResponse() refuses another transaction id, whichever byte differs", () => {
  const bytes = success([xorMapped()]);
  for (let i = 0; i < 12; i++) {
    const id = ID.slice();
    id[i] = 99;
    const error = assertThrows(() => decodeBindingResponse(bytes, id), StunError);
    assertEquals(error.reason, "wrong-id");
  }
});

Deno.test("decodeBindingResponse() refuses what is not STUN", () => {
  const bytes = success([xorMapped()]);
  assertRefused(bytes.with(4, 0), "not-stun", "magic");
  assertRefused(bytes.with(0, 0x80), "not-stun", "highest bits");
  assertRefused(bytes.with(3, 13), "malformed", "multiple of 4");
});

Deno.test("decodeBindingResponse() refuses requests, indications and other methods", () => {
  for (const type of [MessageType.request, 0x0011, 0x0103]) {
    assertRefused(encodeMessage(type, ID, [xorMapped()]), "wrong-type", type.toString(16));
  }
});

Deno.test("decodeBindingResponse() refuses a response that requires an attribute nobody knows", () => {
  for (const type of [0x0000, 0x000c, 0x0021, 0x7fff]) {
    assertRefused(success([xorMapped(), { type, value: new Uint8Array() }]), "unknown-attribute");
  }
});

Deno.test("decodeBindingResponse() refuses attributes that do not fit", () => {
  const bytes = success([xorMapped()]);
  assertRefused(bytes.with(23, 9), "malformed", "longer than the message");
  const value = encodeAddress(MAPPED);
  for (const odd of [new Uint8Array(), value.subarray(0, 7), value.with(1, 2), value.with(1, 3)]) {
    assertRefused(
      success([{ type: AttributeType.mappedAddress, value: odd }]),
      "malformed",
      "an address of family",
    );
  }
});

Deno.test("decodeBindingResponse() refuses a FINGERPRINT that is wrong, short or not the last", () => {
  const bytes = success([xorMapped()], { fingerprint: true });
  assertRefused(bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1), "fingerprint");
  const fake = (length: number) => ({ type: AttributeType.fingerprint, value: new Uint8Array(length) });
  assertRefused(success([fake(3)]), "malformed", "out of place");
  assertRefused(success([fake(4), xorMapped()]), "malformed", "out of place");
});

Deno.test("decodeBindingResponse() refuses a mapped address that can be nobody's, or none", () => {
  assertRefused(success([]), "no-address");
  for (const address of ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1"]) {
    const value = encodeAddress({ address, port: 1 }, ID);
    assertRefused(success([{ type: AttributeType.xorMappedAddress, value }]), "no-address", address);
  }
  const value = encodeAddress({ ...MAPPED, port: 0 }, ID);
  assertRefused(success([{ type: AttributeType.xorMappedAddress, value }]), "no-address", "port 0");
});

Deno.test("decodeBindingResponse() reports an error response with its code and phrase", () => {
  const failure = (value: Uint8Array, more: readonly StunAttribute[] = []) =>
    encodeMessage(MessageType.error, ID, [{ type: AttributeType.errorCode, value }, ...more]);
  const phrase = new TextEncoder().encode("Server\nError");
  const error = assertRefused(failure(Uint8Array.of(0, 0, 5, 0, ...phrase)), "error-response");
  assertEquals(error.message, "Cannot read STUN message: the server answers with error 500 Server Error");
  assertRefused(failure(Uint8Array.of(0, 0, 4, 20)), "error-response", "error 420");
  assertRefused(failure(Uint8Array.of(0, 0, 3, 0)), "error-response", "error 300");
  for (const value of [[], [0, 0, 4], [0, 0, 2, 0], [0, 0, 7, 0], [0, 0, 4, 100]]) {
    assertRefused(failure(Uint8Array.from(value)), "malformed", "without an error code");
  }
  assertRefused(encodeMessage(MessageType.error, ID, []), "malformed", "without an error code");
  const alternate = {
    type: AttributeType.alternateServer,
    value: encodeAddress({ address: "::1", port: 5 }),
  };
  const moved = assertRefused(
    failure(Uint8Array.of(0, 0, 3, 0), [alternate]),
    "alternate-server",
    "::1 port 5",
  );
  assertEquals(moved.alternate, { family: 6, address: "::1", port: 5 });
});

Deno.test("encodeAddress() and decoding undo each other for both families and any id", () => {
  for (const address of ["1.2.3.4", "2001:db8::1", "::ffff:1.2.3.4", "64:ff9b::1"]) {
    const id = newTransactionId();
    const value = encodeAddress({ address, port: 65_535 }, id);
    const bytes = encodeMessage(MessageType.success, id, [{ type: AttributeType.xorMappedAddress, value }]);
    const { mapped } = decodeBindingResponse(bytes, id);
    assertEquals(mapped, { family: address.includes(":") ? 6 : 4, address, port: 65_535 });
  }
  assertThrows(() => encodeAddress({ address: "localhost", port: 1 }), TypeError, '"localhost"');
});

Deno.test("decodeMessage() reads a message in the middle of a larger buffer and keeps nothing of it", () => {
  const bytes = success([xorMapped()]);
  const buffer = Uint8Array.of(7, 7, 7, ...bytes, 7);
  const message = decodeMessage(buffer.subarray(3, 3 + bytes.length));
  buffer.fill(0);
  assertEquals(message.id, ID);
  assert(message.attributes[0]?.value.some((byte) => byte !== 0));
});
