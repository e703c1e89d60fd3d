#!/usr/bin/env python3
"""One node without etcd: the same API, the same tests."""

import subprocess
import time

import harness
from test_api import *  # noqa: F401,F403: the whole of it, against the embedded engine

OWN = {"index": 6, "embedded": True}

POINT_AND_TRY = """
eval "$(deploy/env --embedded)"
: "$KEYSTEAD_ENDPOINT $KEYSTEAD_REGION $KEYSTEAD_ACCOUNT $KEYSTEAD_CA $KEYSTEAD_CERT"
: "$KEYSTEAD_CERT_KEY"
echo hello | keystead encrypt --key "$KEYSTEAD_KEY" | keystead decrypt
"""


def test_env_points_a_client_at_it(cluster):
    done = subprocess.run(
        ["sh", "-eu", "-c", POINT_AND_TRY],
        cwd=harness.ROOT,
        env=cluster.environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout == "hello\n"


def test_restart_keeps_everything(cluster):
    before = cluster.key()
    cluster.down(reset=False)
    began = time.monotonic()
    cluster.up()
    assert cluster.key() == before
    return f"{time.monotonic() - began:.1f} s"


if __name__ == "__main__":
    harness.main(globals())
