/**
 * MQTT brokers for `@holdfast/net/signal`. On a subpath of its own, so that nobody fetches `npm:mqtt` who does not use it.
 *
 * ```ts
 * import { mqtt } from "@holdfast/net/signal/mqtt";
 *
 * const brokers = [mqtt("mqtts://one.example"), mqtt("wss://two.example/mqtt", { username: "me", password: "..." })];
 * ```
 *
 * Needs the permission `net` for the brokers.
 *
 * @module
 */

import { checkNumber } from "../recover/_check.ts";
import type { Broker } from "./_broker.ts";
import { formatMqttAddress, parseMqttUrl } from "./_mqtt_address.ts";
import { MqttLink, type MqttPlan } from "./_mqtt_link.ts";

export type { Broker, BrokerLink, BrokerOpenOptions, BrokerState } from "./_broker.ts";

/** How much a broker is sent at most. */
export interface MqttRate {
  /** How many packets a second in the long run. */
  readonly perSecond: number;
  /** How many at once after a time of silence. */
  readonly burst: number;
}

/** What is asked of a broker in TLS. */
export interface MqttTlsOptions {
  /**
   * Certificates to trust besides the system's, in PEM.
   *
   * @default {[]}
   */
  readonly caCerts?: readonly string[];
  /**
   * The name that the broker's certificate must be good for.
   *
   * @default the URL's host
   */
  readonly serverName?: string;
}

/** What {@linkcode mqtt} takes. */
export interface MqttOptions {
  /**
   * The user's name.
   *
   * @default that of the URL, if any
   */
  readonly username?: string;
  /**
   * The password.
   *
   * @default that of the URL, if any
   */
  readonly password?: string;
  /** What is asked of the broker in TLS, with `mqtts:` and `wss:`. Its certificate is always checked. */
  readonly tls?: MqttTlsOptions;
  /**
   * How much it is sent at most; `null` for no limit.
   *
   * @default no limit; 5 a second and 20 at once for the well-known brokers that are open to everybody
   */
  readonly rate?: MqttRate | null;
  /**
   * Every so many milliseconds the broker is asked whether it lives. It has 3.5 seconds to answer.
   *
   * @default {5000}
   */
  readonly keepalive?: number;
  /**
   * How many milliseconds a connection may take, until every topic is subscribed.
   *
   * @default {5000}
   */
  readonly connectTimeout?: number;
  /**
   * The topic to which messages to ourselves are sent, to find out brokers that acknowledge messages and do not deliver
   * them; `null` for none.
   *
   * @default a topic by chance below `holdfast/canary/`
   */
  readonly canary?: string | null;
  /**
   * How many milliseconds lie between two of them. One is sent after each connection, too.
   *
   * @default {300_000}
   */
  readonly canaryInterval?: number;
  /**
   * The most bytes that a packet from the broker may have; one that sends more is left.
   *
   * @default {262_144}
   */
  readonly maxIncoming?: number;
}

/**
 * Makes a broker of an MQTT URL. Nothing is connected before it is opened, by `joinSignal()` as a rule.
 *
 * MQTT 5 is spoken where the broker knows it, otherwise 3.1.1. A broker that refuses the login, or has banned us, is not
 * asked again; one that is busy is left alone for a while; one that names another server is followed there, three times at
 * the most; one that is sent too much gets less from then on. Any other failure is a reason to come back, within two seconds
 * for the first two minutes and once a minute at last, and at once when the network has changed.
 *
 * @param url `mqtt://`, `mqtts://`, `ws://` or `wss://`, host and port, for the latter two a path, perhaps with a login.
 * @param options Login, TLS, and limits.
 * @returns The broker. Its `url` is without the login.
 * @throws {TypeError} When the URL or an option makes no sense.
 * @throws {RangeError} When a number is out of range.
 *
 * @example
 * ```ts
 * import { mqtt } from "@holdfast/net/signal/mqtt";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(mqtt("mqtts://me:secret@Broker.example:8883").url, "mqtts://broker.example");
 * ```
 */
export function mqtt(url: string | URL, options: MqttOptions = {}): Broker {
  const { address, ...login } = parseMqttUrl(url);
  const { username = login.username, password = login.password, tls = {}, keepalive = 5000 } = options;
  const { connectTimeout = 5000, canaryInterval = 300_000, maxIncoming = 262_144, canary = newCanary() } =
    options;
  const { rate = PUBLIC.has(address.hostname) ? POLITE : null } = options;
  checkNumber("use a broker", "keepalive", keepalive, { from: 100 });
  checkNumber("use a broker", "connectTimeout", connectTimeout, { above: true });
  checkNumber("use a broker", "canaryInterval", canaryInterval, { above: true });
  checkNumber("use a broker", "maxIncoming", maxIncoming, { from: 256 });
  if (rate !== null) {
    checkNumber("use a broker", "rate.perSecond", rate.perSecond, { above: true });
    checkNumber("use a broker", "rate.burst", rate.burst, { from: 1 });
  }
  if (canary !== null && (canary === "" || /[+#\0]/.test(canary))) {
    throw new TypeError(`Cannot use a broker: canary must be a topic without wildcards, got "${canary}"`);
  }
  const plan: MqttPlan = {
    url: formatMqttAddress(address),
    ...{
      address,
      username,
      password,
      tls,
      rate,
      keepalive,
      connectTimeout,
      canary,
      canaryInterval,
      maxIncoming,
    },
  };
  return { url: plan.url, open: (opening) => new MqttLink(plan, opening) };
}

/** Brokers for everybody, for tests and first steps; whoever uses one is a guest. */
const PUBLIC: ReadonlySet<string> = new Set([
  "test.mosquitto.org",
  "broker.hivemq.com",
  "mqtt-dashboard.com",
  "broker.emqx.io",
  "broker-cn.emqx.io",
  "mqtt.eclipseprojects.io",
  "public.mqtthq.com",
  "broker.mqttdashboard.com",
]);

/** What a guest may send. */
const POLITE: MqttRate = { perSecond: 5, burst: 20 };

function newCanary(): string {
  return `holdfast/canary/${crypto.getRandomValues(new Uint8Array(16)).toHex()}`;
}
