/**
 * A service and its name server, for the far side of a network: `deno run _founding_server.ts ADDRESS NAME_SERVER [mute]`.
 *
 * The service answers HTTP on port 8080 of ADDRESS, the name server on port 53 of NAME_SERVER, where `service.test` has that
 * address. Muted, the name server drops all questions and prints "asked" for each, until it reads anything. Prints "ready".
 *
 * @module
 */

import { startDnsServer } from "../../testing/dns_server.ts";

const [hostname = "", nameServer = "", mute] = Deno.args;
const type = hostname.includes(":") ? "AAAA" : "A";
await using dns = await startDnsServer({
  hostname: nameServer,
  port: 53,
  records: { "service.test": { [type]: [hostname] } },
  rules: mute ? [{ fault: "drop" }] : [],
});
await using _server = Deno.serve({ hostname, port: 8080, onListen() {} }, () => new Response("here"));
console.log("ready");
const spoken = Deno.stdin.read(new Uint8Array(16)).then(() => dns.rules = []);
for (let count = 1; mute && dns.rules.length > 0; count++) {
  await Promise.race([dns.received(count), spoken]);
  console.log("asked");
}
await Promise.withResolvers<never>().promise;
