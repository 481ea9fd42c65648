/** What the kernel and `ip` said of some networks, as `dev/record_netlink.ts` recorded it. */

import { type Libc, systemError } from "../internal/ffi/libc_linux.ts";
import { parseMessages } from "../watch/_netlink.ts";

const FIXTURES = new URL("./fixtures/", import.meta.url);

/** The networks, each made of the one before. */
export const SCENES = [
  "empty",
  "home",
  "carrier",
  "containers",
  "odd",
  "hops",
  "via",
  "policy",
  "blackhole",
] as const;

/** One of the networks. */
export type Scene = (typeof SCENES)[number];

/** A request and the datagrams that answered it. */
export interface Exchange {
  /** What was sent. */
  readonly request: Uint8Array;
  /** What came back. */
  readonly answers: readonly Uint8Array[];
}

/** What passed through the reader's socket in one reading of a network. */
export function exchanges(scene: Scene): Exchange[] {
  const text = Deno.readTextFileSync(new URL(`netlink/${scene}.json`, FIXTURES));
  return (JSON.parse(text) as { request: string; answers: string[] }[]).map(({ request, answers }) => ({
    request: Uint8Array.fromBase64(request),
    answers: answers.map((answer) => Uint8Array.fromBase64(answer)),
  }));
}

/** What `ip` printed of the same network. */
export function ipOutput(scene: Scene): string {
  return Deno.readTextFileSync(new URL(`ip/${scene}.txt`, FIXTURES));
}

/** Datagrams that told of changes. */
export function notifications(): Uint8Array[] {
  const text = Deno.readTextFileSync(new URL("netlink/notifications.json", FIXTURES));
  return (JSON.parse(text) as string[]).map((one) => Uint8Array.fromBase64(one));
}

/** Every datagram there is. */
export function datagrams(): Uint8Array[] {
  return [
    ...SCENES.flatMap((scene) => exchanges(scene).flatMap(({ answers }) => answers)),
    ...notifications(),
  ];
}

/** The bodies of all messages of a type, in all recordings. */
export function bodies(type: number): Uint8Array[] {
  return datagrams().flatMap((datagram) => [...parseMessages(datagram)])
    .filter((message) => message.type === type)
    .map(({ body }) => body);
}

/** What a made-up kernel does. */
export interface FakeKernel {
  /** The answers to a request, in order; a number is an error number. */
  answer(request: Uint8Array): readonly (Uint8Array | number)[];
  /** Who sends, as `nl_pid`; 0 is the kernel. */
  sender?(): number;
  /** The error number that opening the socket, binding it or sending fails with. */
  readonly refuses?: Partial<Record<"socket" | "bind" | "sendto", number>>;
}

/** The C library on top of a made-up kernel, and what is open of it. */
export function fakeLibc(kernel: FakeKernel): Libc & { readonly open: Set<number> } {
  const open = new Set<number>();
  let queue: (Uint8Array | number)[] = [];
  let errno = 0;
  const fail = (number: number): number => {
    errno = number;
    return -1;
  };
  const refused = (call: "socket" | "bind" | "sendto"): boolean => {
    const number = kernel.refuses?.[call];
    if (number !== undefined) errno = number;
    return number !== undefined;
  };
  const call: Partial<Libc["call"]> = {
    socket() {
      if (refused("socket")) return -1;
      open.add(3);
      return 3;
    },
    bind: () => refused("bind") ? -1 : 0,
    // Whose a descriptor is does not matter here.
    syscall: () => 1,
    fcntl: () => 0,
    fcntlOwner: () => 0,
    close: (fd) => open.delete(fd) ? 0 : fail(9),
    sendto(_fd, data) {
      if (refused("sendto")) return -1;
      queue = [...kernel.answer(data)];
      return data.length;
    },
    recvfrom(_fd, into, size, _flags, address) {
      const next = queue.shift();
      if (next === undefined) return fail(11);
      if (typeof next === "number") return fail(next);
      const bytes = next.subarray(0, Number(size));
      into.set(bytes);
      new DataView(address.buffer).setUint32(4, kernel.sender?.() ?? 0, true);
      return bytes.length;
    },
  };
  return {
    call: call as Libc["call"],
    open,
    errno: () => errno,
    check(result, operation) {
      if (result < 0) throw systemError(errno, operation);
      return result;
    },
    [Symbol.dispose]() {},
  };
}
