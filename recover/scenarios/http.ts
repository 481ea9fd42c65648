/** Failures of HTTP and WebSocket. */

import type { ScenarioText } from "./scenario.ts";

/** Failures of HTTP and WebSocket. */
export const http: readonly ScenarioText[] = [
  {
    id: "captive-portal",
    title: "A captive portal: log in to the Wi-Fi first",
    symptom:
      "fetch succeeds with status 200, and the body is some login page. By https it fails with a certificate error.",
    cause: "A hotel's or train's network answers everything itself until a person has clicked.",
    detection: 'Ask for a page with a known answer, with redirect: "manual": anything else is a portal.',
    remedy:
      "Let ready() fetch such a page before each attempt: retry() then waits for a person to log in, and looks again at " +
      "every event of the network and each half minute.",
    code: `import { ready, retry } from "@holdfast/net/recover";
import { watchNetwork } from "@holdfast/net/watch";

// A page that answers 204: while anything else comes, nothing is loaded.
async function load(url: string, probe: string): Promise<string> {
  await using network = await watchNetwork();
  const policy = retry({ network, idempotent: true, maxAttempts: Infinity });
  return await policy.execute(async ({ signal }) => {
    const { ready: free, steps } = await ready(network, { portal: probe, signal });
    if (!free) throw new Error(steps.at(-1)?.detail);
    return await (await fetch(url, { signal })).text();
  });
}`,
    searchTerms: [
      "captive portal",
      "login page",
      "generate_204",
      "hotel Wi-Fi",
      "302",
      "Unexpected token '<'",
    ],
    proof: "provoked",
  },
  {
    id: "pooled-connection-closed",
    title: "The server closed a kept connection just as we used it",
    symptom:
      '"connection closed before message completed" from fetch, now and then, after a pause. More often there is no error: ' +
      "Deno's fetch sends the request again by itself, a POST whose body is text or bytes, too, and the server may have got it " +
      "twice.",
    cause:
      "fetch keeps connections for the next request, and the server closes them when idle: the two cross.",
    detection: "No byte of the answer came, and it never happens twice in a row.",
    remedy:
      "Repeat once, at once, on a new connection, if the request may happen twice: retry(). What must not happen twice needs a " +
      "client that keeps no connections.",
    code: `import { constant, retry } from "@holdfast/net/recover";

// Once more, at once: the second attempt gets a new connection.
const policy = retry({ idempotent: true, maxAttempts: 2, backoff: constant(0) });

function load(url: string): Promise<string> {
  return policy.execute(async ({ signal }) => await (await fetch(url, { signal })).text());
}

// On a new connection fetch() never sends a request again by itself.
async function pay(url: string, body: string): Promise<number> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const answer = await fetch(url, { method: "POST", body, client });
  await answer.body?.cancel();
  return answer.status;
}`,
    searchTerms: [
      "connection closed before message completed",
      "socket hang up",
      "keep-alive",
      "IncompleteMessage",
      "UND_ERR_SOCKET",
      "other side closed",
    ],
    proof: "provoked",
  },
  {
    id: "body-cut",
    title: "The answer broke off in the middle",
    symptom:
      '"error reading a body from connection", a TypeError without cause, while the body is read; the status was 200.',
    cause:
      "The connection was lost after the headers: fewer bytes than Content-Length says, or no last chunk.",
    detection: "fetch() itself succeeded, and reading failed.",
    remedy:
      "Ask for the rest with a Range request and If-Range. retry() must hold the reading too, not only the fetch().",
    code: `import { retry } from "@holdfast/net/recover";

// Goes on where the attempt before ended, as long as it is still the same file.
function download(url: string): Promise<Blob> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  let tag = "";
  return retry({ idempotent: true }).execute(async ({ signal }) => {
    const headers = new Headers();
    if (length > 0 && tag !== "") {
      headers.set("range", \`bytes=\${length}-\`);
      headers.set("if-range", tag);
    }
    const answer = await fetch(url, { signal, headers });
    if (answer.status !== 206) length = parts.length = 0;
    tag = answer.headers.get("etag") ?? "";
    for await (const part of answer.body ?? []) length = (parts.push(part), length + part.length);
    return new Blob(parts);
  });
}`,
    searchTerms: [
      "error reading a body from connection",
      "Content-Length",
      "ECONNRESET",
      "terminated",
      "premature close",
    ],
    proof: "provoked",
  },
  {
    id: "response-stalls",
    title: "The answer, or the rest of it, never comes",
    symptom: "fetch() or reading its body hangs, without any error, for as long as one waits.",
    cause: "The server is stuck, or the path broke after the request: fetch has no time limit of its own.",
    detection: "No headers or no further chunk for some seconds.",
    remedy: "timeout() around fetch and the reading of its body; its signal ends both.",
    code: `import { compose, retry, timeout } from "@holdfast/net/recover";

// 10 s for each attempt, headers and body.
const policy = compose(retry({ idempotent: true, maxAttempts: 3 }), timeout(10_000));

function load(url: string): Promise<string> {
  return policy.execute(async ({ signal }) => await (await fetch(url, { signal })).text());
}`,
    searchTerms: ["fetch hangs", "fetch timeout", "no response", "pending request"],
    proof: "provoked",
  },
  {
    id: "overloaded",
    title: "The server asks to be left alone for a while",
    symptom: 'Status 429 "Too Many Requests" or 503 "Service Unavailable", often with Retry-After.',
    cause: "Too many requests, by this client or by all together.",
    detection: "The status. Retry-After holds seconds or a date.",
    remedy:
      "Obey: classify() reads Retry-After, and retry() waits that long. A budget() keeps retries a small part of all requests.",
    code: `import { budget, retry } from "@holdfast/net/recover";

// Waits as long as Retry-After says; all retries together stay below a fifth of the requests.
const policy = retry({ idempotent: true, budget: budget({ ratio: 0.2 }) });

function load(url: string): Promise<string> {
  return policy.execute(async ({ signal }) => {
    const answer = await fetch(url, { signal });
    if (!answer.ok) throw answer;
    return await answer.text();
  });
}`,
    searchTerms: ["429", "503", "Too Many Requests", "Service Unavailable", "Retry-After", "rate limit"],
    proof: "provoked",
  },
  {
    id: "websocket-lost",
    title: "A WebSocket broke",
    symptom:
      'The event error with "Connection reset by peer (os error 104)" or "(os error 103)", then close with code 0 and ' +
      "wasClean false. Browsers say 1006.",
    cause: "The connection under it was lost, or the server ended.",
    detection: "Codes 0, 1001, 1005, 1006 and 1011 to 1014 mean loss, not goodbye.",
    remedy: "Make a new one: supervise() does, with back-off and at once when the network returns.",
    code: `import { supervise, type Supervised } from "@holdfast/net/recover";
import type { NetworkWatcher } from "@holdfast/net/watch";

// A WebSocket that is made anew whenever it is lost, at once when the network returns.
function connected(url: string, network: NetworkWatcher, heard: (data: unknown) => void): Supervised {
  return supervise("socket", async ({ signal }) => {
    const socket = new WebSocket(url);
    socket.onmessage = ({ data }) => heard(data);
    signal.addEventListener("abort", () => socket.close(), { once: true });
    throw await new Promise((resolve) => socket.onclose = resolve);
  }, { network });
}`,
    searchTerms: [
      "1006",
      "WebSocket connection closed",
      "failed to connect to WebSocket",
      "NetworkError",
      "close code 0",
      "1001",
      "1011",
    ],
    proof: "provoked",
  },
  {
    id: "websocket-half-open",
    title: "A WebSocket is open and dead",
    symptom: "readyState stays 1 (OPEN), no event ever comes, and nothing that is sent arrives.",
    cause: "The path broke without a word. The client's WebSocket has no ping of its own.",
    detection: "No answer to a message that the server must answer.",
    remedy: "heartbeat() with a ping message of your own protocol; close when it says dead.",
    code: `import { heartbeat } from "@holdfast/net/recover";

// A ping in one's own protocol: the server answers "pong" to "ping". Any message is a sign of life.
function guard(socket: WebSocket): Disposable {
  const beat = heartbeat({
    ping: (signal) =>
      new Promise((resolve) => {
        socket.addEventListener("message", () => resolve(), { once: true, signal });
        socket.send("ping");
      }),
  });
  socket.addEventListener("message", () => beat.alive(), { signal: beat.signal });
  beat.on("dead", () => socket.close());
  return beat;
}`,
    searchTerms: ["websocket hangs", "readyState 1", "websocket ping", "half-open", "no close event"],
    proof: "provoked",
  },
  {
    id: "proxy-refuses",
    title: "A proxy stands in the way",
    symptom:
      'Status 407 "Proxy Authentication Required", or 502 "Bad Gateway" and 504 "Gateway Timeout" from a proxy.',
    cause: "The proxy wants a password (407), or cannot reach the server either (502, 504).",
    detection: "The status, and HTTP_PROXY or HTTPS_PROXY in the environment.",
    remedy: "407: set the credentials; a retry is of no use. 502 and 504: retry() with back-off.",
    code: `import { retry } from "@holdfast/net/recover";

// 502 and 504 pass, 407 does not: classify() knows them apart.
function load(url: string): Promise<string> {
  return retry({ idempotent: true }).execute(async ({ signal }) => {
    const answer = await fetch(url, { signal });
    if (!answer.ok) throw answer;
    return await answer.text();
  });
}`,
    searchTerms: [
      "407",
      "502",
      "504",
      "Proxy Authentication Required",
      "Bad Gateway",
      "Gateway Timeout",
      "HTTP_PROXY",
    ],
    proof: "provoked",
  },
];
