#!/usr/bin/env python3
"""kill -9 of any one process, and of a whole zone, under load: nothing acknowledged is lost, no
answer is wrong, retried requests succeed."""

import concurrent.futures
import itertools
import threading
import time
import uuid

import grpc
import harness
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke

RETRY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
RETRY_SECONDS = 30


class Client:
    """Retries what may be retried, at the other frontend, as any client of Keystead should."""

    def __init__(self, cluster, seconds=3):
        count = len(cluster.topology.regions[0].frontends)
        self.stubs = itertools.cycle(
            [cluster.kms(frontend=i, seconds=seconds) for i in range(count)]
        )
        self.retries = 0

    def call(self, name, request):
        end = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                return getattr(next(self.stubs), name)(request)
            except grpc.RpcError as error:
                if error.code() not in RETRY or time.monotonic() > end:
                    raise
                self.retries += 1
                time.sleep(0.02)


class Work:
    """Crypto and mutations at once, each checked."""

    def __init__(self, cluster):
        self.created, self.lock = [], threading.Lock()
        crypto, writer = Client(cluster), Client(cluster)
        key = cluster.key()

        def use():
            text = uuid.uuid4().bytes
            blob = crypto.call(
                "Encrypt", cr.EncryptRequest(key_id=key, plaintext=text)
            ).ciphertext_blob
            assert (
                crypto.call("Decrypt", cr.DecryptRequest(ciphertext_blob=blob)).plaintext == text
            ), "wrong plaintext"

        def create():
            name = uuid.uuid4().hex
            made = writer.call(
                "CreateKey", ke.CreateKeyRequest(description=name, request_id=name)
            ).key_metadata
            assert made.description == name, "an answer to another request"
            with self.lock:
                self.created.append((made.key_id, name))

        self.clients = (crypto, writer)
        self.loads = (harness.Load(use), harness.Load(create))

    def __enter__(self):
        for load in self.loads:
            load.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        for load in self.loads:
            load.stop()

    def check(self, cluster):
        """Everything acknowledged is there, once."""
        for load in self.loads:
            assert not load.wrong, load.wrong[:3]
            assert not load.failures, load.failures[:3]
        client = Client(cluster)
        listed, marker = {}, None
        while True:
            page = client.call("ListKeys", ke.ListKeysRequest(limit=1000, marker=marker))
            listed.update((k.key_id, True) for k in page.keys)
            if not page.truncated:
                break
            marker = page.next_marker
        lost = [key for key, _ in self.created if key not in listed]
        assert not lost, f"{len(lost)} acknowledged keys lost"
        for key, name in self.created[-20:]:
            assert (
                client.call(
                    "DescribeKey", ke.DescribeKeyRequest(key_id=key)
                ).key_metadata.description
                == name
            )

    def report(self):
        crypto, writes = (load.gap_ms() for load in self.loads)
        return (
            f"longest gap crypto {crypto:.0f} ms, writes {writes:.0f} ms; "
            f"{len(self.created)} keys made"
        )


def all_well(cluster):
    return cluster.cli("cluster", "status", check=False).returncode == 0


def in_region(cluster, name):
    return cluster.region in name


def test_kill_each_process(cluster):
    targets = [name for name in cluster.processes() if in_region(cluster, name)] + [
        "control",
        "etcd-control",
    ]
    recoveries = []
    with Work(cluster) as work:
        for name in targets:
            before = cluster.pid(name)
            cluster.kill(name)
            harness.until(
                lambda: cluster.pid(name) not in (None, before), 20, f"{name} is restarted"
            )
            recoveries.append(
                (
                    harness.until(
                        lambda: all_well(cluster), 40, f"all well after {name} was killed"
                    ),
                    name,
                )
            )
    work.check(cluster)
    slowest = max(recoveries)
    return (
        f"{len(targets)} processes; slowest recovery {slowest[0]:.1f} s ({slowest[1]}); "
        f"{work.report()}"
    )


def test_kill_a_zone(cluster):
    said = []
    leader = cluster.leader(cluster.region)
    other = next(z.name for z in cluster.topology.regions[0].zones if z.name != leader)
    for zone in (leader, other):
        processes = [n for n in cluster.zone_processes(zone)]
        with Work(cluster) as work:
            cluster.kill(*processes)
            cluster.service("down", *processes)
            time.sleep(6)
            made = len(work.created)
            time.sleep(1)
            assert len(work.created) > made, "writes stand still with one zone gone"
            cluster.service("up", *processes)
            took = harness.until(lambda: all_well(cluster), 60, f"all well after {zone} came back")
        work.check(cluster)
        said.append(f"{zone}: back in {took:.1f} s, {work.report()}")
    return "; ".join(said)


def test_retry_over_a_dead_keystore_makes_one_key(cluster):
    """While one keystore after the other is killed: each request_id makes one key, however often it
    is sent, by whichever frontend, before and after an answer."""
    keystores = [
        n for n in cluster.processes() if n.startswith("keystore-") and in_region(cluster, n)
    ]
    stop, killed = threading.Event(), []

    def killer():
        for name in itertools.cycle(keystores):
            if stop.wait(0.7):
                return
            cluster.kill(name)
            killed.append(name)

    thread = threading.Thread(target=killer)
    thread.start()
    clients = [Client(cluster, seconds=1) for _ in range(3)]
    end, count = time.monotonic() + 12, 0
    try:
        while time.monotonic() < end:
            request_id = uuid.uuid4().hex
            request = ke.CreateKeyRequest(description=request_id, request_id=request_id)
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                made = list(pool.map(lambda c: c.call("CreateKey", request), clients))
            made.append(clients[0].call("CreateKey", request))
            assert (
                len({m.key_metadata.key_id for m in made}) == 1
            ), "one request_id made several keys"
            assert made[0].key_metadata.description == request_id
            count += 1
    finally:
        stop.set()
        thread.join()
    harness.until(lambda: all_well(cluster), 60, "all well again")
    retries = sum(client.retries for client in clients)
    assert count > 5 and len(killed) > 5, (count, len(killed))
    return f"{count} requests sent 4 times each, {retries} retries, {len(killed)} kills"


if __name__ == "__main__":
    harness.main(globals())
