/** `examples/watch.ts` on a network that changes. */

import { assertEquals } from "@std/assert";
import { fileSystemPath, ROOT } from "../../dev/_files.ts";
import { requires } from "../_require.ts";
import { ip } from "./_network.ts";

/** How long anything may take to show, in milliseconds. */
const PATIENCE = 20_000;

/** Runs the example with just the flags that it names, and the arguments given; ended with what holds it. */
function start(...args: readonly string[]): AsyncDisposable & {
  /** Resolves when a line has been written that holds the text. */
  said(text: string): Promise<void>;
  kill(signal: Deno.Signal): void;
  /** Resolves with the exit code. */
  readonly ended: Promise<number>;
} {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-ffi", "examples/watch.ts", ...args],
    cwd: fileSystemPath(ROOT),
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const limit = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const read = async (): Promise<boolean> => {
    const { done, value } = await lines.read();
    text += value ?? "";
    return !done;
  };
  const ended = child.status.then(({ code }) => {
    clearTimeout(limit);
    return code;
  });
  return {
    ended,
    async said(wanted) {
      while (!text.includes(wanted)) {
        if (!await read()) throw new Error(`The example never wrote "${wanted}" but:\n${text}`);
      }
    },
    kill: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      // Without effect where it has ended, as it should have.
      try {
        child.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
      while (await read());
      await ended;
    },
  };
}

Deno.test({
  name: "the example follows the network, and ends after as many changes as it was told",
  ...requires({ netns: true, tools: ["ip"] }),
  async fn() {
    // One message of the kernel, so that it is one change, however slow the machine is.
    await ip("address add 10.0.0.2/32 dev lo");
    await using example = start("60", "1");
    await example.said("lo is running: 10.0.0.2 127.0.0.1");
    await ip("route add default dev lo");
    await example.said("IPv4 is there");
    await example.said("Changed: gatewaychange, defaultinterfacechange, online");
    await ip("route delete default dev lo", "address delete 10.0.0.2/32 dev lo");
    await example.said("Done");
    assertEquals(await example.ended, 0);
  },
});

Deno.test({
  name: "the example ends after as many seconds as it was told",
  ...requires({ netns: true, tools: ["ip"] }),
  async fn() {
    await using example = start("0.1");
    await example.said("Done");
    assertEquals(await example.ended, 0);
  },
});

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test({
    name: `the example ends with code ${code} on ${signal}`,
    ...requires({ netns: true, tools: ["ip"] }),
    async fn() {
      await using example = start();
      await example.said("lo is running");
      example.kill(signal);
      assertEquals(await example.ended, code);
    },
  });
}
