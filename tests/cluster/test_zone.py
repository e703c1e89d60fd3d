#!/usr/bin/env python3
"""An hsm is lost for good: its zone gets a new one, and nothing that was encrypted is."""

import shutil
import time

import harness
import setup
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke


def status(cluster):
    return cluster.cli("cluster", "status", check=False)


def replace(cluster, zone):
    """What the operator does: a new token, the operator's signature, the next roster."""
    cluster.service("down", f"hsm-{zone.name}")
    shutil.rmtree(cluster.topology.folder(zone.name, "hsm"))
    setup.make_hsm(cluster.topology, zone)
    cluster.service("up", f"hsm-{zone.name}")
    certificate = cluster.topology.folder(zone.name, "hsm", "identity.pem")
    words = ["--region", zone.region, "--hsm-root", cluster.topology.hsm_root(zone.region)]
    words += ["--roster", cluster.topology.roster(zone.region), "--wait", "60s"]
    cluster.cli("zone", "replace", *words, f"{zone.name}={certificate}")


def test_each_hsm_replaced_in_turn(cluster):
    """After the third no first hsm is left: what opens the old blob came from hsm to hsm."""
    kms = cluster.kms()
    key = kms.CreateKey(ke.CreateKeyRequest(description="old")).key_metadata
    request = cr.EncryptRequest(key_id=key.arn, plaintext=b"kept")
    blob = kms.Encrypt(request).ciphertext_blob
    took = []
    for zone in cluster.topology.regions[0].zones:
        began = time.monotonic()
        replace(cluster, zone)
        harness.until(lambda: status(cluster).returncode == 0, 60, f"all well after {zone.name}")
        took.append(time.monotonic() - began)
        for frontend in range(2):
            opened = cluster.kms(frontend=frontend).Decrypt(cr.DecryptRequest(ciphertext_blob=blob))
            assert opened.plaintext == b"kept"
        made = kms.CreateKey(ke.CreateKeyRequest()).key_metadata
        assert kms.Encrypt(cr.EncryptRequest(key_id=made.arn, plaintext=b"x")).ciphertext_blob
    # Each keystore by itself opens it, with its own new hsm.
    zones = [z.name for z in cluster.topology.regions[0].zones]
    for zone in zones:
        others = [f"keystore-{z}" for z in zones if z != zone]
        cluster.service("down", *others[:1])
        try:
            harness.until(
                lambda: kms.Decrypt(cr.DecryptRequest(ciphertext_blob=blob)).plaintext == b"kept",
                10,
                f"served without {others[0]}",
            )
        finally:
            cluster.service("up", *others[:1])
    harness.until(lambda: status(cluster).returncode == 0, 60, "all well at the end")
    return "replaced in " + ", ".join(f"{t:.1f} s" for t in took)


if __name__ == "__main__":
    harness.main(globals())
