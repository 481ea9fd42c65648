import { assertEquals, assertThrows } from "@std/assert";
import { formatMqttAddress, parseMqttUrl } from "./_mqtt_address.ts";

Deno.test("a broker has one URL, however it is written", () => {
  const expected: Readonly<Record<string, string>> = {
    "mqtt://A.Example": "mqtt://a.example",
    "mqtt://a.example:1883": "mqtt://a.example",
    "mqtt://a.example:1884/": "mqtt://a.example:1884",
    "mqtts://a.example:8883": "mqtts://a.example",
    "ws://a.example": "ws://a.example",
    "ws://a.example:80/mqtt": "ws://a.example/mqtt",
    "wss://a.example:443/mqtt?x=1": "wss://a.example/mqtt?x=1",
    "mqtt://[2001:DB8::0:1]:1883": "mqtt://[2001:db8::1]",
    "mqtts://me:secret@a.example": "mqtts://a.example",
  };
  for (const [text, url] of Object.entries(expected)) {
    assertEquals(formatMqttAddress(parseMqttUrl(text).address), url);
    assertEquals(formatMqttAddress(parseMqttUrl(url).address), url);
  }
});

Deno.test("a login may stand in the URL", () => {
  const { address, username, password } = parseMqttUrl("mqtts://me%40home:p%3Aw@a.example:1");
  assertEquals([address.port, username, password], [1, "me@home", "p:w"]);
});

Deno.test("what is no broker's URL is refused, and its password not shown", () => {
  for (
    const text of [
      "a.example:1883",
      "http://me:secret@a",
      "mqtt://me:secret@",
      "secret",
      "mqtt://me:secret@a/b",
    ]
  ) {
    const error = assertThrows(() => parseMqttUrl(text), TypeError);
    assertEquals(error.message.includes("secret"), false);
    assertEquals(error.message.startsWith("Cannot use a broker: "), true);
  }
});
