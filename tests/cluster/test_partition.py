#!/usr/bin/env python3
"""A zone cut off from the others: what the majority revokes is not served in the minority."""

import subprocess
import sys
import threading
import time

import grpc
import harness
import network
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke

OWN = {"index": 3, "netns": True}
TRIES = 10_000  # that started after DisableKey had returned
PROBE_SECONDS = 20  # to start, on a busy machine


class Probe:
    """tests/cluster/probe.py in the namespace of a frontend's zone."""

    def __init__(self, cluster, frontend, blob):
        self.process = subprocess.Popen(
            [
                "ip",
                "netns",
                "exec",
                frontend.host.netns,
                sys.executable,
                harness.ROOT / "tests/cluster/probe.py",
                frontend.endpoint,
                cluster.home / "client",
                blob.hex(),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.batches = []  # (when it started, tries, successes) of each
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            started, tries, opened = line.split()
            self.batches.append((float(started), int(tries), int(opened)))

    def opened(self):
        return any(batch[2] for batch in self.batches)

    def end(self):
        """All batches."""
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.reader.join(timeout=20)
        return self.batches


def disable_with_cut(cluster, zone_index):
    region = cluster.topology.regions[0]
    cut = region.zones[zone_index]
    reachable = [i for i, f in enumerate(region.frontends) if f.host != cut.host][0]
    kms = cluster.kms(frontend=reachable, seconds=10)
    key = kms.CreateKey(ke.CreateKeyRequest()).key_metadata.arn
    blob = kms.Encrypt(cr.EncryptRequest(key_id=key, plaintext=b"x")).ciphertext_blob
    probes = [Probe(cluster, frontend, blob) for frontend in region.frontends]
    try:
        for probe, frontend in zip(probes, region.frontends):
            harness.until(probe.opened, PROBE_SECONDS, f"{frontend.name} opens the blob")
        network.set_link(cluster.topology, cut, up=False)
        end = time.monotonic() + 20
        while True:
            try:
                kms.DisableKey(
                    ke.DisableKeyRequest(key_id=key, request_id="cut-" + key.rsplit("/", 1)[1])
                )
                break
            except grpc.RpcError:
                assert time.monotonic() < end, "DisableKey does not get through the majority"
        returned = time.monotonic()
        time.sleep(3)
    finally:
        network.set_link(cluster.topology, cut, up=True)
        found = [probe.end() for probe in probes]
    late = [batch for probe in found for batch in probe if batch[0] > returned]
    opened = sum(batch[2] for batch in late)
    assert opened == 0, f"{opened} Decrypts succeeded that started after DisableKey returned"
    assert all(
        any(batch[2] for batch in probe) for probe in found
    ), "a frontend never opened anything: the test shows nothing"
    harness.until(
        lambda: cluster.cli("cluster", "status", check=False).returncode == 0, 60, "all well again"
    )
    return sum(batch[1] for batch in late)


def test_cut_off_zone_serves_nothing_revoked(cluster):
    tries, count = 0, 0
    while (tries < TRIES or count < 2) and count < 12:
        tries += disable_with_cut(cluster, count % 2)
        count += 1
    assert tries >= TRIES, f"only {tries} tries in {count} cuts"
    return f"{tries} tries after DisableKey in {count} cuts"


def test_majority_serves_on(cluster):
    """With a zone cut off, writes and crypto go on at the frontend of another zone."""
    region = cluster.topology.regions[0]
    cut = region.zones[1]
    kms = cluster.kms(frontend=0, seconds=3)
    network.set_link(cluster.topology, cut, up=False)
    try:
        took = harness.until(
            lambda: kms.CreateKey(ke.CreateKeyRequest()), 15, "a write gets through"
        )
        harness.until(
            lambda: kms.Encrypt(cr.EncryptRequest(key_id=cluster.key(), plaintext=b"x")),
            5,
            "crypto",
        )
    finally:
        network.set_link(cluster.topology, cut, up=True)
    harness.until(
        lambda: cluster.cli("cluster", "status", check=False).returncode == 0, 60, "all well again"
    )
    return f"first write after {took:.1f} s"


if __name__ == "__main__":
    harness.main(globals())
