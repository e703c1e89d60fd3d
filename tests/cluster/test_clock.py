#!/usr/bin/env python3
"""One machine's wall clock is wrong: it destroys nothing, stops nothing, and dates nothing."""

import contextlib
import struct
import subprocess
import time

import harness
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke

DAY = 24 * 3600
WRONG = 20 * DAY  # past the shortest wait for a deletion, and not past the processes' certificates
PASS_SECONDS = 65  # a pass over all keys begins a minute after the last one ended
FAULT_SECONDS = 30


class WrongClock:
    """The keystore of a zone, whose wall clock can be stepped while it runs."""

    def __init__(self, cluster, zone):
        self.cluster, self.process = cluster, f"keystore-{zone.name}"
        self.file = cluster.topology.folder("bin") / f"{self.process}.ahead"
        self.script = cluster.topology.folder("services") / self.process / "run"
        self.library = cluster.topology.folder("bin") / "wrong_clock.so"
        self.written = self.script.read_text()

    def start(self):
        source = harness.ROOT / "tests" / "cluster" / "wrong_clock.c"
        words = ["gcc", "-std=c17", "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC"]
        subprocess.run([*words, "-o", self.library, source], check=True)
        self.library.chmod(0o755)
        self.file.write_bytes(struct.pack("=q", 0))
        self.file.chmod(0o644)
        preload = f"env -i LD_PRELOAD={self.library} WRONG_CLOCK={self.file} PATH"
        assert self.written.count("env -i PATH") == 1
        self.script.write_text(self.written.replace("env -i PATH", preload))
        self.restart()

    def restart(self):
        self.cluster.service("restart", self.process)

    def step(self, seconds):
        with open(self.file, "r+b") as file:  # in place: the process has mapped it
            file.write(struct.pack("=q", seconds))

    def stop(self):
        self.script.write_text(self.written)
        self.restart()


def all_well(cluster):
    return cluster.cli("cluster", "status", check=False).returncode == 0


def says_clock(cluster):
    return b"wall clock" in cluster.cli("cluster", "status", check=False).stdout


@contextlib.contextmanager
def wrong_clocks(cluster):
    """Every keystore of the first region: which one is on duty is its own affair."""
    clocks = [WrongClock(cluster, zone) for zone in cluster.topology.regions[0].zones]
    try:
        for clock in clocks:
            clock.start()
            harness.until(lambda: all_well(cluster), 60, f"all well with {clock.process}")
        yield clocks
    finally:
        for clock in clocks:
            clock.stop()
            harness.until(lambda: all_well(cluster), 60, f"all well after {clock.process}")


def schedule(kms):
    key = kms.CreateKey(ke.CreateKeyRequest()).key_metadata.key_id
    request = ke.ScheduleKeyDeletionRequest(key_id=key, pending_window_in_days=7)
    due = kms.ScheduleKeyDeletion(request).deletion_date.seconds
    assert abs(due - time.time() - 7 * DAY) < 60, f"due {due - time.time():.0f} s from now"
    return key


def assert_pending(kms, keys):
    for key in keys:
        kms.DescribeKey(ke.DescribeKeyRequest(key_id=key))  # refused as NotFound once it is gone


def works(kms, key):
    blob = kms.Encrypt(cr.EncryptRequest(key_id=key, plaintext=b"x")).ciphertext_blob
    return kms.Decrypt(cr.DecryptRequest(ciphertext_blob=blob)).plaintext == b"x"


def test_one_wrong_clock_of_three(cluster):
    """The sequences of the review: +20 days at each keystore in turn, one of which is on duty."""
    kms = cluster.kms()
    keys = [schedule(kms)]
    with wrong_clocks(cluster) as clocks:
        for clock in clocks:
            clock.step(WRONG)
            harness.until(lambda: says_clock(cluster), FAULT_SECONDS, "the status says so")
            keys.append(schedule(kms))
            end = time.monotonic() + PASS_SECONDS
            while time.monotonic() < end:
                assert works(kms, cluster.key())
                time.sleep(1)
            assert_pending(kms, keys)
            clock.step(-WRONG)
            keys.append(schedule(kms))
            assert works(kms, cluster.key())
            clock.step(0)
            harness.until(lambda: all_well(cluster), FAULT_SECONDS, "all well again")
            assert_pending(kms, keys)
    assert_pending(kms, keys)
    return f"{len(keys)} keys are still pending"


if __name__ == "__main__":
    harness.main(globals())
