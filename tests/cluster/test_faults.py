#!/usr/bin/env python3
"""Random faults: one order of the calls explains what clients saw."""

import sys

import harness

sys.path.append(str(harness.ROOT / "tests" / "faults"))

import faults  # noqa: E402
import schedule  # noqa: E402

OWN = {"index": 5, "netns": True}
SEEDS, SECONDS = range(1, 7), 12
ROLLBACK_SECONDS = 9
FROZEN_TRIES = 4
REGIONS = {}  # each is prepared once


def region(cluster):
    name = cluster.region
    if name not in REGIONS:
        REGIONS[name] = faults.Region(cluster, name)
        harness.until(REGIONS[name].is_well, schedule.WELL_SECONDS, "the region is well")
    return REGIONS[name]


def test_a_clock_that_stands_still_is_found(cluster):
    """The checker sees the fault that the design excludes: a test that can't fail shows nothing.
    A client meets it by luck within a few seconds, so there is more than one try."""
    for attempt in range(FROZEN_TRIES):
        try:
            schedule.run_frozen(region(cluster), f"frozen{attempt}")
        except schedule.Failed as found:
            return f"try {attempt + 1}: {str(found).splitlines()[1].strip()}"
    raise AssertionError("stale answers were given, and nobody noticed")


def test_random_faults(cluster):
    return "; ".join(schedule.run(region(cluster), seed, SECONDS) for seed in SEEDS)


def test_an_etcd_that_went_back_is_not_followed(cluster):
    return schedule.run_rollback(region(cluster), "back", ROLLBACK_SECONDS)


if __name__ == "__main__":
    harness.main(globals())
