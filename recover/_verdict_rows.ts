/** What each recognized failure means for its caller: the table. */

import type { VerdictName, VerdictRow } from "./_verdict_names.ts";

/** Each verdict: its words, its hint, and its scenario where that is not its name. */
export const VERDICT_ROWS: Readonly<Record<VerdictName, VerdictRow>> = {
  // Link, address, route.
  "no-default-route": [
    "offline local after-change phase",
    "This machine has no way to the network: wait until it is back",
  ],
  "link-down": ["offline local after-change phase", "The interface is switched off: wait until it is back"],
  "no-carrier": [
    "offline local after-change phase",
    "There is a route, yet no carrier: check the cable or the Wi-Fi, and wait until it is back",
  ],
  "ipv6-lost-on-flap": [
    "unreachable local after-change phase",
    "This machine has no IPv6 now: use an IPv4 address, or wait until IPv6 is back",
  ],
  "address-gone": [
    "address-gone local now phase",
    "The local address of the connection is gone: close it and open a new one",
  ],
  "address-gone-offline": [
    "address-gone local after-change phase",
    "The local address of the connection is gone: close it, and open a new one when the network is back",
    "address-gone",
  ],
  "address-tentative": [
    "address-gone local after-change no",
    "The address is there, yet not ready: try again every quarter of a second for some seconds",
  ],
  "address-duplicate": [
    "address-gone config after-change no",
    "Another machine uses this address: give this one another",
  ],
  "gateway-silent": [
    "unreachable path later phase",
    "The next hop (the gateway, or the host itself on the same link) does not answer: back off, or go another way",
  ],
  "route-prohibited": [
    "unreachable local after-change phase",
    "A special route of this machine forbids the way, perhaps that of a VPN: look at its routes",
  ],
  "link-local-without-zone": [
    "unreachable config never no",
    "A link-local address needs its interface: write it as fe80::1%eth0",
  ],
  "multicast-without-interface": [
    "unreachable local after-change no",
    "No interface leads to the multicast group: join it on each interface, and again when addresses change",
  ],
  "multicast-offline": [
    "offline local after-change no",
    "There is no interface to join the multicast group on: join it when the network is back",
    "multicast-without-interface",
  ],
  // Connecting.
  "port-closed": [
    "refused remote later no",
    "The host is there, yet nothing listens on that port: check the port and the server, and back off",
  ],
  "refused-unseen": [
    "unreachable path later no",
    "The runtime hides why it could not connect: connect with Deno.connect() to see it",
  ],
  "syn-dropped": [
    "timeout path later phase",
    "Nobody answered the connection request: a firewall drops it or the host is gone; try another address",
  ],
  "firewall-rejects": [
    "unreachable path later phase",
    "A router or firewall on the way rejects the connection: try another address, or ask who runs it",
  ],
  "local-firewall": [
    "permission local after-change no",
    "A firewall of this machine forbids it (or its table of connections is full): look at its rules",
  ],
  "accept-queue-full": [
    "exhausted remote later no",
    "The server does not accept fast enough: back off, and give it a longer queue",
  ],
  "silent-after-accept": [
    "timeout path later no",
    "Something accepted the connection and then said nothing: mark the address as bad and try the next",
  ],
  "ports-exhausted": [
    "exhausted local later no",
    "No local port is free for this destination: reuse connections, or wait a minute",
  ],
  "files-exhausted": [
    "exhausted local later no",
    "Too many files and sockets are open: close idle ones, limit how many run at once, or raise ulimit -n",
  ],
  "connect-hangs": [
    "timeout path later no",
    "The connection did not come about in the time it was given: close what is left of it and try another address",
  ],
  "winsock-unseen": [
    "unreachable path later phase",
    "On Windows node:net hides the cause behind EINVAL: connect with Deno.connect() to see it",
  ],
  // Established connections.
  "reset-by-peer": [
    "reset remote later phase",
    "The other end, or something on the way, ended the connection at once: open a new one and resume",
  ],
  "reset-at-accept": [
    "reset remote now no",
    "A client went away before it was accepted: accept the next one",
    "reset-by-peer",
  ],
  "aborted-locally": [
    "reset local now phase",
    "This machine ended the connection, perhaps as the network changed: open a new one and resume",
  ],
  "end-without-goodbye": [
    "reset remote later phase",
    "The other end is gone without an end of the conversation: treat it as a loss, and resume",
  ],
  "not-connected": ["reset local later phase", "The socket is not connected any more: open a new one"],
  "path-lost-sending": [
    "timeout path later phase",
    "What was sent was not acknowledged in time: open a new connection and resume",
  ],
  "path-lost-idle": [
    "timeout path later phase",
    "Nothing comes any more: the path may be dead without a word, so open a new connection and resume",
  ],
  "reader-stalled": [
    "timeout remote later phase",
    "The other end does not read: drop it, or wait with a bounded queue",
  ],
  "early-reply": [
    "reset remote later phase",
    "The other end closed while data was being sent: read its answer before reporting the failure",
  ],
  // Servers.
  "address-in-use": [
    "address-in-use local later no",
    "Somebody listens there already: try again for a second after a restart, then take another port",
  ],
  "listen-address-missing": [
    "address-gone local after-change no",
    "This machine does not have that address (yet): wait for it, or listen on 0.0.0.0",
  ],
  "port-privileged": [
    "permission config never no",
    "The system reserves that port: take one above 1023, or get the capability CAP_NET_BIND_SERVICE",
  ],
  "accept-files-exhausted": [
    "exhausted local later no",
    "Too many files and sockets are open: pause accepting for 100 ms, and limit the number of connections",
  ],
  "unix-socket-stale": [
    "refused local later no",
    "Nobody serves that Unix socket: start its server, which must remove a stale file first",
  ],
  "unix-socket-denied": [
    "permission config never no",
    "This user may not use that Unix socket: look at the rights of the file and its folder",
  ],
  "file-missing": [
    "refused config never phase",
    "There is no such file; if it is a Unix socket, its server does not run",
    "unix-socket-stale",
  ],
  "listener-address-gone": [
    "address-gone local after-change no",
    "The address listened on is gone: keep the listener, and tell clients the new address",
  ],
  // Names.
  "name-unknown": [
    "dns remote after-change no",
    "There is no such name: check its spelling; another network or VPN may know it",
  ],
  "name-unknown-perhaps": [
    "dns remote later no",
    "The name has no answer, and the runtime hides why: node:dns lookup() tells an unknown name from a failing resolver",
    "name-unknown",
  ],
  "resolver-failure": [
    "dns remote later no",
    "The name servers fail or refuse for now: back off, or ask another one",
  ],
  "name-without-address": [
    "dns remote after-change no",
    "The name exists, yet has no address of that family: ask for the other family",
  ],
  "resolver-silent": [
    "dns path later no",
    "The name servers do not answer: set a deadline of 2-3 s, use the last known address, ask another one",
  ],
  "resolver-unreachable": [
    "dns path later no",
    "The name servers cannot be reached: look at the resolver's configuration",
  ],
  "resolver-offline": [
    "offline local after-change no",
    "Names cannot be resolved as this machine has no network: wait until it is back",
    "resolver-unreachable",
  ],
  "name-sinkholed": [
    "refused config after-change no",
    "The name was answered with the address 0.0.0.0: a filter blocks it",
  ],
  // TLS.
  "certificate-time": [
    "tls remote never no",
    "The certificate is out of its time, or this machine's clock is wrong: check the clock first",
  ],
  "certificate-name": [
    "tls remote never no",
    "The certificate is for another name: check the address; a captive portal answers like this too",
  ],
  "certificate-issuer": [
    "tls config never no",
    "The issuer of the certificate is not trusted here: add it by caCerts or DENO_CERT if it is yours",
  ],
  "certificate-bad": ["tls remote never no", "The certificate cannot be accepted: renew it"],
  "tls-failed": [
    "tls remote never phase",
    "The two ends cannot agree on TLS: compare versions, ciphers and certificates of both",
  ],
  "not-tls": [
    "tls config never no",
    "The answer is not TLS: wrong port, a server without TLS, or a captive portal",
  ],
  "handshake-cut": [
    "reset remote later no",
    "The connection was cut during the handshake: try another address, or later",
  ],
  "tls-truncated": [
    "reset path later phase",
    "The TLS stream was cut off: what came may be incomplete; open a new connection and resume",
  ],
  // HTTP and WebSocket.
  "captive-portal": [
    "protocol path after-change yes",
    "This network wants a login first: open a web page in a browser",
  ],
  "pooled-connection-closed": [
    "reset remote now phase",
    "The server closed the connection before it answered: send the request again on a new one if it may run twice",
  ],
  "pooled-connection-unsent": [
    "reset remote now no",
    "The connection was closed before the request left: send it again on a new one",
    "pooled-connection-closed",
  ],
  "body-cut": [
    "reset path later yes",
    "The body of the answer is incomplete: ask for the rest by a Range header, or for all of it again",
  ],
  "response-stalls": [
    "timeout remote later phase",
    "The answer did not come in the time it was given; the request may have been carried out",
  ],
  "overloaded": [
    "exhausted remote later yes",
    "The server has too much to do: wait as long as it says, and ask for less",
  ],
  "server-error": ["protocol remote later yes", "The server failed: back off, and tell who runs it"],
  "request-too-slow": [
    "timeout remote later yes",
    "The server did not get the whole request in time: send it again",
  ],
  "request-refused": ["protocol config never yes", "The server does not accept this request: correct it"],
  "not-authorized": ["permission config never yes", "The server refuses access: check the credentials"],
  "not-a-failure": ["unknown config never yes", "The answer tells of no failure"],
  "bad-answer": ["protocol remote never phase", "The other end speaks another protocol: check the port"],
  "websocket-lost": [
    "reset remote later phase",
    "The WebSocket is lost: open a new one, and resume what was not confirmed",
  ],
  "websocket-half-open": [
    "timeout path later phase",
    "The other end of the WebSocket does not answer: close it and open a new one",
  ],
  "websocket-closed": [
    "protocol remote never phase",
    "The other end closed the WebSocket on purpose: its code and reason say why",
  ],
  "proxy-refuses": [
    "protocol remote later phase",
    "The proxy or gateway cannot reach the server: back off, or go without it",
  ],
  "proxy-wants-login": [
    "permission config never no",
    "The proxy wants credentials: put them into the proxy's address",
    "proxy-refuses",
  ],
  "fetch-failed": [
    "unreachable path later phase",
    "The request failed and the runtime does not say why: check the address and the network",
  ],
  // Datagrams.
  "port-unreachable-unseen": [
    "refused remote now phase",
    "Nobody listens on that port of the other end; the socket still works, so receive again",
  ],
  "no-answer": [
    "timeout remote later phase",
    "No datagram came in the time it was given: the other end may not listen, so send again",
    "port-unreachable-unseen",
  ],
  "datagram-too-long": ["protocol config never no", "The datagram is too long: send at most 1200 bytes"],
  "send-fails-for-now": [
    "unreachable local later no",
    "The datagram could not be sent now: keep the socket and send again when the network has changed",
  ],
  // The machine.
  "kernel-table-full": [
    "exhausted local later phase",
    "The system has no memory for it at the moment: send less, and try again in a moment",
  ],
  "permission-missing": [
    "permission config never no",
    "The runtime does not allow it: run again with the flag that the message names",
  ],
  // What is no scenario.
  "cancelled": ["cancelled local never phase", "This program called it off, or closed it, itself"],
  "timed-out": ["timeout path later phase", "It took longer than it was given: try again, or give it more"],
  "would-block": ["exhausted local later no", "It cannot be done at once: try again in a moment"],
  "not-supported": ["unreachable config never no", "This system or runtime does not support it"],
  "invalid-argument": ["unknown config never phase", "What was asked for is not valid: correct it"],
  "breaker-open": [
    "refused local later no",
    "Too many attempts have failed: the breaker lets none through until its time is over",
  ],
  "limit-full": [
    "exhausted local later no",
    "As many calls run and wait as the limit allows: try again in a moment, or raise the limit",
  ],
  "tool-missing": ["unknown config never no", "A program that is needed is not installed"],
  "unknown": ["unknown remote later phase", "Nothing is known of this failure: read its message"],
};
