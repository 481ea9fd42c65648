/** Events and states in a form that a test's expectation is easily written in. */

import type { NetworkEvent, NetworkState } from "@holdfast/net/watch";

type Route = NetworkState["defaultRoute"]["v4"];

function path(route: Route): string {
  return route ? `${route.gateway ?? "link"}@${route.interface}` : "none";
}

function fields(values: object): string {
  return Object.entries(values).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(" ");
}

/** An event in one line, without times and lifetimes. */
export function describe(event: NetworkEvent): string {
  const { type } = event;
  switch (type) {
    case "interfaceadd":
    case "interfaceremove":
      return `${type} ${event.interface}`;
    case "interfacechange":
      return `${type} ${event.interface} ${fields(event.to)}`;
    case "addressadd":
    case "addressremove": {
      const flags = (["tentative", "deprecated", "temporary", "conflict"] as const).filter((flag) =>
        event[flag]
      );
      return [type, event.interface, `${event.address}/${event.prefix}`, ...flags].join(" ");
    }
    case "addresschange":
      return `${type} ${event.interface} ${event.address}/${event.prefix} ${fields(event.to)}`;
    case "addressconflict":
      return `${type} ${event.interface} ${event.address}`;
    case "gatewaychange":
      return `${type} ${event.family} ${path(event.from)} -> ${path(event.to)}`;
    case "defaultinterfacechange":
      return `${type} ${event.family} ${event.from?.interface ?? "none"} -> ${event.to?.interface ?? "none"}`;
    case "routechange":
      return `${type} ${event.family} ${routeDetails(event.from)} -> ${routeDetails(event.to)}`;
    case "online":
    case "offline":
      return `${type} ${event.family}`;
    case "identitychange":
      return `${type} ${event.family} ${event.from.mac} -> ${event.to.mac}`;
    case "dnschange":
      return `${type} ${event.to?.servers.join(",") ?? "none"}`;
    case "backend":
      return `${type} ${event.backend} ${event.reason}: ${event.detail}`;
    default:
      return type;
  }
}

function routeDetails(route: Route): string {
  return route ? `metric ${route.metric} source ${route.source}` : "none";
}

/** The interface of a name. */
export function interfaceOf(
  state: NetworkState,
  name: string,
): NetworkState["interfaces"][number] | undefined {
  return state.interfaces.find((iface) => iface.name === name);
}

/** The address of an interface by its text. */
export function addressOf(
  state: NetworkState,
  name: string,
  text: string,
): NetworkState["interfaces"][number]["addresses"][number] | undefined {
  return interfaceOf(state, name)?.addresses.find(({ address }) => address === text);
}
