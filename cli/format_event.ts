/** Events as text for people: one line each, in plain words. */

import type {
  AddressChangeEvent,
  IdentityEvent,
  InterfaceChangeEvent,
  NetworkChange,
  NetworkEvent,
  RouteEvent,
} from "../watch/events.ts";
import type { DefaultRoute, Family } from "../watch/state.ts";
import { addressNotes, addressText, dnsText, externalText, familyName } from "./format_state.ts";
import { allPrintable, type Paint, type Style } from "./style.ts";
import { formatDuration } from "./units.ts";

/** An event in words, and what kind of news it is. */
export interface Sentence {
  /** One line. */
  readonly text: string;
  /** How it is coloured. */
  readonly mood: "good" | "bad" | "changed" | "strong";
}

/**
 * Puts an event or a settled change into words.
 *
 * @param event What happened; texts from outside are made harmless.
 * @returns One line, and what kind of news it is.
 */
export function sentenceOf(event: NetworkEvent | NetworkChange): Sentence {
  const e = allPrintable(event);
  switch (e.type) {
    case "online":
      return {
        mood: "good",
        text: `online by ${familyName(e.family)}${besides(e.families, e.family, "still online by")}`,
      };
    case "offline":
      return {
        mood: "bad",
        text: `offline by ${familyName(e.family)}${besides(e.families, e.family, "still online by")}`,
      };
    case "interfaceadd": {
      const { kind, running, up } = e.details;
      const state = running ? "up" : up ? "no carrier" : "off";
      return { mood: "good", text: `interface ${e.interface} appeared (${kind}, ${state})` };
    }
    case "interfaceremove":
      return { mood: "bad", text: `interface ${e.interface} is gone` };
    case "interfacechange":
      return interfaceChange(e);
    case "addressadd":
    case "addressremove": {
      const notes = e.type === "addressadd" ? addressNotes(e) : [];
      const text = `address ${e.address}/${e.prefix} on ${e.interface} ${
        e.type === "addressadd" ? "added" : "removed"
      }`;
      return {
        mood: e.type === "addressadd" ? "good" : "bad",
        text: notes.length ? `${text} (${notes.join(", ")})` : text,
      };
    }
    case "addresschange":
      return addressChange(e);
    case "addressconflict":
      return { mood: "bad", text: `address ${e.address} on ${e.interface} is taken by another machine` };
    case "gatewaychange":
    case "defaultinterfacechange":
    case "routechange":
      return routeChange(e);
    case "dnschange":
      return { mood: "changed", text: `dns ${dnsText(e.from)} -> ${dnsText(e.to)}` };
    case "identitychange":
      return identityChange(e);
    case "externalchange":
      return { mood: "changed", text: `external ${externals(e.from)} -> ${externals(e.to)}` };
    case "wake":
      return { mood: "changed", text: `woke up after ${formatDuration(e.slept)} of sleep` };
    case "backend":
      return {
        mood: e.reason === "recovered" ? "good" : "changed",
        text: `backend ${e.backend} (${e.reason}): ${e.detail}`,
      };
    case "resync":
      return { mood: "changed", text: "events were missed: the state was read anew" };
    case "change":
      return settled(e);
  }
}

/**
 * One line of `watch`: the time of day, the time since the line before, and what happened.
 *
 * @param event What happened.
 * @param before When the line before happened, in milliseconds since 1970.
 * @param style Colours.
 * @returns The line.
 */
export function formatEvent(event: NetworkEvent | NetworkChange, before: number, style: Style): string {
  const { text, mood } = sentenceOf(event);
  const paint: Paint = style[mood];
  const elapsed = `+${formatDuration(Math.max(0, event.at - before))}`.padStart(8);
  const mark = event.type === "change" ? "=" : " ";
  return `${style.dim(`${clockTime(event.at)} ${elapsed}`)} ${mark} ${paint(text)}`;
}

/** The local time of day with milliseconds. */
export function clockTime(at: number): string {
  const date = new Date(at);
  const two = (n: number): string => String(n).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

function besides(families: readonly Family[], family: Family, words: string): string {
  const others = families.filter((f) => f !== family).map(familyName);
  return others.length === 0 ? "" : `, ${words} ${others.join(" and ")}`;
}

function interfaceChange({ interface: name, from, to }: InterfaceChangeEvent): Sentence {
  const parts: string[] = [];
  if (to.name !== undefined) parts.push(`renamed from ${from.name}`);
  if (to.up !== undefined) parts.push(to.up ? "switched on" : "switched off");
  if (to.running !== undefined) parts.push(to.running ? "carrier is there" : "carrier lost");
  if (to.mac !== undefined) parts.push(`hardware address ${from.mac ?? "none"} -> ${to.mac ?? "none"}`);
  if (to.mtu !== undefined) parts.push(`mtu ${from.mtu ?? "unknown"} -> ${to.mtu ?? "unknown"}`);
  if (to.kind !== undefined) parts.push(`kind ${from.kind} -> ${to.kind}`);
  if (to.master !== undefined) {
    parts.push(to.master === null ? "left its bridge or bond" : `port of interface ${to.master}`);
  }
  if (to.addresses !== undefined) {
    parts.push(
      to.addresses.length === 0 ? "no address" : `addresses ${to.addresses.map(addressText).join(", ")}`,
    );
  }
  const mood = to.running === true ? "good" : to.running === false || to.up === false ? "bad" : "changed";
  return { mood, text: `interface ${name}: ${parts.join(", ")}` };
}

function addressChange({ address, prefix, interface: name, from, to }: AddressChangeEvent): Sentence {
  const parts: string[] = [];
  if (to.conflict !== undefined) parts.push(to.conflict ? "taken by another machine" : "no longer disputed");
  if (to.tentative !== undefined) parts.push(to.tentative ? "not usable yet" : "usable now");
  if (to.deprecated !== undefined) parts.push(to.deprecated ? "deprecated" : "preferred again");
  if (to.temporary !== undefined) parts.push(to.temporary ? "temporary" : "no longer temporary");
  if (to.scope !== undefined) parts.push(`scope ${from.scope} -> ${to.scope}`);
  const mood = to.conflict === true ? "bad" : to.tentative === false ? "good" : "changed";
  return { mood, text: `address ${address}/${prefix} on ${name}: ${parts.join(", ")}` };
}

function routeChange({ type, family, from, to }: RouteEvent): Sentence {
  const mood = to === null ? "bad" : from === null ? "good" : "changed";
  const suffix = `(${familyName(family)})`;
  if (type === "defaultinterfacechange") {
    return {
      mood,
      text: `default interface ${from?.interface ?? "none"} -> ${to?.interface ?? "none"} ${suffix}`,
    };
  }
  if (type === "gatewaychange") return { mood, text: `gateway ${gateway(from)} -> ${gateway(to)} ${suffix}` };
  const parts: string[] = [];
  if (from?.metric !== to?.metric) parts.push(`metric ${from?.metric ?? "none"} -> ${to?.metric ?? "none"}`);
  if (from?.source !== to?.source) parts.push(`source ${from?.source ?? "none"} -> ${to?.source ?? "none"}`);
  return { mood, text: `route by ${gateway(to)}: ${parts.join(", ")} ${suffix}` };
}

function gateway(route: DefaultRoute | null): string {
  if (!route) return "none";
  return route.gateway === null ? route.interface : `${route.gateway} on ${route.interface}`;
}

function identityChange({ family, from, to }: IdentityEvent): Sentence {
  const name = ({ gateway, mac, network }: IdentityEvent["from"]): string =>
    `${gateway} at ${mac}${network === null ? "" : ` in ${network}`}`;
  return {
    mood: "changed",
    text: `another network: gateway ${name(from)} -> ${name(to)} (${familyName(family)})`,
  };
}

function externals(seen: Extract<NetworkEvent, { type: "externalchange" }>["from"]): string {
  const known = [seen?.v4, seen?.v6].filter((family) => family !== null && family !== undefined);
  return known.map(externalText).join(" and ") || "unknown";
}

function settled({ events, major, reasons }: NetworkChange): Sentence {
  const advice = {
    required: "open connections must be renewed",
    advised: "open connections should be renewed",
    none: "open connections can stay",
  }[major];
  const count = `${events.length} ${events.length === 1 ? "event" : "events"}`;
  const why = reasons.length === 0 ? "" : `: ${reasons.join("; ")}`;
  return { mood: "strong", text: `settled after ${count}, ${advice}${why}` };
}
