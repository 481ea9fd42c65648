import { X509Certificate } from "node:crypto";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { makeCertificates } from "../tests/_certificates.ts";
import { makeTestAuthority, type TestCertificate } from "./certificates.ts";

/** What a client says to a server with that certificate. */
async function connect(ca: string, { cert, key }: TestCertificate, hostname = "localhost"): Promise<string> {
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const serving = (async () => {
    using connection = await listener.accept();
    // What the client refuses, the server sees as an error, which is not what is tested.
    await connection.handshake().catch(() => {});
  })();
  using tcp = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  using tls = await Deno.startTls(tcp, { hostname, caCerts: [ca] });
  try {
    await tls.handshake();
    return "fine";
  } catch (error) {
    return String(error);
  } finally {
    await serving;
  }
}

Deno.test("makeTestAuthority() issues what a client takes who trusts it, by name and by address", async () => {
  const { ca, valid } = await makeCertificates();
  assertEquals(await connect(ca, valid), "fine");
  assertEquals(await connect(ca, valid, "127.0.0.1"), "fine");
});

for (
  const [kind, said] of [
    ["expired", "certificate expired"],
    ["notYetValid", "certificate not valid yet"],
    ["wrongName", "certificate not valid for name"],
    ["unknownIssuer", "UnknownIssuer"],
  ] as const
) {
  Deno.test(`a client refuses the certificate ${kind}, and says so`, async () => {
    const { ca, [kind]: certificate } = await makeCertificates();
    const error = await connect(ca, certificate);
    assert(error.includes(said), error);
  });
}

Deno.test("makeTestAuthority() signs so that each signature verifies, short numbers and long ones", async () => {
  const authority = await makeTestAuthority();
  const { publicKey } = new X509Certificate(authority.cert);
  // One signature in two has a number whose highest bit is set, one in 128 has one that is short.
  for (let count = 0; count < 200; count++) {
    const { cert } = await authority.issue();
    assert(new X509Certificate(cert).verify(publicKey), cert);
  }
});

Deno.test("makeTestAuthority() knows dates past 2049, which are written in another form", async () => {
  const authority = await makeTestAuthority();
  const late = await authority.issue({ notAfter: new Date("2101-02-03T04:05:06Z") });
  assertEquals(new X509Certificate(late.cert).validTo, "Feb  3 04:05:06 2101 GMT");
  assertEquals(await connect(authority.cert, late), "fine");
});

Deno.test("makeTestAuthority() makes a new key each time", async () => {
  const [one, two] = await Promise.all([makeTestAuthority(), makeTestAuthority()]);
  const { cert, key } = await two.issue();
  await assertRejects(
    async () => {
      const said = await connect(one.cert, { cert, key });
      if (said !== "fine") throw new Error(said);
    },
    Error,
    "BadSignature",
  );
});
