/** Sabotages of messages between peers. */

import type { Sabotage } from "./sabotages.ts";

/** All of them. */
export const SIGNAL: readonly Sabotage[] = [
  {
    name: "signal: packets show their number",
    file: "signal/_sealed_channel.ts",
    find: "sealBlock(send.block, blockOf(number))",
    replace: "blockOf(number)",
    test: ["tests/signal_attacks_test.ts"],
  },
  {
    name: "signal: what does not fit the key is read",
    file: "signal/_crypto.ts",
    find: "return concat(plaintext, decipher.final());",
    replace: "return plaintext;",
    test: ["signal/_session_keys_test.ts"],
  },
  {
    name: "signal: a handshake needs no proof",
    file: "signal/_channel.ts",
    find: 'if (!hasProof(this.#proofKey, packet)) return this.#drop("forged");',
    replace: "",
    test: ["tests/signal_attacks_test.ts"],
  },
  {
    name: "signal: a packet of another topic is taken",
    file: "signal/_channel.ts",
    find: 'if (topic !== this.topic) return this.#drop("topic");',
    replace: "",
    test: ["tests/signal_attacks_test.ts"],
  },
  {
    name: "signal: an answer needs no proof",
    file: "signal/_session_keys.ts",
    find: 'if (!hasProof(state.derive("resp proof"), packet)) return null;',
    replace: "",
    test: ["signal/_session_keys_test.ts"],
  },
  {
    name: "signal: the handshake does not name the recipient",
    file: "signal/_session_keys.ts",
    find: "    this.mixHash(responder);",
    replace: "",
    test: ["tests/signal_vectors_test.ts"],
  },
  {
    name: "signal: strangers may begin without bound",
    file: "signal/_known_inits.ts",
    find: "if (this.#tokens < 1) return false;",
    replace: "",
    test: ["signal/_known_inits_test.ts"],
  },
  {
    name: "signal: a notice is anybody's",
    file: "signal/_notice.ts",
    find: "place.owner !== null ? from !== place.owner :",
    replace: "",
    test: ["signal/_notice_test.ts"],
  },
  {
    name: "signal: a changed card is taken",
    file: "signal/card.ts",
    find: 'if (!isSigned) throw unreadable("its signature does not fit, so it was changed");',
    replace: "",
    test: ["signal/card_test.ts"],
  },
  {
    name: "signal: two texts are the same id",
    file: "signal/_base32.ts",
    find: "return toBase32(bytes) === text ? bytes : null;",
    replace: "return bytes;",
    test: ["signal/identity_test.ts"],
  },
  {
    name: "signal: others may read the identity",
    file: "signal/identity_file.ts",
    find: "mode: 0o600",
    replace: "mode: 0o644",
    test: ["signal/identity_file_test.ts"],
  },
  {
    name: "signal: a peer with a new life is taken for the old one",
    file: "signal/_core.ts",
    find: 'if (what === "new-life") conversation?.reborn();',
    replace: "",
    test: ["tests/signal_scenarios_peers_test.ts"],
  },
  {
    name: "signal: the floor of a stream is forgotten",
    file: "signal/_conversation.ts",
    find: "this.receiving.probe(frame.session, frame.stream, frame.floor)",
    replace: "this.receiving.probe(frame.session, frame.stream, 0)",
    test: ["tests/signal_scenarios_peers_test.ts"],
  },
];
