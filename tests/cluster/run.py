#!/usr/bin/env python3
"""Runs all test files: those that have no cluster of their own against one, one after the other;
then each of the others. Those with BESIDE, which wait more than they compute, run one after the
other beside all that. Prints their lines, and at the end the ten claims that took longest.

usage: run.py [test_FILE...]"""

import importlib
import pathlib
import re
import subprocess
import sys
import threading

import harness

HERE = pathlib.Path(__file__).resolve().parent
FILE_SECONDS_MAX = 600
SETTLE_SECONDS = 60
SLOWEST = 10


class Record:
    """Standard output, and what claims took."""

    def __init__(self, out):
        self.out, self.line, self.took = out, "", []

    def write(self, text):
        self.out.write(text)
        *lines, self.line = (self.line + text).split("\n")
        for line in lines:
            if found := re.match(r"# ([0-9.]+) s ([^:]+)", line):
                self.took.append((float(found[1]), found[2]))

    def flush(self):
        self.out.flush()

    def sum_up(self):
        self.took.sort(reverse=True)
        print(f"# all: {sum(seconds for seconds, _ in self.took):.0f} s; the slowest:")
        for seconds, name in self.took[:SLOWEST]:
            print(f"#   {seconds:5.1f} s {name}")


def settle(cluster):
    """What a file did to the cluster is no fault of the next: where it does not get well by itself,
    the next one gets a new one, and the file before has failed."""
    status = lambda: cluster.cli("cluster", "status", check=False).returncode == 0
    try:
        harness.until(status, SETTLE_SECONDS, "all well")
        return True
    except AssertionError:
        cluster.down()
        cluster.up()
        return False


def run_shared(modules):
    cluster = harness.Cluster("shared")

    def body(failures):
        for module in modules:
            name = harness.name_of(module.__file__)
            harness.run_claims(cluster, name, vars(module), failures)
            well = settle(cluster)
            print(f"{'PASS' if well else 'FAIL'} {name} leaves_all_well", flush=True)
            failures += [] if well else [name]

    return bool(harness.run_on(cluster, "shared", body))


def run_alone(module, say):
    """In a process of its own, which may move into a network namespace. say: is given its lines."""
    command = ["timeout", "-k", "30", str(FILE_SECONDS_MAX), sys.executable, module.__file__]
    name = harness.name_of(module.__file__)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        failed = False
        for line in child.stdout:
            say(line.rstrip("\n"))
            failed |= line.startswith("FAIL ")
    if child.returncode != 0 and not failed:
        say(f"FAIL {name}: ended with {child.returncode}")
    return child.returncode != 0


class Beside(threading.Thread):
    """Runs files one after the other; what they say is printed when they have ended."""

    def __init__(self, modules):
        super().__init__(daemon=True)
        self.modules, self.lines, self.failed = modules, [], False
        self.start()

    def run(self):
        for module in self.modules:
            self.failed |= run_alone(module, self.lines.append)

    def finish(self):
        self.join()
        for line in self.lines:
            print(line, flush=True)
        return self.failed


def main():
    names = sys.argv[1:] or sorted(path.stem for path in HERE.glob("test_*.py"))
    modules = [importlib.import_module(name) for name in names]
    sys.stdout = record = Record(sys.stdout)
    shared = [module for module in modules if not hasattr(module, "OWN")]
    waiting = [module for module in modules if hasattr(module, "BESIDE")]
    beside = Beside(waiting)
    failed = bool(shared) and run_shared(shared)
    for module in modules:
        if module not in shared and module not in waiting:
            failed |= run_alone(module, lambda line: print(line, flush=True))
    failed |= beside.finish()
    record.sum_up()
    sys.exit(1 if failed else 0)


main()
