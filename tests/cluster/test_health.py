#!/usr/bin/env python3
"""Health tells the truth: a frontend is NOT_SERVING, within a second, when no keystore with a
serving window, or no hsm, can be reached behind it; and `keystead cluster status` says the same."""

import contextlib
import signal
import time

import harness

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"  # grpc.health.v1.HealthCheckResponse
SERVICES = (b"", b"keystead.kms.v1.KeyManagementService")
WITHIN_SECONDS = 1.0
BACK_SECONDS = 30


class Health:
    """What both frontends of the region say of both names, on connections that stand."""

    def __init__(self, cluster):
        self.checks = [
            cluster.channel(frontend.endpoint).unary_unary("/grpc.health.v1.Health/Check")
            for frontend in cluster.topology.regions[0].frontends
        ]

    def all_say(self, wanted):
        return all(
            check(b"\x0a" + bytes([len(name)]) + name if name else b"", timeout=2) == wanted
            for check in self.checks
            for name in SERVICES
        )

    def seconds_until(self, wanted, seconds):
        return harness.until(lambda: self.all_say(wanted), seconds, f"all say {wanted}")


def of_region(cluster, kind):
    return [
        name
        for name in cluster.processes()
        if name.startswith(f"{kind}-") and cluster.region in name
    ]


@contextlib.contextmanager
def stopped(cluster, names):
    """They hang, as behind a network that is gone: no connection ends."""
    cluster.signal(signal.SIGSTOP, *names)
    try:
        yield
    finally:
        cluster.signal(signal.SIGCONT, *names)


def assert_status_agrees(cluster):
    said = cluster.cli("cluster", "status", check=False)
    assert said.returncode != 0
    text = said.stdout.decode()
    frontends = [line for line in text.splitlines() if "frontend-" in line]
    assert frontends and any("not serving" in line for line in frontends), text


def goes_and_comes_back(cluster, names):
    health = Health(cluster)
    health.seconds_until(SERVING, BACK_SECONDS)
    with stopped(cluster, names):
        took = health.seconds_until(NOT_SERVING, 5)
        assert took <= WITHIN_SECONDS, f"took {took:.2f} s"
        assert_status_agrees(cluster)
    health.seconds_until(SERVING, BACK_SECONDS)
    return f"not serving after {took:.2f} s"


def test_no_keystore_answers(cluster):
    return goes_and_comes_back(cluster, of_region(cluster, "keystore"))


def test_no_hsm_answers(cluster):
    return goes_and_comes_back(cluster, of_region(cluster, "hsm"))


def test_keystores_are_down(cluster):
    health = Health(cluster)
    names = of_region(cluster, "keystore")
    cluster.service("down", *names)
    try:
        took = health.seconds_until(NOT_SERVING, 5)
        assert took <= WITHIN_SECONDS, f"took {took:.2f} s"
        assert_status_agrees(cluster)
    finally:
        cluster.service("up", *names)
    health.seconds_until(SERVING, BACK_SECONDS)
    return f"not serving after {took:.2f} s"


def all_well(cluster):
    return cluster.cli("cluster", "status", check=False).returncode == 0


def test_one_zone_is_enough(cluster):
    harness.until(lambda: all_well(cluster), 60, "all well")
    health = Health(cluster)
    with stopped(cluster, of_region(cluster, "keystore")[1:]):
        end = time.monotonic() + 1.5  # less than a serving window takes to end without a majority
        while time.monotonic() < end:
            assert health.all_say(SERVING)
    harness.until(lambda: all_well(cluster), 60, "all well again")


if __name__ == "__main__":
    harness.main(globals())
