"""One schedule: clients work while faults come; then all is mended, and what was seen is judged."""

import itertools
import random
import threading
import time

import checker
import faults
import harness
import plan
import workload
from history import History

WELL_SECONDS = 90  # within which a region is well once nothing is broken any more
SETTLE_SECONDS = 40  # within which each change is known to be done or not, then
ANSWERS_MIN = 5  # a second: with fewer a schedule shows nothing


class Failed(AssertionError):
    pass


class Clients:
    """All clients of a schedule, while they work."""

    def __init__(self, region, seed):
        cluster, name = region.cluster, region.region.name
        count = len(region.region.frontends)
        stubs = [cluster.kms(name, i, seconds=workload.CALL_SECONDS) for i in range(count)]
        self.things = workload.Things(cluster.kms(name))
        self.history, self.ended, self.give_up = History(), threading.Event(), threading.Event()
        self.clients = [
            workload.Client(
                stubs, self.things, self.history, f"{seed} {i}", self.ended, self.give_up
            )
            for i in range(workload.CLIENTS)
        ]

    def start(self):
        for client in self.clients:
            client.start()

    def stop(self, seconds):
        """No new calls; those under way have so long to be settled."""
        self.ended.set()
        end = time.monotonic() + seconds
        for client in self.clients:
            client.join(max(0.0, end - time.monotonic()))
        self.give_up.set()
        for client in self.clients:
            client.join(10 * workload.CALL_SECONDS)

    def judge(self, kept=None):
        surprises = list(itertools.chain(*(client.surprises for client in self.clients)))
        contradictions = workload.check_all(self.history, self.things, checker.check)
        if kept and (surprises or contradictions):
            self.history.write(kept)
        if contradictions:
            raise Failed("\n".join(f"{of}: {why}" for of, why in contradictions.items()))
        if surprises:
            raise Failed(f"{len(surprises)} answers that nothing explains: {surprises[:3]}")


def count_known(history):
    return sum(1 for call in history.calls() if call.answer is not None)


def run(region, seed, seconds, kept=None):
    """Raises Failed, or returns a sentence about what was seen. kept: where to write the history of
    a schedule that failed."""
    planned = plan.plan(seed, seconds)
    clients = Clients(region, seed)
    clients.start()
    began = time.monotonic()
    ended = threading.Event()
    try:
        faults.run(region, planned, ended)
        time.sleep(max(0.0, began + seconds - time.monotonic()))
    finally:
        ended.set()
        region.heal()
    took = harness.until(region.is_well, WELL_SECONDS, f"seed {seed}: the region is well again")
    clients.stop(SETTLE_SECONDS)
    clients.judge(kept)
    known, unknown = count_known(clients.history), 0
    unknown = len(clients.history.calls()) - known
    if known < ANSWERS_MIN * seconds:
        raise Failed(f"seed {seed}: only {known} answers in {seconds} s")
    if unknown:
        raise Failed(f"seed {seed}: {unknown} changes were never settled")
    kinds = ", ".join(sorted({fault.kind for fault in planned}))
    return f"seed {seed}: {len(planned)} faults ({kinds}), {known} answers, well in {took:.0f} s"


def run_rollback(region, seed, seconds, kept=None):
    """Every etcd member goes back to a snapshot while clients work: nobody follows it, and nobody
    answers from before it, until an operator says so."""
    clients = Clients(region, seed)
    clients.start()
    time.sleep(seconds / 3)
    region.take_snapshot()
    time.sleep(seconds / 3)
    region.go_back()
    back = time.monotonic()
    time.sleep(seconds / 3 + 4)
    restart_some(region, random.Random(seed))
    time.sleep(4)
    clients.stop(0)
    late = [
        call
        for call in clients.history.calls()
        if call.answer is not None and call.began > back + workload.CALL_SECONDS
    ]
    clients.judge(kept)
    if late:
        raise Failed(f"seed {seed}: {len(late)} answers from an etcd that went back: {late[0]}")
    if region.is_well():
        raise Failed(f"seed {seed}: cluster status finds an etcd that went back well")
    region.new_epoch()
    took = harness.until(region.is_well, WELL_SECONDS, f"seed {seed}: well after the new epoch")
    known = count_known(clients.history)
    return f"seed {seed}: refused after {known} answers, well in {took:.0f} s"


def restart_some(region, draw):
    """A refusal lasts over restarts."""
    zone = draw.choice(region.zones)
    region.cluster.kill(region.process("keystore", zone))


def run_frozen(region, seed, kept=None):
    """A planted fault: the clock of one keystore stands still, which the design excludes, while
    clients reach it and the other keystores do not. It serves what has been revoked: Failed, if
    the checker can see anything at all."""
    zone = region.zones[0]
    clients = Clients(region, seed)
    clients.start()
    time.sleep(2)
    fault = plan.Fault("apart", "zone", 0, 0, 0)
    region.shims[zone.name].set(frozen_ns=time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    region.begin(fault)
    time.sleep(8)
    region.heal()
    harness.until(region.is_well, WELL_SECONDS, "the region is well again")
    clients.stop(SETTLE_SECONDS)
    clients.judge(kept)
