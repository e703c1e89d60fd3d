#!/usr/bin/env python3
"""Static stability: with the control plane gone, or the other region gone, a region serves on, also
after its frontends and keystores were restarted. And certificates renewed without a restart."""

import pathlib
import subprocess
import time

import harness
import pki
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke


def serves(cluster, frontend=0):
    kms = cluster.kms(frontend=frontend)
    blob = kms.Encrypt(cr.EncryptRequest(key_id=cluster.key(), plaintext=b"x")).ciphertext_blob
    return kms.Decrypt(cr.DecryptRequest(ciphertext_blob=blob)).plaintext == b"x"


def test_without_the_control_plane(cluster):
    cluster.service("down", "control", "etcd-control")
    try:
        assert serves(cluster)
        for name in [
            n
            for n in cluster.processes()
            if n.startswith(("keystore-", "frontend-")) and cluster.region in n
        ]:
            cluster.kill(name)
        took = harness.until(
            lambda: serves(cluster, 0) and serves(cluster, 1), 30, "serves after all restarted"
        )
        assert cluster.kms().CreateKey(ke.CreateKeyRequest()).key_metadata.enabled
    finally:
        cluster.service("up", "etcd-control", "control")
    return f"served {took:.1f} s after every frontend and keystore was killed"


def test_without_the_other_region(cluster):
    other = cluster.topology.regions[1].name
    gone = [n for n in cluster.processes() if other in n]
    cluster.service("down", *gone)
    try:
        assert serves(cluster)
        assert cluster.kms().CreateKey(ke.CreateKeyRequest()).key_metadata.enabled
    finally:
        cluster.service("up", *gone)
    harness.until(
        lambda: cluster.cli("cluster", "status", check=False).returncode == 0, 60, "all well again"
    )


def test_restart_keeps_everything(cluster):
    kms = cluster.kms()
    key = kms.CreateKey(ke.CreateKeyRequest(description="kept")).key_metadata
    blob = kms.Encrypt(cr.EncryptRequest(key_id=key.arn, plaintext=b"kept")).ciphertext_blob
    cluster.down(reset=False)
    took = cluster.up()
    kms = cluster.kms()
    assert kms.Decrypt(cr.DecryptRequest(ciphertext_blob=blob)).plaintext == b"kept"
    assert kms.DescribeKey(ke.DescribeKeyRequest(key_id=key.key_id)).key_metadata == key
    return f"up again in {took:.1f} s"


def test_certificates_are_renewed_without_restart(cluster):
    """Every leaf is replaced by a new one (as the certificate service does when it is due); the old
    ones, and whoever holds only them, would be refused after their end."""
    before = {name: cluster.pid(name) for name in cluster.processes()}
    serials = {}
    for leaf in pki.leaves(cluster.topology):
        pem = cluster.topology.tls(leaf.process) / f"{leaf.purpose}.pem"
        serials[pem] = pki.openssl("x509", "-in", pem, "-noout", "-serial")
        pki.issue(cluster.topology, leaf)
    time.sleep(4)
    assert serves(cluster, 0) and serves(cluster, 1)
    for pem, old in serials.items():
        assert pki.openssl("x509", "-in", pem, "-noout", "-serial") != old
    frontend = cluster.topology.frontends[0]
    shown = subprocess.run(
        [
            "openssl",
            "s_client",
            "-connect",
            frontend.endpoint,
            "-cert",
            cluster.home / "client/alice.pem",
            "-key",
            cluster.home / "client/alice.key",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    ).stdout
    served = pki.openssl("x509", "-noout", "-serial", stdin=shown)
    on_disk = pki.openssl(
        "x509",
        "-in",
        pathlib.Path(cluster.topology.tls(frontend.name)) / "process.pem",
        "-noout",
        "-serial",
    )
    assert served == on_disk, "the listener still shows the old certificate"
    assert before == {
        name: cluster.pid(name) for name in cluster.processes()
    }, "something restarted"


if __name__ == "__main__":
    harness.main(globals())
