#!/usr/bin/env python3
"""A gRPC server that answers as no etcd member would: HTTP/2 by hand, over mutual TLS.

The case is in the request: a key "case:NAME;" says how its call is answered. Each connection is
told apart: the revision in a good answer's header is the connection's number, counted from 1, and
its raft term counts the calls that ever came.

Prints its port, and ends when its standard input does.
"""

import argparse
import socket
import ssl
import struct
import sys
import threading
import time

import raw_http2
from raw_http2 import DATA, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE
from raw_http2 import ACK, END_HEADERS, END_STREAM

GOAWAY = 7
INTERNAL_ERROR, REFUSED_STREAM = 2, 7
MAX_FRAME_SIZE_SETTING, MAX_FRAME_SIZE = 5, 1 << 20
PREFACE_LEN = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
CALM_S = 0.2  # what was sent has been read by then: a connection that breaks may lose it

# The longest time-out, "86400000m", in HPACK's Huffman code (RFC 7541), after its length.
A_DAY_BITS = "011110" "011100" "011010" + "00000" * 5 + "101001" + "1" * 7
A_DAY = bytes([0x87]) + int(A_DAY_BITS, 2).to_bytes(7, "big")


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def answer(connection, calls):
    """header { revision: connection raft_term: calls }: the answer of any call."""
    header = b"\x18" + varint(connection) + b"\x20" + varint(calls)
    return b"\x0a" + varint(len(header)) + header


def at(revision, *parts):
    """A watch's message, with etcd's header."""
    return frame(answer(revision, 1) + b"".join(parts))


CREATED = b"\x18\x01"
PART = b"\x38\x01"


def event(key, revision):
    kv = b"\x0a" + varint(len(key)) + key + b"\x18" + varint(revision)
    kv = b"\x12" + varint(len(kv)) + kv
    return b"\x5a" + varint(len(kv)) + kv


frame = raw_http2.message


def block(fields):
    return b"".join(raw_http2.literal(name, value) for name, value in fields)


class Call:
    """One call, as a case answers it."""

    def __init__(self, server, number, sock, stream, head, name):
        self.server, self.number, self.socket, self.stream = server, number, sock, stream
        self.head, self.name = head, name
        self.good = answer(number, server.calls)

    def send(self, kind, flags, payload=b""):
        head = struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, self.stream)
        self.socket.sendall(head + payload)

    def headers(self, status="200", end=False, more=()):
        fields = [(":status", status), ("content-type", "application/grpc"), *more]
        self.send(HEADERS, END_HEADERS | (END_STREAM if end else 0), block(fields))

    def data(self, payload, end=False):
        self.send(DATA, END_STREAM if end else 0, payload)

    def trailers(self, *fields):
        self.send(HEADERS, END_HEADERS | END_STREAM, block(fields))

    def unary(self, body, *trailers):
        self.headers()
        self.data(body)
        self.trailers(*(trailers or (("grpc-status", "0"),)))

    def end_alone(self, status, words):
        """Headers and trailers in one, as a call that failed at once is answered."""
        self.headers(end=True, more=[("grpc-status", status), ("grpc-message", words)])

    def reset(self, code):
        self.send(RST_STREAM, 0, struct.pack(">I", code))


def in_pieces(call):
    body = frame(call.good)
    call.headers()
    for i in range(len(body)):
        call.data(body[i:i + 1])
    call.trailers(("grpc-status", "0"))


def no_status(call):
    call.headers()
    call.data(frame(call.good), end=True)


def refused_once(call):
    """The first time only: what may be repeated is answered then."""
    if call.name in call.server.refused:
        call.unary(frame(call.good))
    else:
        call.server.refused.add(call.name)
        call.reset(REFUSED_STREAM)


def goaway(call):
    head = struct.pack(">I", 8)[1:] + struct.pack(">BBI", GOAWAY, 0, 0)
    call.socket.sendall(head + struct.pack(">II", call.stream, 0))
    call.socket.close()


def swapped(call):
    """Breaks the connection as somebody on the path would, who takes the next one himself."""
    call.server.is_stranger_next = True
    call.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    call.socket.close()


def half(call):
    call.headers()
    call.data(frame(call.good)[:-1])
    call.socket.close()


def html(status):
    def case(call):
        call.headers(status)
        call.data(b"<html>", end=True)
    return case


def deadline(call):
    told = A_DAY in call.head
    call.unary(frame(call.good)) if told else call.end_alone("3", "no grpc-timeout of a day")


def watch(*messages, trailers=None, pieces=False):
    def case(call):
        call.headers()
        stream = b"".join(messages)
        for part in [stream[i:i + 1] for i in range(len(stream))] if pieces else [stream]:
            call.data(part)
        if trailers is not None:
            call.trailers(*trailers)
    return case


def trickle(call):
    """A message that never comes to its end, for two seconds."""
    call.headers()
    for byte in frame(bytes(100)):
        call.data(bytes([byte]))
        time.sleep(0.02)


BEGUN = at(4, CREATED)
EVENTS = BEGUN + at(5, event(b"a", 5), event(b"b", 5)) + at(7, event(b"c", 7))

CASES = {
    "ok": lambda call: call.unary(frame(call.good)),
    "in_pieces": in_pieces,
    "no_space": lambda call: call.end_alone("8", "etcdserver%3a mvcc: database space exceeded"),
    "leader_changed": lambda call: call.end_alone("14", "etcdserver: leader changed"),
    "status_after_answer": lambda call: call.unary(frame(call.good), ("grpc-status", "13")),
    "no_status": no_status,
    "no_message": lambda call: call.end_alone("0", ""),
    "two_messages": lambda call: call.unary(frame(call.good) * 2),
    "part_of_message": lambda call: call.unary(frame(call.good)[:-1]),
    "compressed": lambda call: call.unary(b"\x01" + frame(call.good)[1:]),
    "empty_message": lambda call: call.unary(frame(b"")),
    "not_a_message": lambda call: call.unary(frame(b"\xff" * 5)),
    "too_long": lambda call: call.unary(frame(b"\0" * 8000)),
    "long_frame": lambda call: call.unary(frame(b"\0" * 100000)),
    "reset": lambda call: call.reset(INTERNAL_ERROR),
    "reset_after_answer": lambda call: (call.headers(), call.data(frame(call.good)),
                                        call.reset(INTERNAL_ERROR)),
    "refused_once": refused_once,
    "refused_read": refused_once,
    "goaway": goaway,
    "swapped": swapped,
    "closed": lambda call: call.socket.close(),
    "half": half,
    "http_503": html("503"),
    "http_401": html("401"),
    "silent": lambda call: None,
    "deadline": deadline,
    "watch": watch(EVENTS, trailers=[("grpc-status", "14"), ("grpc-message", "no leader")]),
    "watch_pieces": watch(EVENTS, pieces=True, trailers=[("grpc-status", "0")]),
    "watch_no_status": lambda call: (call.headers(), call.data(EVENTS, end=True)),
    "watch_alone": lambda call: call.end_alone("14", "etcdserver: no leader"),
    "watch_open": watch(EVENTS),
    "watch_compressed": watch(BEGUN, b"\x01" + at(5, event(b"a", 5))[1:]),
    "watch_long": watch(BEGUN, struct.pack(">BI", 0, 0xFFFFFFFF)),
    "watch_back": watch(EVENTS, at(7, event(b"d", 7))),
    "watch_part": watch(BEGUN, at(5, PART, event(b"a", 4), event(b"a", 5))),
    "watch_parts": watch(BEGUN, at(8, PART, event(b"a", 5), event(b"b", 7)),
                         at(8, PART, event(b"c", 7)), at(8, event(b"d", 7), event(b"e", 8)),
                         pieces=True, trailers=[("grpc-status", "0")]),
    "watch_part_back": watch(BEGUN, at(5, PART, event(b"a", 5)), at(5, event(b"b", 4))),
    "watch_part_empty": watch(BEGUN, at(5, PART)),
    "watch_compacted": watch(BEGUN, at(9, b"\x20\x01\x28\x09")),
    "watch_empty": watch(BEGUN, frame(b"")),
    "watch_cancelled": watch(frame(b"\x20\x01\x32\x03why")),
    "watch_closed": lambda call: (call.headers(), call.data(EVENTS), time.sleep(CALM_S),
                                  call.socket.close()),
    "watch_503": html("503"),
    "watch_trickle": trickle,
}


class Server:
    def __init__(self, folder, protocol):
        self.context = self.context_of(folder, "member", protocol)
        self.stranger = self.context_of(folder, "foreign", protocol)
        self.is_stranger_next = False
        self.is_http2 = protocol == "h2"
        self.refused = set()
        self.connections = self.calls = 0

    @staticmethod
    def context_of(folder, name, protocol):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/{name}.pem", f"{folder}/{name}.key")
        context.load_verify_locations(f"{folder}/ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols([protocol])
        return context

    def serve(self, listener):
        while True:
            plain, _ = listener.accept()
            self.connections += 1
            threading.Thread(target=self.connection, args=(plain, self.connections),
                             daemon=True).start()

    def connection(self, plain, number):
        try:
            context = self.stranger if self.is_stranger_next else self.context
            self.is_stranger_next = False
            sock = context.wrap_socket(plain, server_side=True)
            if self.is_http2:
                self.http2(sock, number)
            else:
                sock.recv(65536)
                sock.sendall(b"HTTP/1.1 200 OK\r\ngrpc-status: 0\r\ncontent-length: 5\r\n\r\n"
                             + frame())
                time.sleep(1)
        except (OSError, EOFError):
            pass

    def http2(self, sock, number):
        connection = Reader(sock)
        connection.exactly(PREFACE_LEN)
        connection.frame(SETTINGS, 0, 0, struct.pack(">HI", MAX_FRAME_SIZE_SETTING, MAX_FRAME_SIZE))
        heads, bodies = {}, {}
        while True:
            kind, flags, stream, payload = connection.read_frame()
            if kind == SETTINGS and not flags & ACK:
                connection.frame(SETTINGS, ACK, 0)
            elif kind == PING and not flags & ACK:
                connection.frame(PING, ACK, 0, payload)
            elif kind == HEADERS:
                heads[stream] = payload
            elif kind == DATA:
                bodies[stream] = bodies.get(stream, b"") + payload
                if payload:
                    connection.frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload)))
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                body = bodies.pop(stream)
                name = body[body.index(b"case:") + 5:body.index(b";")].decode()
                self.calls += 1
                CASES[name](Call(self, number, sock, stream, heads.pop(stream), name))


class Reader(raw_http2.Connection):
    """The server's end of a connection that has been accepted."""

    def __init__(self, sock):
        self.socket = sock


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", required=True, help="certificates of etcd_certs_make")
    parser.add_argument("--protocol", default="h2", help="what it agrees to in the handshake")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(options.folder, options.protocol)
    threading.Thread(target=server.serve, args=(listener,), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
