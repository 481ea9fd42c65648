"""Takes connections that another process hands over (plain mode of Holdfast's push) and echoes what they say.

    python3 receive.py /run/echo.sock
"""

import base64
import json
import os
import socket
import sys
import threading

ACK, NAK = b"\x06", b"\x15"


def echo(connection, prefix):
    with connection:
        connection.setblocking(True)
        connection.sendall(prefix)
        while data := connection.recv(65536):
            connection.sendall(data)


def take(channel):
    """One line of JSON, and one descriptor with it; then one byte as the answer."""
    while True:
        line, descriptors = b"", []
        while not line.endswith(b"\n"):
            data, arrived, _, _ = socket.recv_fds(channel, 65536, 4)
            descriptors += arrived
            if not data:
                return [os.close(fd) for fd in descriptors]
            line += data
        told = json.loads(line)
        if told["kind"] != "stream" or len(descriptors) != 1:
            [os.close(fd) for fd in descriptors]
            channel.sendall(NAK)
            continue
        connection = socket.socket(fileno=descriptors[0])
        prefix = base64.b64decode(told.get("prefix", ""))
        try:
            channel.sendall(ACK)
        except OSError:
            return connection.close()  # where that does not get through, it is not ours
        threading.Thread(target=echo, args=(connection, prefix), daemon=True).start()


path = sys.argv[1]
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
os.umask(0o077)  # sockets come from our own user only
listener.bind(path)
listener.listen()
print("ready", flush=True)
while True:
    threading.Thread(target=take, args=(listener.accept()[0],), daemon=True).start()
