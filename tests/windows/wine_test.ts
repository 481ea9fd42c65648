/** The Windows part of `watch` in the Windows build of Deno, under Wine, which shows the network of this machine. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { flagsOf } from "../../internal/permissions.ts";
import { windowsNeeds } from "../../internal/ffi/windows_paths.ts";
import { readByIp } from "../../watch/_read_ip.ts";
import type { Reading } from "../../watch/_reading.ts";
import { parseResolvConf } from "../../watch/_resolv.ts";
import { LAYOUT } from "../../watch/_windows_layout.ts";
import type { BackendReport, BackendStatus } from "../../watch/mod.ts";
import { requires } from "../_require.ts";
import { told, wine, WINE_TOOLS } from "./_wine.ts";

const needs = requires({ os: ["linux"], tools: [...WINE_TOOLS, "ip"] });

/** What `read.ts` tells with all permissions. */
interface ReadTold {
  readonly backend: string;
  readonly report: BackendReport;
  readonly probed: BackendStatus[];
  readonly reading: Reading;
}

let read: Promise<ReadTold> | undefined;

/** Run once for all that look at it. */
function readTold(): Promise<ReadTold> {
  return read ??= told<ReadTold>("read.ts");
}

Deno.test({
  name: "the structures lie in memory as the headers of mingw-w64 have them",
  ...needs,
  async fn() {
    const { compile, run } = await wine();
    const { stdout } = await run(await compile("offsets.c"), []);
    const ours = Object.entries(LAYOUT).flatMap(([type, fields]) =>
      Object.entries(fields).map(([field, at]) =>
        field === "size" ? `${type} ${at}` : `${type}.${field} ${at}`
      )
    );
    assertEquals(ours.toSorted(), stdout.trim().split("\n").toSorted());
  },
});

Deno.test({
  name: "the tables of Windows show the interfaces, addresses, default route and name servers of the host",
  ...needs,
  async fn() {
    const { reading } = await readTold();
    const host = await readByIp();
    const facts = ({ interfaces }: Pick<Reading, "interfaces">): unknown =>
      interfaces.map(({ index, name, kind, mac, mtu, running, addresses }) => ({
        index,
        name,
        kind: kind === "loopback" ? kind : "",
        mac: kind === "loopback" ? null : mac,
        mtu,
        running,
        addresses: addresses.map(({ address, family, prefix, scope }) => [address, family, prefix, scope]),
      }));
    assertEquals(facts(reading), facts(host));
    const { v4, v6 } = reading.defaultRoute;
    const four = host.defaultRoute.v4;
    // Wine 8 has neither sources nor metrics, and no table of IPv6 routes.
    const expected = four && { gateway: four.gateway, interface: four.interface, index: four.index };
    assertEquals(v4 && { gateway: v4.gateway, interface: v4.interface, index: v4.index }, expected);
    assert(v6 === null || v6.gateway === host.defaultRoute.v6?.gateway);
    assertEquals(reading.gatewayMac.v4, host.gatewayMac.v4);
    const { servers } = parseResolvConf(await Deno.readTextFile("/etc/resolv.conf"));
    assertEquals(
      reading.dns?.servers.filter((server) => !server.includes(":")),
      // More than three no resolver takes.
      servers.slice(0, 3).filter((server) => !server.includes(":")),
    );
  },
});

Deno.test({
  name: "ipconfig of Wine names the same adapters, addresses and gateway",
  ...needs,
  async fn() {
    const { reading } = await readTold();
    const { stdout } = await (await wine()).run("ipconfig", ["/all"]);
    const blocks = stdout.split(/^\S.* adapter /m).slice(1);
    const values = (block: string, label: RegExp): string[] =>
      block.split("\n").flatMap((line) => label.exec(line)?.[1]?.trim() ?? []).filter((value) =>
        value !== ""
      );
    const seen = blocks.map((block) => ({
      name: block.split("\n")[0]?.trim() ?? "",
      mac: values(block, /Physical address[. ]*: (.*)/).join().toLowerCase().replaceAll("-", ":"),
      addresses: values(block, /IPv[46] address[. ]*: ([^%]*)/).toSorted(),
    }));
    const ours = reading.interfaces.map(({ name, mac, addresses }) => ({
      name,
      mac: mac ?? "",
      addresses: addresses.map(({ address }) => address).toSorted(),
    }));
    const byName = (a: { name: string }, b: { name: string }): number => a.name < b.name ? -1 : 1;
    assertEquals(ours.toSorted(byName), seen.toSorted(byName));
    const gateway = reading.defaultRoute.v4?.gateway;
    if (gateway) assert(values(stdout, /Default gateway[. ]*: (.*)/).includes(gateway), stdout);
  },
});

Deno.test({
  name: "where notifications are stubs, auto says so, passes over PowerShell and polls the native tables",
  ...needs,
  async fn() {
    const { backend, report, probed } = await readTold();
    assertEquals([backend, report.backend, report.reader], ["poll", "poll", "iphlpapi"]);
    assertEquals(report.passedOver.map(({ backend }) => backend), ["iphlpapi", "powershell"]);
    const [native, tool] = report.passedOver;
    assertMatch(native?.reason ?? "", /^Cannot be notified of network changes: Notify\w+ does nothing here$/);
    // Wine's powershell.exe is a program that prints nothing; or there is none.
    assertMatch(tool?.reason ?? "", /got nothing$|was not found$|it ended with code \d+/);
    assertEquals(probed.map(({ backend, usable }) => [backend, usable]), [
      ["iphlpapi", false],
      ["powershell", false],
      ["poll", true],
    ]);
  },
});

Deno.test({
  name: "the native reader works under exactly the flags it documents, and names them where they are missing",
  ...needs,
  async fn() {
    const granted = await told<Record<string, Reading>>("read.ts", {
      flags: flagsOf(windowsNeeds()),
      args: ["iphlpapi"],
    });
    assertEquals(granted["iphlpapi"]?.blind, []);
    assert((granted["iphlpapi"]?.interfaces.length ?? 0) > 0);
    const refused = await told<Record<string, { code: string; flags: string[] }>>("read.ts", {
      flags: flagsOf(windowsNeeds().slice(0, 2)),
      args: ["iphlpapi", "powershell"],
    });
    const { iphlpapi, powershell } = refused;
    assertEquals([iphlpapi?.code, iphlpapi?.flags], ["permission", flagsOf(windowsNeeds())]);
    assertEquals([powershell?.code, powershell?.flags], ["permission", ["--allow-run=powershell.exe"]]);
  },
});

Deno.test({
  name:
    "polling without FFI sees addresses, and knows that it sees neither links nor routes nor name servers",
  ...needs,
  async fn() {
    const { poll } = await told<Record<string, Reading>>("read.ts", {
      flags: ["--allow-sys=networkInterfaces"],
      args: ["poll"],
    });
    assertEquals([poll?.blind, poll?.dns], [["links", "routes", "dns"], null]);
    const host = await readByIp();
    const all = (reading: Pick<Reading, "interfaces"> | undefined): string[] =>
      (reading?.interfaces ?? []).flatMap(({ addresses }) => addresses.map(({ address }) => address))
        .toSorted();
    assertEquals(all(poll), all(host));
  },
});
