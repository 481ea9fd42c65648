/**
 * Gives Holdfast a logger of `@std/log`, which fits as it is; for LogTape there is `fromLogTape()`.
 *
 * Holdfast says nothing until it gets a logger. So that there is something to say, the network here is made up and fails.
 */

// run: deno run examples/logging.ts

import { setLogger, watchNetwork } from "@holdfast/net";
import { fakeNetwork } from "@holdfast/net/testing";
import { ConsoleHandler, getLogger, type LogRecord, setup } from "@std/log";

const formatter = ({ datetime, levelName, loggerName, msg, args }: LogRecord): string =>
  [datetime.toISOString(), levelName, loggerName, msg, ...args].join(" ");

setup({
  handlers: { console: new ConsoleHandler("DEBUG", { formatter }) },
  loggers: { network: { level: "DEBUG", handlers: ["console"] } },
});
const logger = getLogger("network");
setLogger(logger); // for all; for one watcher alone: watchNetwork({ logger })

const network = fakeNetwork();
await using watcher = await watchNetwork({ source: network.source });
logger.info("Watching by", watcher.backend);

network.fail();
network.fail(false); // and is well again, before the watcher tries it a second time
for await (const event of watcher.events) {
  if (event.type !== "backend") continue;
  logger.info("The watcher goes on:", event.reason);
  break;
}
