/** One connection to one address, up to the sign that somebody lives there. */

import { connectTcp } from "./_connect_tcp.ts";
import { closeQuietly } from "./_connections.ts";
import { orAbort } from "./_or_abort.ts";

/** What {@linkcode connectTo} connects to, and how. */
export interface ConnectOptions<T> {
  /** The port. */
  readonly port: number;
  /** The name of the other end in TLS, or `null` for a connection without. */
  readonly tls: { readonly serverName: string; readonly options: TlsOptions } | null;
  /** Whether small writes go out at once. */
  readonly noDelay: boolean;
  /** The caller's own sign of life. */
  readonly proof: ((conn: Deno.TcpConn | Deno.TlsConn, options: ProofOptions) => Promise<T>) | undefined;
  /** Called when the next step begins. */
  readonly step: (step: ConnectStep) => void;
}

/** What the other end is asked in TLS. */
export interface TlsOptions {
  /** Certificates to trust besides the system's, in PEM. */
  readonly caCerts?: readonly string[];
  /** The application protocols offered (ALPN), best first. */
  readonly alpnProtocols?: readonly string[];
}

/** What a sign of life obeys. */
export interface ProofOptions {
  /** Ends it: another address was faster, or the time is up. */
  readonly signal: AbortSignal;
}

/** What is done for a connection: the connection itself, the TLS handshake, the caller's own proof. */
export type ConnectStep = "connect" | "handshake" | "proof";

/** A connection that has proved to be alive. */
export interface Connected<T> {
  /** The connection. */
  readonly conn: Deno.TcpConn | Deno.TlsConn;
  /** What the proof gave. */
  readonly proof: T | undefined;
}

/** A socket that is connected to itself. Its `code` is that of a closed port, which it comes from. */
export class SelfConnectError extends Error {
  /** The class's name. */
  override name = "SelfConnectError";
  /** The system's name for what should have happened. */
  readonly code = "ECONNREFUSED";

  /**
   * Makes an error.
   *
   * @param address Where the socket is, and where it is connected to.
   */
  constructor(address: string) {
    super(`Cannot connect to ${address}: nothing listens there, the socket was connected to itself`);
  }
}

/**
 * Connects to one address. Whatever happens, no socket is left but the one that is returned, and that of a TLS handshake
 * which was given up: the runtime keeps it until the other end closes it, or answers.
 *
 * @param hostname The address, or a name that the system looks up.
 * @param options The port, TLS, and the proof of life.
 * @param signal Ends it at once.
 */
export async function connectTo<T>(
  hostname: string,
  options: ConnectOptions<T>,
  signal: AbortSignal,
): Promise<Connected<T>> {
  const { port, tls, noDelay, proof, step } = options;
  step("connect");
  const tcp = await connectTcp(hostname, port, signal);
  let conn: Deno.TcpConn | Deno.TlsConn = tcp;
  const abort = (): void => closeQuietly(conn);
  signal.addEventListener("abort", abort, { once: true });
  try {
    refuseSelf(tcp);
    // Before TLS, for a TLS connection has no such switch: without it the first exchange takes 40 ms longer.
    if (noDelay) tcp.setNoDelay(true);
    if (tls) {
      step("handshake");
      const { caCerts, alpnProtocols } = tls.options;
      const secure = await Deno.startTls(tcp, {
        hostname: tls.serverName,
        ...(caCerts ? { caCerts: [...caCerts] } : {}),
        ...(alpnProtocols ? { alpnProtocols: [...alpnProtocols] } : {}),
      });
      conn = secure;
      signal.throwIfAborted();
      await orAbort(secure.handshake(), signal);
    }
    let result: T | undefined;
    if (proof) {
      step("proof");
      result = await orAbort(proof(conn, { signal }), signal);
    }
    signal.throwIfAborted();
    return { conn, proof: result };
  } catch (error) {
    // A handshake that failed has closed it, and so may the caller's proof.
    closeQuietly(conn);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** A socket that tries a closed port of the range it gets its own from may meet itself. */
function refuseSelf({ localAddr, remoteAddr }: Deno.TcpConn): void {
  const [local, remote] = [localAddr, remoteAddr].map((addr) =>
    addr.transport === "tcp" ? `${addr.hostname}:${addr.port}` : ""
  );
  if (local === remote) throw new SelfConnectError(remote ?? "");
}
