"""Takes pushed connections in plain mode: each sends a number of bytes and expects their count and checksum."""

import base64, json, os, socket, sys, threading, zlib


def serve(connection, data):
    while len(data) < 4:
        data += connection.recv(65536)
    expected, data = int.from_bytes(data[:4], "big"), data[4:]
    count, total = len(data), zlib.crc32(data)
    while count < expected:
        part = connection.recv(65536)
        if not part:
            break
        count, total = count + len(part), zlib.crc32(part, total)
    connection.sendall(f"{count} {total} {os.getpid()}".encode())
    connection.close()


def channel(peer):
    line, descriptors = b"", []
    while True:
        part, came, _, _ = socket.recv_fds(peer, 65536, 16)
        if not part:
            return
        line, descriptors = line + part, descriptors + came
        if not line.endswith(b"\n"):
            continue
        message = json.loads(line)
        connection = socket.socket(fileno=descriptors[0])
        connection.setblocking(True)
        try:
            peer.sendall(b"\x06")
            prefix = base64.b64decode(message.get("prefix", ""))
            threading.Thread(target=serve, args=(connection, prefix)).start()
        except OSError:
            connection.close()  # The answer did not get through: it is not ours.
        line, descriptors = b"", []


listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(64)
print("ready", flush=True)
while True:
    threading.Thread(target=channel, args=(listener.accept()[0],), daemon=True).start()
