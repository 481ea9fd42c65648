/**
 * The native source on macOS: a routing socket and the system's own word of a settled network, both announced by SIGIO.
 *
 * No thread waits. The routing socket tells at once and of routes, links and addresses; `notify_post` of configd comes up
 * to seconds later, and also when only the resolver has changed, which the kernel knows nothing of. Messages are hints: what
 * they say is used only to tell noise from news.
 *
 * A Worker that is terminated leaves its sockets and registrations behind until the process ends: no descriptor has a
 * thread for its owner here by which another isolate could find them, as on Linux. Their signals harm nobody.
 */

import { HoldfastError } from "../internal/errors.ts";
import { acquireLibSystem, ERRNO, type LibSystem, systemError } from "../internal/ffi/libsystem.ts";
import { formatIp } from "../internal/ip.ts";
import { openRouteSocket, RouteReceiver, SysctlReader } from "./_read_sysctl.ts";
import type { Reading, Source, SourceEvents } from "./_reading.ts";
import {
  parseRoute,
  parseRouteMessages,
  RouteSocketError,
  type RouteSocketMessage,
  RTF,
  RTM,
} from "./_route_socket.ts";

const SOL_SOCKET = 0xffff;
const SO_RCVBUF = 0x1002;
/** The default of 8 KiB overflows without a sign. A message can only be lost while others wait, so a reading follows. */
const RECEIVE_BUFFER = 256 * 1024;

const F_SETFL = 4;
const F_SETOWN = 6;
const O_NONBLOCK = 0x4;
const O_ASYNC = 0x40;
const SIGIO = 23;

/** What configd posts: the network has settled (kNotifySCNetworkChange), and the resolver's configuration is another one. */
const NAMES = [
  "com.apple.system.config.network_change",
  "com.apple.system.SystemConfiguration.dns_configuration",
];

const CLOCK_MONOTONIC = 6;
const CLOCK_UPTIME_RAW = 8;

/** How often a reading is repeated because something changed while it was taken. */
const READ_TRIES = 3;

/** The system as a source needs it: a test has its own. */
export interface Machine {
  /** Takes a hold on the library. */
  acquire(): LibSystem;
  /** Has a handler called for each SIGIO. */
  listen(handler: () => void): Disposable;
}

const MACHINE: Machine = {
  acquire: acquireLibSystem,
  listen(handler) {
    Deno.addSignalListener("SIGIO", handler);
    return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGIO", handler) };
  },
};

/**
 * Opens the source.
 *
 * @param events Where it reports.
 * @param machine The system.
 * @throws {PermissionError} Without `--allow-ffi` for libSystem.
 * @throws {HoldfastError} `system` where a sandbox refuses the sockets or the notifications.
 */
export function openRoutingSocketSource(events: SourceEvents, machine: Machine = MACHINE): Source {
  const stack = new DisposableStack();
  try {
    const system = stack.use(machine.acquire());
    const reader = stack.use(new SysctlReader(system));
    const fd = stack.adopt(openRouteSocket(system), (fd) => void system.call.close(fd));
    const size = new Uint8Array(new Uint32Array([RECEIVE_BUFFER]).buffer);
    // Refused above the system's limit; a smaller one only overflows sooner.
    system.call.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, size, size.length);
    const posts = NAMES.map((name) => stack.use(new Post(system, name)));
    const source = new RoutingSocketSource(system, fd, reader, posts, events);
    // The handler first, and removed last, as on Linux, where SIGIO without one ends the process.
    stack.use(machine.listen(() => source.onSignal()));
    const operation = "arm routing socket for SIGIO";
    system.check(system.call.fcntl(fd, F_SETOWN, Deno.pid), operation);
    system.check(system.call.fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC), operation);
    stack.defer(() => void system.call.fcntl(fd, F_SETFL, O_NONBLOCK));
    for (const post of posts) stack.use(post.arm());
    source.owns(stack.move());
    return source;
  } catch (error) {
    stack.dispose();
    throw error;
  }
}

/** One name that is posted to by notify_post(3). */
class Post implements Disposable {
  readonly #system: LibSystem;
  readonly #name: Uint8Array<ArrayBuffer>;
  readonly #token: number;
  readonly #word = new Int32Array(1);
  readonly #bytes = new Uint8Array(this.#word.buffer);

  constructor(system: LibSystem, name: string) {
    this.#system = system;
    this.#name = new TextEncoder().encode(`${name}\0`);
    this.#token = this.#register(system.call.notify_register_check(this.#name, this.#bytes));
    // The first look always says that there was one.
    this.posted();
  }

  /** Has SIGIO raised at each post, until disposed. */
  arm(): Disposable {
    const token = this.#register(this.#system.call.notify_register_signal(this.#name, SIGIO, this.#bytes));
    return { [Symbol.dispose]: () => void this.#system.call.notify_cancel(token) };
  }

  /** Whether there was a post since the last look; also where the system cannot tell any more. */
  posted(): boolean {
    return this.#system.call.notify_check(this.#token, this.#bytes) !== 0 || this.#word[0] !== 0;
  }

  [Symbol.dispose](): void {
    this.#system.call.notify_cancel(this.#token);
  }

  #register(status: number): number {
    if (status === 0) return this.#word[0] ?? 0;
    const operation = "register for network notifications";
    throw new HoldfastError(`Cannot ${operation}: notify(3) status ${status}`, { code: "system", operation });
  }
}

class RoutingSocketSource implements Source {
  readonly backend = "routing-socket";
  readonly reader = "sysctl";
  readonly #system: LibSystem;
  readonly #reader: SysctlReader;
  readonly #monitor: RouteReceiver;
  readonly #posts: readonly Post[];
  readonly #events: SourceEvents;
  #stack: DisposableStack | undefined;
  /** The gateways that the last reading found, whose neighbour entries matter. */
  #gateways = new Set<string>();

  constructor(
    system: LibSystem,
    fd: number,
    reader: SysctlReader,
    posts: readonly Post[],
    events: SourceEvents,
  ) {
    this.#system = system;
    this.#reader = reader;
    this.#monitor = new RouteReceiver(system, fd);
    this.#posts = posts;
    this.#events = events;
  }

  owns(stack: DisposableStack): void {
    this.#stack = stack;
  }

  onSignal(): void {
    if (!this.#stack) return;
    try {
      const [routes, posts] = [this.#drain(), this.#posted()];
      if (routes || posts) this.#events.hint();
    } catch (error) {
      this.#events.failed(error);
    }
  }

  read(): Reading {
    for (let attempt = 1;; attempt++) {
      const reading = this.#reader.read();
      this.#gateways = gatewaysOf(reading);
      // What came in meanwhile may have been read by half only.
      if (!this.#drain() || attempt === READ_TRIES) return reading;
    }
  }

  /** CLOCK_MONOTONIC goes on in sleep, CLOCK_UPTIME_RAW does not (clock_gettime(3)). */
  sleepClock(): number {
    return this.#clock(CLOCK_MONOTONIC) - this.#clock(CLOCK_UPTIME_RAW);
  }

  #clock(id: number): number {
    const time = new BigInt64Array(2);
    this.#system.check(this.#system.call.clock_gettime(id, new Uint8Array(time.buffer)), "read clock");
    return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stack?.dispose();
    this.#stack = undefined;
    return Promise.resolve();
  }

  #posted(): boolean {
    // Each is looked at, as the look itself takes note of the post.
    return this.#posts.map((post) => post.posted()).includes(true);
  }

  /** Empties the socket; tells whether anything in it asks for a reading. */
  #drain(): boolean {
    let hint = false;
    while (true) {
      const received = this.#monitor.receive();
      if (received === null) return hint;
      if (received === ERRNO.ENOBUFS) {
        hint = true;
        this.#events.overflow("the socket's buffer overflowed");
      } else if (typeof received === "number") throw systemError(received, "receive routing message");
      else hint ||= isNews(received, this.#gateways);
    }
  }
}

function gatewaysOf({ defaultRoute: { v4, v6 } }: Reading): Set<string> {
  return new Set([v4, v6].flatMap((route) => route?.gateway ? [`${route.index} ${route.gateway}`] : []));
}

/**
 * Whether what a routing socket received asks for a reading.
 *
 * Each failed look-up of any program raises RTM_MISS (macOS 26.4), so a program that looks something up at each message
 * would go round in circles: that one comes before all else and counts for nothing.
 *
 * @param received What one call gave.
 * @param gateways Index and address of the gateways in use, whose neighbour entries are news.
 */
export function isNews(received: Uint8Array, gateways: ReadonlySet<string>): boolean {
  try {
    return [...parseRouteMessages(received)].some((message) => concerns(message, gateways));
  } catch (error) {
    // What cannot be understood may be anything; a reading tells.
    if (error instanceof RouteSocketError) return true;
    throw error;
  }
}

function concerns(message: RouteSocketMessage, gateways: ReadonlySet<string>): boolean {
  switch (message.type) {
    case RTM.MISS:
    case RTM.GET:
    case RTM.GET_SILENT:
    case RTM.RESOLVE:
    case RTM.NEWMADDR:
    case RTM.DELMADDR:
      return false;
    case RTM.ADD:
    case RTM.DELETE:
    case RTM.CHANGE: {
      const { destination, index, flags } = parseRoute(message);
      // Neighbours and routes to single hosts that the kernel makes for itself come and go with every conversation.
      if ((flags & (RTF.LLINFO | RTF.WASCLONED)) === 0) return !destination || !isLocal(destination);
      return destination !== undefined && gateways.has(`${index} ${formatIp(destination)}`);
    }
    default:
      return true;
  }
}

/** Link-local and multicast destinations, which each interface has routes to. */
function isLocal(bytes: Uint8Array): boolean {
  const [a = 0, b = 0] = bytes;
  if (bytes.length === 4) return a === 169 && b === 254 || a >= 224 && a < 240;
  return a === 0xff || a === 0xfe && (b & 0xc0) === 0x80;
}
