#!/usr/bin/env python3
"""DisableKey, then no Decrypt that started after it succeeds, at any frontend: with etcd members
and keystores paused and resumed at the worst moments."""

import signal
import threading
import time

import grpc
import harness
from keystead.kms.v1 import batch_pb2 as ba
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke

TRIES = 10_000  # that started after DisableKey had returned
ROUNDS = 6
BATCH = 25


class Prober:
    """Decrypts at one frontend, over and over, from several threads; keeps what succeeded when."""

    def __init__(self, cluster, frontend, blob):
        self.successes, self.tries, self.lock = [], [], threading.Lock()
        self.stop = threading.Event()
        self.threads = [
            threading.Thread(
                target=self.run, args=(cluster.kms(frontend=frontend, seconds=4), blob)
            )
            for _ in range(2)
        ]
        for thread in self.threads:
            thread.start()

    def run(self, kms, blob):
        entries = ba.DecryptBatchRequest(entries=[cr.DecryptRequest(ciphertext_blob=blob)] * BATCH)
        while not self.stop.is_set():
            started = time.monotonic()
            try:
                results = kms.DecryptBatch(entries).results
            except grpc.RpcError:
                time.sleep(0.005)
                continue
            opened = sum(r.WhichOneof("outcome") == "response" for r in results)
            with self.lock:
                self.tries.append((started, len(results)))
                if opened:
                    self.successes.append((started, opened))

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def disable_while(cluster, disturb, settle_seconds=1.0):
    """One round: a fresh key, probers at every frontend, a disturbance, DisableKey, a look."""
    kms = cluster.kms(seconds=20)
    key = kms.CreateKey(ke.CreateKeyRequest()).key_metadata.arn
    blob = kms.Encrypt(cr.EncryptRequest(key_id=key, plaintext=b"x")).ciphertext_blob
    probers = [Prober(cluster, i, blob) for i in range(len(cluster.topology.regions[0].frontends))]
    try:
        time.sleep(0.3)
        with disturb:
            end = time.monotonic() + 20
            while True:
                try:
                    kms.DisableKey(
                        ke.DisableKeyRequest(
                            key_id=key, request_id="disable-" + key.rsplit("/", 1)[1]
                        )
                    )
                    break
                except grpc.RpcError as error:
                    assert error.code() in (
                        grpc.StatusCode.UNAVAILABLE,
                        grpc.StatusCode.DEADLINE_EXCEEDED,
                    ), error
                    assert time.monotonic() < end, "DisableKey does not get through"
            returned = time.monotonic()
        time.sleep(settle_seconds)
    finally:
        for prober in probers:
            prober.end()
    late = [s for p in probers for s in p.successes if s[0] > returned]
    assert (
        not late
    ), f"{sum(n for _, n in late)} Decrypts succeeded that started after DisableKey returned"
    assert (
        sum(len(p.successes) for p in probers) > 0
    ), "the key never worked: the test shows nothing"
    return sum(n for p in probers for started, n in p.tries if started > returned)


class Paused:
    """SIGSTOP on entering; SIGCONT right after DisableKey has returned."""

    def __init__(self, cluster, *processes):
        self.cluster, self.processes = cluster, processes

    def __enter__(self):
        self.cluster.signal(signal.SIGSTOP, *self.processes)

    def __exit__(self, *_):
        self.cluster.signal(signal.SIGCONT, *self.processes)


def rounds(cluster, processes_of_round):
    tries = count = 0
    while (tries < TRIES or count < ROUNDS) and count < 40:
        tries += disable_while(cluster, Paused(cluster, *processes_of_round(count)))
        count += 1
    assert tries >= TRIES, f"only {tries} tries in {count} rounds"
    return f"{tries} tries after DisableKey in {count} rounds"


def zones(cluster):
    return [zone.name for zone in cluster.topology.regions[0].zones]


def test_undisturbed(cluster):
    return rounds(cluster, lambda i: ())


def test_paused_keystore(cluster):
    return rounds(cluster, lambda i: (f"keystore-{zones(cluster)[i % 3]}",))


def test_paused_etcd_member(cluster):
    return rounds(cluster, lambda i: (f"etcd-{zones(cluster)[i % 3]}",))


def test_paused_leader_with_its_keystore(cluster):
    def pick(_):
        leader = cluster.leader(cluster.region)
        return (f"etcd-{leader}", f"keystore-{leader}")

    return rounds(cluster, pick)


if __name__ == "__main__":
    harness.main(globals())
