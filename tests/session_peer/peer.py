"""A program that speaks the session protocol, for tests of other implementations.

    python3 peer.py --listen 127.0.0.1:0 --echo
    python3 peer.py --connect 127.0.0.1:7000 --send 1000000 --cut 5000,70000 --sealed --shared-key HEX

It prints JSON lines: {"type": "listening", "address"}, then for each session {"type": "session"}, {"type": "carrier"}
(one is current), {"type": "lost"} (a carrier is), {"type": "refused"}, {"type": "end", "sent", "received", "sha256",
"resumes", "reason", ...}. A client ends with its session, by 0 if it was closed and 1 if it was lost; a server
ends when its standard input does. JSON lines on standard input tell it what to do meanwhile, see `Peer.obey()`.
"""

import argparse
import hashlib
import json
import os
import selectors
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True

from holdfast_session import ClientCarrier, End, Server, ServerCarrier, ed25519_public

TICK = 0.05
HANDSHAKE_LIMIT = 5.0


def pattern(start, count):
    """Bytes that tell where they stand: byte i is byte i mod 32 of SHA-256(i div 32 as u64)."""
    first = start // 32
    blocks = (hashlib.sha256(struct.pack(">Q", n)).digest() for n in range(first, (start + count + 31) // 32))
    return b"".join(blocks)[start - first * 32:start - first * 32 + count]


class Application:
    """What is behind a session: sends a pattern or echoes, counts and hashes what comes."""

    def __init__(self, args):
        self.echo = args.echo
        self.to_send = args.send
        self.finishing = args.send > 0 and not args.keep_open
        self.pause_at = args.pause_at
        self.paused = False
        self.sent = self.received = 0
        self.intact = True
        self.sent_hash, self.received_hash = hashlib.sha256(), hashlib.sha256()
        self.ended = self.reported = False

    def step(self, session, now):
        """Writes and reads what can be now."""
        while self.to_send and session.writable():
            self._write(session, pattern(self.sent, min(self.to_send, session.writable(), 65536)))
        while not self.paused and session.available():
            most = min(session.available(), 65536)
            if self.pause_at is not None:
                most = min(most, self.pause_at - self.received)
                if most == 0:
                    self.paused, self.pause_at = True, None
                    say("paused", received=self.received)
                    break
            if self.echo:
                most = min(most, session.writable())
                if most == 0:
                    break
            data = session.read(most, now)
            self.intact = self.intact and data == pattern(self.received, len(data))
            self.received += len(data)
            self.received_hash.update(data)
            if self.echo:
                self._write(session, data)
        if not self.paused and not self.ended and session.read_end():
            self.ended = True
            self.finishing = self.finishing or self.echo
        if self.finishing and not self.to_send:
            session.finish()

    def _write(self, session, data):
        session.write(data)
        self.sent_hash.update(data)
        self.sent += len(data)
        self.to_send = max(0, self.to_send - (0 if self.echo else len(data)))


class Link:
    """A socket with its carrier, which may be told to cut itself."""

    def __init__(self, sock, carrier, cut_at, now):
        self.sock, self.carrier, self.cut_at = sock, carrier, cut_at
        self.read = self.written = 0
        self.opened = self.heard = self.pinged = now
        self.current = False  # whether it has been announced
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def left(self):
        """How many bytes may still go either way before the cut."""
        return 1 << 30 if self.cut_at is None else self.cut_at - self.read - self.written

    def receive(self, now):
        """Why the carrier is lost, or None."""
        try:
            data = self.sock.recv(min(262144, max(1, self.left())))
        except BlockingIOError:
            return None
        except OSError as error:
            return str(error)
        if not data:
            return "end of stream"
        self.read += len(data)
        self.heard = now
        self.carrier.receive(data, now)
        return None

    def send(self, now):
        """Why the carrier is lost, or None."""
        self.carrier.pump(now)
        out = self.carrier.out
        while out and self.left() > 0:
            try:
                count = self.sock.send(out[:min(len(out), self.left())])
            except BlockingIOError:
                break
            except OSError as error:
                return str(error)
            self.written += count
            del out[:count]
            self.carrier.pump(now)
        return None

    def close(self, reset):
        if reset and self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Peer:
    def __init__(self, args):
        self.args = args
        self.is_server = args.listen is not None
        self.end = make_end(args)
        self.cuts = [int(cut) for cut in args.cut.split(",") if cut]
        self.links = []
        self.applications = {}
        self.session = None  # of a client
        self.selector = selectors.PollSelector()
        self.listener = None
        self.retry_at = self.started = time.monotonic()
        self.stdin = b""
        self.done = None  # the exit code

    def run(self):
        if self.args.stdin:
            self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self.listen_to_stdin)
        if self.is_server:
            self.listener, where = listen(self.args.listen)
            self.selector.register(self.listener, selectors.EVENT_READ, self.accept)
            say("listening", address=where, pid=os.getpid(), key=self.own_key())
        while self.done is None:
            if not self.is_server:
                self.connect_if_due()
            for key, events in self.selector.select(TICK):
                if isinstance(key.data, Link):
                    self.touch(key.data, events)
                else:
                    key.data()
            self.step()
        for link in self.links:
            link.close(False)
        if self.args.listen and self.args.listen.startswith("unix:"):
            os.unlink(self.args.listen[5:])
        return self.done

    def own_key(self):
        return ed25519_public(self.end.private_key).hex() if self.end.private_key else None

    # Carriers

    def accept(self):
        sock, _ = self.listener.accept()
        now = time.monotonic()
        self.add(sock, ServerCarrier(self.end, now), now)

    def connect_if_due(self, beside=False):
        """A carrier where there is none, or one more."""
        now = time.monotonic()
        if not beside and (self.links or now < self.retry_at):
            return
        self.retry_at = now + TICK
        try:
            sock = connect(self.args.connect)
        except OSError as error:
            say("lost", reason=str(error), epoch=None)
            return
        self.add(sock, ClientCarrier(self.end, now, self.session), now)

    def add(self, sock, carrier, now):
        link = Link(sock, carrier, self.cuts.pop(0) if self.cuts else None, now)
        self.links.append(link)
        self.selector.register(sock, selectors.EVENT_READ, link)
        self.touch(link, 0)

    def touch(self, link, events):
        """Lets a carrier read and write."""
        now = time.monotonic()
        lost = link.receive(now) if events & selectors.EVENT_READ else None
        carrier = link.carrier
        session = carrier.session
        if session and not link.current:
            link.current = True
            if not self.is_server:
                self.session = session
            if session not in self.applications:
                self.applications[session] = Application(self.args)
                say("session", id=session.id.hex(), greeting=session.greeting.decode(errors="replace"),
                    window=session.window, peer=carrier.peer_key.hex() if carrier.peer_key else None)
            say("carrier", epoch=session.epoch)
        if carrier.refusal:
            say("refused", code=carrier.refusal.code, wait=carrier.refusal.wait, reason=str(carrier.refusal))
            self.refused(carrier.refusal, session or self.session, carrier)
        if session and session.carrier is carrier:
            self.applications[session].step(session, now)
        lost = link.send(now) or lost
        if lost or link.left() <= 0:
            self.drop(link, lost or "cut", reset=not lost)
        elif carrier.ending and not carrier.out:
            self.drop(link, carrier.ending)
        else:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if carrier.out else 0)
            self.selector.modify(link.sock, wanted, link)

    def drop(self, link, reason, reset=False):
        if link not in self.links:
            return
        self.links.remove(link)
        self.selector.unregister(link.sock)
        link.close(reset)
        session = link.carrier.session
        current = session is not None and session.carrier is link.carrier
        if session:
            session.detach(link.carrier, time.monotonic())
        say("lost", reason=reason, epoch=session.epoch if current else None)
        # The server closes the carrier of a closed session; if that is a reset, it may be something else.
        if not self.is_server and current and session.closed and reason == "end of stream":
            self.finish(session)

    def refused(self, refusal, session, carrier):
        """What a client does about REJECT."""
        if refusal.code == 2:
            self.retry_at = time.monotonic() + refusal.wait / 1000
        elif session is None:
            self.done = 1
        elif session.carrier in (None, carrier):
            if not session.closed:
                session.failure = session.failure or (refusal.code, str(refusal), "there")
            self.finish(session)

    # Sessions

    def step(self):
        now = time.monotonic()
        for link in list(self.links):
            carrier, session = link.carrier, link.carrier.session
            if session is None or not carrier.stands:
                if now - link.opened > HANDSHAKE_LIMIT:
                    self.drop(link, "no handshake")
            elif session.carrier is not carrier and session.carrier and session.carrier.stands:
                self.drop(link, "superseded")
            elif session.failure and session.failure[2] == "there" or self.is_server and session.closed:
                if not carrier.out:
                    self.drop(link, "the session is over")
            elif session.keepalive and not self.is_server:
                self.keep_alive(link, session, now)
            if link in self.links:
                self.touch(link, 0)
        if self.is_server:
            self.end.expire(now)
            for session in list(self.applications):
                if session.over_at is not None:
                    self.finish(session)
        elif self.session is None:
            if now - self.started > self.args.expiry / 1000:
                say("end", reason="no server")
                self.done = 1
        else:
            suspended = self.session.suspended_at
            if suspended is not None and now - suspended > self.session.expiry:
                self.session.failure = self.session.failure or (3, "expired", "here")
            if self.session.failure and not self.links:
                self.finish(self.session)

    def keep_alive(self, link, session, now):
        if now - max(link.heard, link.pinged) >= session.keepalive:
            link.pinged = now
            session.ping(int(now * 1000))
        if now - link.heard >= session.keepalive + self.args.patience / 1000:
            self.drop(link, "silence", reset=True)

    def finish(self, session):
        application = self.applications[session]
        if not application.reported:
            application.reported = True
            self.report("end", session, application)
        if self.is_server:
            # A carrier of it that comes late must not make a new application.
            if session.id not in self.end.sessions:
                del self.applications[session]
        else:
            self.done = 1 if session.failure else 0

    def report(self, type, session, application):
        code, reason, where = session.failure or (None, "closed" if session.closed else "live", None)
        say(type, id=session.id.hex(), sent=application.sent, received=application.received,
            sha256=application.received_hash.hexdigest(), sentSha256=application.sent_hash.hexdigest(),
            intact=application.intact, acknowledged=session.acknowledged, resumes=session.carriers - 1,
            epoch=session.epoch, code=code, reason=reason, where=where)

    # Commands

    def listen_to_stdin(self):
        data = os.read(sys.stdin.fileno(), 65536)
        if not data:
            self.selector.unregister(sys.stdin.fileno())
            if self.is_server:
                self.done = 0
            return
        *lines, self.stdin = (self.stdin + data).split(b"\n")
        for line in lines:
            self.obey(json.loads(line))

    def obey(self, command):
        """{"do": "send", "count"}, "finish", "pause", "continue", "cut", "resume", "abort", "report", "quit"."""
        do = command["do"]
        if do == "quit":
            self.done = 0
        elif do == "resume":
            self.connect_if_due(beside=True)
        elif do == "cut":
            for link in list(self.links):
                self.drop(link, "cut", reset=True)
        for session, application in list(self.applications.items()):
            if application.reported:
                continue
            if do == "send":
                application.to_send += command["count"]
            elif do == "finish":
                application.finishing = True
            elif do in ("pause", "continue"):
                application.paused = do == "pause"
            elif do == "abort":
                session.abort(command["code"], command["reason"])
            elif do == "report":
                self.report("report", session, application)


def make_end(args):
    log = open(args.key_log, "a") if args.key_log else None

    def log_key(public, private):
        if log:
            log.write(json.dumps({"public": public.hex(), "private": private.hex()}) + "\n")
            log.flush()

    unhex = lambda text: bytes.fromhex(text) if text else None
    kind = Server if args.listen else End
    return kind(window=args.window, expiry=args.expiry, keepalive=args.keepalive, greeting=args.greeting.encode(),
                sealed=args.sealed, shared_key=unhex(args.shared_key) or b"", private_key=unhex(args.private_key),
                pinned=unhex(args.pin), allowed=[unhex(key) for key in args.allow], log_key=log_key)


def listen(where):
    if where.startswith("unix:"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(where[5:])
        listener.listen(128)
        return listener, where
    host, port = where.rsplit(":", 1)
    listener = socket.create_server((host.strip("[]"), int(port)), family=family_of(host), backlog=128)
    return listener, f"{host}:{listener.getsockname()[1]}"


def connect(where):
    if where.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(where[5:])
        return sock
    host, port = where.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout=5)


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def say(type, **fields):
    print(json.dumps({"type": type, **fields}), flush=True)


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--listen", metavar="ADDRESS", help="HOST:PORT or unix:PATH; this is the server")
    where.add_argument("--connect", metavar="ADDRESS", help="HOST:PORT or unix:PATH; this is the client")
    parser.add_argument("--echo", action="store_true", help="send what comes, end when it ends")
    parser.add_argument("--send", type=int, default=0, metavar="N", help="send N bytes, see pattern(), and FIN")
    parser.add_argument("--keep-open", action="store_true", help="no FIN until told so")
    parser.add_argument("--pause-at", type=int, metavar="N", help="consume N bytes, then wait for \"continue\"")
    parser.add_argument("--cut", default="", metavar="K,...", help="reset the 1st, 2nd ... carrier after K bytes")
    parser.add_argument("--window", type=int, default=4 * 1024 * 1024, help="bytes")
    parser.add_argument("--expiry", type=int, default=60_000, help="milliseconds")
    parser.add_argument("--keepalive", type=int, default=0, help="milliseconds")
    parser.add_argument("--patience", type=int, default=2000, help="milliseconds that a PING may wait for any answer")
    parser.add_argument("--greeting", default="")
    parser.add_argument("--sealed", action="store_true")
    parser.add_argument("--shared-key", metavar="HEX", help="32 bytes")
    parser.add_argument("--private-key", metavar="HEX", help="this end's Ed25519 key, 32 bytes")
    parser.add_argument("--pin", metavar="HEX", help="the server's Ed25519 public key, for a client")
    parser.add_argument("--allow", action="append", default=[], metavar="HEX", help="a client's, for a server")
    parser.add_argument("--key-log", metavar="FILE", help="append the X25519 key of each sealed carrier")
    parser.add_argument("--no-stdin", dest="stdin", action="store_false", help="take no commands, run until killed")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(Peer(parse()).run())
