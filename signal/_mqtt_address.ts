/** Where a broker is, and who one is there: what stands in its URL. */

/** The ways to carry MQTT. */
export type MqttScheme = "mqtt" | "mqtts" | "ws" | "wss";

/** A broker's place. */
export interface MqttAddress {
  /** How it is carried. */
  readonly scheme: MqttScheme;
  /** A name or an IP address, without brackets. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
  /** The path of the WebSocket, with what follows it; `""` where there is none. */
  readonly path: string;
}

/** A place, and the login that stood beside it. */
export interface MqttUrl {
  /** Where it is. */
  readonly address: MqttAddress;
  /** The user's name, where the URL has one. */
  readonly username?: string;
  /** The password, where the URL has one. */
  readonly password?: string;
}

const PORTS: Readonly<Record<MqttScheme, number>> = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 };

/**
 * Reads a broker's URL.
 *
 * @param text `mqtt:`, `mqtts:`, `ws:` or `wss:`, perhaps with a login.
 * @throws {TypeError} When it is none. The message shows nothing of it but its scheme, for there may be a password in it.
 */
export function parseMqttUrl(text: string | URL): MqttUrl {
  const url = URL.canParse(String(text)) ? new URL(text) : undefined;
  const scheme = url?.protocol.slice(0, -1);
  if (url === undefined || scheme === undefined || !isScheme(scheme)) {
    const got = scheme === undefined ? "no URL at all" : `"${scheme}:"`;
    throw new TypeError(
      `Cannot use a broker: its URL must begin with mqtt:, mqtts:, ws: or wss:, got ${got}`,
    );
  }
  const hostname = canonicalHost(url.hostname);
  if (hostname === null) throw new TypeError(`Cannot use a broker: its URL ("${scheme}:") names no host`);
  const webSocket = scheme === "ws" || scheme === "wss";
  if (!webSocket && (url.pathname.length > 1 || url.search !== "" || url.hash !== "")) {
    throw new TypeError(`Cannot use a broker: nothing may follow host and port with ${scheme}:`);
  }
  const port = url.port === "" ? PORTS[scheme] : Number(url.port);
  const path = webSocket ? url.pathname + url.search : "";
  return {
    address: { scheme, hostname, port, path },
    ...(url.username === "" ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === "" ? {} : { password: decodeURIComponent(url.password) }),
  };
}

/** Writes an address as a URL, the same for each way in which it may have been given. */
export function formatMqttAddress({ scheme, hostname, port, path }: MqttAddress): string {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return `${scheme}://${host}${port === PORTS[scheme] ? "" : `:${port}`}${path === "/" ? "" : path}`;
}

function isScheme(text: string): text is MqttScheme {
  return Object.hasOwn(PORTS, text);
}

/** The host as the web writes it: URLs of other schemes keep it as it was given. */
function canonicalHost(host: string): string | null {
  const asHttp = `http://${host}/`;
  if (host === "" || !URL.canParse(asHttp)) return null;
  return new URL(asHttp).hostname.replace(/^\[(.*)\]$/, "$1");
}
