"""The local installation: up, down, env, renew. Called by the scripts of those names in deploy."""

import argparse
import filecmp
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

import first_run
import network
import pki
import renewal
import runit
import setup
import topology as t
import upgrade

BINARIES = (
    "keystead-hsm",
    "keystead-keystore",
    "keystead-frontend",
    "keystead-control",
    "keystead",
)


class Progress:
    """Steps with the time that each took, on stderr: stdout is for what was asked for."""

    def __init__(self):
        self.started = self.last = time.monotonic()

    def __call__(self, text):
        now = time.monotonic()
        print(f"  [{now - self.started:5.1f} s] {text}", file=sys.stderr, flush=True)
        self.last = now


def install_binaries(topology, built):
    """Copies what was built, and differs, to where the processes' users can read it."""
    where = pki.folder(topology.folder("bin"), 0o755)
    for name in BINARIES:
        source, target = pathlib.Path(built) / name, where / name
        if target.exists() and filecmp.cmp(source, target, shallow=False):
            continue
        partial = target.with_suffix(".new")
        shutil.copyfile(source, partial)
        partial.chmod(0o755)
        partial.replace(target)


def up(topology, built, zones, remembered):
    say = Progress()
    topology.home.mkdir(parents=True, exist_ok=True)
    if (topology.home / "installation.json").exists():
        topology = t.load(topology.home)
    check_zones(topology, zones)
    running = runit.supervisor_pid(topology)
    if built:
        install_binaries(topology, built)
    setup.make(topology, say)
    t.save(topology)
    if running:
        upgrade.roll(topology, zones, say)
    else:
        runit.start(topology)
        say("processes started")
    first_run.make_ready(topology, say)
    first_run.prove(topology, say)
    if remembered:
        remember(topology)
    print(first_run.explain(topology))


def remember(topology):
    """deploy/env and deploy/down without arguments mean the installation started last."""
    last = pathlib.Path("/var/lib/keystead/last")
    last.parent.mkdir(parents=True, exist_ok=True)
    pki.write(last, f"{topology.home}\n", 0o644)


def find(arguments):
    """The installation that the environment or the flags name, else the one started last."""
    if not os.environ.get("KEYSTEAD_HOME") and not arguments.embedded:
        try:
            return t.load(pathlib.Path("/var/lib/keystead/last").read_text().strip())
        except FileNotFoundError:
            pass
    try:
        return t.load(t.from_environment(arguments.embedded).home)
    except FileNotFoundError:
        raise SystemExit("nothing is installed here: run deploy/up first") from None


def check_zones(topology, names):
    unknown = set(names) - {zone.name for zone in topology.zones}
    if unknown:
        raise SystemExit(f"no zone {', '.join(sorted(unknown))} here")


def down(topology, reset):
    left = runit.stop(topology)
    if left:
        print(
            f"would not stop in time: {', '.join(left)}; see {topology.folder('log')}",
            file=sys.stderr,
        )
    if reset:
        if topology.netns:
            network.remove(topology)
        shutil.rmtree(topology.run, ignore_errors=True)
        shutil.rmtree(topology.home)
        print(f"stopped; {topology.home} and every key in it are gone")
    else:
        print(
            f"stopped; its data stays in {topology.home} "
            "(deploy/up resumes, deploy/down --reset wipes)"
        )
    return 1 if left else 0


def renew(topology, names):
    """A new root key, node key, token and PIN for each of these zones' hsms, one by one."""
    say = Progress()
    check_zones(topology, names)
    if topology.embedded:
        raise SystemExit(
            "one node alone can't renew its hsm: no other hsm could give it its domain keys again"
        )
    for zone in topology.zones:
        if names and zone.name not in names:
            continue
        renewal.renew(topology, zone)
        first_run.await_well(topology)
        say(f"{zone.name}: new root key, node key and PIN; the old ones are destroyed")
    return 0


def env(topology, region):
    names = [r.name for r in topology.regions]
    if region and region not in names:
        raise SystemExit(f"no region {region} here; there are {', '.join(names)}")
    for name, value in first_run.client_environment(topology, region or names[0]).items():
        print(f"export {name}={shlex.quote(str(value))}")
    print(f"export PATH={shlex.quote(str(topology.folder('bin')))}:\"$PATH\"")


def main():
    parser = argparse.ArgumentParser(prog="deploy")
    parser.add_argument("command", choices=("up", "down", "env", "renew"))
    parser.add_argument("--embedded", action="store_true")
    parser.add_argument("--built", help="folder of the built programs")
    parser.add_argument(
        "--no-remember", action="store_true", help="deploy/env goes on meaning another one"
    )
    parser.add_argument("--reset", action="store_true")
    parser.add_argument("--region")
    parser.add_argument(
        "--zone", action="append", default=[], help="of renew and of an upgrade; default: all"
    )
    arguments = parser.parse_args()
    if arguments.command == "up":
        topology = t.from_environment(arguments.embedded)
        up(topology, arguments.built, arguments.zone, not arguments.no_remember)
        return 0
    topology = find(arguments)
    if arguments.command == "down":
        return down(topology, arguments.reset)
    if arguments.command == "renew":
        return renew(topology, arguments.zone)
    env(topology, arguments.region)
    return 0


if __name__ == "__main__":
    sys.exit(main())
