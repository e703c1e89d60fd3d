"""Builds the C tools of this folder, and runs them while the servers' CPU time is metered."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("load", "echo", "etcd_put")
BAZEL = ROOT / "bazel" / "bazel"


def build():
    """The folder of the built tools."""
    targets = [f"//tests/speed:{name}" for name in NAMES]
    quiet = ["--ui_event_filters=-info,-stdout", "--noshow_progress"]
    subprocess.run(
        [BAZEL, "build", "--config=release", *quiet, *targets],
        cwd=ROOT,
        check=True,
        stdout=sys.stderr,
    )
    info = [BAZEL, "info", "--config=release", "bazel-bin"]
    found = subprocess.run(
        info, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return pathlib.Path(found.stdout.strip()) / "tests" / "speed"


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run of a load generator gave."""

    answer: dict  # the tool's own line of JSON
    cpu_cores: dict  # {process: CPU seconds a second}; "load" is the tool
    others_cores: float  # what the rest of the machine used meanwhile
    etcd_calls_ps: float = 0.0
    counts: dict = dataclasses.field(default_factory=dict)  # of traffic.Watch

    @property
    def rps(self):
        return self.answer["rps"]

    @property
    def failed(self):
        return sum(self.answer["failures"].values())

    def cpu_us_per_op(self, items=1):
        """{process: CPU us for each operation}."""
        rate = self.rps * items
        return {name: cores * 1e6 / rate if rate else 0.0 for name, cores in self.cpu_cores.items()}


def start(command):
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)


def expect(child, word):
    line = child.stdout.readline().strip()
    assert line == word, f"{child.args[0]} said {line!r} instead of {word!r}"


def finish(child):
    """The line of JSON with which a tool ends."""
    line = child.stdout.readline()
    assert line, f"{child.args[0]} ended without a result"
    return json.loads(line)


def measure(command, pids, cell=None, watch=None):
    """Runs a tool; meters processes {name: pid}, the cell's members and what travels, if given."""
    child = start(command)
    try:
        expect(child, "begin")
        before = cell.counts() if cell else 0.0
        if watch:
            watch.begin()
        meter = machine.Meter({**pids, "load": child.pid})
        answer = finish(child)
        cpu, others, seconds = meter.read()
        counts = watch.end() if watch else {}
        calls = cell.counts() - before if cell else 0.0
    finally:
        child.kill()
        child.wait()
    cores = {name: used / seconds for name, used in cpu.items()}
    return Run(answer, cores, others, calls / seconds, counts)
