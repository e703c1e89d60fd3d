#!/usr/bin/env python3
"""Calls that no gRPC library would make: HTTP/2 by hand, over mutual TLS.

As a program it sends each method every request that is not exactly one whole message, ended in
every way, and fails unless each call is refused as the server promises (pkg/rpc/server.h).
That no handler ran is for the caller to see, who owns the handlers.
"""

import argparse
import socket
import ssl
import struct
import sys

DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
INITIAL_WINDOW_SIZE, WINDOW = 4, (1 << 31) - 1  # an answer is never held up
END_STREAM, ACK, END_HEADERS = 1, 1, 4
CANCEL = 8

OK, CANCELLED, DEADLINE, PERMISSION_DENIED, UNIMPLEMENTED, INTERNAL = 0, 1, 4, 7, 12, 13

WAIT_S = 5
SILENCE_S = 0.5  # after which a stream that may say nothing has said nothing
DEADLINE_SENT = "100m"


def message(body=b""):
    """A whole message, with the five bytes before it."""
    return struct.pack(">BI", 0, len(body)) + body


class Connection:
    """One connection for one call: the server's header compression then starts from nothing, and
    names and numbers of its first answer stand in the bytes as they are."""

    def __init__(self, address, tls=None):
        plain = socket.create_connection(address, timeout=WAIT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = tls.wrap_socket(plain, server_hostname=address[0]) if tls else plain
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, WINDOW))
        self.frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW // 2))
        # Calls begin once the server's settings are here: before that its limits don't hold.
        while True:
            kind, flags, _, _ = self.read_frame()
            if kind == SETTINGS and not flags & ACK:
                self.frame(SETTINGS, ACK, 0)
                return

    def frame(self, kind, flags, stream, payload=b""):
        head = struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream)
        self.socket.sendall(head + payload)

    def exactly(self, count):
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def read_frame(self):
        head = self.exactly(9)
        length = int.from_bytes(head[:3], "big")
        stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        return head[3], head[4], stream, self.exactly(length)

    def headers(self, path, timeout=None, end=False, more=()):
        fields = [(":method", "POST"), (":scheme", "https"), (":path", path),
                  (":authority", "localhost"), ("te", "trailers"),
                  ("content-type", "application/grpc"), *more]
        if timeout:
            fields.append(("grpc-timeout", timeout))
        block = b"".join(literal(name, value) for name, value in fields)
        self.frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), 1, block)

    def data(self, payload, end=False):
        self.frame(DATA, END_STREAM if end else 0, 1, payload)

    def reset(self):
        self.frame(RST_STREAM, 0, 1, struct.pack(">I", CANCEL))

    def close(self):
        self.socket.close()

    def status(self):
        """The call's (grpc-status, the header bytes it came in, messages answered); the status of
        a stream that was reset is "reset", of a connection that was closed "closed"."""
        body, ended = b"", False
        while True:
            try:
                kind, flags, stream, payload = self.read_frame()
            except TimeoutError:
                return "nothing", b"", body
            except (EOFError, ConnectionError):
                return "closed", b"", body
            if kind == SETTINGS and not flags & ACK:
                self.frame(SETTINGS, ACK, 0)
            elif kind == PING and not flags & ACK:
                self.frame(PING, ACK, 0, payload)
            elif kind == RST_STREAM and stream == 1:
                return "reset", payload, body
            elif kind == DATA and stream == 1:
                body += payload
            elif kind == HEADERS and stream == 1:
                ended = flags & END_STREAM
                at = payload.find(b"grpc-status")
                if at >= 0:
                    value = payload[at + len("grpc-status"):]
                    return int(value[1:1 + value[0]]), payload, body
                if ended:
                    return "no status", payload, body


def literal(name, value):
    """A header field in HPACK, neither indexed nor compressed."""
    def text(data):
        data = data.encode()
        if len(data) < 127:
            return bytes([len(data)]) + data
        more, length = b"", len(data) - 127
        while length >= 128:
            more += bytes([length % 128 + 128])
            length //= 128
        return bytes([127]) + more + bytes([length]) + data
    return b"\x00" + text(name) + text(value)


def tls_of(ca, certificate, key):
    """A context for this client; the server's name is not looked at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(ca)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    return context


# What is not exactly one whole message: name, bytes, whether anything of them is a whole message.
BODY = b"\x0a\x03abc\x10\x01"
SHAPES = (
    ("no message", b"", 0),
    ("part of the prefix", message(BODY)[:3], 0),
    ("the prefix alone", message(BODY)[:5], 0),
    ("part of the message", message(BODY)[:9], 0),
    ("all but a byte", message(BODY)[:-1], 0),
    ("two messages", message() + message(), 2),
    ("two messages with a body", message(BODY) + message(BODY), 2),
)
ENDS = ("half-close", "half-close alone", "reset", "deadline", "closed connection")


def send(connection, path, payload, end):
    """Sends a request and ends it; the status, or None where nobody can be told."""
    timeout = DEADLINE_SENT if end == "deadline" else None
    connection.headers(path, timeout, end=not payload and end == "half-close")
    if payload:
        connection.data(payload, end=end == "half-close")
    if end == "half-close alone":
        connection.data(b"", end=True)
    elif end == "reset":
        connection.reset()
    elif end == "closed connection":
        connection.close()
    if end in ("reset", "closed connection"):
        return None, b"", b""
    return connection.status()


def expected(count, end, kind):
    """The statuses that a call of so many whole messages may end with; None: the call is none of
    this test's. A stream that takes any number of messages takes those that are whole."""
    if kind == "any" and count > 0:
        return None
    if end in ("reset", "closed connection"):
        return (None,)
    if kind == "any":
        # It may refuse the caller at once, go by the end, or wait for a message that never comes.
        return (OK, PERMISSION_DENIED, DEADLINE, CANCELLED, "reset", "nothing")
    if end == "deadline" and count == 0:
        # The library's own answer, without a status that is worth comparing.
        return (DEADLINE, CANCELLED, INTERNAL, "reset")
    return (INTERNAL,) if count == 0 else (UNIMPLEMENTED,)


def try_all(connect, path, kind, speaks=lambda body: False):
    """Sends one method everything; a list of what was not as promised. speaks: whether an answer is
    what the method says by itself, without being asked."""
    wrong = []
    for name, payload, count in SHAPES:
        for end in ENDS:
            allowed = expected(count, end, kind)
            if allowed is None:
                continue
            connection = connect()
            if kind == "any":
                connection.socket.settimeout(SILENCE_S)
            status, head, body = send(connection, path, payload, end)
            connection.close()
            told = f"{path}: {name}, {end}: "
            if status not in allowed:
                wrong.append(f"{told}answered {status}, not {allowed}")
            if body and not speaks(body):
                wrong.append(f"{told}answered a message")
            if status in (INTERNAL, UNIMPLEMENTED) and end != "deadline" and \
                    b"grpc-status-details-bin" not in head:
                wrong.append(f"{told}without an ErrorInfo")
    return wrong


def try_whole(connect, path):
    """Sends one method whole messages, in one piece and in several; a list of failures."""
    wrong = []
    for name, pieces in (
        ("one piece", (message(BODY),)),
        ("an empty message", (message(),)),
        ("the end by itself", (message(BODY), b"")),
        ("a byte at a time", tuple(bytes([b]) for b in message(BODY))),
    ):
        connection = connect()
        connection.headers(path)
        for piece in pieces[:-1]:
            connection.data(piece)
        connection.data(pieces[-1], end=True)
        status, _, body = connection.status()
        connection.close()
        sent = b"".join(pieces)
        if status != OK or body != sent:
            wrong.append(f"{path}: {name}: answered {status}, {body!r}")
    return wrong


def try_unended(connect, path):
    """Sends a whole message and never its end: the call is not to be carried out."""
    wrong = []
    for end in ("reset", "deadline", "closed connection"):
        connection = connect()
        status, _, body = send(connection, path, message(BODY), end)
        connection.close()
        if status == OK or body:
            wrong.append(f"{path}: unended, {end}: answered {status}")
    return wrong


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    for name in ("ca", "certificate", "key"):
        options.add_argument("--" + name, required=True)
    options.add_argument("--one", action="append", default=[],
                         help="path of a method that takes exactly one message")
    options.add_argument("--any", action="append", default=[],
                         help="path of a method that takes any number")
    options.add_argument("--echo", action="append", default=[],
                         help="path of a method that answers with its one message")
    given = options.parse_args()
    tls = tls_of(given.ca, given.certificate, given.key)


    def connect():
        return Connection(("127.0.0.1", given.port), tls)

    wrong = []
    for kind in ("one", "any"):
        for path in getattr(given, kind):
            wrong += try_all(connect, path, kind)
    for path in given.one:
        wrong += try_unended(connect, path)
    for path in given.echo:
        wrong += try_whole(connect, path)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
