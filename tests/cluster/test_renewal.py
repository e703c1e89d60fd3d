#!/usr/bin/env python3
"""Certificates that live for a minute: renewed at two thirds of it; nothing restarts or stops."""

import time

import harness
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke

LIFE_SECONDS = 60
OWN = {"index": 1, "environment": {"KEYSTEAD_CERT_SECONDS": str(LIFE_SECONDS)}}
BESIDE = True


def test_serves_past_the_life_of_every_certificate(cluster):
    before = {name: cluster.pid(name) for name in cluster.processes()}
    end = time.monotonic() + LIFE_SECONDS + 15
    count = 0
    while time.monotonic() < end:
        for frontend in range(2):
            kms = cluster.kms(frontend=frontend)  # a new connection, with what is shown now
            request = cr.EncryptRequest(key_id=cluster.key(), plaintext=b"x")
            blob = kms.Encrypt(request).ciphertext_blob
            assert kms.Decrypt(cr.DecryptRequest(ciphertext_blob=blob)).plaintext == b"x"
        kms.CreateKey(ke.CreateKeyRequest())
        count += 1
        time.sleep(1)
    # Connections made anew inside the cell, too: a keystore that starts finds its way.
    name = f"keystore-{cluster.topology.regions[0].zones[0].name}"
    cluster.kill(name)
    ready = lambda: cluster.cli("cluster", "status", check=False).returncode == 0
    harness.until(ready, 30, "all well after a keystore started with renewed certificates")
    after = {n: cluster.pid(n) for n in cluster.processes() if n != name}
    assert after == {n: p for n, p in before.items() if n != name}, "a process restarted"
    return f"{count} rounds over {LIFE_SECONDS + 15} s"


if __name__ == "__main__":
    harness.main(globals())
