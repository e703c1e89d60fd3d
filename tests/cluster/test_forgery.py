#!/usr/bin/env python3
"""Whoever writes etcd, or one keystore's disk, revives, retargets and widens nothing (promise 10).

Each old record is put back as somebody would who has etcdctl, or a zone's LMDB file. It is refused
with an alarm. At the end every record is good again by the commands of
docs/operations/refused-record.md."""

import base64
import json
import os
import re
import struct
import subprocess
import uuid

import grpc
import harness
from keystead.kms.v1 import aliases_pb2 as al
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke

ALARM = "stored records are not authentic"
PAGE = harness.ROOT / "docs" / "operations" / "refused-record.md"
SECONDS = 30


def all_well(cluster):
    return cluster.cli("cluster", "status", check=False).returncode == 0


def is_well(cluster, zone):
    said = cluster.cli("cluster", "status", check=False).stdout.decode()
    return re.search(rf"^ *{zone} .* well$", said, re.M)


def zones(cluster):
    return [zone.name for zone in cluster.topology.regions[0].zones]


def bucket(name):
    """Of pkg/store/log/layout.h."""
    value = 2166136261
    for byte in name.encode():
        value = (value ^ byte) * 16777619 % 2**32
    value ^= value >> 16
    return (value ^ value >> 8) & 0xFF


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


class Etcd:
    """Who has a certificate of the cell's etcd."""

    def __init__(self, cluster):
        self.cluster, self.words = cluster, cluster.etcdctl(cluster.region)

    def name(self, record):
        return f"/keystead/{self.cluster.region}/d/{bucket(record):02x}/{record}"

    def run(self, *words, stdin=None):
        environment = {**os.environ, "ETCDCTL_API": "3"}
        command = [*self.words, *words]
        done = subprocess.run(command, input=stdin, capture_output=True, env=environment)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def get(self, record):
        kvs = json.loads(self.run("get", self.name(record), "-w", "json")).get("kvs", [])
        return base64.b64decode(kvs[0]["value"]) if kvs else None

    def put(self, record, value):
        if value is None:
            self.run("del", self.name(record))
        else:
            self.run("put", self.name(record), stdin=value)


class Disk:
    """Who can write one zone's LMDB file."""

    def __init__(self, cluster, zone):
        self.folder = cluster.topology.folder(zone, "keystore") / "copy"
        self.program = harness.ROOT / ".cache" / "putcopy"
        source = harness.ROOT / "tests" / "cluster" / "putcopy.c"
        if not self.program.exists() or self.program.stat().st_mtime < source.stat().st_mtime:
            command = ["gcc", "-O2", "-std=c17", source, "-llmdb", "-o", self.program]
            subprocess.run(command, check=True)

    def run(self, verb, database, key, stdin=b""):
        command = [self.program, self.folder, verb, database, key]
        return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout

    def get(self, record):
        return self.run("get", "data", record)[12:]

    def put(self, record, value, counter=None):
        """At the revision of the record that stands, with a right checksum."""
        revision = self.run("get", "data", record)[:8]
        check = struct.pack(">I", crc32c(record.encode() + revision + value))
        self.run("put", "data", record, revision + check + value)
        if counter is not None:
            self.run("put", "ordinals", record, struct.pack(">Q", counter))


def counter_of(value):
    """The third field of an AuthenticatedRecord (format, body, counter)."""
    at, fields = 0, {}

    def varint():
        nonlocal at
        number = shift = 0
        while True:
            byte, at = value[at], at + 1
            number, shift = number | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return number

    while at < len(value):
        tag = varint()
        length = varint()
        if tag & 7 == 0:
            fields[tag >> 3] = length
        else:
            at += length
    return fields[3]


class Tenant:
    """What the demo user sees through one frontend."""

    def __init__(self, cluster):
        self.kms, self.account = cluster.kms(), cluster.demo["account"]

    def create(self):
        return self.kms.CreateKey(ke.CreateKeyRequest(request_id=uuid.uuid4().hex)).key_metadata

    def record(self, key):
        return f"key/{self.account}/{key.key_id}"

    def alias(self, name):
        return f"alias/{self.account}/{name.removeprefix('alias/')}"

    def use(self, key):
        """OK, or the name of the refusal."""
        try:
            blob = self.kms.Encrypt(cr.EncryptRequest(key_id=key, plaintext=b"x")).ciphertext_blob
            opened = self.kms.Decrypt(cr.DecryptRequest(ciphertext_blob=blob))
            return "OK " + opened.key_id.rpartition("/")[2]
        except grpc.RpcError as error:
            info = harness.error_info(error)
            return info.reason if info else str(error.code())


def uses(tenant, key, times=30):
    """What a use says, through all lanes of a frontend, to all keystores."""
    return {tenant.use(key) for _ in range(times)}


def assert_none_ok(said):
    """Outside of until, which takes an assertion for "not yet"."""
    assert not any(word.startswith("OK") for word in said), f"used: {said}"


def says_alarm(cluster, zone=None):
    said = cluster.cli("cluster", "status", check=False).stdout.decode()
    return re.search(rf"ALARM {zone or cluster.region}\S*: {ALARM}", said)


def restart(cluster, *names):
    """The alarms end with the processes that raised them."""
    for name in names or zones(cluster):
        cluster.service("restart", f"keystore-{name}")
        harness.until(lambda: not says_alarm(cluster, name), 60, f"keystore-{name} is anew")
        harness.until(lambda: is_well(cluster, name), 60, f"keystore-{name} serves")
    harness.until(lambda: all_well(cluster), 60, "all well again")


def commands(title):
    """The shell commands of the page below a title."""
    section = PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, re.S))


def repair(cluster, title, record):
    etcd = Etcd(cluster)
    script = "set -eu\n" + commands(title)
    environment = {
        **os.environ,
        "ETCDCTL": " ".join(map(str, etcd.words)),
        "RECORD": etcd.name(record),
    }
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- By etcd ----


def refused_in_etcd(cluster, record, old, key):
    """An old value is put back: refused, with an alarm. The page makes the record good again."""
    tenant, said = Tenant(cluster), set()

    def is_alarmed():
        said.update(uses(tenant, key, 5))
        return says_alarm(cluster)

    assert old
    Etcd(cluster).put(record, old)
    harness.until(is_alarmed, SECONDS, f"an alarm about {record}")
    said.update(uses(tenant, key))
    assert_none_ok(said)
    repair(cluster, "Put the right record back", record)
    restart(cluster)
    return sorted(said)


def test_a_key_before_it_was_disabled(cluster):
    tenant, etcd = Tenant(cluster), Etcd(cluster)
    key = tenant.create()
    old = etcd.get(tenant.record(key))
    tenant.kms.DisableKey(ke.DisableKeyRequest(key_id=key.key_id))
    said = refused_in_etcd(cluster, tenant.record(key), old, key.key_id)
    assert tenant.use(key.key_id) == "DisabledException"
    tenant.kms.EnableKey(ke.EnableKeyRequest(key_id=key.key_id))
    assert tenant.use(key.key_id) == f"OK {key.key_id}"
    return f"{said}, then repaired"


def test_a_key_before_its_deletion_was_scheduled(cluster):
    tenant, etcd = Tenant(cluster), Etcd(cluster)
    key = tenant.create()
    old = etcd.get(tenant.record(key))
    tenant.kms.ScheduleKeyDeletion(
        ke.ScheduleKeyDeletionRequest(key_id=key.key_id, pending_window_in_days=7)
    )
    said = refused_in_etcd(cluster, tenant.record(key), old, key.key_id)
    assert tenant.use(key.key_id) == "KMSInvalidStateException"
    return f"{said}, then repaired"


def test_an_alias_before_it_was_deleted(cluster):
    tenant, etcd = Tenant(cluster), Etcd(cluster)
    key, name = tenant.create(), f"alias/{uuid.uuid4().hex}"
    tenant.kms.CreateAlias(al.CreateAliasRequest(alias_name=name, target_key_id=key.key_id))
    assert tenant.use(name) == f"OK {key.key_id}"
    old = etcd.get(tenant.alias(name))
    tenant.kms.DeleteAlias(al.DeleteAliasRequest(alias_name=name))
    said = refused_in_etcd(cluster, tenant.alias(name), old, name)
    assert tenant.use(name) == "NotFoundException"
    return f"{said}, then repaired"


def test_the_record_of_another_key(cluster):
    tenant, etcd = Tenant(cluster), Etcd(cluster)
    key, other = tenant.create(), tenant.create()
    tenant.kms.DisableKey(ke.DisableKeyRequest(key_id=key.key_id))
    tenant.kms.DisableKey(ke.DisableKeyRequest(key_id=other.key_id))
    tenant.kms.EnableKey(ke.EnableKeyRequest(key_id=other.key_id))  # its counter is higher now
    said = refused_in_etcd(cluster, tenant.record(key), etcd.get(tenant.record(other)), key.key_id)
    assert tenant.use(key.key_id) == "KMSInternalException", "the higher counter is remembered"
    repair(cluster, "If the right record is refused, too", tenant.record(key))
    harness.until(
        lambda: tenant.use(key.key_id) == "DisabledException", SECONDS, "another epoch is begun"
    )
    restart(cluster)
    assert tenant.use(key.key_id) == "DisabledException"
    return f"{said}, then repaired"


# ---- By one zone's disk ----


def refused_on_disk(cluster, zone, record, old, key):
    """While the keystore runs: refused, with an alarm, and the copy is loaded anew by itself."""
    tenant, disk = Tenant(cluster), Disk(cluster, zone)
    disk.put(record, old, counter_of(old) if record.startswith("key/") else None)
    said = set()

    def is_alarmed():
        said.update(uses(tenant, key, 5))
        return says_alarm(cluster, zone)

    harness.until(is_alarmed, SECONDS, f"an alarm of keystore-{zone} about {record}")
    said.update(uses(tenant, key))
    assert_none_ok(said)
    return sorted(said)


def test_the_same_in_the_file_of_a_keystore_that_runs(cluster):
    tenant, zone = Tenant(cluster), zones(cluster)[0]
    etcd = Etcd(cluster)
    key = tenant.create()
    old = etcd.get(tenant.record(key))
    tenant.kms.DisableKey(ke.DisableKeyRequest(key_id=key.key_id))
    said = refused_on_disk(cluster, zone, tenant.record(key), old, key.key_id)
    right = etcd.get(tenant.record(key))
    harness.until(
        lambda: Disk(cluster, zone).get(tenant.record(key)) == right, SECONDS, "loaded anew"
    )
    restart(cluster, zone)
    assert tenant.use(key.key_id) == "DisabledException"
    return f"{said}, then loaded anew"


def test_the_same_while_the_keystore_is_down(cluster):
    """Its counter is put back, too: only another zone's keystore knows better."""
    tenant, zone = Tenant(cluster), zones(cluster)[0]
    etcd = Etcd(cluster)
    key = tenant.create()
    old = etcd.get(tenant.record(key))
    tenant.kms.DisableKey(ke.DisableKeyRequest(key_id=key.key_id))
    process = f"keystore-{zone}"
    cluster.service("down", process)
    Disk(cluster, zone).put(tenant.record(key), old, counter_of(old))
    cluster.service("up", process)
    said = set()

    def is_found():
        said.update(uses(tenant, key.key_id, 5))
        return says_alarm(cluster, zone)

    harness.until(is_found, SECONDS, "the keystore that starts finds it")
    right = etcd.get(tenant.record(key))
    harness.until(
        lambda: Disk(cluster, zone).get(tenant.record(key)) == right, SECONDS, "loaded anew"
    )
    said.update(uses(tenant, key.key_id))
    assert_none_ok(said)
    restart(cluster, zone)
    return f"{sorted(said)}, then loaded anew"


if __name__ == "__main__":
    harness.main(globals())
