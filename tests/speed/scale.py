"""Many keys: what they cost in memory, and how long a region takes to start with them."""

import statistics
import time

from keystead.kms.v1 import crypto_pb2 as cr

import harness
import machine
import runit
import tools

ACCOUNTS = 2  # a quota of 100,000 keys an account would stop one
STEP_KEYS, STEP_MS = 10000, 60000
START_SECONDS = 120
ROLES = ("frontend", "keystore", "hsm", "etcd")


def role_memory(bench):
    """{role: (mean resident bytes, mean anonymous bytes)} of the region's processes."""
    found = {}
    for role in ROLES:
        pids = [
            p
            for n, p in bench.pids().items()
            if n.startswith(f"{role}-") and bench.cluster.region in n
        ]
        both = [machine.memory(pid) for pid in pids]
        found[role] = tuple(statistics.mean(column) for column in zip(*both))
    return found


def fill(bench, count, seconds):
    """Makes up to count keys in so many seconds; returns how many."""
    users = [f"fill{i}" for i in range(ACCOUNTS)]
    for user in users:
        bench.account(user)
    began, made = time.monotonic(), 0
    while made < count and time.monotonic() - began < seconds:
        load = bench.loads.create_key(users[made * ACCOUNTS // count], outstanding=32)
        step = min(STEP_KEYS, count - made)
        child = tools.start(bench.loads.command(load, 0, STEP_MS, "--calls", step))
        try:
            tools.expect(child, "begin")
            answer = tools.finish(child)
        finally:
            child.kill()
            child.wait()
        made += answer["calls"]
        bench.say(f"  {made:,} keys of {count:,}; {answer['rps']:,.0f} a second")
        assert answer["calls"], f"no key was made: {answer['failures']}"
    return made


def restart(bench):
    """Stops every process and starts them all: (ms until both frontends encrypt, ms until all is
    well)."""
    cluster = bench.cluster
    request = cr.EncryptRequest(key_id=cluster.key(), plaintext=b"started?")
    left = runit.stop(cluster.topology)
    assert not left, f"did not stop: {left}"
    began = time.monotonic()
    runit.start(cluster.topology)
    for index in range(len(cluster.topology.region(cluster.region).frontends)):
        # wait_for_ready: Python's client makes no progress while it fails calls at once.
        kms = cluster.kms(frontend=index)
        answers = lambda: kms.Encrypt(request, wait_for_ready=True, timeout=START_SECONDS)
        harness.until(answers, START_SECONDS, f"frontend {index} encrypts")
    serves = time.monotonic() - began
    bench.wait_until_well(START_SECONDS)
    return serves * 1000, (time.monotonic() - began) * 1000


def measure(bench):
    say, figures = bench.say, bench.figures
    few = restart(bench)
    time.sleep(2)
    before = role_memory(bench)
    stored = bench.keys_made
    say(f"start with {stored:,} keys: {few[0]:.0f} ms until both frontends encrypt")
    made = fill(bench, bench.plan.keys, bench.plan.fill_seconds)
    many = [restart(bench) for _ in range(bench.plan.starts)]
    time.sleep(2)
    after = role_memory(bench)
    figures.set("keys_before", stored)
    figures.set("keys_added", made)
    figures.add("start_few_keys_ms", few[0], "ms")
    for serves, well in many:
        figures.add("start_ms", serves, "ms")
        figures.add("start_all_well_ms", well, "ms")
    for role in ("keystore", "etcd", "frontend"):
        for index, kind in enumerate(("", "_anonymous")):
            grown = after[role][index] - before[role][index]
            figures.add(f"bytes_per_key_{role}{kind}", grown / made, "bytes")
    say(f"start with {stored + made:,} keys: {many[-1][0]:.0f} ms until both frontends encrypt")
