"""Processes under runit: a service folder each, restarted when they die, logs rotated by svlogd."""

import os
import pathlib
import shlex
import subprocess
import time

import pki

LOG_CONFIG = "s2000000\nn5\n"


def run_script(topology, process):
    """Starts a process with its user, its groups, its capabilities (none, as a rule)."""
    words = ["ip", "netns", "exec", process.netns] if process.netns else []
    kept = ",".join(["-all"] + [f"+{capability}" for capability in process.capabilities])
    groups = f"--groups={','.join(process.groups)}" if process.groups else "--clear-groups"
    words += [
        "setpriv",
        f"--reuid={process.user}",
        f"--regid={process.user}",
        groups,
        "--no-new-privs",
        f"--inh-caps={kept}",
        f"--ambient-caps={kept}",
        f"--bounding-set={kept}",
    ]
    words += ["env", "-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin"] + [
        f"{k}={v}" for k, v in process.env
    ]
    words += process.argv
    return (
        '#!/bin/sh\nexec 2>&1\nulimit -c 0\nulimit -n "$(ulimit -H -n)"\nexec '
        + " ".join(shlex.quote(str(w)) for w in words)
        + "\n"
    )


def write_service(topology, process):
    """Writes of the service folder what is not there yet, or changed."""
    where = topology.folder("services", process.name)
    logs = topology.folder("log", process.name)
    for path in (where, where / "log"):
        path.mkdir(parents=True, exist_ok=True)
    logs.mkdir(parents=True, exist_ok=True)
    (logs / "config").write_text(LOG_CONFIG)
    log_script = f"#!/bin/sh\nexec svlogd {shlex.quote(str(logs))}\n"
    for path, text in (
        (where / "run", run_script(topology, process)),
        (where / "log" / "run", log_script),
    ):
        if not path.exists() or path.read_text() != text:
            pki.write(path, text, 0o755)


def supervisor_pid(topology):
    """Of the runsvdir that watches this installation; None when it does not run."""
    try:
        pid = int(topology.folder("supervisor.pid").read_text())
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except (OSError, ValueError):
        return None
    watches_us = str(topology.folder("services")) in command
    return pid if "runsvdir" in command[0] and watches_us else None


def start(topology):
    """Starts the supervisor, which starts everything that has a service folder."""
    if supervisor_pid(topology):
        return
    log = open(topology.folder("log", "supervisor"), "ab")
    child = subprocess.Popen(
        ["runsvdir", "-P", str(topology.folder("services"))],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd="/",
    )
    pki.write(topology.folder("supervisor.pid"), f"{child.pid}\n", 0o644)


def sv(topology, verb, *names, seconds=10):
    """Tells services to go up, down or restart; returns whether all did within `seconds`."""
    paths = [str(topology.folder("services", name)) for name in names]
    done = subprocess.run(
        ["sv", "-w", str(seconds), verb, *paths], capture_output=True, check=False
    )
    return done.returncode == 0


def pid(topology, name):
    """Of a running service; None while it is down."""
    try:
        return int(topology.folder("services", name, "supervise", "pid").read_text()) or None
    except (FileNotFoundError, ValueError):
        return None


def names(topology):
    where = topology.folder("services")
    return sorted(p.name for p in where.iterdir()) if where.exists() else []


def stop(topology):
    """Stops frontends first, then what they need. Returns what would not stop."""
    order = ("frontend", "keystore", "control", "hsm", "certificates", "etcd")
    rank = lambda name: next(
        (i for i, prefix in enumerate(order) if name.startswith(prefix)), len(order)
    )
    left = []
    everything = sorted(names(topology), key=rank)
    for level in sorted({rank(name) for name in everything}):
        group = [name for name in everything if rank(name) == level]
        if not sv(topology, "force-stop", *group, seconds=15):
            left += group
    pid = supervisor_pid(topology)
    if pid:
        os.kill(pid, 1)  # SIGHUP: runsvdir ends its runsv processes, too
        for _ in range(100):
            if not supervisor_pid(topology):
                break
            time.sleep(0.1)
    topology.folder("supervisor.pid").unlink(missing_ok=True)
    return left
