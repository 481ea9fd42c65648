import { assert, assertEquals, assertThrows } from "@std/assert";
import { ERRNO } from "../internal/ffi/libc_linux.ts";
import { HoldfastError } from "../internal/errors.ts";
import { type Exchange, exchanges, type FakeKernel, fakeLibc, type Scene } from "../tests/_recordings.ts";
import { FLAG, TYPE } from "./_netlink.ts";
import { NetlinkReader, NetlinkReceiver, openNetlink } from "./_read_netlink.ts";
import type { Reading } from "./_reading.ts";

/** A kernel that answers a recorded reading, after a change to its answers. */
function replay(
  scene: Scene,
  change: (answers: Uint8Array[], n: number) => readonly (Uint8Array | number)[] = (answers) => answers,
): FakeKernel {
  const recorded: readonly Exchange[] = exchanges(scene);
  let n = 0;
  return {
    answer(request) {
      const exchange = recorded[n];
      assertEquals(request, exchange?.request, `request ${n} is the recorded one`);
      return change([...exchange?.answers.map((answer) => answer.slice()) ?? []], n++);
    },
  };
}

function read(kernel: FakeKernel): Reading {
  using reader = new NetlinkReader(fakeLibc(kernel));
  return reader.read(null);
}

/** The recording of a dump that numbers its messages anew, as the kernel does for another attempt. */
function renumbered(answers: readonly Uint8Array[], seq: number, flags: number = 0): Uint8Array[] {
  return answers.map((answer) => {
    const bytes = answer.slice();
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < bytes.length; at += (view.getUint32(at, true) + 3) & ~3) {
      view.setUint16(at + 6, view.getUint16(at + 6, true) | flags, true);
      view.setUint32(at + 8, seq, true);
    }
    return bytes;
  });
}

/** A message that ends or refuses something. */
function message(type: number, seq: number, errno: number): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 20, true);
  view.setUint16(4, type, true);
  view.setUint32(8, seq, true);
  view.setInt32(16, -errno, true);
  return bytes;
}

Deno.test("a recorded home network is read as it was", () => {
  const { interfaces, defaultRoute, gatewayMac, dns, blind } = read(replay("home"));
  assertEquals(interfaces.map(({ name, kind, running }) => [name, kind, running]), [
    ["lo", "loopback", true],
    ["v1", "veth", true],
    ["v0", "veth", true],
  ]);
  const v0 = interfaces[2];
  assertEquals([v0?.mac, v0?.mtu, v0?.up, v0?.master], ["02:00:00:00:00:01", 1500, true, null]);
  const addresses = v0?.addresses.map((a) => [`${a.address}/${a.prefix}`, a.scope, a.deprecated]);
  assertEquals(addresses, [
    ["192.168.1.23/24", "global", false],
    ["2001:db8:1::23/64", "global", false],
    ["2001:db8:1::beef/64", "global", true],
    ["fe80::ff:fe00:1/64", "link", false],
  ]);
  const { preferredLifetime } = v0?.addresses[0] ?? {};
  assert(preferredLifetime && preferredLifetime > 1_700_000 && preferredLifetime <= 1_800_000);
  assertEquals(v0?.addresses[1]?.validLifetime, null);
  const index = v0?.index ?? 0;
  assertEquals(defaultRoute, {
    v4: { gateway: "192.168.1.1", interface: "v0", index, metric: 100, source: "192.168.1.23" },
    v6: { gateway: "fe80::1", interface: "v0", index, metric: 1024, source: "2001:db8:1::23" },
  });
  assertEquals(gatewayMac, { v4: "02:00:00:00:01:01", v6: "02:00:00:00:01:01" });
  assertEquals([dns, blind], [null, ["dns"]]);
});

Deno.test("a kernel that does not tell of one neighbour is blind to them, one that knows none is not", () => {
  const blind = (errno: number): readonly number[] | undefined =>
    read(replay("home", (answers, n) => {
      const seq = n === 3 ? new DataView(answers[0]?.buffer ?? new ArrayBuffer(12)).getUint32(8, true) : 0;
      return n === 3 ? [0, 1].map((i) => message(TYPE.ERROR, seq + i, errno)) : answers;
    })).neighbourless;
  const EOPNOTSUPP = 95;
  assertEquals(blind(ERRNO.ENOENT), []);
  assertEquals(blind(EOPNOTSUPP), read(replay("home")).interfaces.map(({ index }) => index));
});

Deno.test("recorded odd networks: peers, conflicts, scopes, next hops, policies and holes", () => {
  const odd = read(replay("odd"));
  const all = odd.interfaces.flatMap(({ addresses }) => addresses);
  assertEquals(all.filter(({ conflict }) => conflict).map(({ address }) => address), ["2001:db8:9::9"]);
  assertEquals(all.filter(({ address }) => address === "10.9.0.1").length, 2);
  assertEquals(all.find(({ address }) => address === "169.254.7.7")?.scope, "link");
  assertEquals(all.find(({ address }) => address === "10.8.0.1")?.scope, "global");
  const routes = (["empty", "hops", "via", "policy", "blackhole"] as const).map((scene) => {
    const { v4, v6 } = read(replay(scene)).defaultRoute;
    return [scene, v4 && [v4.gateway, v4.metric, v4.source], v6 && [v6.gateway, v6.metric]];
  });
  assertEquals(routes, [
    ["empty", null, null],
    ["hops", ["192.168.1.1", 0, "192.168.1.23"], ["fe80::1", 1024]],
    ["via", ["fe80::1", 0, "192.168.1.23"], [null, 1024]],
    ["policy", ["192.168.1.77", 5, "10.8.0.1"], null],
    ["blackhole", null, null],
  ]);
});

Deno.test("the other end's loss shows as an interface that is up and not running", () => {
  const v0 = read(replay("carrier")).interfaces.find(({ name }) => name === "v0");
  assertEquals([v0?.up, v0?.running], [true, false]);
});

Deno.test("container interfaces are told apart by kind and master", () => {
  const { interfaces } = read(replay("containers"));
  const kinds = Object.fromEntries(interfaces.map(({ name, kind }) => [name, kind]));
  assertEquals([
    kinds["docker0"],
    kinds["veth1a2b"],
    kinds["tun0"],
    kinds["tap0"],
    kinds["vx0"],
    kinds["ifb7"],
  ], [
    "bridge",
    "veth",
    "tunnel",
    "tunnel",
    "tunnel",
    "other",
  ]);
  const docker = interfaces.find(({ name }) => name === "docker0");
  assertEquals(interfaces.find(({ name }) => name === "veth1a2b")?.master, docker?.index);
});

Deno.test("a dump that was interrupted is taken anew, and as it is after five times", () => {
  const [links] = exchanges("home");
  assert(links);
  let asked = 0;
  /** Interrupts the first dump (links) some times, then says that there is nothing else. */
  const kernel = (times: number): FakeKernel => ({
    answer(request) {
      const seq = new DataView(request.buffer).getUint32(8, true);
      if (new DataView(request.buffer).getUint16(4, true) === TYPE.GETLINK) {
        return renumbered(links.answers, seq, asked++ < times ? FLAG.DUMP_INTR : 0);
      }
      const type = new DataView(request.buffer).getUint16(4, true);
      if (type === TYPE.GETADDR) return [message(TYPE.DONE, seq, 0)];
      return [0, 1, 2].map((n) => message(TYPE.ERROR, seq + n, ERRNO.ENETUNREACH));
    },
  });
  assertEquals([read(kernel(0)).interfaces.length, asked], [3, 1]);
  asked = 0;
  assertEquals([read(kernel(3)).interfaces.length, asked], [3, 4]);
  asked = 0;
  assertEquals([read(kernel(99)).interfaces.length, asked], [3, 5]);
});

Deno.test("a dump whose end carries an error is taken anew", () => {
  const [links] = exchanges("home");
  let asked = 0;
  const kernel: FakeKernel = {
    answer(request) {
      const view = new DataView(request.buffer);
      const seq = view.getUint32(8, true);
      if (view.getUint16(4, true) !== TYPE.GETLINK) return [message(TYPE.DONE, seq, 0)];
      const dump = renumbered(links?.answers ?? [], seq);
      return asked++ === 0 ? [...dump.slice(0, -1), message(TYPE.DONE, seq, ERRNO.EINTR)] : dump;
    },
  };
  assertThrows(() => read(kernel), HoldfastError, "the kernel sent none");
  assertEquals(asked, 2);
});

Deno.test("a dump that is refused is an error with the kernel's word", () => {
  const kernel = replay("home", () => [message(TYPE.ERROR, 1, ERRNO.EPERM)]);
  const error = assertThrows(() => read(kernel), HoldfastError, "Cannot read netlink dump");
  assertEquals(error.code, "system");
});

Deno.test("answers to earlier requests are passed over", () => {
  const { interfaces } = read(
    replay("home", (answers, n) => n === 0 ? answers : [message(TYPE.DONE, 0, 0), ...answers]),
  );
  assertEquals(interfaces.length, 3);
});

Deno.test("an answer that never comes is an error, not a wait", () => {
  for (const last of [0, 1, 2, 3]) {
    const kernel = replay("home", (answers, n) => n === last ? answers.slice(0, -1) : answers);
    const error = assertThrows(() => read(kernel), HoldfastError, "the kernel sent none");
    assertEquals([error.code, error.operation], ["protocol", "read netlink answer"]);
  }
});

Deno.test("an error of the socket while an answer is awaited is told in words", () => {
  const kernel = replay("home", () => [ERRNO.ENOBUFS]);
  assertThrows(() => read(kernel), HoldfastError, "Cannot read netlink answer: ");
});

Deno.test("a call that a signal interrupted is made again", () => {
  const { interfaces } = read(replay("home", (answers) => [ERRNO.EINTR, ...answers]));
  assertEquals(interfaces.length, 3);
});

Deno.test("what other processes send is passed over", () => {
  let sent = 0;
  const libc = fakeLibc({
    answer: () => [Uint8Array.of(1), Uint8Array.of(2)],
    sender: () => sent++ === 0 ? 4711 : 0,
  });
  libc.call.sendto(3, new Uint8Array(), 0n, 0, new Uint8Array(), 0);
  const receiver = new NetlinkReceiver(libc, 3);
  assertEquals(receiver.receive(), Uint8Array.of(2));
  assertEquals(receiver.receive(), null);
});

Deno.test("a socket that is refused, at opening or at binding, is an error and leaves nothing open", () => {
  for (const call of ["socket", "bind"] as const) {
    const libc = fakeLibc({ answer: () => [], refuses: { [call]: ERRNO.EPERM } });
    const error = assertThrows(() => openNetlink(libc, 0), HoldfastError, "Cannot open netlink socket");
    assertEquals([error.code, libc.open.size], ["system", 0]);
  }
});

Deno.test("a request that cannot be sent is an error; the reader closes its socket when it is disposed", () => {
  const libc = fakeLibc({ answer: () => [], refuses: { sendto: ERRNO.ENOBUFS } });
  const reader = new NetlinkReader(libc);
  assertThrows(() => reader.read(null), HoldfastError, "Cannot send netlink request");
  assertEquals(libc.open.size, 1);
  reader[Symbol.dispose]();
  assertEquals(libc.open.size, 0);
});
