/** A file of SQLite that holds the entries of a store: how it is made, recognized, shared and let go. */

import { DatabaseSync } from "node:sqlite";
import { type Clock, wait } from "./clock.ts";
import { HoldfastError, isNotCapable, PermissionError } from "./errors.ts";
import { storeClosed } from "./store_shared.ts";

/** "HFkv": what a file of ours has in its header. */
const APPLICATION = 0x48466b76;

/** The version of the tables. */
const VERSION = 1;

// Keys are UTF-16, big endian, so that the order of their bytes is that of their code units; SQLite's own is another one.
const TABLES = `CREATE TABLE entries (key BLOB NOT NULL UNIQUE, value BLOB NOT NULL) STRICT;
  PRAGMA application_id = ${APPLICATION};
  PRAGMA user_version = ${VERSION};`;

/** How long to wait before a locked file is tried again, in milliseconds. */
const [FIRST_WAIT, LONGEST_WAIT] = [2, 50];

/** The file, and what goes wrong with it in our words. */
export class StoreFile {
  readonly #path: string;
  readonly #lockTimeout: number;
  readonly #clock: Clock;
  #database: DatabaseSync | undefined;

  /**
   * @param path Where it is.
   * @param lockTimeout For how many milliseconds another process is waited for.
   * @param clock Source of time.
   */
  constructor(path: string, lockTimeout: number, clock: Clock) {
    this.#path = path;
    this.#lockTimeout = lockTimeout;
    this.#clock = clock;
  }

  /** The database while it is open. */
  get database(): DatabaseSync {
    if (!this.#database) throw storeClosed();
    return this.#database;
  }

  /**
   * Opens the file, or makes it.
   *
   * @param durability What its writes survive.
   * @param signal Calls it off.
   */
  async open(durability: "process" | "power", signal: AbortSignal | undefined): Promise<void> {
    const operation = "open the store";
    try {
      this.#create(operation);
      // No URL and no ":memory:", which SQLite would take for something else.
      const place = /^([a-z]:)?[/\\]/i.test(this.#path) ? this.#path : `./${this.#path}`;
      const database = this.#database = new DatabaseSync(place, { timeout: 0 });
      const safety = `PRAGMA synchronous = ${durability === "power" ? "FULL" : "NORMAL"}`;
      await this.patiently(operation, () => database.exec(safety), signal);
      // First, for the file of another program is to stay as it is.
      await this.patiently(operation, () => this.#prepare(operation), signal);
      await this.patiently(operation, () => database.exec("PRAGMA journal_mode = WAL"), signal);
    } catch (error) {
      this.close();
      signal?.throwIfAborted();
      throw this.#failed(operation, error);
    }
  }

  /** Does something with the open database; tries again while another process has the file. */
  async patiently<T>(operation: string, action: () => T, signal?: AbortSignal): Promise<T> {
    const end = this.#clock.monotonic() + this.#lockTimeout;
    for (let pause = FIRST_WAIT;; pause = Math.min(2 * pause, LONGEST_WAIT)) {
      try {
        if (!this.#database) throw storeClosed();
        return action();
      } catch (error) {
        const left = end - this.#clock.monotonic();
        if (!isLocked(error) || left <= 0) throw this.#failed(operation, error);
        await wait(Math.min(pause, left), { clock: this.#clock, signal });
      }
    }
  }

  /** Does something as a whole or not at all. */
  transaction<T>(action: () => T): T {
    const { database } = this;
    database.exec("BEGIN IMMEDIATE");
    try {
      const result = action();
      database.exec("COMMIT");
      return result;
    } catch (error) {
      // Some errors have undone it already.
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Closes it; safe twice. */
  close(): void {
    const database = this.#database;
    this.#database = undefined;
    database?.close();
  }

  /** Makes the file before SQLite does, which lets others read it; its own two get the rights of this one. */
  #create(operation: string): void {
    try {
      Deno.openSync(this.#path, { write: true, createNew: true, mode: 0o600 }).close();
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      const { mode } = Deno.statSync(this.#path);
      if (Deno.build.os === "windows" || mode === null || (mode & 0o077) === 0) return;
      throw new HoldfastError(
        `Cannot ${operation} ${this.#path}: others may use the file, its mode is ${
          (mode & 0o777).toString(8)
        }`,
        { code: "store-exposed", operation, hint: `chmod 600 ${this.#path}` },
      );
    }
  }

  /** Makes the tables, or looks whether they are ours. */
  #prepare(operation: string): void {
    const { database } = this;
    const number = (name: string): unknown =>
      (database.prepare(`PRAGMA ${name}`).get() as Record<string, unknown>)[name];
    this.transaction(() => {
      const [application, version] = [number("application_id"), number("user_version")];
      if (application === APPLICATION && version === VERSION) return;
      const empty = database.prepare("SELECT 1 FROM sqlite_schema").get() === undefined;
      if (application === 0 && version === 0 && empty) return database.exec(TABLES);
      const whose = application === APPLICATION
        ? `it is of version ${version}, and version ${VERSION} is known here`
        : "the file is a database of another program";
      throw new HoldfastError(`Cannot ${operation} ${this.#path}: ${whose}`, {
        code: "store-foreign",
        operation,
        hint: "Name another file",
      });
    });
  }

  #failed(operation: string, error: unknown): unknown {
    if (error instanceof HoldfastError) return error;
    if (isNotCapable(error)) {
      const flags = [`--allow-read=${this.#path}`, `--allow-write=${this.#path}`];
      return new PermissionError(`${operation} ${this.#path}`, flags, error);
    }
    const message = error instanceof Error ? error.message : String(error);
    // The runtime (2.9.6) gives SQLite's words and no code of it.
    const isCorrupt = /not a database|malformed|database corruption/.test(message);
    const [code, hint] = isCorrupt
      ? ["store-corrupt", "Move the file away, or put a copy that is whole in its place"]
      : isLocked(error)
      ? ["store-busy", "Another process keeps the file locked: look which one"]
      : ["store-failed", "Look at the file, its folder and the room on its disk"];
    const why = isCorrupt ? `the file is damaged (${message})` : message;
    return new HoldfastError(`Cannot ${operation} ${this.#path}: ${why}`, {
      code,
      operation,
      hint,
      cause: error,
    });
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof Error && /database (table )?is locked/.test(error.message);
}
