/** One good certificate, and one of each kind that a client must refuse. */

import { makeTestAuthority, type TestCertificate } from "../testing/certificates.ts";

/** What {@linkcode makeCertificates} makes. */
export interface Certificates {
  /** The authority's certificate in PEM, for `caCerts`. */
  readonly ca: string;
  /** Good for localhost, 127.0.0.1 and ::1. */
  readonly valid: TestCertificate;
  /** Its time was over a day ago. */
  readonly expired: TestCertificate;
  /** Its time begins in a day. */
  readonly notYetValid: TestCertificate;
  /** Good for wrong.example only. */
  readonly wrongName: TestCertificate;
  /** Good for localhost, by an authority that is not `ca`. */
  readonly unknownIssuer: TestCertificate;
}

const DAY = 86_400_000;

/** Makes them all; it takes a few milliseconds. */
export async function makeCertificates(): Promise<Certificates> {
  const [authority, stranger] = await Promise.all([makeTestAuthority(), makeTestAuthority("A stranger")]);
  const inDays = (days: number) => new Date(Date.now() + days * DAY);
  const [valid, expired, notYetValid, wrongName, unknownIssuer] = await Promise.all([
    authority.issue(),
    authority.issue({ notBefore: inDays(-30), notAfter: inDays(-1) }),
    authority.issue({ notBefore: inDays(1), notAfter: inDays(30) }),
    authority.issue({ names: ["wrong.example"] }),
    stranger.issue(),
  ]);
  return { ca: authority.cert, valid, expired, notYetValid, wrongName, unknownIssuer };
}
