"""Holds this implementation to the vectors of the other one: it says what they say, and refuses what they refuse."""

import json
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True

from holdfast_signal import (
    Identity, Init, Place, Refused, agreement_key, answer, id_key, kind_of, make_card, open_notice, presence, read_card,
    room, seal_notice, topic, x25519_public)

VECTORS = json.loads((pathlib.Path(__file__).parent.parent / "vectors" / "signal.json").read_text())


def scripted(*values):
    """Gives chosen bytes, each once and in order."""
    left = list(values)

    def random(length):
        value = left.pop(0)
        assert len(value) == length
        return value
    return random


def handshake():
    """(INIT, RESP, the channel of who begins, of who answers), with the random bytes of the vectors."""
    channel = VECTORS["channel"]
    random = {name: bytes.fromhex(text) for name, text in channel["random"].items()}
    anna, bob = (Identity(bytes.fromhex(channel[end])) for end in ("initiator", "responder"))
    init = Init(anna, bob.public, scripted(random["initEphemeral"], random["initToken"], random["initHeader"]))
    resp, theirs = answer(bob, init.packet, scripted(random["respToken"], random["respEphemeral"]))
    return init, resp, init.finish(resp), theirs


class Vectors(unittest.TestCase):
    def test_identities(self):
        for vector in VECTORS["identities"]:
            identity = Identity(bytes.fromhex(vector["seed"]))
            self.assertEqual((identity.id, identity.public.hex()), (vector["id"], vector["publicKey"]))
            self.assertEqual(id_key(vector["id"]), identity.public)
            self.assertEqual(agreement_key(identity.public).hex(), vector["agreementKey"])
            self.assertEqual(x25519_public(identity.agreement).hex(), vector["agreementKey"])
            self.assertEqual(topic("inbox", identity.public), vector["inbox"])
            place = presence(identity.public)
            self.assertEqual((place.topic, place.key.hex()), (vector["presence"], vector["presenceKey"]))

    def test_ids_that_are_none(self):
        good = VECTORS["identities"][0]["id"]
        for text in ("", good.upper(), good[:-1], good[:-1] + "b", "a" * 52 + "a", "ai" + "a" * 50):
            with self.assertRaises(Refused, msg=text):
                id_key(text)

    def test_cards(self):
        bob = Identity(bytes.fromhex(VECTORS["identities"][1]["seed"]))
        for vector in VECTORS["cards"]:
            card = vector["card"]
            self.assertEqual(read_card(card), (vector["id"], vector["brokers"], vector["serial"]))
            self.assertEqual(make_card(bob, vector["brokers"], vector["serial"]), card)
            for at in range(len(card)):
                with self.assertRaises(Refused, msg=str(at)):
                    read_card(card[:at] + card[at + 1:])

    def test_handshake_and_packets(self):
        init, resp, anna, bob = handshake()
        self.assertEqual(init.packet.hex(), VECTORS["channel"]["init"])
        self.assertEqual(resp.hex(), VECTORS["channel"]["resp"])
        self.assertEqual(anna.name, bob.name)
        for vector in VECTORS["channel"]["packets"]:
            one, other = (anna, bob) if vector["from"] == "anna" else (bob, anna)
            packet, content = bytes.fromhex(vector["packet"]), bytes.fromhex(vector["content"])
            self.assertEqual(one.seal(content, len(packet)), packet)
            self.assertEqual(other.open(packet), (vector["number"], content))
            self.assertEqual(other.open(packet), (vector["number"], None))

    def test_rooms_and_notices(self):
        vector, = VECTORS["rooms"]
        place = room(vector["name"], vector["secret"])
        self.assertEqual((place.topic, place.key.hex()), (vector["topic"], vector["key"]))
        for vector in VECTORS["notices"]:
            place = Place(vector["topic"], bytes.fromhex(vector["key"]), None)
            identity = Identity(bytes.fromhex(vector["seed"]))
            session, content, random = (bytes.fromhex(vector[name]) for name in ("session", "content", "random"))
            packet = seal_notice(
                place, identity, session, vector["number"], content, scripted(random[:8], random[8:]))
            self.assertEqual(packet.hex(), vector["packet"])
            self.assertEqual(open_notice(place, packet), (identity.public, session, vector["number"], content))
            with self.assertRaises(Refused):
                open_notice(place._replace(owner=bytes(32)), packet)

    def test_what_is_refused(self):
        places = {vector["place"]: vector for vector in VECTORS["notices"]}
        identities = dict(zip(("anna", "bob"), (Identity(bytes.fromhex(v["seed"])) for v in VECTORS["identities"])))
        for vector in VECTORS["refused"]:
            what, to, packet = vector["what"], vector["to"], bytes.fromhex(vector["packet"])
            init, _, anna, bob = handshake()
            if what == "a packet that came before":
                self.assertEqual((bob.open(packet).number, bob.open(packet)), (1, (1, None)))
                continue
            with self.assertRaises(Refused, msg=what):
                if to in places:
                    place = places[to]
                    open_notice(Place(place["topic"], bytes.fromhex(place["key"]), None), packet)
                    continue
                kind = kind_of(packet)
                if kind == 1:
                    answer(identities[to], packet)
                elif kind == 2 and to == "anna":
                    init.finish(packet)
                else:
                    (anna if to == "anna" else bob).open(packet)
        self.assertEqual(len(VECTORS["refused"]), 15)


if __name__ == "__main__":
    unittest.main()
