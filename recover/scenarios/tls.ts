/** Failures of TLS. */

import type { ScenarioText } from "./scenario.ts";

/** Failures of TLS. */
export const tls: readonly ScenarioText[] = [
  {
    id: "certificate-time",
    title: "The certificate is expired, or this machine's clock is wrong",
    symptom:
      '"invalid peer certificate: certificate expired: verification time ..." or "certificate not valid yet"; InvalidData.',
    cause: "Somebody forgot to renew it; or a machine without a battery for its clock started in 1970.",
    detection: "Compare the clock with the header Date of any HTTP answer. Minutes do not matter, days do.",
    remedy:
      "Set the clock, or renew the certificate. Never switch the check off, and do not retry: classify() says never.",
    code: `// How far this machine's clock is off, in milliseconds, by any server that answers in plain HTTP.
async function clockError(url: string): Promise<number> {
  const answer = await fetch(url, { method: "HEAD", redirect: "manual" });
  await answer.body?.cancel();
  return Date.now() - Date.parse(answer.headers.get("date") ?? "");
}`,
    searchTerms: [
      "certificate expired",
      "certificate not valid yet",
      "CertificateExpired",
      "CERT_HAS_EXPIRED",
      "CERT_NOT_YET_VALID",
      "verification time",
    ],
    proof: "provoked",
  },
  {
    id: "certificate-name",
    title: "The certificate is for another name",
    symptom: '"invalid peer certificate: certificate not valid for name ..."; InvalidData.',
    cause:
      "A captive portal or a filter answers in the server's place, or the server is set up for another name.",
    detection: "The message names what the certificate is good for.",
    remedy:
      "Look for a captive portal first, then at the server. Do not retry before the network has changed.",
    code: `import { classify } from "@holdfast/net/recover";

// A wrong name is either a portal or an error in the set-up: somebody must look, and no retry helps.
async function load(url: string): Promise<string> {
  try {
    return await (await fetch(url)).text();
  } catch (error) {
    const { scenario, hint } = classify(error, { operation: "request" });
    if (scenario === "certificate-name") console.error(\`Is this a Wi-Fi that wants a login? \${hint}\`);
    throw error;
  }
}`,
    searchTerms: [
      "certificate not valid for name",
      "NotValidForName",
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "hostname mismatch",
      "altnames",
    ],
    proof: "provoked",
  },
  {
    id: "certificate-issuer",
    title: "Nobody we trust has signed the certificate",
    symptom:
      '"invalid peer certificate: UnknownIssuer"; the server\'s side says "received fatal alert: UnknownCA".',
    cause:
      "A company's proxy that reads along, a private authority, a self-signed certificate, or a missing intermediate one.",
    detection:
      "The message; browsers on the same machine may work, since the company's authority is installed there.",
    remedy:
      "Give the authority to the program: caCerts, --cert, DENO_CERT, or DENO_TLS_CA_STORE=system. A retry cannot help.",
    code: `// Trusts the company's authority besides the usual ones.
async function load(url: string, authority: string): Promise<string> {
  using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(authority)] });
  return await (await fetch(url, { client })).text();
}`,
    searchTerms: [
      "UnknownIssuer",
      "UnknownCA",
      "SELF_SIGNED_CERT",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "self signed certificate",
      "self-signed certificate",
      "CaUsedAsEndEntity",
      "unable to get local issuer certificate",
    ],
    proof: "provoked",
  },
  {
    id: "not-tls",
    title: "The other end does not speak TLS",
    symptom: '"received corrupt message of type InvalidContentType"; InvalidData.',
    cause: "The wrong port, http where https was written, or a proxy or portal that answers in plain text.",
    detection: "Connect without TLS: something readable comes back.",
    remedy: "Check port and scheme, then look for a captive portal. A retry gives the same.",
    code: `// What the other end says when nobody speaks TLS to it.
async function firstLine(hostname: string, port: number): Promise<string> {
  using connection = await Deno.connect({ hostname, port });
  await connection.write(new TextEncoder().encode("HEAD / HTTP/1.0\\r\\n\\r\\n"));
  const bytes = new Uint8Array(200);
  const length = await connection.read(bytes) ?? 0;
  return new TextDecoder().decode(bytes.subarray(0, length)).split("\\r\\n")[0] ?? "";
}`,
    searchTerms: [
      "InvalidContentType",
      "received corrupt message",
      "WRONG_VERSION_NUMBER",
      "wrong version number",
      "packet length too long",
    ],
    proof: "provoked",
  },
  {
    id: "handshake-cut",
    title: "The connection ended during the handshake",
    symptom:
      '"unexpected end of file" or "tls handshake eof" (UnexpectedEof), or ECONNRESET, before a single byte of ours was sent.',
    cause:
      "The server is overloaded or restarting, or a middlebox does not like the name that was asked for.",
    detection: "TCP connects, the handshake breaks off at once.",
    remedy:
      "Nothing was sent, so another attempt is safe: retry() around dial(), which takes the next address.",
    code: `import { dial, retry } from "@holdfast/net/recover";

// Nothing was sent: it is safe to try again.
async function connect(hostname: string): Promise<Deno.TlsConn> {
  const policy = retry({ operation: "handshake" });
  return (await dial({ hostname, port: 443 }, { transport: "tls", retry: policy })).conn;
}`,
    searchTerms: [
      "tls handshake eof",
      "unexpected end of file",
      "UnexpectedEof",
      "handshake failure",
      "SSL_ERROR_SYSCALL",
    ],
    proof: "provoked",
  },
  {
    id: "tls-truncated",
    title: "The encrypted stream was cut before its end",
    symptom: '"peer closed connection without sending TLS close_notify" (UnexpectedEof) from a read.',
    cause: "The process at the other end died, or somebody on the way cut the connection.",
    detection: "The text. Plain TCP has no such check and shows an ordinary end: see end-without-goodbye.",
    remedy: "What came last may be incomplete: drop it and ask again, if it may be asked twice.",
    code: `import { classify } from "@holdfast/net/recover";

// The text, or null where it was cut off and must be asked for again.
async function readAll(connection: Deno.TlsConn): Promise<string | null> {
  try {
    return await new Response(connection.readable).text();
  } catch (error) {
    if (classify(error, { operation: "read" }).scenario === "tls-truncated") return null;
    throw error;
  }
}`,
    searchTerms: [
      "close_notify",
      "without sending TLS close_notify",
      "UnexpectedEof",
      "unexpected eof",
      "truncated",
    ],
    proof: "provoked",
  },
];
