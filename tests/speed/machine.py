"""What the kernel says of processes and of the machine: CPU time and memory."""

import os
import pathlib
import time

TICKS = os.sysconf("SC_CLK_TCK")
KIB = 1024


def cpu_seconds(pid):
    """User and system time of a process with all its threads; also of one that nobody waited for
    yet. 0 once it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    # The name, in brackets, may hold anything; utime and stime are the 14th and 15th field.
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid):
    """(resident, of it anonymous) bytes of a process. What is not anonymous is shared with the page
    cache: programs, libraries, and the local copy on disk, which is mapped."""
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("VmRSS", "RssAnon"):
            found[name] = int(rest.split()[0]) * KIB
    return found["VmRSS"], found["RssAnon"]


def busy_seconds():
    """CPU time that the whole machine has spent on anything, all processors together."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / TICKS


class Meter:
    """CPU time between two moments: of named processes, and of the machine."""

    def __init__(self, pids):
        self._pids = dict(pids)
        self._began = time.monotonic()
        self._busy = busy_seconds()
        self._cpu = {name: cpu_seconds(pid) for name, pid in self._pids.items()}

    def read(self):
        """({name: CPU seconds}, cores that others used, seconds) since it was made."""
        cpu = {n: max(0.0, cpu_seconds(p) - self._cpu[n]) for n, p in self._pids.items()}
        seconds = time.monotonic() - self._began
        others = (busy_seconds() - self._busy - sum(cpu.values())) / seconds
        return cpu, max(0.0, others), seconds
