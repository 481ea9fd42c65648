"""Accepts connections and hands each of them over to another process (plain mode of Holdfast's push).

    python3 send.py /run/echo.sock 127.0.0.1 8080
"""

import base64
import json
import socket
import sys

ACK = b"\x06"

path, host, port = sys.argv[1:]
channel = socket.socket(socket.AF_UNIX)
channel.connect(path)
listener = socket.create_server((host, int(port)), backlog=512)
print("ready", listener.getsockname()[1], flush=True)
while True:
    connection, address = listener.accept()
    with connection:
        # What was read already goes along; this may as well be nothing.
        prefix = connection.recv(3)
        told = {"kind": "stream", "metadata": {"from": address[0]}, "prefix": base64.b64encode(prefix).decode()}
        socket.send_fds(channel, [json.dumps(told).encode() + b"\n"], [connection.fileno()])
        # It is the other process's when that says so; closing it before could lose it.
        if channel.recv(1) != ACK:
            print("refused", file=sys.stderr)
