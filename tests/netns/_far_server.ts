/**
 * Run on the server's side of the laboratory: one server that fails as it is told to, and one for names.
 *
 * Its argument is JSON, `{ "fault": FaultServerOptions, "dns": DnsServerOptions }`; then it reads lines, each a {@linkcode
 * FarCommand}, and answers each with a line.
 */

import { startDnsServer } from "../../testing/dns_server.ts";
import type { DnsQuestion, DnsServerOptions } from "../../testing/dns_server.ts";
import type { Fault } from "../../testing/fault.ts";
import { type FaultServerOptions, startFaultServer } from "../../testing/fault_server.ts";

/** What to start. */
export interface FarOptions {
  /** The server for connections. */
  readonly fault?: FaultServerOptions;
  /** The server for names. */
  readonly dns?: DnsServerOptions;
}

/** What it can be asked; every answer is a {@linkcode FarState}. */
export type FarCommand =
  | { readonly do: "state" }
  | { readonly do: "fault"; readonly fault: Fault }
  | { readonly do: "cut"; readonly how: "end" | "reset" }
  | { readonly do: "rules"; readonly rules: DnsServerOptions["rules"] }
  | { readonly do: "records"; readonly records: DnsServerOptions["records"] };

/** What has happened there. */
export interface FarState {
  /** The port for connections, 0 without such a server. */
  readonly port: number;
  /** How many connections there were. */
  readonly connections: number;
  /** How many are open. */
  readonly open: number;
  /** What names were asked for. */
  readonly questions: readonly DnsQuestion[];
}

async function main(): Promise<void> {
  const options: FarOptions = JSON.parse(Deno.args[0] ?? "{}");
  const server = options.fault && await startFaultServer(options.fault);
  const dns = options.dns && await startDnsServer(options.dns);
  const state = (): FarState => ({
    port: server?.port ?? 0,
    connections: server?.connections ?? 0,
    open: server?.open ?? 0,
    questions: dns?.questions ?? [],
  });
  const obey = (command: FarCommand): void => {
    if (command.do === "fault") server?.setFault(command.fault);
    if (command.do === "cut") server?.cut(command.how);
    if (command.do === "rules" && dns && command.rules) dns.rules = command.rules;
    if (command.do === "records" && dns && command.records) dns.records = command.records;
  };
  console.log(JSON.stringify(state()));
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    rest += text;
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      obey(JSON.parse(line));
      console.log(JSON.stringify(state()));
    }
  }
}

if (import.meta.main) await main();
