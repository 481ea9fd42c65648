"""The Python implementation against itself, in memory: `python3 -m unittest` in this folder."""

import collections
import os
import random
import struct
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import holdfast_session as hs
from holdfast_session import ClientCarrier, End, Frame, Server, ServerCarrier

SHARED = bytes(range(32))
SERVER_KEY, CLIENT_KEY = b"s" * 32, b"c" * 32
# What the client knows and what the server knows, by the kind of carrier.
KINDS = {
    "open": ({}, {}),
    "sealed by a shared key": ({"sealed": True, "shared_key": SHARED}, {"sealed": True, "shared_key": SHARED}),
    "sealed by key pairs": (
        {"sealed": True, "pinned": hs.ed25519_public(SERVER_KEY), "private_key": CLIENT_KEY},
        {"sealed": True, "private_key": SERVER_KEY, "allowed": [hs.ed25519_public(CLIENT_KEY)]}),
}


class Side:
    """An application: bytes to send, bytes that came."""

    def __init__(self, data):
        self.data, self.at, self.came, self.ended = data, 0, bytearray(), False

    def step(self, session, rng, now):
        self.at += session.write(self.data[self.at:self.at + rng.randrange(1, 30000)])
        if self.at == len(self.data):
            session.finish()
        if rng.random() < 0.7:
            self.came += session.read(rng.randrange(1, 50000), now)
        self.ended = session.read_end()


class Wire:
    """A client and a server with as many carriers between them as they like."""

    def __init__(self, kind="open", seed=1, data=(b"", b"")):
        client, server = KINDS[kind]
        self.rng = random.Random(seed)
        self.client_end = End(window=65536, **client)
        self.server_end = Server(window=100000, expiry=30000, **server)
        self.now = 0.0
        self.client_session = None
        self.sides = [Side(data[0]), Side(data[1])]

    def connect(self):
        """A new carrier: (client's end, server's end)."""
        pair = ClientCarrier(self.client_end, self.now, self.client_session), ServerCarrier(self.server_end, self.now)
        return pair

    def move(self, pair, limit=None):
        """Carries some bytes each way; how many."""
        moved = 0
        for source, target in (pair, pair[::-1]):
            source.pump(self.now)
            size = min(len(source.out), self.rng.choice((1, 7, 100, 3000, 70000)))
            if limit is not None:
                size = min(size, limit - moved)
            data = bytes(source.out[:size])
            del source.out[:size]
            moved += size
            if data:
                target.receive(data, self.now)
        self.client_session = pair[0].session or self.client_session
        self.now += 0.01
        return moved

    def settle(self, pair):
        """Carries all there is to carry."""
        while self.move(pair) or pair[0].out or pair[1].out:
            pass
        return pair

    def live(self):
        """A carrier whose session is there on both ends."""
        return self.settle(self.connect())

    def cut(self, pair):
        for carrier in pair:
            if carrier.session:
                carrier.session.detach(carrier, self.now)

    def step_sides(self):
        session = self.client_session
        if session:
            self.sides[0].step(session, self.rng, self.now)
            server = self.server_end.sessions.get(session.id)
            if server and server.carriers:
                self.sides[1].step(server, self.rng, self.now)

    def server_session(self):
        return self.server_end.sessions[self.client_session.id]


def stage(pair):
    """How far a carrier has come, for the histogram."""
    client, server = pair
    if client.stands:
        return "both ends know"
    if server.session:
        return "CONFIRM has arrived"
    if client.session:
        return "CONFIRM is under way"
    if len(server._frames) > 1:
        return "the answer is under way"
    return "before the answer"


class CutsTest(unittest.TestCase):
    def test_nothing_is_lost_by_cuts_at_random_bytes(self):
        stages = collections.Counter()
        for kind in KINDS:
            for seed in range(12):
                with self.subTest(kind=kind, seed=seed):
                    stages += self.endure(kind, seed)
        # Cuts in all places of a handshake were among them.
        self.assertEqual(len(stages), 5, stages)
        self.assertTrue(all(count >= 10 for count in stages.values()), stages)

    def endure(self, kind, seed):
        stages = collections.Counter()
        rng = random.Random(seed + 1000)
        data = rng.randbytes(rng.randrange(150000, 300000)), rng.randbytes(rng.randrange(150000, 300000))
        wire = Wire(kind, seed, data)
        for _ in range(400):
            pair = wire.connect()
            left = rng.choice((rng.randrange(0, 700), rng.randrange(0, 60000)))
            idle = 0
            while left > 0 and idle < 100:
                wire.step_sides()
                moved = wire.move(pair, left)
                left, idle = left - moved, 0 if moved else idle + 1
                self.assertIsNone(pair[0].ending)
                self.assertIsNone(pair[1].ending)
                if pair[1].session and pair[1].session.closed and pair[0].session.closed:
                    self.assertEqual(bytes(wire.sides[0].came), data[1])
                    self.assertEqual(bytes(wire.sides[1].came), data[0])
                    self.assertTrue(wire.sides[0].ended and wire.sides[1].ended)
                    return stages
            self.assertLess(idle, 100, "nothing moves any more")
            stages[stage(pair)] += 1
            wire.cut(pair)
        self.fail("the session has not come to its end")

    def test_the_next_carrier_takes_over_while_the_one_before_still_carries(self):
        for seed in range(20):
            rng = random.Random(seed)
            data = rng.randbytes(200000), rng.randbytes(200000)
            wire = Wire("open", seed, data)
            older = wire.live()
            while not (wire.client_session.closed and wire.server_session().closed):
                newer = wire.connect()
                while not newer[0].stands:
                    wire.step_sides()
                    # The one before may be faster, so that its ACKs overtake the offset of RESUMED.
                    for _ in range(rng.randrange(4)):
                        wire.move(older)
                    wire.move(newer)
                for _ in range(rng.randrange(10)):
                    wire.step_sides()
                    wire.move(newer)
                older = newer
                self.assertIsNone(wire.client_session.failure)
            self.assertEqual(bytes(wire.sides[0].came), data[1])
            self.assertEqual(bytes(wire.sides[1].came), data[0])

    def test_an_ack_that_overtakes_the_offset_of_resumed_is_where_sending_starts(self):
        wire = Wire()
        older = wire.live()
        newer = wire.connect()
        newer[1].receive(bytes(newer[0].out), wire.now)
        answer = bytes(newer[1].out)
        wire.client_session.write(b"x" * 20000)
        wire.settle(older)
        wire.server_session().read(20000, wire.now)
        wire.settle(older)
        self.assertEqual(wire.client_session.acknowledged, 20000)
        newer[0].out.clear()
        newer[1].out.clear()
        newer[0].receive(answer, wire.now)
        wire.client_session.write(b"y")
        wire.settle(newer)
        self.assertIsNone(newer[0].ending)
        self.assertEqual(wire.server_session().read(10, wire.now), b"y")


class EndingTest(unittest.TestCase):
    def closing(self):
        wire = Wire()
        pair = wire.live()
        for session in (wire.client_session, wire.server_session()):
            session.finish()
        wire.settle(pair)
        for session in (wire.client_session, wire.server_session()):
            self.assertTrue(session.read_end())
        return wire, pair

    def test_a_fin_takes_one_position(self):
        wire, pair = self.closing()
        wire.settle(pair)
        for session in (wire.client_session, wire.server_session()):
            self.assertEqual((session.acknowledged, session.received, session.closed), (1, 1, True))

    def test_a_closed_session_is_remembered_for_the_client_that_has_not_seen_the_last_ack(self):
        wire, pair = self.closing()
        pair[0].pump(wire.now)
        pair[1].receive(bytes(pair[0].out), wire.now)
        pair[1].pump(wire.now)
        self.assertTrue(wire.server_session().closed)
        self.assertFalse(wire.client_session.closed)
        wire.server_end.expire(wire.now)
        wire.cut(pair)
        wire.server_end.expire(wire.now + 29)
        wire.live()
        self.assertTrue(wire.client_session.closed)
        wire.server_end.expire(wire.now + 31)
        self.assertEqual(wire.server_end.sessions, {})

    def test_a_session_that_was_too_long_without_carrier_is_refused_with_a_proof(self):
        wire = Wire()
        wire.cut(wire.live())
        wire.now += 31
        wire.server_end.expire(wire.now)
        client, _ = wire.live()
        self.assertEqual(client.refusal.code, hs.EXPIRED)

    def test_an_expired_without_proof_is_taken_for_refused(self):
        wire = Wire()
        wire.cut(wire.live())
        client = ClientCarrier(wire.client_end, wire.now, wire.client_session)
        reject = Frame(hs.REJECT, 0, struct.pack(">HIH", hs.EXPIRED, 0, 0) + bytes(32))
        client.receive(wire.server_end.preface() + reject.encode(), wire.now)
        self.assertEqual(client.refusal.code, hs.REFUSED)

    def test_an_abort_tells_code_reason_and_how_much_was_received(self):
        wire = Wire()
        pair = wire.live()
        wire.client_session.write(b"abc")
        wire.settle(pair)
        wire.server_session().abort(300, "enough")
        pair[1].pump(wire.now)
        self.assertEqual(int.from_bytes(pair[1].out[6:12], "big"), 3)
        wire.settle(pair)
        self.assertEqual(wire.client_session.failure, (300, "enough", "there"))


class ViolationTest(unittest.TestCase):
    def check(self, *frames, before=None, lost=True):
        wire = Wire()
        pair = wire.live()
        if before:
            before(wire.server_session())
        pair[0].out.clear()
        for frame in frames:
            pair[0].out += frame if isinstance(frame, bytes) else frame.encode()
        wire.settle(pair)
        if lost:
            self.assertEqual(wire.server_session().failure[::2], (hs.VIOLATION, "here"))
            self.assertEqual(wire.client_session.failure[::2], (hs.VIOLATION, "there"))
        else:
            self.assertIsNone(wire.server_session().failure)
        return wire

    def test_each_of_them_ends_the_session(self):
        abc = Frame(hs.DATA, 0, b"abc")
        cases = {
            "a gap": [Frame(hs.DATA, 1, b"a")],
            "beyond the window": [Frame(hs.DATA, 0, bytes(65536)), Frame(hs.DATA, 65536, b"a")],
            "past a FIN": [abc, Frame(hs.FIN, 3), Frame(hs.DATA, 3, b"d")],
            "reaching past a FIN": [abc, Frame(hs.FIN, 3), Frame(hs.DATA, 2, b"cd")],
            "a second FIN elsewhere": [abc, Frame(hs.FIN, 3), Frame(hs.FIN, 4)],
            "a FIN before what came": [abc, Frame(hs.FIN, 2)],
            "a FIN behind a gap": [abc, Frame(hs.FIN, 4)],
            "an ACK beyond what was sent": [Frame(hs.ACK, 1)],
            "a flag": [b"\x04\x01" + bytes(10)],
            "an unknown type": [b"\x08" + bytes(11)],
            "type 0": [bytes(12)],
            "a length that an ACK has not": [Frame(hs.ACK, 0, b"a")],
            "DATA of nothing": [Frame(hs.DATA, 0, b"")],
            "a frame too long": [struct.pack(">BBI", hs.DATA, 0, 65537) + bytes(6)],
            "a handshake's frame": [Frame(hs.CONFIRM, 0, bytes(32))],
            "an ADDR that does not fit": [Frame(hs.ADDR, 0, b"\x01\x00\x05abc")],
        }
        for name, frames in cases.items():
            with self.subTest(name):
                self.check(*frames)

    def test_what_is_no_violation(self):
        abc, fin = Frame(hs.DATA, 0, b"abc"), Frame(hs.FIN, 4)
        wire = self.check(abc, abc, Frame(hs.DATA, 1, b"bcd"), fin, fin, abc, Frame(hs.ADDR, 0, b"\x01\x00\x02ab"),
                          lost=False)
        self.assertEqual(wire.server_session().read(10, 0), b"abcd")
        self.assertTrue(wire.server_session().read_end())

    def test_a_ping_is_answered_by_ack_and_pong(self):
        wire = Wire()
        client, server = wire.live()
        server.receive(Frame(hs.PING, 77).encode(), wire.now)
        server.pump(wire.now)
        self.assertEqual(bytes(server.out), Frame(hs.ACK, 0).encode() + Frame(hs.PONG, 77).encode())

    def test_an_ack_comes_200_ms_after_something_was_consumed_or_after_a_quarter_of_the_window(self):
        wire = Wire()
        pair = wire.live()
        wire.client_session.write(bytes(40000))
        wire.settle(pair)
        server = wire.server_session()
        server.read(16383, 10.0)
        self.assertIsNone(server.next_frame(10.19))
        self.assertEqual(server.next_frame(10.2), Frame(hs.ACK, 16383))
        server.read(16384, 11.0)
        self.assertEqual(server.next_frame(11.0), Frame(hs.ACK, 32767))


class HandshakeTest(unittest.TestCase):
    def refused(self, client_options, server_options):
        wire = Wire()
        wire.client_end, wire.server_end = End(**client_options), Server(**server_options)
        pair = wire.live()
        self.assertIsNone(pair[0].session)
        return pair

    def test_another_mode_is_told(self):
        client, server = self.refused({}, {"sealed": True, "shared_key": SHARED})
        self.assertEqual(client.ending, "the server speaks mode 1, versions 1 to 1")
        client, server = self.refused({"sealed": True, "shared_key": SHARED}, {})
        self.assertEqual(client.ending, "the server speaks mode 0, versions 1 to 1")

    def test_another_version_is_told(self):
        server = ServerCarrier(Server(), 0)
        server.receive(hs.MAGIC + bytes((0, 2, 3, 0)), 0)
        self.assertEqual(bytes(server.out), hs.MAGIC + bytes((0, 1, 1, 0)))
        self.assertEqual(server.ending, "the client speaks mode 0, versions 2 to 3")
        server = ServerCarrier(Server(), 0)
        server.receive(hs.MAGIC + bytes((0, 1, 9, 0)), 0)
        self.assertIsNone(server.ending)

    def test_a_stranger_gets_no_byte(self):
        server = ServerCarrier(Server(), 0)
        server.receive(b"GET / HTTP/1.1\r\n", 0)
        self.assertEqual((bytes(server.out), server.ending), (b"", "this is not a session's client"))

    def test_a_wrong_shared_key_opens_no_record(self):
        sealed = {"sealed": True, "shared_key": SHARED}
        client, _ = self.refused({**sealed, "shared_key": bytes(32)}, sealed)
        self.assertEqual(client.ending, "a record that does not open")

    def test_another_server_is_not_talked_to(self):
        client, server = self.refused(KINDS["sealed by key pairs"][0], {"sealed": True, "private_key": b"x" * 32})
        self.assertEqual(client.ending, "the server is another one")
        self.assertIsNone(server.peer_key)
        client, _ = self.refused(KINDS["sealed by key pairs"][0], {"sealed": True})
        self.assertEqual(client.ending, "the server is another one")

    def test_a_server_without_any_secret_is_nobody(self):
        client, _ = self.refused({"sealed": True}, {"sealed": True})
        self.assertEqual(client.ending, "the server is another one")

    def test_another_client_is_not_let_in(self):
        options = KINDS["sealed by key pairs"]
        for key in (b"y" * 32, None):
            client, server = self.refused({**options[0], "private_key": key}, options[1])
            self.assertEqual(client.refusal.code, hs.NOT_ALLOWED)

    def test_a_wrong_signature_ends_the_carrier(self):
        client, server = KINDS["sealed by key pairs"]
        wire = Wire()
        wire.client_end, wire.server_end = End(**client), Server(**server)
        pair = wire.connect()
        pair[1]._identity = lambda: b"\x01" + client["pinned"] + bytes(64)
        wire.settle(pair)
        self.assertEqual(pair[0].ending, "a wrong signature")

    def test_a_changed_record_ends_the_carrier_and_not_the_session(self):
        wire = Wire("sealed by a shared key")
        pair = wire.live()
        wire.client_session.write(b"abc")
        pair[0].pump(wire.now)
        pair[0].out[-1] ^= 1
        wire.settle(pair)
        self.assertEqual(pair[1].ending, "a record that does not open")
        wire.cut(pair)
        wire.live()
        self.assertEqual(wire.server_session().read(3, wire.now), b"abc")

    def test_x25519_of_zeros_is_refused(self):
        for answer in ("WELCOME", "Es"):
            wire = Wire("open" if answer == "WELCOME" else "sealed by a shared key")
            client, server = wire.connect()
            server._new_key = lambda what: (b"k" * 32, bytes(32))
            wire.settle((client, server))
            self.assertEqual(client.ending, "an X25519 key whose result is all zeros")

    def test_nobody_without_the_key_takes_a_session_over(self):
        wire = Wire()
        current = wire.live()
        session = wire.client_session
        # A thief knows the id and has seen everything, and answers RESUMED with any proof.
        wrong = hs.Session(session.id, bytes(32), bytes(32), session.window, 60000, 0)
        client, server = ClientCarrier(wire.client_end, 0, wrong), ServerCarrier(wire.server_end, 0)
        server.receive(bytes(client.out), 0)
        refusal = bytes(server.out)
        self.assertEqual(server.ending, "refused with code 1")
        # A right RESUME, recorded, is not enough without a right CONFIRM.
        client, server = wire.connect()
        server.receive(bytes(client.out), wire.now)
        server.receive(Frame(hs.CONFIRM, 0, bytes(32)).encode(), wire.now)
        self.assertEqual(server.ending, "refused with code 1")
        # The refusals of a wrong proof, an unknown session and an old epoch are alike.
        unknown = hs.Session(bytes(16), session.client_key, session.server_key, session.window, 60000, 0)
        client, server = ClientCarrier(wire.client_end, 0, unknown), ServerCarrier(wire.server_end, 0)
        server.receive(bytes(client.out), 0)
        self.assertEqual(bytes(server.out), refusal)
        session.used = 0
        client, server = wire.connect()
        server.receive(bytes(client.out), wire.now)
        self.assertEqual(bytes(server.out), refusal)
        session.write(b"still here")
        wire.settle(current)
        self.assertIs(wire.server_session().carrier, current[1])
        self.assertEqual(wire.server_session().read(20, wire.now), b"still here")

    def test_rubbish_on_a_new_carrier_harms_no_session(self):
        wire = Wire()
        current = wire.live()
        client, server = wire.connect()
        server.receive(bytes(client.out), wire.now)
        server.receive(Frame(hs.ABORT, 0, b"\x00\x00").encode(), wire.now)
        self.assertEqual(server.ending, "ABORT out of turn")
        self.assertIs(wire.server_session().carrier, current[1])
        self.assertIsNone(wire.server_session().failure)

    def test_nothing_may_follow_a_frame_that_waits_for_its_answer(self):
        for kind in ("open", "sealed by a shared key"):
            wire = Wire(kind)
            client, server = wire.connect()
            while not client._frames:
                server.receive(bytes(client.out), 0)
                client.out.clear()
                client.receive(bytes(server.out), 0)
                server.out.clear()
            server.receive(bytes(client.out) + b"x", 0)
            self.assertEqual(server.ending, "more behind HELLO")
        wire = Wire()
        client, server = wire.connect()
        server.receive(bytes(client.out), 0)
        client.receive(bytes(server.out) + b"x", 0)
        self.assertEqual((client.ending, client.session), ("more behind WELCOME", None))

    def test_a_record_before_confirm_is_short(self):
        wire = Wire("sealed by a shared key")
        client, server = pair = wire.connect()
        while not client._frames:
            wire.move(pair)
        server.receive(bytes(client.out), 0)
        server.receive(client._writer.seal(bytes(384)), 0)
        self.assertEqual(server.ending, "a frame of type 0")
        wire = Wire("sealed by a shared key")
        client, server = pair = wire.connect()
        while not client._frames:
            wire.move(pair)
        server.receive(bytes(client.out), 0)
        server.receive(client._writer.seal(bytes(385)), 0)
        self.assertEqual(server.ending, "a record of 401 bytes")

    def test_a_server_that_cannot_prove_itself_gets_no_confirm(self):
        wire = Wire()
        client, server = wire.connect()
        server.receive(bytes(client.out), 0)
        server.out[-1] ^= 1
        client.receive(bytes(server.out), 0)
        self.assertEqual((client.ending, client.session), ("a wrong proof of WELCOME", None))
        wire = Wire()
        wire.cut(wire.live())
        client, server = wire.connect()
        server.receive(bytes(client.out), 0)
        server.out[-1] ^= 1
        client.receive(bytes(server.out), 0)
        self.assertEqual((client.ending, client.session), ("a wrong proof of RESUMED", None))
        self.assertIsNone(wire.client_session.failure)

    def test_what_still_comes_from_an_older_carrier_is_ignored(self):
        wire = Wire()
        older = wire.live()
        wire.live()
        older[1].receive(Frame(hs.ABORT, 0, b"\x00\x00").encode() + b"\xff" * 12, wire.now)
        self.assertIsNone(wire.server_session().failure)
        older[0].receive(Frame(hs.ABORT, 0, b"\x00\x00").encode() + b"\xff" * 12, wire.now)
        self.assertIsNone(wire.client_session.failure)

    def test_a_code_of_reject_that_is_not_listed_is_taken_for_refused(self):
        for code, taken in ((2, 2), (6, 6), (7, 1), (0, 1), (300, 1)):
            wire = Wire()
            wire.server_end.refuse = lambda session: (code or 999, 250, "later")
            client, _ = wire.live()
            self.assertEqual((client.refusal.code, client.refusal.wait), (taken, 250))

    def test_of_two_carriers_the_higher_epoch_stays_in_whichever_order_they_confirm(self):
        for order in ((0, 1), (1, 0)):
            wire = Wire()
            wire.live()
            pairs = wire.connect(), wire.connect()
            confirms = []
            for client, server in pairs:
                server.receive(bytes(client.out), wire.now)
                client.out.clear()
                client.receive(bytes(server.out), wire.now)
                server.out.clear()
                confirms.append(bytes(client.out))
            for index in order:
                pairs[index][1].receive(confirms[index], wire.now)
            self.assertIs(wire.server_session().carrier, pairs[1][1])
            self.assertEqual(wire.server_session().epoch, 3)
            self.assertEqual(pairs[0][1].ending, None if order == (0, 1) else "refused with code 1")

    def test_confirm_is_refused_when_the_session_is_gone_by_then(self):
        wire = Wire()
        wire.cut(wire.live())
        client, server = pair = wire.connect()
        server.receive(bytes(client.out), wire.now)
        client.out.clear()
        wire.server_session().failure = (hs.EXPIRED, "expired", "here")
        wire.settle(pair)
        self.assertEqual((server.ending, client.refusal.code), ("refused with code 1", hs.REFUSED))

    def test_a_client_whose_confirm_was_lost_resumes(self):
        wire = Wire()
        client, server = pair = wire.connect()
        server.receive(bytes(client.out), wire.now)
        client.receive(bytes(server.out), wire.now)
        wire.client_session = client.session
        wire.client_session.write(b"early")
        self.assertEqual(wire.server_session().carriers, 0)
        wire.cut(pair)
        wire.live()
        self.assertEqual((wire.server_session().epoch, wire.server_session().carriers), (2, 1))
        self.assertEqual(wire.server_session().read(9, wire.now), b"early")

    def test_an_offset_that_cannot_be_served_ends_the_session(self):
        for change in (5, -5):
            wire = Wire()
            pair = wire.live()
            wire.client_session.write(b"x" * 20000)
            wire.settle(pair)
            wire.server_session().read(20000, wire.now)
            wire.settle(pair)
            wire.cut(pair)
            wire.server_session().received += change
            client, server = wire.live()
            self.assertIn("cannot go on at", client.ending)
            self.assertEqual(wire.server_session().failure[::2], (hs.VIOLATION, "there"))

    def test_welcome_has_the_smaller_of_both_wishes(self):
        wire = Wire()
        wire.client_end = End(window=70000, expiry=9000, keepalive=500, greeting="gr\u00fc\u00df".encode())
        wire.server_end = Server(window=80000, expiry=8000, keepalive=0)
        wire.live()
        for session in (wire.client_session, wire.server_session()):
            self.assertEqual((session.window, session.expiry, session.keepalive, session.greeting),
                             (70000, 8.0, 0.5, "gr\u00fc\u00df".encode()))


if __name__ == "__main__":
    unittest.main()
