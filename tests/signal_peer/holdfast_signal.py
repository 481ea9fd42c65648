"""The packets of the signal protocol, version 1, from docs/PROTOCOLS.md: bytes in, bytes out.

A second implementation, to prove that the document is enough to write one. No sockets, no threads, no clock. Needs
python3-cryptography.
"""

import base64
import hashlib
import hmac
import os
import re
import struct
import unicodedata
import urllib.parse
from typing import NamedTuple, Optional

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VERSION = 1
INIT, RESP, DATA, NOTICE = 1, 2, 3, 4
SIZES = (256, 512, 1024, 2048, 4096, 8192)
HEADER = 26
MOST_CONTENT = 8192 - HEADER - 16 - 2
WINDOW = 4096
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


class Refused(Exception):
    """This packet, card or id is none; nothing has changed."""


def extract(salt, key):
    return hmac.digest(salt, key, "sha256")


def expand(key, info):
    return hmac.digest(key, info.encode() + b"\x01", "sha256")


def gcm(key, nonce, data, plaintext):
    return AESGCM(key).encrypt(nonce, plaintext, data)


def gcm_open(key, nonce, data, ciphertext):
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, data)
    except InvalidTag:
        raise Refused("the tag does not fit") from None


def block(key, data, encrypts):
    cipher = Cipher(algorithms.AES256(key), modes.ECB())
    context = cipher.encryptor() if encrypts else cipher.decryptor()
    return context.update(data) + context.finalize()


def dh(private, public):
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise Refused("the result of X25519 is all zeros") from None


def x25519_public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


# Peers

def base32(data):
    return base64.b32encode(data).decode().lower().rstrip("=")


def id_key(text):
    """The public key of an id."""
    if not re.fullmatch("[a-z2-7]{52}", text):
        raise Refused("it is not 52 letters")
    key = base64.b32decode(text.upper() + "====")
    if base32(key) != text:
        raise Refused("its last letter has bits too many")
    agreement_key(key)
    return key


def agreement_key(public):
    """The X25519 public key of an Ed25519 one."""
    y = int.from_bytes(public, "little") & (2**255 - 1)
    if y >= P or y == 1:
        raise Refused("y is out of range")
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    if square != 0 and pow(square, (P - 1) // 2, P) != 1:
        raise Refused("it is no point of the curve")
    return ((1 + y) * pow(1 - y, -1, P) % P).to_bytes(32, "little")


class Identity:
    def __init__(self, seed):
        self.signing = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.agreement = hashlib.sha512(seed).digest()[:32]
        self.id = base32(self.public)


def verify(public, signature, message):
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Refused("the signature does not fit") from None


# Topics

def topic(what, of):
    return "holdfast/1/" + base32(hashlib.sha256(f"holdfast signal 1 {what} topic".encode() + of).digest()[:20])


# Packets

def kind_of(packet):
    if len(packet) not in SIZES:
        raise Refused("it has none of the sizes")
    version, kind = packet[0], packet[1]
    if version != VERSION or kind not in (INIT, RESP, DATA, NOTICE):
        raise Refused("it has another version or kind")
    if kind in (INIT, RESP) and len(packet) != 256:
        raise Refused("it is too large for its kind")
    return kind


def pad(content, size=256):
    if len(content) > MOST_CONTENT:
        raise ValueError("the content is too long")
    size = next(s for s in SIZES if s >= size and s - HEADER - 16 - 2 >= len(content))
    return (struct.pack(">H", len(content)) + content).ljust(size - HEADER - 16, b"\0")


def unpad(plaintext):
    length, = struct.unpack_from(">H", plaintext)
    content, rest = plaintext[2:2 + length], plaintext[2 + length:]
    if len(content) != length or rest.strip(b"\0"):
        raise Refused("the padding does not fit")
    return content


# Handshake

class State:
    def __init__(self, start, responder):
        self.hash = self.chain = hashlib.sha256(b"holdfast signal 1 IK 25519 AES-256-GCM SHA-256").digest()
        self.key = b""
        self.say(start)
        self.say(responder)

    def copy(self):
        copy = State(b"", b"")
        copy.hash, copy.chain, copy.key = self.hash, self.chain, self.key
        return copy

    def say(self, data):
        self.hash = hashlib.sha256(self.hash + data).digest()

    def agree(self, shared):
        root = extract(self.chain, shared)
        self.chain, self.key = expand(root, "holdfast signal 1 chain"), expand(root, "holdfast signal 1 key")

    def seal(self, plaintext):
        ciphertext = gcm(self.key, bytes(12), self.hash, plaintext)
        self.say(ciphertext)
        return ciphertext

    def open(self, ciphertext):
        plaintext = gcm_open(self.key, bytes(12), self.hash, ciphertext)
        self.say(ciphertext)
        return plaintext

    def derive(self, name):
        return expand(self.chain, "holdfast signal 1 " + name)


def init_proof_key(responder):
    return expand(extract(b"holdfast signal 1 init proof", responder), "holdfast signal 1 init proof")


def with_proof(key, start, rest):
    return start + hmac.digest(key, start + rest, "sha256")[:16] + rest


def check_proof(key, packet):
    if not hmac.compare_digest(with_proof(key, packet[:10], packet[26:]), packet):
        raise Refused("the proof does not fit")


class Init:
    """An INIT under way."""

    def __init__(self, identity, peer, random=os.urandom):
        self.identity, self.peer = identity, peer
        self.ephemeral, self.token = random(32), random(8)
        start = bytes((VERSION, INIT)) + random(8)
        theirs = agreement_key(peer)
        state = self.state = State(start[:2], peer)
        public = x25519_public(self.ephemeral)
        state.say(public)
        state.agree(dh(self.ephemeral, theirs))
        name = state.seal(identity.public)
        state.agree(dh(identity.agreement, theirs))
        terms = state.seal((bytes((VERSION, VERSION)) + self.token).ljust(134, b"\0"))
        self.packet = with_proof(init_proof_key(peer), start, public + name + terms)

    def finish(self, packet):
        """The channel, by the RESP."""
        state = self.state.copy()
        check_proof(state.derive("resp proof"), packet)
        public = packet[26:58]
        state.say(packet[:10])
        state.say(public)
        state.agree(dh(self.ephemeral, public))
        state.agree(dh(self.identity.agreement, public))
        terms = state.open(packet[58:])
        if terms[0] != VERSION:
            raise Refused("it chose another version")
        return Channel(state, self.peer, self.token, terms[1:9], begun=True)


def answer(identity, packet, random=os.urandom):
    """(RESP, channel) for an INIT. The channel counts when its first packet opens."""
    check_proof(init_proof_key(identity.public), packet)
    public = packet[26:58]
    state = State(packet[:2], identity.public)
    state.say(public)
    state.agree(dh(identity.agreement, public))
    peer = state.open(packet[58:106])
    theirs = agreement_key(peer)
    state.agree(dh(identity.agreement, theirs))
    terms = state.open(packet[106:])
    if not terms[0] <= VERSION <= terms[1]:
        raise Refused("no version is common")
    token, ephemeral = random(8), random(32)
    start = bytes((VERSION, RESP)) + terms[2:10]
    key = state.derive("resp proof")
    own = x25519_public(ephemeral)
    state.say(start)
    state.say(own)
    state.agree(dh(ephemeral, public))
    state.agree(dh(ephemeral, theirs))
    rest = own + state.seal((bytes((VERSION,)) + token).ljust(182, b"\0"))
    return with_proof(key, start, rest), Channel(state, peer, token, terms[2:10], begun=False)


class Opened(NamedTuple):
    number: int
    content: Optional[bytes]  # None for a copy


class Channel:
    def __init__(self, state, peer, receive_token, send_token, begun):
        names = ("initiator", "responder") if begun else ("responder", "initiator")
        self.send, self.receive = ([state.derive(f"{name} {what}") for what in ("content", "block")] for name in names)
        self.name, self.peer = state.hash[:8], peer
        self.receive_token, self.send_token = receive_token, send_token
        self.sent, self.highest, self.seen = 0, 0, set()

    def seal(self, content, size=256):
        self.sent += 1
        number = struct.pack(">Q", self.sent)
        key, block_key = self.send
        header = bytes((VERSION, DATA)) + self.send_token + block(block_key, number + bytes(8), True)
        return header + gcm(key, bytes(4) + number, header, pad(content, size))

    def open(self, packet):
        if kind_of(packet) != DATA or packet[2:10] != self.receive_token:
            raise Refused("it is for another channel")
        key, block_key = self.receive
        plain = block(block_key, packet[10:26], False)
        number, = struct.unpack(">Q", plain[:8])
        if plain[8:] != bytes(8) or not 1 <= number < 2**32:
            raise Refused("its number is none")
        if number <= self.highest - WINDOW:
            raise Refused("it is old")
        if number in self.seen:
            return Opened(number, None)
        content = unpad(gcm_open(key, bytes(4) + plain[:8], packet[:26], packet[26:]))
        self.highest = max(self.highest, number)
        self.seen = {n for n in self.seen | {number} if n > self.highest - WINDOW}
        return Opened(number, content)


# Notices

class Place(NamedTuple):
    topic: str
    key: bytes
    owner: Optional[bytes]


class Notice(NamedTuple):
    public: bytes
    session: bytes
    number: int
    content: bytes


def presence(public):
    key = expand(extract(b"holdfast signal 1 presence", public), "holdfast signal 1 presence key")
    return Place(topic("presence", public), key, public)


def room(name, secret):
    name, secret = (unicodedata.normalize("NFC", text).encode() for text in (name, secret))
    salt = b"holdfast signal 1 room " + name
    root = hashlib.scrypt(secret, salt=salt, n=65536, r=8, p=1, maxmem=2**27, dklen=32)
    key = expand(root, "holdfast signal 1 room key")
    return Place(topic("room", expand(root, "holdfast signal 1 room topic")), key, None)


def seal_notice(place, identity, session, number, content, random=os.urandom):
    header = bytes((VERSION, NOTICE)) + random(8) + random(16)
    body = session + number.to_bytes(6, "big") + content
    signature = identity.signing.sign(b"holdfast signal 1 notice" + place.topic.encode() + header + body)
    plaintext = pad(identity.public + signature + body)
    return header + gcm(hmac.digest(place.key, header, "sha256"), bytes(12), header, plaintext)


def open_notice(place, packet):
    if kind_of(packet) != NOTICE:
        raise Refused("it is no notice")
    header = packet[:26]
    content = unpad(gcm_open(hmac.digest(place.key, header, "sha256"), bytes(12), header, packet[26:]))
    if len(content) < 110:
        raise Refused("it is too short")
    public, signature, body = content[:32], content[32:96], content[96:]
    if place.owner not in (None, public):
        raise Refused("it is by somebody else")
    agreement_key(public)
    verify(public, signature, b"holdfast signal 1 notice" + place.topic.encode() + header + body)
    return Notice(public, body[:8], int.from_bytes(body[8:14], "big"), body[14:])


# Contact cards

CARD = re.compile(r"(holdfast:([a-z2-7]{52})\?(b=[^&]+(?:&b=[^&]+){0,7})&n=(0|[1-9][0-9]*))&s=([\w-]{86})", re.ASCII)

# What encodeURIComponent leaves as it is, besides letters and digits.
UNQUOTED = "-_.!~*'()"


def make_card(identity, brokers, serial):
    parts = [f"b={urllib.parse.quote(broker, safe=UNQUOTED)}" for broker in brokers] + [f"n={serial}"]
    text = f"holdfast:{identity.id}?{'&'.join(parts)}"
    signature = identity.signing.sign(b"holdfast signal 1 card" + text.encode())
    return f"{text}&s={base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def read_card(text):
    """(id, brokers, serial)"""
    match = CARD.fullmatch(text)
    if not match or len(text) > 2048:
        raise Refused("it is no card")
    said, peer, brokers, serial, signature = match.groups()
    verify(id_key(peer), base64.urlsafe_b64decode(signature + "=="), b"holdfast signal 1 card" + said.encode())
    return peer, [urllib.parse.unquote(part[2:]) for part in brokers.split("&")], int(serial)
