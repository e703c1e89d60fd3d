#!/usr/bin/env python3
"""tests/bench: how fast Keystead is, beside what it stands on. docs/benchmarks.md explains it."""

import argparse
import dataclasses
import os
import pathlib
import signal
import statistics
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cluster")]

import harness  # noqa: E402

import failover  # noqa: E402
import hotspots  # noqa: E402
import machine  # noqa: E402
import report  # noqa: E402
import rounds  # noqa: E402
import scale  # noqa: E402
import tools  # noqa: E402
import workloads  # noqa: E402

CLUSTER_INDEX = 7  # of its ports, among those of the cluster tests
STAGES = ("crypto", "create", "failover", "keys")
NOISY_CORES = 0.1
IDLE_SECONDS = 10
SECONDS_MAX = 2400
MIB = 1024**2


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is measured. times: warm-up and measured time of one run, in ms."""

    rounds: int = 5
    times: tuple[int, int] = (1000, 5000)
    kills: int = 3
    keys: int = 100000
    fill_seconds: int = 420
    starts: int = 3


QUICK = Plan(rounds=3, times=(500, 1500), kills=1, keys=5000, fill_seconds=60, starts=1)


class Bench:
    """One cluster, what was found out about it, and what stages share."""

    def __init__(self, plan, cluster, built, folder):
        self.plan, self.cluster, self.built, self.folder = plan, cluster, built, folder
        self.figures = report.Figures()
        self.loads = None  # until the cluster is up
        self.rounds = rounds.Rounds(self)
        self.others, self.failed, self.keys_made = [], 0, 0
        self.crypto_loads, self.echo_pids = [], {}
        self._accounts = set()
        self._began = time.monotonic()

    def say(self, text):
        print(f"[{time.monotonic() - self._began:6.1f} s] {text}", flush=True)

    def pids(self):
        """{process: pid} of the whole installation."""
        found = {name: self.cluster.pid(name) for name in self.cluster.processes()}
        return {name: pid for name, pid in found.items() if pid}

    def account(self, name):
        """A user of an account of its own, both called so; once."""
        if name not in self._accounts:
            self.cluster.user(name)
            self._accounts.add(name)
            self._wait_until_known(name)

    def _wait_until_known(self, name):
        """A new certificate reaches the frontends a moment after it was made."""
        frontends = len(self.cluster.topology.region(self.cluster.region).frontends)
        for index in range(frontends):
            kms = self.cluster.kms(frontend=index, certificate=name)
            request = workloads.ke.ListKeysRequest()
            harness.until(lambda: kms.ListKeys(request) is not None, 30, f"{name} is known")

    def wait_until_well(self, seconds):
        status = lambda: self.cluster.cli("cluster", "status", check=False).returncode == 0
        harness.until(status, seconds, "the cluster is well again")

    # ---- Stages ----

    def start(self):
        self.cluster.down()
        seconds = self.cluster.up()
        self.say(f"cluster up in {seconds:.1f} s")
        self.idle()
        self.loads = workloads.Workloads(self.cluster, self.folder, self.built)
        self.crypto_loads, self.echo_pids = self.loads.crypto()

    def idle(self):
        """What the cluster uses when nobody asks it anything."""
        meter = machine.Meter(self.pids())
        time.sleep(IDLE_SECONDS)
        cpu, others, seconds = meter.read()
        cores = sum(cpu.values()) / seconds
        self.figures.set("idle_cluster_cores", cores)
        self.say(f"idle: the cluster uses {cores:.2f} cores, everything else {others:.2f}")
        if others > NOISY_CORES:
            self.say("NOTE: this machine is not quiet; the figures are lower bounds")

    def memory(self):
        """Resident memory of each process, after load."""
        found = {name: machine.memory(pid)[0] / MIB for name, pid in self.pids().items()}
        self.figures.set("rss_mib", found)
        return "resident MiB: " + ", ".join(f"{n} {m:.0f}" for n, m in sorted(found.items()))

    def run(self, stages):
        """Everything asked for, in the order in which it disturbs the least; then the tables."""
        self.start()
        said = ""
        if "crypto" in stages:
            self.rounds.crypto()
            said = self.memory()
        if "profile" in stages:
            hotspots.measure(self, self.encrypt, self.folder)
        if "create" in stages:
            self.rounds.create()
        if "failover" in stages:
            failover.measure(self)
        if "keys" in stages:
            scale.measure(self)
        self.finish(said)

    @property
    def encrypt(self):
        return next(load for load in self.crypto_loads if load.name == "encrypt")

    def finish(self, said):
        cpu = self.rounds.finish()
        if self.others:
            self.figures.set("others_cores", statistics.median(self.others))
        self.figures.set("failed_calls", self.failed)
        self.figures.set("processors", os.cpu_count())
        print("", self.figures.table(), "", cpu, said, "", sep="\n")
        print(self.figures.json(), flush=True)


def read_arguments():
    parser = argparse.ArgumentParser(
        prog="tests/bench",
        description="Measures a fresh local cluster. The last line is one JSON object; "
        "docs/benchmarks.md says what its members mean.",
    )
    parser.add_argument("--quick", action="store_true", help="short rounds and 5,000 keys")
    parser.add_argument(
        "--profile", action="store_true", help="show where the time goes during Encrypt (perf)"
    )
    parser.add_argument(
        "--only", default=",".join(STAGES), help=f"some of {','.join(STAGES)}, with commas between"
    )
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    arguments = parser.parse_args()
    stages = [stage for stage in arguments.only.split(",") if stage]
    if unknown := set(stages) - set(STAGES):
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    return arguments, stages + ["profile"] * arguments.profile


def out_of_time(*_):
    raise SystemExit(f"tests/bench: not done within {SECONDS_MAX} s")


def main():
    arguments, stages = read_arguments()
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(SECONDS_MAX)
    built = tools.build()
    cluster = harness.Cluster("bench", index=CLUSTER_INDEX)
    with tempfile.TemporaryDirectory(prefix="keystead-bench-") as folder:
        bench = Bench(QUICK if arguments.quick else Plan(), cluster, built, folder)
        try:
            bench.run(stages)
        finally:
            if bench.loads:
                bench.loads.stop_echoes()
            if not arguments.keep:
                cluster.down()


if __name__ == "__main__":
    main()
