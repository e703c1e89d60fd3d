#!/usr/bin/env python3
"""Runs random fault schedules against a cluster of its own, both regions at once, and prints a line
for each: PASS or FAIL, and what was seen. The same seed draws the same faults.

usage: run.py [--schedules N] [--seconds S] [--seed FIRST] [--index N]

Every tenth schedule takes etcd back to an old snapshot instead. The history of one that fails is
kept in .cache/faults/SEED.jsonl; checker.py says what contradicts in it."""

import argparse
import pathlib
import sys
import threading
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "cluster")]

import harness  # noqa: E402

import faults  # noqa: E402
import schedule  # noqa: E402

ROLLBACK_EVERY = 10


def run_one(region, seed, seconds, kept):
    kept.mkdir(parents=True, exist_ok=True)
    kind = schedule.run_rollback if seed % ROLLBACK_EVERY == 0 else schedule.run
    try:
        said = kind(region, seed, seconds, kept / f"{seed}.jsonl")
        print(f"PASS faults {region.region.name} {said}", flush=True)
        return True
    except Exception:  # noqa: BLE001: a schedule's failure of any kind is its failure
        traceback.print_exc(file=sys.stdout)
        print(f"FAIL faults {region.region.name} seed {seed}", flush=True)
        region.heal()
        return False


def run_region(region, seeds, seconds, kept, bad):
    for seed in seeds:
        if not run_one(region, seed, seconds, kept):
            bad.append(seed)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--schedules", type=int, default=200)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--index", type=int, default=6)
    chosen = options.parse_args()
    name = f"faults{chosen.index}"
    cluster = harness.Cluster(name, index=chosen.index, netns=True)
    kept = harness.ROOT / ".cache" / "faults"
    seeds = range(chosen.seed, chosen.seed + chosen.schedules)

    def body(bad):
        regions = [faults.Region(cluster, region.name) for region in cluster.topology.regions]
        threads = [
            threading.Thread(
                target=run_region,
                args=(region, seeds[i :: len(regions)], chosen.seconds, kept, bad),
            )
            for i, region in enumerate(regions)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    bad = harness.run_on(cluster, name, body)
    print(f"# {len(seeds) - len(bad)} of {len(seeds)} schedules passed", flush=True)
    sys.exit(1 if bad else 0)


main()
