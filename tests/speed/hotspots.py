"""Where the time goes: perf on the processes of one request path while Encrypt runs."""

import collections
import re
import shutil
import subprocess
import sys

import machine
import tools

SECONDS, SAMPLES_PER_SECOND, LINES = 6, 997, 18
# "    12.34%  libcrypto.so.3   [.] aesni_ctr32": share, object, symbol.
ROW = re.compile(r"^\s+([0-9.]+)%\s+(\S+)\s+\[(.)\]\s+(.+?)[\s-]*$")


def usable():
    return shutil.which("perf") is not None


def _record(bench, folder, pids):
    """Starts one perf for each process."""
    return {
        name: subprocess.Popen(
            [
                *("perf", "record", "-q", "-e", "cpu-clock", "-F", str(SAMPLES_PER_SECOND)),
                *("-p", str(pid), "-o", f"{folder}/{name}.perf"),
                *("--", "sleep", str(SECONDS)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name, pid in pids.items()
    }


def _rows(folder, name):
    text = subprocess.run(
        ["perf", "report", "-i", f"{folder}/{name}.perf", "--stdio", "-q", "--sort", "dso,symbol"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return [match.groups() for match in map(ROW.match, text.splitlines()) if match]


def _explain(folder, name):
    rows = _rows(folder, name)
    objects = collections.Counter()
    for share, where, ring, _ in rows:
        objects["kernel" if ring == "k" else where] += float(share)
    print(f"\n{name}: " + ", ".join(f"{o} {s:.0f}%" for o, s in objects.most_common(8) if s >= 1))
    for share, where, ring, symbol in rows[:LINES]:
        print(f"  {share:>6}%  {'kernel' if ring == 'k' else where:<28} {symbol[:60]}")


def _busiest(bench, pids):
    """The processes that work: one of a kind, the one that used most CPU time, and the load."""
    best = {}
    for name, pid in pids.items():
        role = name.split("-")[0]
        if role in ("frontend", "keystore", "hsm") and bench.cluster.region in name:
            used = machine.cpu_seconds(pid)
            best[role] = max(best.get(role, (0.0, "", 0)), (used, name, pid))
    return {name: pid for _, name, pid in best.values()}


def measure(bench, workload, folder):
    """Prints the top symbols of the frontend, keystore and hsm that are busiest."""
    if not usable():
        print("no perf on this machine: install linux-perf", file=sys.stderr)
        return
    warmup_ms, run_ms = 1000, (SECONDS + 1) * 1000
    child = tools.start(bench.loads.command(workload, warmup_ms, run_ms))
    try:
        tools.expect(child, "begin")
        pids = {**_busiest(bench, bench.pids()), "load": child.pid}
        for recorder in _record(bench, folder, pids).values():
            recorder.wait()
        answer = tools.finish(child)
    finally:
        child.kill()
        child.wait()
    print(f"\n{workload.name}: {answer['rps']:,.0f}/s while perf samples")
    for name in pids:
        _explain(folder, name)
