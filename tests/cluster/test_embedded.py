#!/usr/bin/env python3
"""One node without etcd: the same API, the same tests."""

import harness
from test_api import *  # noqa: F401,F403: the whole of it, against the embedded engine


def test_restart_is_quick_and_keeps_everything(cluster):
    import time

    before = cluster.key()
    cluster.down(reset=False)
    began = time.monotonic()
    cluster.up()
    assert cluster.key() == before
    return f"{time.monotonic() - began:.1f} s"


if __name__ == "__main__":
    harness.main(globals(), index=6, embedded=True)
