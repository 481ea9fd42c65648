"""A service of asyncio that is given its connections by another process: push_to_python.py PATH"""

import asyncio
import base64
import json
import os
import socket
import sys


async def serve(connection, prefix):
    reader, writer = await asyncio.open_connection(sock=connection)
    reader.feed_data(prefix)
    while line := await reader.readline():
        writer.write(b"Python %d heard: %s" % (os.getpid(), line))
        await writer.drain()
    writer.close()


def take(channel):
    """Plain mode: a line of JSON with a descriptor, then one byte as the answer (docs/PROTOCOLS.md)."""
    line, descriptors = b"", []
    while not line.endswith(b"\n"):
        part, came, _, _ = socket.recv_fds(channel, 65536, 4)
        descriptors += came
        if not part:
            raise EOFError
        line += part
    told = json.loads(line)
    connection = socket.socket(fileno=descriptors[0])
    connection.setblocking(False)
    try:
        channel.sendall(b"\x06")
    except OSError:
        connection.close()  # the answer did not get through, so it is not ours
        raise
    return connection, base64.b64decode(told.get("prefix", ""))


async def main(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("ready", flush=True)
    channel, _ = await asyncio.to_thread(listener.accept)
    serving = set()
    while True:
        try:
            connection, prefix = await asyncio.to_thread(take, channel)
        except (EOFError, OSError):
            break
        task = asyncio.create_task(serve(connection, prefix))
        serving.add(task)
        task.add_done_callback(serving.discard)
    await asyncio.gather(*serving)


asyncio.run(main(sys.argv[1]))
