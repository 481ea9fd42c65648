"""The program peer.py against itself over real sockets, and what decrypt.py reads of it."""

import collections
import hashlib
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)

import decrypt
import holdfast_session as hs
from peer import pattern

SHARED = bytes(range(32)).hex()
SERVER_KEY, CLIENT_KEY = (b"s" * 32), (b"c" * 32)
SHARED_SEAL = ["--sealed", "--shared-key", SHARED]
KINDS = {
    "open": ([], []),
    "sealed by a shared key": (SHARED_SEAL, SHARED_SEAL),
    "sealed by key pairs": (
        ["--sealed", "--pin", hs.ed25519_public(SERVER_KEY).hex(), "--private-key", CLIENT_KEY.hex()],
        ["--sealed", "--private-key", SERVER_KEY.hex(), "--allow", hs.ed25519_public(CLIENT_KEY).hex()]),
}


class Program:
    """peer.py as a process: lines in, lines out."""

    def __init__(self, *args):
        self.process = subprocess.Popen([sys.executable, os.path.join(FOLDER, "peer.py"), *map(str, args)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Whatever goes wrong, the test ends.
        self.limit = threading.Timer(60, self.process.kill)
        self.limit.start()

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error:
            self.process.kill()
        self.process.stdin.close()
        self.code = self.process.wait()
        self.limit.cancel()
        self.process.stdout.close()

    def tell(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def until(self, type):
        """The next line of that type, and all of those before it."""
        before = []
        for text in self.process.stdout:
            line = json.loads(text)
            if line["type"] == type:
                return line, before
            before.append(line)
        raise AssertionError(f"ended without \"{type}\": {before}")


class Tap:
    """A proxy that records what goes over each carrier."""

    def __init__(self, target):
        host, port = target.split(":")
        self.target = host, int(port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.carriers = []
        self.threads = []
        self.sockets = []
        self.run(self.accept)

    def run(self, function, *args):
        thread = threading.Thread(target=function, args=args)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            self.sockets += [client, server]
            recorded = bytearray(), bytearray()
            self.carriers.append(recorded)
            self.run(self.copy, client, server, recorded[0])
            self.run(self.copy, server, client, recorded[1])

    def copy(self, source, target, recorded):
        try:
            while data := source.recv(65536):
                recorded += data
                target.sendall(data)
        except OSError:
            # The one that was reset has the other one reset, so that nobody takes it for a close.
            target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # The other thread waits on this one: a close alone would not end that.
            try:
                target.shutdown(socket.SHUT_RD)
            except OSError:
                pass
            target.close()
            return
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def refuse(self):
        """Lets nobody through any more."""
        if self.listener.fileno() != -1:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()

    def close(self):
        """Waits for the end of all carriers."""
        self.refuse()
        for thread in self.threads:
            thread.join()
        for sock in self.sockets:
            sock.close()


class PeerTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="holdfast-session-")
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def run_pair(self, server_args, client_args, where="127.0.0.1:0"):
        """The client's last line, the server's, and the client's lines before."""
        with Program("--listen", where, *server_args) as server:
            address = server.until("listening")[0]["address"]
            with Program("--connect", address, *client_args) as client:
                mine, before = client.until("end")
            theirs, _ = server.until("end")
        self.assertEqual((client.code, server.code), (0, 0))
        return mine, theirs, before

    def whole(self, mine, theirs, sent, received):
        for line, out, back in ((mine, sent, received), (theirs, received, sent)):
            self.assertEqual((line["sent"], line["received"], line["reason"]), (out, back, "closed"))
            self.assertEqual(line["sha256"], hashlib.sha256(pattern(0, back)).hexdigest())
            self.assertTrue(line["intact"])

    def test_nothing_is_lost_when_both_ends_cut_their_carriers(self):
        rng = random.Random(7)
        cuts = lambda: ",".join(str(rng.choice((rng.randrange(1, 700), rng.randrange(1, 150000)))) for _ in range(6))
        for kind, where in (("open", "127.0.0.1:0"), ("sealed by a shared key", "[::1]:0"),
                            ("sealed by key pairs", "unix:" + self.path("server.sock"))):
            with self.subTest(kind=kind, where=where):
                client, server = KINDS[kind]
                mine, theirs, _ = self.run_pair(
                    [*server, "--send", 700000, "--cut", cuts()],
                    [*client, "--send", 900000, "--cut", cuts()], where)
                self.whole(mine, theirs, 900000, 700000)
                self.assertGreater(mine["resumes"], 0)

    def test_an_echo_comes_back_through_a_small_window(self):
        mine, theirs, _ = self.run_pair(["--echo"], ["--send", 1000000, "--window", 65536, "--cut", "400000,30000"])
        self.whole(mine, theirs, 1000000, 1000000)
        self.assertEqual((mine["resumes"], mine["epoch"]), (2, 3))

    def test_a_reader_that_pauses_holds_the_sender_back(self):
        with Program("--listen", "127.0.0.1:0", "--send", 10, "--pause-at", 100000, "--window", 65536) as server:
            address = server.until("listening")[0]["address"]
            with Program("--connect", address, "--send", 1000000) as client:
                self.assertEqual(server.until("paused")[0]["received"], 100000)
                # A new carrier brings no more either.
                client.tell(do="resume")
                client.until("lost")
                server.until("lost")
                # Until what was sent has settled there is nothing to wait for but the counts.
                held = 0
                while held < 100000 + 65536:
                    client.tell(do="report")
                    held = client.until("report")[0]["sent"]
                self.assertEqual(held, 100000 + 65536)
                server.tell(do="report")
                self.assertEqual(server.until("report")[0]["received"], 100000)
                server.tell(do="continue")
                mine, _ = client.until("end")
            theirs, _ = server.until("end")
        self.whole(mine, theirs, 1000000, 10)

    def test_a_new_carrier_takes_over_while_bytes_flow(self):
        with Program("--listen", "127.0.0.1:0", "--echo") as server:
            address = server.until("listening")[0]["address"]
            with Program("--connect", address, "--send", 100000, "--keep-open") as client:
                client.until("carrier")
                for epoch in range(2, 8):
                    client.tell(do="send", count=300000)
                    client.tell(do="resume")
                    self.assertEqual(client.until("carrier")[0]["epoch"], epoch)
                client.tell(do="finish")
                mine, _ = client.until("end")
            theirs, _ = server.until("end")
        self.whole(mine, theirs, 1900000, 1900000)

    def test_a_server_that_is_silent_is_left_for_a_new_carrier(self):
        with Program("--listen", "127.0.0.1:0", "--echo") as server:
            address = server.until("listening")[0]["address"]
            with Program("--connect", address, "--send", 5000, "--keep-open", "--keepalive", 50,
                         "--patience", 200) as client:
                client.until("carrier")
                # The handshake is over on both ends when the echo is back.
                came = 0
                while came < 5000:
                    client.tell(do="report")
                    came = client.until("report")[0]["received"]
                server.process.send_signal(signal.SIGSTOP)
                try:
                    self.assertEqual(client.until("lost")[0]["reason"], "silence")
                finally:
                    server.process.send_signal(signal.SIGCONT)
                client.until("carrier")
                client.tell(do="finish")
                mine, _ = client.until("end")
            theirs, _ = server.until("end")
        self.whole(mine, theirs, 5000, 5000)
        self.assertGreater(mine["resumes"], 0)

    def test_a_client_that_is_not_let_in_is_told(self):
        client_args, server_args = KINDS["sealed by key pairs"]
        with Program("--listen", "127.0.0.1:0", *server_args) as server:
            address = server.until("listening")[0]["address"]
            with Program("--connect", address, *client_args[:3]) as client:
                self.assertEqual(client.until("refused")[0]["code"], hs.NOT_ALLOWED)
        self.assertEqual(client.code, 1)

    def test_an_abort_ends_both(self):
        with Program("--listen", "127.0.0.1:0", "--echo") as server:
            address = server.until("listening")[0]["address"]
            with Program("--connect", address, "--send", 5000, "--keep-open") as client:
                client.until("carrier")
                client.tell(do="abort", code=4, reason="reset")
                mine, _ = client.until("end")
            theirs, _ = server.until("end")
        self.assertEqual(client.code, 1)
        self.assertEqual([mine[key] for key in ("code", "reason", "where")], [4, "reset", "here"])
        self.assertEqual([theirs[key] for key in ("code", "reason", "where")], [4, "reset", "there"])

    def test_a_session_without_carrier_expires_on_both_ends(self):
        with Program("--listen", "127.0.0.1:0", "--expiry", 300) as server:
            address = server.until("listening")[0]["address"]
            tap = Tap(address)
            with Program("--connect", tap.address, "--keep-open", "--send", 5) as client:
                client.until("carrier")
                tap.refuse()
                client.tell(do="cut")
                self.assertEqual(client.until("end")[0]["reason"], "expired")
            self.assertEqual(server.until("end")[0]["reason"], "expired")
            tap.close()

    def test_a_recorded_carrier_is_read_with_the_key_of_either_end_and_by_nothing_else(self):
        for kind in ("sealed by a shared key", "sealed by key pairs"):
            client_args, server_args = KINDS[kind]
            logs = [self.path(name + kind) for name in ("client", "server")]
            with Program("--listen", "127.0.0.1:0", "--echo", *server_args, "--key-log", logs[1]) as server:
                tap = Tap(server.until("listening")[0]["address"])
                with Program("--connect", tap.address, "--send", 300000, "--cut", "200000", *client_args,
                             "--key-log", logs[0]) as client:
                    mine, _ = client.until("end")
                tap.close()
            self.assertEqual((mine["reason"], mine["resumes"], len(tap.carriers)), ("closed", 1, 2))
            shared = bytes.fromhex(SHARED) if kind == "sealed by a shared key" else b""
            recordings = [tuple(map(bytes, carrier)) for carrier in tap.carriers]
            for log in logs:
                keys = decrypt.read_key_log(log)
                self.assertEqual(len(keys), 2)
                came, types = {}, collections.Counter()
                for carrier in recordings:
                    plain, _ = decrypt.decrypt(*carrier, keys, shared)
                    for type, offset, payload in decrypt.frames(plain):
                        types[hs.NAMES[type]] += 1
                        if type == hs.DATA:
                            came[offset] = payload
                data = bytearray()
                for offset in sorted(came):
                    data += came[offset][len(data) - offset:]
                self.assertEqual(bytes(data), pattern(0, 300000))
                for type in ("HELLO", "CONFIRM", "RESUME", "FIN"):
                    self.assertGreater(types[type], 0, type)
            keys = decrypt.read_key_log(logs[0])
            with self.assertRaisesRegex(hs.CarrierError, "neither end is in the key log"):
                decrypt.decrypt(*recordings[0], {}, shared)
            with self.assertRaisesRegex(hs.CarrierError, "does not open"):
                decrypt.decrypt(*recordings[0], keys, b"x" * 32)
            for carrier in recordings:
                for direction in carrier:
                    self.assertNotIn(pattern(320, 32), direction)
            self.check_program(recordings[0], logs[0], shared)

    def check_program(self, carrier, log, shared):
        """decrypt.py with files and with a pcap, with and without the key."""
        files = [self.path(name) for name in ("client.bin", "server.bin")]
        for path, data in zip(files, carrier):
            with open(path, "wb") as file:
                file.write(data)
        pcap = self.path("one.pcap")
        with open(pcap, "wb") as file:
            file.write(make_pcap(*carrier))
        outputs = []
        for source in (files, ["--pcap", pcap]):
            args = [sys.executable, os.path.join(FOLDER, "decrypt.py"), *source, "--shared-key", shared.hex()]
            good = subprocess.run([*args, "--key-log", log], capture_output=True, text=True)
            self.assertEqual(good.returncode, 0, good.stderr + good.stdout[-300:])
            self.assertIn('"type": "HELLO"', good.stdout)
            outputs.append(good.stdout)
            bad = subprocess.run(args, capture_output=True, text=True)
            self.assertEqual(bad.returncode, 1)
            self.assertIn("neither end is in the key log", bad.stdout)
        self.assertEqual(*outputs)


def make_pcap(client, server):
    """A recording as tcpdump makes it on Ethernet, with a segment that is sent twice and two in the wrong order."""
    out = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))

    def packet(from_client, sequence, flags, payload=b""):
        ports = (40000, 7000) if from_client else (7000, 40000)
        addresses = (bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)))[::1 if from_client else -1]
        tcp = struct.pack(">HHIIBBHHH", *ports, sequence & 0xFFFFFFFF, 0, 5 << 4, flags, 65535, 0, 0) + payload
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + addresses[0] + addresses[1] + tcp
        # Short frames are padded on the wire.
        frame = bytes(12) + b"\x08\x00" + ip + bytes(max(0, 46 - len(ip)))
        out.extend(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)

    starts = 0xFFFFFF00, 77  # the first numbers; the client's goes around
    packet(True, starts[0], 0x02)
    packet(False, starts[1], 0x12)
    for from_client, data, start in ((True, client, starts[0] + 1), (False, server, starts[1] + 1)):
        parts = [(start + at, data[at:at + 1400]) for at in range(0, len(data), 1400)]
        parts[1:3] = [parts[2], parts[1], parts[1]] if len(parts) > 2 else parts[1:3]
        for sequence, payload in parts:
            packet(from_client, sequence, 0x18, payload)
    return bytes(out)


if __name__ == "__main__":
    unittest.main()
