"""The renewal of one zone's hsm: another token with another PIN, with new root and node keys in it.

docs/operations/destroyed-keys.md says what it is for. Whatever step it stops at, the next call goes
on from there: the old token is destroyed once the new one was read back, and the configuration
names the new one from then on.
"""

import os
import secrets

import pki
import processes
import runit
import setup
import topology as t


def destroy(path):
    """As far as a file can be: what the disk keeps below the file system is another matter."""
    if path.exists():
        with path.open("r+b") as file:
            file.write(b"0" * path.stat().st_size)
            file.flush()
            os.fsync(file.fileno())
        path.unlink()


def make_token(topology, zone, program):
    """The new token, by a configuration that is of no use but for that."""
    user = t.zone_user("hsm", zone)
    where = topology.folder(zone.name, "hsm")
    config = (
        processes.hsm(topology, zone)
        .config.replace(
            f"token_label: {topology.token_label(zone)}\n",
            f"token_label: {topology.token_label(zone, 1)}\n",
        )
        .replace(f"pin_file: {topology.pin(zone)}\n", f"pin_file: {topology.pin(zone, 1)}\n")
    )
    if not topology.pin(zone, 1).exists():
        pki.write(topology.pin(zone, 1), secrets.token_hex(16), 0o400, user)
    pki.write(where / "renewal.yaml", config, 0o400, user)
    setup.as_hsm(topology, zone, program, "token", "--config", where / "renewal.yaml")
    (where / "renewal.yaml").unlink()


def renew(topology, zone):
    user = t.zone_user("hsm", zone)
    where = topology.folder(zone.name, "hsm")
    process = processes.hsm(topology, zone)
    program = topology.folder("bin", "keystead-hsm")
    config = topology.folder("etc", f"{process.name}.yaml")
    roster = where / "roster"
    setup.write_config(topology, process)  # an earlier call may have stopped before it did
    pki.write(roster, topology.roster(zone.region).read_bytes(), 0o400, user)
    make_token(topology, zone, program)
    if not runit.sv(topology, "down", process.name):
        raise SystemExit(f"{process.name} does not stop")
    words = ["--config", config, "--token-label", topology.token_label(zone, 1)]
    words += ["--pin-file", topology.pin(zone, 1), "--roster", roster]
    setup.as_hsm(topology, zone, program, "renew", *words)
    topology.renewals[zone.name] = topology.renewals.get(zone.name, 0) + 1
    t.save(topology)
    setup.write_config(topology, processes.hsm(topology, zone))
    for pin in topology.folder("pins").glob(f"{zone.name}*"):
        if pin != topology.pin(zone):
            destroy(pin)
    if not runit.sv(topology, "up", process.name):
        raise SystemExit(f"{process.name} does not start: see its log")
