"""kill -9 of the etcd member that leads, under crypto and writes: the longest time without a
success of each."""

import dataclasses
import time

import tools

QUIET_MS, DRILL_MS, KILL_AFTER_S = 3000, 8000, 1.0
DRILL_CHANNELS, DRILL_OUTSTANDING = 2, 8  # enough to see a gap of a few ms, and leave CPU to heal
DEADLINE_MS = 2000
WELL_SECONDS = 60


def _both(bench, run_ms, kill=None):
    """(crypto, writes): both loads at once, a member killed meanwhile."""
    loads = [bench.encrypt, bench.loads.create_key("bench")]
    children = []
    try:
        for load in loads:
            load = dataclasses.replace(load, channels=DRILL_CHANNELS, outstanding=DRILL_OUTSTANDING)
            command = bench.loads.command(load, 1000, run_ms, "--deadline-ms", DEADLINE_MS)
            children.append(tools.start(command))
        for child in children:
            tools.expect(child, "begin")
        if kill:
            time.sleep(KILL_AFTER_S)
            bench.cluster.kill(kill)
        return [tools.finish(child) for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()


def measure(bench):
    add, cluster = bench.figures.add, bench.cluster
    bench.account("bench")
    for number in range(bench.plan.kills):
        crypto, writes = _both(bench, QUIET_MS)
        add("quiet_gap_ms", writes["max_gap_ms"], "ms")
        add("quiet_crypto_gap_ms", crypto["max_gap_ms"], "ms")
        leader = f"etcd-{cluster.leader(cluster.region)}"
        crypto, writes = _both(bench, DRILL_MS, leader)
        add("failover_gap_ms", writes["max_gap_ms"], "ms")
        add("failover_crypto_gap_ms", crypto["max_gap_ms"], "ms")
        add("failover_crypto_failures", sum(crypto["failures"].values()), "")
        add("failover_write_failures", sum(writes["failures"].values()), "")
        bench.say(
            f"failover {number + 1} of {bench.plan.kills}: {leader} killed; longest gap of writes "
            f"{writes['max_gap_ms']:.0f} ms {writes['failures']}, of crypto "
            f"{crypto['max_gap_ms']:.0f} ms {crypto['failures']}"
        )
        bench.wait_until_well(WELL_SECONDS)
