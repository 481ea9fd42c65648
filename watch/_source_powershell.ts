/** The tool source on Windows: PowerShell for hints and for readings. */

import type { Clock, Timer } from "../internal/clock.ts";
import { HoldfastError } from "../internal/errors.ts";
import { exec, execLines, type LineProcess } from "../internal/exec.ts";
import { parsePowershell } from "./_powershell_json.ts";
import { readArgs, watchArgs } from "./_powershell_scripts.ts";
import type { Reader } from "./_readers.ts";
import type { Reading, Source, SourceEvents } from "./_reading.ts";
import { toReading } from "./_windows_reading.ts";

const TOOL = "powershell.exe";
const HINT = "Windows PowerShell 5.1 is part of Windows; make sure that its folder is in PATH";

/** PowerShell alone takes seconds to start on a slow machine, in milliseconds. */
const TIMEOUT = 60_000;

/** What a program says when it does what it should is short; more is kept of nothing. */
const MAX_REASON = 200;

/**
 * Reads by PowerShell: one process a reading.
 *
 * @param tool The program, for tests.
 */
export function powershellReader(tool: string = TOOL): Reader {
  return { name: "powershell", read: (signal) => read(tool, signal), [Symbol.dispose]() {} };
}

async function read(tool: string, signal?: AbortSignal): Promise<Reading> {
  const operation = "read the network by PowerShell";
  const { code, stdout, stderr } = await exec(tool, {
    args: readArgs(),
    operation,
    hint: HINT,
    timeout: TIMEOUT,
    signal,
  });
  if (code === 0) return toReading(parsePowershell(stdout), Date.now());
  throw toolFailed(operation, code, stderr);
}

function toolFailed(operation: string, code: number, said: string): HoldfastError {
  const reason = said.trim().slice(0, MAX_REASON).split(/\r?\n/)[0];
  return new HoldfastError(`Cannot ${operation}: it ended with code ${code}${reason ? ` (${reason})` : ""}`, {
    code: "tool-failed",
    operation,
  });
}

/**
 * Opens the source.
 *
 * @param events Where it reports.
 * @param clock Source of time.
 * @param tool The program, for tests.
 * @throws {PermissionError} Without `--allow-run=powershell.exe`.
 * @throws {ToolMissingError} Where there is no PowerShell.
 */
export function openPowershellSource(events: SourceEvents, clock: Clock, tool: string = TOOL): Source {
  return new PowershellSource(events, clock, tool);
}

/** While the watching process is silent for this long it is taken for stuck, in milliseconds: it speaks every 5 s. */
const SILENCE = 120_000;

class PowershellSource implements Source {
  readonly backend = "powershell";
  readonly reader = "powershell";
  readonly #events: SourceEvents;
  readonly #clock: Clock;
  readonly #reader: Reader;
  readonly #monitor: LineProcess;
  readonly #abort = new AbortController();
  #silence: Timer;
  #said = "";

  constructor(events: SourceEvents, clock: Clock, tool: string) {
    this.#events = events;
    this.#clock = clock;
    this.#reader = powershellReader(tool);
    const operation = "watch the network by PowerShell";
    this.#monitor = execLines(
      tool,
      { args: watchArgs(), operation, hint: HINT },
      (line, stream) => this.#onLine(line, stream),
    );
    const failed = (error: unknown): void => {
      this.#silence.cancel();
      if (!this.#abort.signal.aborted) events.failed(error);
    };
    this.#silence = this.#listen();
    this.#monitor.ended.then((code) => failed(toolFailed(operation, code, this.#said)), failed);
  }

  read(): Reading | Promise<Reading> {
    return this.#reader.read(this.#abort.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    this.#silence.cancel();
    await this.#monitor[Symbol.asyncDispose]();
  }

  #listen(): Timer {
    return this.#clock.after(SILENCE, () => {
      const operation = "watch the network by PowerShell";
      this.#events.failed(
        new HoldfastError(`Cannot ${operation}: it said nothing for ${SILENCE} ms`, {
          code: "timeout",
          operation,
        }),
      );
    });
  }

  #onLine(line: string, stream: "stdout" | "stderr"): void {
    if (stream === "stderr") {
      this.#said = (this.#said || line).slice(0, MAX_REASON);
      return;
    }
    this.#silence.cancel();
    this.#silence = this.#listen();
    // "ready" as well: what happened while it was starting was told to nobody.
    if (line === "change" || line === "ready") this.#events.hint();
  }
}
