/** Changes the network from within the measuring process, so that the time of the change is known to the microsecond. */

import { acquireLibc, type Libc } from "../internal/ffi/libc_linux.ts";
import { parseIp } from "../internal/ip.ts";
import { buildRequests, parseError, parseMessages, type Request } from "../watch/_netlink.ts";
import { NetlinkReceiver, openNetlink } from "../watch/_read_netlink.ts";

const ACK = 4;
const REPLACE = 0x100;
const CREATE = 0x400;
const RTM = { NEWLINK: 16, DELLINK: 17, NEWADDR: 20, DELADDR: 21, NEWROUTE: 24, DELROUTE: 25 };
const KERNEL = new Uint8Array(12);
KERNEL[0] = 16;

/** Writes to the kernel by netlink. */
export class Kernel implements Disposable {
  readonly #libc: Libc = acquireLibc();
  readonly #fd: number = openNetlink(this.#libc, 0);
  readonly #receiver: NetlinkReceiver = new NetlinkReceiver(this.#libc, this.#fd);
  #seq = 1;

  [Symbol.dispose](): void {
    this.#libc.call.close(this.#fd);
    this.#libc[Symbol.dispose]();
  }

  /** Adds an IPv4 address, or takes it away. */
  address(action: "add" | "remove", index: number, address: string, prefix: number): void {
    const bytes = parseIp(address) ?? new Uint8Array();
    const head = new Uint8Array(8);
    const data = new DataView(head.buffer);
    head[0] = 2;
    head[1] = prefix;
    data.setUint32(4, index, true);
    const adding = action === "add";
    this.#do([{
      type: adding ? RTM.NEWADDR : RTM.DELADDR,
      flags: adding ? ACK | CREATE | REPLACE : ACK,
      head,
      attributes: [[2, bytes], [1, bytes]],
    }]);
  }

  /** Adds IPv4 host routes by the hundred. */
  routes(index: number, destinations: readonly string[]): void {
    this.#do(destinations.map((destination) => {
      // rtmsg: AF_INET, dst_len 32, table main 254, protocol static 4, scope link 253, unicast 1.
      const head = new Uint8Array([2, 32, 0, 0, 254, 4, 253, 1, 0, 0, 0, 0]);
      const oif = new Uint8Array(new Uint32Array([index]).buffer);
      const attributes = [[1, parseIp(destination) ?? new Uint8Array()], [4, oif]] as const;
      return { type: RTM.NEWROUTE, flags: ACK | CREATE | REPLACE, head, attributes };
    }));
  }

  /** Adds the IPv4 default route, or takes it away. */
  defaultRoute(action: "add" | "remove", index: number, gateway: string): void {
    const head = new Uint8Array([2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]);
    const oif = new Uint8Array(new Uint32Array([index]).buffer);
    const adding = action === "add";
    this.#do([{
      type: adding ? RTM.NEWROUTE : RTM.DELROUTE,
      flags: adding ? ACK | CREATE | REPLACE : ACK,
      head,
      attributes: [[5, parseIp(gateway) ?? new Uint8Array()], [4, oif]],
    }]);
  }

  /** Switches an interface on or off. */
  link(index: number, up: boolean): void {
    const head = new Uint8Array(16);
    const data = new DataView(head.buffer);
    data.setUint32(4, index, true);
    data.setUint32(8, up ? 1 : 0, true);
    data.setUint32(12, 1, true);
    this.#do([{ type: RTM.NEWLINK, flags: ACK, head }]);
  }

  #do(requests: readonly Request[]): void {
    const bytes = buildRequests(requests, this.#seq);
    this.#seq += requests.length;
    const sent = this.#libc.call.sendto(this.#fd, bytes, BigInt(bytes.length), 0, KERNEL, KERNEL.length);
    this.#libc.check(sent, "change the network");
    let acknowledged = 0;
    while (acknowledged < requests.length) {
      const datagram = this.#receiver.receive();
      if (!(datagram instanceof Uint8Array)) {
        throw new Error(`Cannot change the network: no answer (${datagram})`);
      }
      for (const { body } of parseMessages(datagram)) {
        const error = parseError(body);
        if (error !== 0) throw new Error(`Cannot change the network: error ${error}`);
        acknowledged++;
      }
    }
  }
}

/** Runs `ip` with some arguments. */
export async function ip(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args, stdin: "null" }).output();
  if (!success) throw new Error(`Cannot run ip ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** Makes a pair of linked interfaces `v0` and `v1`, both on, and tells the index of `v0`. */
export async function makePair(): Promise<number> {
  await ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
  await Deno.writeTextFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
  await ip("link", "set", "v1", "up");
  await ip("link", "set", "v0", "up");
  return Number(await Deno.readTextFile("/sys/class/net/v0/ifindex").catch(() => readIndex()));
}

async function readIndex(): Promise<string> {
  const { stdout } = await new Deno.Command("ip", { args: ["-j", "link", "show", "v0"] }).output();
  return String(JSON.parse(new TextDecoder().decode(stdout))[0].ifindex);
}
