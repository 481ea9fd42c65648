"""The session protocol, version 1, from docs/PROTOCOLS.md: bytes and time in, bytes and decisions out.

A second implementation, to prove that the document is enough to write one. No sockets, no threads, no clock: a
carrier gets bytes by `receive()`, and what it wants to write stands in `out`. Needs python3-cryptography.
"""

import hashlib
import hmac
import os
import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAGIC = bytes.fromhex("89484F4C440D0A1A")
OPEN, SEALED = 0, 1

DATA, ACK, FIN, PING, PONG, ABORT, ADDR = range(1, 8)
HELLO, WELCOME, RESUME, RESUMED, CONFIRM, REJECT = range(16, 22)
NAMES = {DATA: "DATA", ACK: "ACK", FIN: "FIN", PING: "PING", PONG: "PONG", ABORT: "ABORT", ADDR: "ADDR",
         HELLO: "HELLO", WELCOME: "WELCOME", RESUME: "RESUME", RESUMED: "RESUMED", CONFIRM: "CONFIRM",
         REJECT: "REJECT"}
# The least and the greatest length of each type's payload.
LENGTHS = {DATA: (1, 65536), ACK: (0, 0), FIN: (0, 0), PING: (0, 0), PONG: (0, 0), ABORT: (2, 258),
           ADDR: (1, 4096), HELLO: (80, 336), WELCOME: (128, 128), RESUME: (84, 84), RESUMED: (64, 64),
           CONFIRM: (32, 32), REJECT: (40, 40 + 1024)}
SESSION_TYPES = frozenset((DATA, ACK, FIN, PING, PONG, ABORT, ADDR))

WINDOW_LEAST, WINDOW_MOST = 65536, 67108864
MOST_PLAIN = 65564 - 16
MOST_UNPROVEN = 400  # the length of a record before CONFIRM was verified
# What one DATA frame carries: less than it may, because a carrier that is cut in a frame has carried nothing of it.
PART = 16384
ACK_DELAY = 0.2
REMEMBERED = 60.0
NO_PROOF = bytes(32)

VIOLATION = 1
REFUSED, BUSY, EXPIRED, MOVED, RESOURCES, NOT_ALLOWED = range(1, 7)


class CarrierError(Exception):
    """This carrier is of no use; the session, if there is one, is not touched."""


class Violation(Exception):
    """The other end of a session breaks the protocol: the session is lost."""


class Refused(CarrierError):
    """The server said REJECT."""

    def __init__(self, code, wait, text):
        super().__init__(f"refused with code {code}: {text}")
        self.code, self.wait, self.text = code, wait, text


class Frame(NamedTuple):
    type: int
    offset: int = 0
    payload: bytes = b""

    def encode(self):
        head = struct.pack(">BBI", self.type, 0, len(self.payload))
        return head + self.offset.to_bytes(6, "big") + self.payload


def decode_header(header):
    """The type, length and offset of a frame, or a violation."""
    kind, flags, length = struct.unpack_from(">BBI", header)
    if kind not in LENGTHS:
        raise Violation(f"a frame of type {kind}")
    if flags != 0:
        raise Violation(f"flags {flags}")
    least, most = LENGTHS[kind]
    if not least <= length <= most:
        raise Violation(f"{NAMES[kind]} with {length} bytes")
    return kind, length, int.from_bytes(header[6:12], "big")


# Keys


def x25519(private, public):
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise CarrierError("an X25519 key whose result is all zeros") from None


def x25519_public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def ed25519_public(private):
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def hmac_sha256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def hkdf_extract(salt, key):
    return hmac_sha256(salt, key)


def hkdf_expand_32(root, info):
    """HKDF-Expand to 32 bytes, which is the first block."""
    return hmac_sha256(root, info + b"\x01")


def session_keys(transcript_hash, shared):
    """(Kclient, Kserver)."""
    root = hkdf_extract(transcript_hash, shared)
    return (hkdf_expand_32(root, b"holdfast session 1 client"), hkdf_expand_32(root, b"holdfast session 1 server"))


def seal_keys(client_preface, ec, server_preface, es, exchanged, shared_key=b""):
    """(kclient, kserver, binding)."""
    h = hashlib.sha256(b"holdfast seal 1" + client_preface + ec + server_preface + es).digest()
    root = hkdf_extract(h, exchanged + shared_key)
    names = b"client key", b"server key", b"binding"
    return tuple(hkdf_expand_32(root, b"holdfast seal 1 " + name) for name in names)


class SealWriter:
    """Makes records, in one direction."""

    def __init__(self, key):
        self._cipher, self._counter = ChaCha20Poly1305(key), 0

    def seal(self, plain):
        length = struct.pack(">I", len(plain) + 16)
        nonce = struct.pack(">IQ", 0, self._counter)
        self._counter += 1
        return length + self._cipher.encrypt(nonce, bytes(plain), length)


class SealReader:
    """Opens records, in one direction."""

    def __init__(self, key):
        self._cipher, self._counter = ChaCha20Poly1305(key), 0

    def open(self, length, sealed):
        nonce = struct.pack(">IQ", 0, self._counter)
        self._counter += 1
        try:
            return self._cipher.decrypt(nonce, sealed, length)
        except InvalidTag:
            raise CarrierError("a record that does not open") from None

    def record(self, raw, most=65564):
        """The plaintext of the next record in a buffer that grows."""
        length = yield from take(raw, 4)
        size = int.from_bytes(length, "big")
        if not 17 <= size <= most:
            raise CarrierError(f"a record of {size} bytes")
        return self.open(length, (yield from take(raw, size)))


def take(buffer, count):
    """The next bytes of a buffer that grows: yields until they are there."""
    while len(buffer) < count:
        yield
    data = bytes(buffer[:count])
    del buffer[:count]
    return data


# The session behind all carriers


class Session:
    """One stream of bytes in each direction, whatever carries it."""

    def __init__(self, id, client_key, server_key, window, expiry, keepalive, greeting=b""):
        self.id, self.client_key, self.server_key = id, client_key, server_key
        self.window, self.expiry, self.keepalive = window, expiry / 1000, keepalive / 1000
        self.greeting = greeting
        self.epoch = 0  # of the current carrier, if there was one
        self.used = 1  # the highest that the client has used
        self.carrier = None
        self.carriers = 0  # how many have been current
        self.suspended_at = None
        self.over_at = None
        self.failure = None  # (code, reason, "here" or "there")
        self.acknowledged = 0  # position of the first byte of _out
        self._out = bytearray()
        self._cursor = 0  # what this carrier sends next
        self.sent = 0  # everything before it went to some carrier
        self._fin = None
        self.received = 0
        self.consumed = 0
        self._in = bytearray()
        self._peer_fin = None
        self._urgent = []
        self._ack_now = False
        self._ack_sent = 0
        self._ack_due = None

    # The application's side

    def writable(self):
        return 0 if self._fin is not None or self.failure else self.window - len(self._out)

    def write(self, data):
        """Takes as many bytes as there is room for, and says how many."""
        taken = min(len(data), self.writable())
        self._out += data[:taken]
        return taken

    def finish(self):
        if self._fin is None:
            self._fin = self.acknowledged + len(self._out)

    def available(self):
        return len(self._in)

    def read(self, most, now):
        """Bytes, consumed by this; empty where there are none now."""
        data = bytes(self._in[:most])
        del self._in[:most]
        self.consumed += len(data)
        if data:
            if self.consumed - self._ack_sent >= min(256 * 1024, self.window // 4):
                self._ack_now = True
            elif self._ack_due is None:
                self._ack_due = now + ACK_DELAY
        return data

    def read_end(self):
        """Whether the direction is complete and read; consumes the FIN."""
        if self._peer_fin is None or self._in:
            return False
        if self.consumed == self._peer_fin:
            self.consumed += 1
            self._ack_now = True
        return True

    def abort(self, code, reason):
        if self.failure:
            return
        self.failure = (code, reason, "here")
        text = reason.encode()[:256].decode(errors="ignore").encode()
        self._urgent = [Frame(ABORT, self.received, struct.pack(">H", code) + text)]
        self._ack_now, self._ack_due = False, None

    @property
    def closed(self):
        """Both directions complete, both FINs acknowledged."""
        return (self._fin is not None and self.acknowledged == self._fin + 1
                and self._peer_fin is not None and self._ack_sent == self._peer_fin + 1)

    # The carrier's side

    def attach(self, carrier, epoch, offset, least):
        """Makes a carrier the current one; sending starts at the offset that the other end gave."""
        self.carrier, self.epoch, self.suspended_at = carrier, epoch, None
        self.carriers += 1
        self._urgent, self._ack_now = [], True
        if not least <= offset <= self.sent:
            raise Violation(f"cannot go on at {offset}: sent {self.sent}, acknowledged {least}")
        # An ACK of the carrier before may have come after the offset was written.
        self._cursor = max(offset, self.acknowledged)

    def detach(self, carrier, now):
        if self.carrier is carrier:
            self.carrier, self.suspended_at = None, now

    def ping(self, number):
        self._urgent.append(Frame(PING, number))

    def handle(self, frame):
        """A frame of the current carrier."""
        if frame.type == DATA:
            self._data(frame.offset, frame.payload)
        elif frame.type == FIN:
            self._end(frame.offset)
        elif frame.type == ACK:
            self._acknowledge(frame.offset)
        elif frame.type == PING:
            self._urgent += [Frame(ACK, self.consumed), Frame(PONG, frame.offset)]
        elif frame.type == ABORT:
            code, = struct.unpack_from(">H", frame.payload)
            self.failure = (code, frame.payload[2:].decode(errors="replace"), "there")
        elif frame.type == ADDR:
            decode_addresses(frame.payload)
        elif frame.type != PONG:
            raise Violation(f"{NAMES[frame.type]} in a session")

    def due(self):
        """When there is something to send without anything having happened: the time, or None."""
        return self._ack_due

    def next_frame(self, now):
        """What the current carrier sends next, or None."""
        if self._ack_now or (self._ack_due is not None and now >= self._ack_due):
            self._ack_now, self._ack_due = False, None
            self._urgent.insert(0, Frame(ACK, self.consumed))
        if self._urgent:
            frame = self._urgent.pop(0)
            if frame.type == ACK:
                self._ack_sent = frame.offset
            return frame
        if self.failure:
            return None
        start = self._cursor - self.acknowledged
        payload = bytes(self._out[start:start + PART])
        if payload:
            frame = Frame(DATA, self._cursor, payload)
            self._cursor += len(payload)
        elif self._cursor == self._fin:
            frame = Frame(FIN, self._cursor)
            self._cursor += 1
        else:
            return None
        self.sent = max(self.sent, self._cursor)
        return frame

    def _data(self, start, payload):
        end = start + len(payload)
        if start > self.received:
            raise Violation(f"a gap: DATA at {start}, received {self.received}")
        if self._peer_fin is not None and end > self._peer_fin:
            raise Violation("DATA past the FIN")
        if end > self.consumed + self.window:
            raise Violation(f"DATA to {end} beyond the window, consumed {self.consumed}")
        if end > self.received:
            self._in += payload[self.received - start:]
            self.received = end

    def _end(self, position):
        if self._peer_fin is None and position == self.received:
            self._peer_fin = position
            self.received += 1
        elif position != self._peer_fin:
            raise Violation(f"FIN at {position}, received {self.received}")

    def _acknowledge(self, position):
        if position > self.sent:
            raise Violation(f"ACK of {position}, sent {self.sent}")
        if position > self.acknowledged:
            del self._out[:position - self.acknowledged]
            self.acknowledged = position
            self._cursor = max(self._cursor, position)


def decode_addresses(payload):
    urls, at = [], 1
    for _ in range(payload[0]):
        length = int.from_bytes(payload[at:at + 2], "big")
        urls.append(payload[at + 2:at + 2 + length].decode(errors="replace"))
        at += 2 + length
    if at != len(payload):
        raise Violation("ADDR whose lengths do not fit")
    return urls


# Carriers


class End:
    """What an end knows and wishes, before there is any carrier."""

    def __init__(self, *, window=4 * 1024 * 1024, expiry=60_000, keepalive=0, greeting=b"", sealed=False,
                 shared_key=b"", private_key=None, pinned=None, allowed=(), random=None, log_key=None):
        self.window, self.expiry, self.keepalive, self.greeting = window, expiry, keepalive, greeting
        self.mode = SEALED if sealed else OPEN
        self.shared_key = shared_key  # 32 bytes or none
        self.private_key = private_key  # Ed25519, of this end
        self.pinned = pinned  # the server's Ed25519 public key, for a client
        self.allowed = tuple(allowed)  # the clients' Ed25519 public keys, for a server; nobody in particular: none
        self.random = random or (lambda what, size: os.urandom(size))
        self.log_key = log_key or (lambda public, private: None)

    def preface(self):
        return MAGIC + bytes((self.mode, 1, 1, 0))


class Carrier:
    """One carrier of either end: prefaces, records if sealed, handshake, then the frames of its session."""

    role = ""

    def __init__(self, end, now):
        self.end, self.now = end, now
        self.out = bytearray()
        self.ending = None  # why it is to be closed, when `out` is written
        self.refusal = None  # the REJECT, for a client
        self.session = None
        self.stands = False
        self.peer_key = None  # the other end's Ed25519 key, where it has proven one
        self._raw = bytearray()
        self._plain = self._raw if end.mode == OPEN else bytearray()
        self._writer = None
        self._binding = None
        self._client_preface = self._server_preface = b""
        self._frames = []  # of the handshake, as they went
        self._layers = (self._bytes(), self._talk())
        self._run()

    def receive(self, data, now):
        self.now = now
        self._raw += data
        self._run()

    def pump(self, now, most=65536):
        """Puts frames of the session into `out`, as far as there is room."""
        while self.session and self.session.carrier is self and len(self.out) < most:
            frame = self.session.next_frame(now)
            if frame is None:
                return
            self._send(frame)
            if frame.type == ABORT:
                self.ending = self.ending or "aborted"

    def _run(self):
        if self.ending:
            return
        try:
            # Record by record: how long the next may be depends on what was in the one before.
            before = None
            while before != (before := (len(self._raw), len(self._plain))):
                for layer in self._layers:
                    next(layer, None)
        except CarrierError as error:
            self.ending = str(error)
            if isinstance(error, Refused):
                self.refusal = error
        except Violation as error:
            self.ending = str(error)
            # Before the handshake is done nobody has the right to end a session.
            if self.session and self.session.carrier is self:
                self.session.abort(VIOLATION, str(error))
                self.pump(self.now, 1 << 30)

    def _bytes(self):
        raise NotImplementedError

    def _talk(self):
        raise NotImplementedError

    def _send(self, frame):
        data = frame.encode()
        if not self._writer:
            self.out += data
            return
        for at in range(0, len(data), MOST_PLAIN):
            self.out += self._writer.seal(data[at:at + MOST_PLAIN])

    def _frame(self, allowed):
        header = yield from take(self._plain, 12)
        kind, length, offset = decode_header(header)
        if kind not in allowed:
            raise Violation(f"{NAMES[kind]} out of turn")
        return Frame(kind, offset, (yield from take(self._plain, length)))

    def _turn(self, allowed):
        """A frame behind which the other end has to wait for an answer."""
        frame = yield from self._frame(allowed)
        if self._plain or self._raw:
            raise Violation(f"more behind {NAMES[frame.type]}")
        return frame

    def _hash(self, unproven):
        """The hash of the transcript up to the proof of a frame."""
        first, *rest = self._frames + [unproven]
        later = self._server_preface + b"".join(rest) if rest else b""
        return hashlib.sha256(self._binding + self._client_preface + first + later).digest()

    def _proven(self, key, kind, offset, payload):
        """A frame whose payload ends with a proof."""
        unproven = Frame(kind, offset, payload + NO_PROOF).encode()[:-32]
        return Frame(kind, offset, payload + hmac_sha256(key, self._hash(unproven)))

    def _is_proven(self, key, frame):
        return hmac.compare_digest(hmac_sha256(key, self._hash(frame.encode()[:-32])), frame.payload[-32:])

    def _went(self, frame):
        self._frames.append(frame.encode())
        return frame

    def _new_key(self, what):
        private = self.end.random(what, 32)
        return private, x25519_public(private)

    def _identity(self):
        if self.end.private_key is None:
            return b"\x00"
        text = f"holdfast seal 1 {self.role}".encode() + self._binding
        signature = Ed25519PrivateKey.from_private_bytes(self.end.private_key).sign(text)
        return b"\x01" + ed25519_public(self.end.private_key) + signature

    def _check_identity(self, plain, role):
        """The Ed25519 key that the other end has proven, or None for nobody in particular."""
        if plain == b"\x00":
            return None
        if len(plain) != 97 or plain[0] != 1:
            raise CarrierError("a first record that tells nobody")
        try:
            text = f"holdfast seal 1 {role}".encode() + self._binding
            Ed25519PublicKey.from_public_bytes(plain[1:33]).verify(plain[33:], text)
        except (InvalidSignature, ValueError):
            raise CarrierError("a wrong signature") from None
        return plain[1:33]


class ClientCarrier(Carrier):
    """A carrier that this end has opened: for a new session, or for one that is to go on."""

    role = "client"

    def __init__(self, end, now, session=None, older=None):
        self._resumes = session
        self.older = older  # closed by the owner when this one stands
        super().__init__(end, now)

    def _bytes(self):
        end = self.end
        self._client_preface = end.preface()
        self.out += self._client_preface
        if end.mode == OPEN:
            self._binding = bytes(32)
            self._talk_first()
        else:
            private, ec = self._new_key("sealSecret")
            end.log_key(ec, private)
            self.out += ec
        preface = yield from take(self._raw, 12)
        if preface[:8] != MAGIC:
            raise CarrierError("this is not a session's server")
        if preface[8] != end.mode or preface[9:] != bytes((1, 1, 0)):
            raise CarrierError(f"the server speaks mode {preface[8]}, versions {preface[9]} to {preface[10]}")
        self._server_preface = preface
        if end.mode == OPEN:
            return
        es = yield from take(self._raw, 32)
        kclient, kserver, self._binding = seal_keys(
            self._client_preface, ec, preface, es, x25519(private, es), end.shared_key)
        reader, writer = SealReader(kserver), SealWriter(kclient)
        key = self._check_identity((yield from reader.record(self._raw)), "server")
        if key != end.pinned if end.pinned else not end.shared_key:
            raise CarrierError("the server is another one")
        self.peer_key = key
        self.out += writer.seal(self._identity())
        self._writer = writer
        self._talk_first()
        while True:
            self._plain += yield from reader.record(self._raw)
            yield

    def _talk_first(self):
        end, session = self.end, self._resumes
        nonce = end.random("nonce", 32)
        if session is None:
            self._private, public = self._new_key("secret")
            numbers = struct.pack(">IIII", 0, end.window, end.expiry, end.keepalive)
            frame = Frame(HELLO, 0, nonce + public + numbers + end.greeting)
        else:
            session.used += 1
            self._epoch, self._least = session.used, session.acknowledged
            payload = session.id + struct.pack(">I", self._epoch) + nonce
            frame = self._proven(session.client_key, RESUME, session.received, payload)
        self._send(self._went(frame))

    def _talk(self):
        # In an open carrier frames must not be read before the preface, which is in the same bytes.
        while not self._server_preface:
            yield
        answer = yield from self._turn({RESUMED if self._resumes else WELCOME, REJECT})
        if answer.type == REJECT:
            raise self._refused(answer)
        session = self._resumes or self._welcome(answer)
        if self._resumes and not self._is_proven(session.server_key, answer):
            raise CarrierError("a wrong proof of RESUMED")
        self._went(answer)
        offset = session.received
        self._send(self._went(self._proven(session.client_key, CONFIRM, offset, b"")))
        self.session = session
        if self._resumes:
            session.attach(self, self._epoch, answer.offset, self._least)
        else:
            session.attach(self, 1, 0, 0)
        while True:
            frame = yield from self._frame(SESSION_TYPES if self.stands else SESSION_TYPES | {REJECT})
            if frame.type == REJECT:
                raise self._refused(frame)
            self.stands = True
            if session.carrier is self:
                session.handle(frame)

    def _welcome(self, answer):
        payload = answer.payload
        features, window, expiry, keepalive = struct.unpack_from(">IIII", payload, 80)
        shared = x25519(self._private, payload[48:80])
        keys = session_keys(self._hash(answer.encode()[:-32]), shared)
        session = Session(payload[:16], *keys, window, expiry, keepalive, self.end.greeting)
        if not self._is_proven(session.server_key, answer):
            raise CarrierError("a wrong proof of WELCOME")
        if features or not WINDOW_LEAST <= window <= self.end.window or expiry > self.end.expiry:
            raise CarrierError("a WELCOME beyond what was wished")
        return session

    def _refused(self, frame):
        code, wait, length = struct.unpack_from(">HIH", frame.payload)
        if len(frame.payload) != 40 + length:
            raise CarrierError("a REJECT whose length does not fit")
        session = self.session or self._resumes
        proven = session is not None and self._is_proven(session.server_key, frame)
        if code not in (BUSY, NOT_ALLOWED) and not (code in (EXPIRED, MOVED, RESOURCES) and proven):
            code = REFUSED
        return Refused(code, wait, frame.payload[8:8 + length].decode(errors="replace"))


class Server(End):
    """What a server knows: its sessions too."""

    def __init__(self, **wishes):
        super().__init__(**wishes)
        self.sessions = {}
        # Asked about each HELLO (without a session) and RESUME: (code, wait, text) of a REJECT, or None.
        self.refuse = lambda session: None

    def expire(self, now):
        """Ends sessions that were too long without carrier, and forgets those that are over."""
        for session in list(self.sessions.values()):
            if session.over_at is None:
                suspended = session.suspended_at
                if suspended is not None and now - suspended >= session.expiry:
                    session.failure = session.failure or (3, "expired", "here")
                if session.failure or session.closed:
                    session.over_at = now
            elif now - session.over_at >= min(REMEMBERED, session.expiry):
                del self.sessions[session.id]


class ServerCarrier(Carrier):
    """A carrier that somebody has opened to this end."""

    role = "server"

    def _bytes(self):
        end = self.end
        preface = yield from take(self._raw, 12)
        if preface[:8] != MAGIC or preface[11] != 0:
            raise CarrierError("this is not a session's client")
        self._client_preface, self._server_preface = preface, end.preface()
        self.out += self._server_preface
        if preface[8] != end.mode or not preface[9] <= 1 <= preface[10]:
            raise CarrierError(f"the client speaks mode {preface[8]}, versions {preface[9]} to {preface[10]}")
        if end.mode == OPEN:
            self._binding = bytes(32)
            return
        ec = yield from take(self._raw, 32)
        private, es = self._new_key("sealSecret")
        end.log_key(es, private)
        kclient, kserver, self._binding = seal_keys(
            preface, ec, self._server_preface, es, x25519(private, ec), end.shared_key)
        reader, self._writer = SealReader(kclient), SealWriter(kserver)
        self.out += es + self._writer.seal(self._identity())
        self.peer_key = self._check_identity((yield from reader.record(self._raw, MOST_UNPROVEN)), "client")
        while True:
            self._plain += yield from reader.record(self._raw, 65564 if self.stands else MOST_UNPROVEN)
            yield

    def _talk(self):
        # An open carrier must not take the preface for a frame.
        while self._binding is None:
            yield
        first = yield from self._turn({HELLO, RESUME})
        if self.end.mode == SEALED and self.end.allowed and self.peer_key not in self.end.allowed:
            self._reject(NOT_ALLOWED)
        if first.type == HELLO:
            self._reject_if_told(None)
        answer = self._hello if first.type == HELLO else self._resume
        session, epoch = answer(self._went(first))
        confirm = yield from self._frame({CONFIRM})
        # By now a carrier of a higher epoch may be the current one, and the session may be gone.
        if not self._is_proven(session.client_key, confirm) or epoch <= session.epoch or session.failure:
            self._reject(REFUSED)
        self.session, self.stands = session, True
        session.attach(self, epoch, confirm.offset, session.acknowledged)
        while True:
            frame = yield from self._frame(SESSION_TYPES)
            if session.carrier is self:
                session.handle(frame)

    def _hello(self, frame):
        end, payload = self.end, frame.payload
        _, window, expiry, keepalive = struct.unpack_from(">IIII", payload, 64)
        if not WINDOW_LEAST <= window <= WINDOW_MOST:
            raise CarrierError(f"a window of {window} bytes")
        window, expiry = min(window, end.window), min(expiry, end.expiry)
        keepalive = min(filter(None, (keepalive, end.keepalive)), default=0)
        private, public = self._new_key("secret")
        id = end.random("id", 16)
        body = id + end.random("nonce", 32) + public + struct.pack(">IIII", 0, window, expiry, keepalive)
        unproven = Frame(WELCOME, 0, body + NO_PROOF).encode()[:-32]
        keys = session_keys(self._hash(unproven), x25519(private, payload[32:64]))
        session = Session(id, *keys, window, expiry, keepalive, payload[80:])
        session.suspended_at = self.now
        end.sessions[id] = session
        self._send(self._went(self._proven(session.server_key, WELCOME, 0, body)))
        return session, 1

    def _resume(self, frame):
        session = self.end.sessions.get(frame.payload[:16])
        epoch, = struct.unpack_from(">I", frame.payload, 16)
        # The work is the same where there is no such session.
        self._frames.pop()
        right = self._is_proven(session.client_key if session else bytes(32), frame)
        self._went(frame)
        if not session or not right or epoch <= max(1, session.epoch):
            self._reject(REFUSED)
        self._reject_if_told(session)
        if session.failure:
            self._reject(EXPIRED, session.server_key)
        answer = self._proven(session.server_key, RESUMED, session.received, self.end.random("nonce", 32))
        self._send(self._went(answer))
        return session, epoch

    def _reject_if_told(self, session):
        code, wait, text = self.end.refuse(session) or (0, 0, "")
        if code:
            self._reject(code, session and session.server_key, wait, text)

    def _reject(self, code, key=None, wait=0, text=""):
        body = struct.pack(">HIH", code, wait, len(text.encode())) + text.encode()
        self._send(self._proven(key, REJECT, 0, body) if key else Frame(REJECT, 0, body + NO_PROOF))
        raise CarrierError(f"refused with code {code}")
