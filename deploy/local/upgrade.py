"""A running installation goes over to new programs and settings, a few processes at a time.

A process is *behind* when its program, its settings or its run script is newer than it: a call that
was cut off goes on where it stopped. The order is docs/operations/upgrade.md's: each zone's key
store, then each frontend, then control. Whatever comes next waits until all is well again, so a
cell never lacks more than one zone.
"""

import os
import pathlib
import time

import first_run
import runit

RESTART_SECONDS = 30


def started_at(pid):
    """When a process began, by the wall clock; a run script's exec keeps it."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[19])  # field 22 of proc(5), counted from the one behind the name
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def is_behind(topology, name):
    pid = runit.pid(topology, name)
    if not pid:
        return False  # runit starts it with what is there now
    made_of = (
        topology.folder("bin", f"keystead-{name.split('-')[0]}"),
        topology.folder("etc", f"{name}.yaml"),
        topology.folder("services", name, "run"),
    )
    try:
        began = started_at(pid)
    except FileNotFoundError:
        return False
    return any(path.exists() and path.stat().st_mtime > began for path in made_of)


def stages(topology, zones):
    """Which processes are restarted together. zones: names; of these alone, or of all if empty."""
    every = set(runit.names(topology))
    chosen = [zone for zone in topology.zones if not zones or zone.name in zones]
    found = [[f"{role}-{zone.name}" for role in ("etcd", "hsm", "keystore")] for zone in chosen]
    found += [
        [frontend.name]
        for frontend in topology.frontends
        if not zones or place(topology, frontend) in zones
    ]
    if not zones:
        found.append(sorted(every - {name for stage in found for name in stage}))
    return [[name for name in stage if name in every] for stage in found]


def place(topology, frontend):
    """The zone whose machine a frontend runs on: its region's first has the first frontend."""
    region = topology.region(frontend.region)
    return region.zones[region.frontends.index(frontend)].name


def roll(topology, zones, say):
    """Restarts what is behind, stage by stage. zones: as of stages."""
    for stage in stages(topology, zones):
        behind = [name for name in stage if is_behind(topology, name)]
        if not behind:
            continue
        say("restarting " + ", ".join(behind))
        if not runit.sv(topology, "restart", *behind, seconds=RESTART_SECONDS):
            raise SystemExit(f"does not restart: {', '.join(behind)}; see {topology.folder('log')}")
        first_run.await_well(topology)
