/** The readers: what takes one complete reading, with whatever means. */

import { HoldfastError } from "../internal/errors.ts";
import { type Need, wouldPrompt } from "../internal/permissions.ts";
import { readDnsFiles } from "./_dns_files.ts";
import { readInterfaces } from "./_read_interfaces.ts";
import type { ReaderName, Reading } from "./_reading.ts";
import type { Blindness } from "./state.ts";

/** Something that reads. */
export interface Reader extends Disposable {
  /** Its name. */
  readonly name: ReaderName;
  /** Reads everything. */
  read(signal?: AbortSignal): Reading | Promise<Reading>;
}

/** Adds what the resolver's files say to what a reader without the C library found. */
function complete(found: Omit<Reading, "at" | "dns" | "blind">, unseen: readonly Blindness[]): Reading {
  const dns = readDnsFiles();
  return { ...found, at: Date.now(), dns, blind: dns === null ? [...unseen, "dns"] : unseen };
}

/** Reads by the `ip` tool. */
export function ipReader(): Reader {
  return {
    name: "ip",
    async read(signal) {
      // Loaded only when used: most never need it.
      const { readByIp } = await import("./_read_ip.ts");
      return complete(await readByIp(signal), []);
    },
    [Symbol.dispose]() {},
  };
}

/** Reads addresses from the runtime. */
export function interfacesReader(): Reader {
  return {
    name: "interfaces",
    read: () => complete(readInterfaces(), ["links", "routes"]),
    [Symbol.dispose]() {},
  };
}

/** One step of a ladder of readers. */
export interface ReaderRung {
  /** What it needs from the runtime. */
  readonly needs: readonly Need[];
  /** Opens it. */
  open(): Reader | Promise<Reader>;
}

/**
 * Opens the best reader that works, without a person being asked.
 *
 * @param ladder The readers to try before the runtime's own list.
 * @throws {PermissionError} Where not even addresses may be listed.
 */
export async function ladderReader(ladder: readonly ReaderRung[]): Promise<Reader> {
  const last: ReaderRung = { needs: [], open: interfacesReader };
  for (const { needs, open } of [...ladder, last]) {
    if (wouldPrompt(needs)) continue;
    let reader: Reader | undefined;
    try {
      reader = await open();
      await reader.read();
      return reader;
    } catch (error) {
      reader?.[Symbol.dispose]();
      // Not allowed, not installed, refused by a sandbox: the next one sees less and may work.
      if (!(error instanceof HoldfastError) || open === last.open) throw error;
    }
  }
  return interfacesReader();
}
