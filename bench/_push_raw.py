"""How fast Python passes one descriptor to another Python process, over and over: socket.send_fds, socket.recv_fds."""

import os
import socket
import sys
import time

count = int(sys.argv[1])
ours, theirs = socket.socketpair()
if os.fork() == 0:
    for _ in range(count):
        _, descriptors, _, _ = socket.recv_fds(theirs, 1, 1)
        os.close(descriptors[0])
    theirs.send(b"!")
    os._exit(0)
passed = socket.socket()
began = time.perf_counter()
for _ in range(count):
    socket.send_fds(ours, [b"x"], [passed.fileno()])
ours.recv(1)
print(time.perf_counter() - began)
