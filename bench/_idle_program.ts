/** A process at rest: with a watcher that does all it can, or with none. */

if (Deno.args[0] === "watch") {
  const { startStunServer } = await import("../testing/mod.ts");
  const { watchNetwork } = await import("../watch/mod.ts");
  const server = await startStunServer();
  const watcher = await watchNetwork({
    backend: "netlink",
    external: { servers: [server.url], families: [4] },
  });
  await new Promise<void>((resolve) => {
    if (watcher.state.external?.v4) resolve();
    else watcher.on("externalchange", () => resolve());
  });
}
console.log("open");
setTimeout(() => {}, 2 ** 31 - 1);
