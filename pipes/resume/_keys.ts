/** The cryptography of sessions, which is that of all our protocols. */

export * from "../../internal/crypto.ts";
