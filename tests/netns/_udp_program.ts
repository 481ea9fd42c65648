/**
 * Pipes over UDP on a host of the laboratory, as a program of its own: reads lines, each a {@linkcode UdpCommand}, and
 * answers each with a line.
 */

import type { ConnectOptions } from "../../pipes/connect.ts";
import { connect } from "../../pipes/connect.ts";
import { listen, type ListenOptions } from "../../pipes/listen.ts";
import type { Packet, Pipe } from "../../pipes/pipe.ts";

/** What it can be asked. */
export type UdpCommand =
  | {
    /** Listens, and answers each datagram with `echo:` before it. */
    readonly do: "listen";
    readonly url: string;
    readonly options?: Pick<ListenOptions, "udp">;
  }
  | {
    /** Waits for the next datagram that came to where it listens. */
    readonly do: "heard";
  }
  | {
    /** Sends a text by a pipe of its own, and waits for an answer if asked to. */
    readonly do: "send";
    readonly url: string;
    readonly text: string;
    readonly answer?: boolean;
    readonly options?: Pick<ConnectOptions, "udp" | "via">;
  };

/** A datagram, as it is told. */
export interface Told {
  /** Its text. */
  readonly text?: string;
  /** Host of who sent it. */
  readonly from?: string;
}

const heard: Told[] = [];
let waiting: ((told: Told) => void) | undefined;

function told({ data, from }: Packet): Told {
  return { text: new TextDecoder().decode(data), from: "hostname" in from ? from.hostname : "" };
}

async function serve(pipe: Pipe): Promise<void> {
  for await (const packet of pipe.subscribe()) {
    const one = told(packet);
    if (waiting) waiting(one);
    else heard.push(one);
    waiting = undefined;
    await pipe.send(`echo:${one.text}`);
  }
}

async function obey(command: UdpCommand): Promise<Told> {
  switch (command.do) {
    case "listen": {
      const server = await listen(command.url, command.options ?? {});
      void (async () => {
        for await (const pipe of server) void serve(pipe);
      })();
      return {};
    }
    case "heard":
      return heard.shift() ?? await new Promise<Told>((resolve) => waiting = resolve);
    case "send": {
      await using pipe = await connect(command.url, command.options ?? {});
      const answers = pipe.subscribe()[Symbol.asyncIterator]();
      await pipe.send(command.text);
      await pipe.flush();
      if (!command.answer) return {};
      const { value } = await answers.next();
      return value ? told(value) : {};
    }
  }
}

async function main(): Promise<void> {
  console.log("{}");
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    rest += text;
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const answer = await obey(JSON.parse(line)).catch((error) => ({ error: `${error}` }));
      console.log(JSON.stringify(answer));
    }
  }
}

if (import.meta.main) await main();
