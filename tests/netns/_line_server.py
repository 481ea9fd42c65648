"""Counts the lines of each connection, and knows nothing of tunnels."""

import socketserver
import sys


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for count, line in enumerate(self.rfile, 1):
            self.wfile.write(b"%d %s" % (count, line))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
    print("ready", flush=True)
    server.serve_forever()
