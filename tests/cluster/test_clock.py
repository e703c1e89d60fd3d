#!/usr/bin/env python3
"""One machine's wall clock is wrong: it destroys nothing, stops nothing, and dates nothing."""

import contextlib
import sys
import time

import harness
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke

sys.path.append(str(harness.ROOT / "tests" / "faults"))

import faults  # noqa: E402

OWN, BESIDE = {"index": 2}, True
DAY = 24 * 3600
WRONG = 20 * DAY  # past the shortest wait for a deletion, and not past the processes' certificates
PASS_SECONDS = 65  # a pass over all keys begins a minute after the last one ended
FAULT_SECONDS = 30


def all_well(cluster):
    return cluster.cli("cluster", "status", check=False).returncode == 0


def says_clock(cluster):
    return b"wall clock" in cluster.cli("cluster", "status", check=False).stdout


def restart(cluster, process):
    cluster.service("restart", process)
    harness.until(lambda: all_well(cluster), 60, f"all well with {process} started again")


@contextlib.contextmanager
def wrong_clocks(cluster):
    """Every keystore of the first region: which one is on duty is its own affair."""
    processes = [f"keystore-{zone.name}" for zone in cluster.topology.regions[0].zones]
    shims = {process: faults.Shim(cluster, process) for process in processes}
    try:
        for process in processes:
            restart(cluster, process)
        yield shims.values()
    finally:
        for process, shim in shims.items():
            shim.remove()
            restart(cluster, process)


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
            clock.set(wall_s=WRONG)
            harness.until(lambda: says_clock(cluster), FAULT_SECONDS, "the status says so")
            keys.append(schedule(kms))
            end = time.monotonic() + PASS_SECONDS
            while time.monotonic() < end:
                assert works(kms, cluster.key())
                time.sleep(1)
            assert_pending(kms, keys)
            clock.set(wall_s=-WRONG)
            keys.append(schedule(kms))
            assert works(kms, cluster.key())
            clock.set()
            harness.until(lambda: all_well(cluster), FAULT_SECONDS, "all well again")
            assert_pending(kms, keys)
    assert_pending(kms, keys)
    return f"{len(keys)} keys are still pending"


if __name__ == "__main__":
    harness.main(globals())
