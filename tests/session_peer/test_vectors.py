"""The Python implementation held to tests/vectors/session.json."""

import json
import os
import sys
import unittest

sys.dont_write_bytecode = True
FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)

import decrypt
import holdfast_session as hs
from holdfast_session import ClientCarrier, End, Frame, Server, ServerCarrier, Session

with open(os.path.join(FOLDER, "..", "vectors", "session.json")) as file:
    VECTORS = json.load(file)


def unhex(text):
    return bytes.fromhex(text) if text else None


def make_end(kind, told):
    """An end that is told what a vector tells it, its random bytes too."""
    seal, terms = told["seal"], told["terms"]
    options = {}
    if seal is not None:
        mine, other = ("client", "server") if kind is End else ("server", "client")
        key = unhex(seal.get(other + "PublicKey"))
        options = {"sealed": True, "shared_key": unhex(seal.get("sharedKey")) or b"",
                   "private_key": unhex(seal.get(mine + "Seed"))}
        options.update({"pinned": key} if kind is End else {"allowed": [key] if key else []})
    return kind(window=terms["window"], expiry=terms["expiry"], keepalive=terms["keepalive"],
                greeting=unhex(told["greeting"]) or b"", random=lambda what, _: unhex(told["random"][what]), **options)


def make_session(vector, received, epoch):
    session = Session(*(unhex(vector[key]) for key in ("id", "clientKey", "serverKey")), 65536, 60000, 0)
    session.received = session.consumed = received
    session.epoch, session.used = epoch, vector["epoch"] - 1
    # What it has sent, so that the other end may have received it.
    session.sent = 1 << 40
    return session


class VectorsTest(unittest.TestCase):
    def test_handshakes(self):
        self.assertGreater(len(VECTORS["handshakes"]), 0)
        for vector in VECTORS["handshakes"]:
            with self.subTest(vector["name"]):
                self.check_handshake(vector)

    def check_handshake(self, vector):
        client_end, server_end = make_end(End, vector["client"]), make_end(Server, vector["server"])
        resumed, rejection = vector["session"], vector["rejection"]
        session = None
        if resumed:
            session = make_session(resumed, vector["client"]["received"], resumed["epoch"] - 1)
            if resumed["isKnown"]:
                known = make_session(resumed, vector["server"]["received"], resumed["epoch"] - 1)
                server_end.sessions[known.id] = known
        if rejection:
            server_end.refuse = lambda _: (rejection["code"], rejection["wait"], rejection["text"])
        ends = {"client": ClientCarrier(client_end, 0, session), "server": ServerCarrier(server_end, 0)}
        stream = {"client": b"", "server": b""}
        for message in vector["messages"]:
            source, target = ends[message["from"]], ends["server" if message["from"] == "client" else "client"]
            data = unhex(message["bytes"])
            stream[message["from"]] += data
            if message["what"] in ("record: ACK", "record: DATA"):
                # These need not fit the positions: their records do.
                kind = hs.ACK if message["what"] == "record: ACK" else hs.DATA
                payload = f"from the {message['from']}".encode() if kind == hs.DATA else b""
                source._send(Frame(kind, 0, payload))
                self.assertEqual(bytes(source.out).hex(), data.hex(), message["what"])
                source.out.clear()
                continue
            self.assertEqual(bytes(source.out).hex(), data.hex(), message["what"])
            source.out.clear()
            target.receive(data, 0)
        self.check_outcome(vector, ends, server_end)
        if vector["client"]["seal"] is not None:
            self.check_recording(vector, stream)

    def check_outcome(self, vector, ends, server_end):
        """What both ends have made of it."""
        client, server = ends["client"], ends["server"]
        refused = vector["rejection"] or (
            {"code": 1, "wait": 0, "text": ""} if vector["session"] and not vector["session"]["isKnown"] else None)
        if refused:
            self.assertEqual((client.refusal.code, client.refusal.wait), (refused["code"], refused["wait"]))
            self.assertIn(refused["text"], str(client.refusal))
            self.assertIsNone(server.session)
            return
        self.assertEqual((client.ending, server.ending), (None, None))
        for carrier in (client, server):
            self.assertIs(carrier.session.carrier, carrier)
        if vector["keys"]:
            for session in (client.session, server.session):
                keys = {"id": session.id, "clientKey": session.client_key, "serverKey": session.server_key}
                self.assertEqual({name: key.hex() for name, key in keys.items()}, vector["keys"])
            self.assertEqual(server.session.greeting.hex(), vector["client"]["greeting"])
        else:
            self.assertEqual(client.session._cursor, vector["server"]["received"])
            self.assertEqual(server.session._cursor, vector["client"]["received"])
            self.assertEqual(server.session.epoch, vector["session"]["epoch"])

    def check_recording(self, vector, stream):
        """A recording of it is read with the X25519 key of either end."""
        shared = unhex(vector["client"]["seal"].get("sharedKey")) or b""
        whats = [message["what"] for message in vector["messages"]]
        for end in ("client", "server"):
            private = unhex(vector[end]["random"]["sealSecret"])
            keys = {hs.x25519_public(private): private}
            plains = decrypt.decrypt(stream["client"], stream["server"], keys, shared)
            for who, plain in zip(("client", "server"), plains):
                frames = list(decrypt.frames(plain))
                self.assertEqual(sum(12 + len(payload) for _, _, payload in frames), len(plain))
                if "record: DATA" in whats:
                    self.assertEqual(frames[-2:], [(hs.ACK, 0, b""), (hs.DATA, 0, f"from the {who}".encode())])

    def test_frames(self):
        self.assertEqual({vector["type"].upper() for vector in VECTORS["frames"]},
                         {hs.NAMES[kind] for kind in hs.SESSION_TYPES})
        for vector in VECTORS["frames"]:
            with self.subTest(vector["bytes"]):
                data, payload = unhex(vector["bytes"]), unhex(vector["payload"]) or b""
                kind, length, offset = hs.decode_header(data[:12])
                self.assertEqual(hs.NAMES[kind], vector["type"].upper())
                self.assertEqual((length, offset, data[12:]), (len(payload), int(vector["offset"]), payload))
                self.assertEqual(Frame(kind, offset, payload).encode(), data)
                if kind == hs.ADDR:
                    self.assertEqual(len(hs.decode_addresses(payload)), payload[0])


if __name__ == "__main__":
    unittest.main()
