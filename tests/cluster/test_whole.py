#!/usr/bin/env python3
"""Each method of each listener, as its reflection lists them: all that is listed is described, and
none is carried out without exactly one whole message. Messages are by hand (raw_http2.py)."""

import concurrent.futures
import sys

import harness
from google.protobuf import descriptor_pb2
from keystead.internal.v1 import internal_pb2
from keystead.kms.v1 import keys_pb2 as ke

sys.path.append(str(harness.ROOT / "tests/harness"))
import raw_http2  # noqa: E402: it stands in another folder

LIST_SERVICES, FILE_OF_SYMBOL = 7, 4
FILES, SERVICES = 4, 6
SYMBOLS_AT_ONCE = 50
AT_ONCE = 8  # methods: most of their time is waiting for deadlines
DETAILS = ["google.rpc." + name for name in ("Status", "ErrorInfo", "RetryInfo", "BadRequest")]


def listeners(cluster):
    """(what, address, folder of the client's root, its certificate and key)."""
    topology = cluster.topology
    client, operator = cluster.home / "client", cluster.home / "operator"
    frontend = topology.region(cluster.region).frontends[0]
    zone = topology.regions[0].zones[0]
    process = topology.tls(frontend.name)
    keystore = topology.tls(f"keystore-{zone.name}")
    return [
        ("frontend", frontend.endpoint, client / "ca.pem", client / "alice"),
        ("control", topology.control, client / "ca.pem", operator / "operator"),
        ("keystore", zone.keystore, process / "ca-process.pem", process / "process"),
        ("control internal", topology.control_internal, keystore / "ca-process.pem",
         keystore / "process"),
    ]


def fields(message, number):
    """The values of a field of bytes, in a message of fields of bytes and numbers."""
    def varint(at):
        value = shift = 0
        while True:
            byte = message[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                return value, at
    at, found = 0, []
    while at < len(message):
        tag, at = varint(at)
        value, at = varint(at)
        if tag & 7 == 2:
            if tag >> 3 == number:
                found.append(message[at:at + value])
            at += value
    return found


class Reflection:
    def __init__(self, connect, version):
        self.connect = connect
        self.path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"

    def ask(self, number, *texts):
        """The answers to one question about each text."""
        requests = [bytes([number << 3 | 2, len(text)]) + text.encode() for text in texts]
        connection = self.connect()
        connection.headers(self.path)
        connection.data(b"".join(map(raw_http2.message, requests)), end=True)
        status, _, body = connection.status()
        connection.close()
        answers = []
        while body:
            length = int.from_bytes(body[1:5], "big")
            answers.append(body[5:5 + length])
            body = body[5 + length:]
        assert status == raw_http2.OK and len(answers) == len(texts), status
        return answers

    def services(self):
        (answer,) = fields(self.ask(LIST_SERVICES, "")[0], SERVICES)
        return [fields(service, 1)[0].decode() for service in fields(answer, 1)]

    def files(self, *symbols):
        """For each symbol the files it was answered with, by their names."""
        found = []
        for symbol, answer in zip(symbols, self.ask(FILE_OF_SYMBOL, *symbols)):
            answers = fields(answer, FILES)
            assert answers, f"{symbol} is not described"
            files = map(descriptor_pb2.FileDescriptorProto.FromString, fields(answers[0], 1))
            found.append({file.name: file for file in files})
        return found


def names(scope, messages, enums):
    """Full names of messages, their fields, enums and their values."""
    for enum in enums:
        yield f"{scope}.{enum.name}"
        yield from (f"{scope}.{value.name}" for value in enum.value)
    for message in messages:
        here = f"{scope}.{message.name}"
        yield here
        yield from (f"{here}.{field.name}" for field in message.field)
        yield from names(here, message.nested_type, message.enum_type)


def methods(reflection):
    """{path: "one" or "any"} of all that is listed."""
    found = {}
    for name in reflection.services():
        for file in reflection.files(name)[0].values():
            for service in file.service:
                if f"{file.package}.{service.name}" == name:
                    for method in service.method:
                        kind = "any" if method.client_streaming else "one"
                        found[f"/{name}/{method.name}"] = kind
    return found


def connector(address, ca, identity):
    host, port = address.rsplit(":", 1)
    tls = raw_http2.tls_of(ca, identity.with_suffix(".pem"), identity.with_suffix(".key"))
    return lambda: raw_http2.Connection((host, int(port)), tls)


def test_all_that_is_listed_is_described(cluster):
    count = 0
    for what, *where in listeners(cluster):
        for version in ("v1", "v1alpha"):
            reflection = Reflection(connector(*where), version)
            services = reflection.services()
            assert {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                    "grpc.reflection.v1alpha.ServerReflection"} < set(services), what
            files = {}
            for described in reflection.files(*services, *DETAILS):
                files.update(described)
            for file in files.values():
                symbols = list(names(file.package, file.message_type, file.enum_type))
                for at in range(0, len(symbols), SYMBOLS_AT_ONCE):
                    for described in reflection.files(*symbols[at:at + SYMBOLS_AT_ONCE]):
                        assert file.name in described, f"{what}: {file.name}"
                        count += 1
            if what == "frontend":
                reflection.files("keystead.kms.v1.KEY_SPEC_SYMMETRIC_DEFAULT")
    return f"{count} names"


def keys(cluster):
    kms = cluster.kms()
    found, marker = set(), None
    while True:
        page = kms.ListKeys(ke.ListKeysRequest(limit=1000, marker=marker))
        found |= {key.key_id for key in page.keys}
        if not page.truncated:
            return found
        marker = page.next_marker


def tells_time_alone(body):
    """Whether messages of Execute have no results: a keystore tells its clock on each stream."""
    while body:
        length = int.from_bytes(body[1:5], "big")
        message = internal_pb2.ExecuteResponse.FromString(body[5 : 5 + length])
        if message.results or not message.time_ms:
            return False
        body = body[5 + length :]
    return True


def test_nothing_runs_without_exactly_one_whole_message(cluster):
    before, count = keys(cluster), 0
    for what, *where in listeners(cluster):
        connect = connector(*where)

        def try_method(method):
            path, kind = method
            speaks = tells_time_alone if path.endswith("/Execute") else lambda body: False
            wrong = raw_http2.try_all(connect, path, kind, speaks)
            return wrong + (raw_http2.try_unended(connect, path) if kind == "one" else [])

        listed = methods(Reflection(connect, "v1")).items()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            wrong = [line for lines in pool.map(try_method, listed) for line in lines]
        assert not wrong, what + ":\n" + "\n".join(wrong)
        count += len(listed)
    assert keys(cluster) == before
    return f"{count} methods"


if __name__ == "__main__":
    harness.main(globals())
