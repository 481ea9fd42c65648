"""Reads a recorded sealed carrier with the key log of one of its ends, or fails without.

    python3 decrypt.py --key-log FILE [--shared-key HEX] CLIENT_BYTES SERVER_BYTES
    python3 decrypt.py --key-log FILE [--shared-key HEX] --pcap FILE [--port N]

The two files hold the raw bytes of each direction; a pcap comes from `tcpdump -w`. Both ends make a new X25519 key
for each carrier, so the shared key alone opens nothing: the private key of one end must have been logged, as
`peer.py --key-log` does ({"public", "private"} in hex, one line for each carrier).

Prints a JSON line for each frame: {"carrier", "from", "type", "offset", "length"}, and for each carrier the hash of
the bytes in its DATA frames. Exit code 1 and {"type": "error"} where a carrier cannot be read.
"""

import argparse
import hashlib
import json
import struct
import sys

sys.dont_write_bytecode = True

from holdfast_session import (
    DATA, MAGIC, NAMES, OPEN, CarrierError, SealReader, Violation, decode_header, seal_keys, x25519, x25519_public)

# The length of what stands before the IP header, by link type: loopback, Ethernet, raw, Linux cooked 1 and 2.
LINK_HEADERS = {0: 4, 1: 14, 101: 0, 113: 16, 276: 20}


def decrypt(client, server, private_keys, shared_key=b""):
    """(plaintext of the client, of the server) with identity records left out.

    `private_keys` are found by their public keys. What ends in the middle of a record is read up to there, and a
    carrier that was cut before both keys went over it holds nothing.
    """
    for name, data in (("client", client), ("server", server)):
        if data[:8] != MAGIC[:len(data)]:
            raise CarrierError(f"the bytes of the {name} are no carrier of a session")
        if data[8:9] == bytes((OPEN,)):
            raise CarrierError("an open carrier has nothing to decrypt")
    if len(client) < 44 or len(server) < 44:
        return b"", b""
    ec, es = client[12:44], server[12:44]
    if ec in private_keys:
        exchanged = x25519(private_keys[ec], es)
    elif es in private_keys:
        exchanged = x25519(private_keys[es], ec)
    else:
        raise CarrierError("the X25519 key of neither end is in the key log")
    kclient, kserver, _ = seal_keys(client[:12], ec, server[:12], es, exchanged, shared_key)
    return open_records(kclient, client[44:]), open_records(kserver, server[44:])


def open_records(key, data):
    plain, at, reader = [], 0, SealReader(key)
    while at + 4 <= len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        if at + 4 + size > len(data):
            break
        plain.append(reader.open(data[at:at + 4], data[at + 4:at + 4 + size]))
        at += 4 + size
    # The first record says who it is, the others are the bytes of the carrier.
    return b"".join(plain[1:])


def frames(plain):
    """(type, offset, payload) of all whole frames."""
    at = 0
    while at + 12 <= len(plain):
        kind, length, offset = decode_header(plain[at:at + 12])
        if at + 12 + length > len(plain):
            return
        yield kind, offset, plain[at + 12:at + 12 + length]
        at += 12 + length


def read_key_log(path):
    """The private keys by their public keys."""
    with open(path) as lines:
        keys = [bytes.fromhex(json.loads(line)["private"]) for line in lines if line.strip()]
    return {x25519_public(private): private for private in keys}


def read_pcap(data, port=None):
    """The TCP connections in a pcap: (bytes of who connected, of the other), in the order of their SYN."""
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}
    if data[:4] not in order:
        raise CarrierError("this is no pcap file")
    order = order[data[:4]]
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    if link not in LINK_HEADERS:
        raise CarrierError(f"a pcap of link type {link}")
    directions, opened, at = {}, [], 24
    while at + 16 <= len(data):
        size, = struct.unpack_from(order + "I", data, at + 8)
        segment = parse_tcp(data[at + 16 + LINK_HEADERS[link]:at + 16 + size])
        at += 16 + size
        if segment is None:
            continue
        source, target, sequence, flags, payload = segment
        if port is not None and port not in (source[1], target[1]):
            continue
        if flags & 0x02:
            if directions.get((source, target), (None,))[0] == sequence + 1:
                continue  # a SYN that was sent twice
            directions[source, target] = (sequence + 1, [])
            if not flags & 0x10:
                opened.append((source, target, directions[source, target]))
        elif payload and (source, target) in directions:
            directions[source, target][1].append((sequence, payload))
    return [(reassemble(*mine), reassemble(*directions.get((target, source), (0, []))))
            for source, target, mine in opened]


def parse_tcp(packet):
    """((address, port), (address, port), sequence number, flags, payload), or None for anything else."""
    if len(packet) < 20:
        return None
    if packet[0] >> 4 == 4 and packet[9] == 6:
        start, end = (packet[0] & 15) * 4, struct.unpack_from(">H", packet, 2)[0]
        source, target = packet[12:16], packet[16:20]
    elif packet[0] >> 4 == 6 and packet[6] == 6 and len(packet) >= 40:
        start, end = 40, 40 + struct.unpack_from(">H", packet, 4)[0]
        source, target = packet[8:24], packet[24:40]
    else:
        return None
    if len(packet) < start + 20:
        return None
    from_port, to_port, sequence = struct.unpack_from(">HHI", packet, start)
    offset, flags = packet[start + 12] >> 4, packet[start + 13]
    # A length of 0 is a packet that the sender's hardware was to cut up: all that was recorded is its own.
    payload = packet[start + offset * 4:end if end > start else len(packet)]
    return (source, from_port), (target, to_port), sequence, flags, payload


def reassemble(first, segments):
    """The bytes of one direction up to the first gap; what was sent twice counts once."""
    data = bytearray()
    distance = lambda sequence: (sequence - first) & 0xFFFFFFFF
    for sequence, payload in sorted(segments, key=lambda segment: distance(segment[0])):
        start = distance(sequence)
        if start > len(data):
            break
        data += payload[len(data) - start:]
    return bytes(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="BYTES", help="of the client, of the server")
    parser.add_argument("--pcap", metavar="FILE")
    parser.add_argument("--port", type=int)
    parser.add_argument("--key-log", metavar="FILE")
    parser.add_argument("--shared-key", metavar="HEX", default="")
    args = parser.parse_args()
    if (args.pcap is None) != (len(args.files) == 2):
        parser.error("two files or --pcap")
    say = lambda **fields: print(json.dumps(fields))
    failed = False
    try:
        keys = read_key_log(args.key_log) if args.key_log else {}
        if args.pcap:
            with open(args.pcap, "rb") as file:
                carriers = read_pcap(file.read(), args.port)
        else:
            carriers = [tuple(open(path, "rb").read() for path in args.files)]
        if not carriers:
            raise CarrierError("nothing was recorded")
    except CarrierError as error:
        say(type="error", reason=str(error))
        return 1
    for number, (client, server) in enumerate(carriers):
        try:
            plains = decrypt(client, server, keys, bytes.fromhex(args.shared_key))
            for who, plain in zip(("client", "server"), plains):
                stream = hashlib.sha256()
                total = 0
                for kind, offset, payload in frames(plain):
                    say(carrier=number, **{"from": who}, type=NAMES[kind], offset=offset, length=len(payload))
                    if kind == DATA:
                        stream.update(payload)
                        total += len(payload)
                say(carrier=number, **{"from": who}, type="stream", length=total, sha256=stream.hexdigest())
        except (CarrierError, Violation) as error:
            say(carrier=number, type="error", reason=str(error))
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
