"""Makes what an installation stands on: users, folders, roots, tokens, service folders."""

import pathlib
import pwd
import secrets
import subprocess
import time

import network
import pki
import processes
import runit
import topology as t


def make_users(topology):
    zones = [t.zone_user(role, zone) for zone in topology.zones for role in ("keystore", "hsm")]
    for user in [*t.USERS.values(), *zones]:
        try:
            pwd.getpwnam(user)
        except KeyError:
            subprocess.run(
                [
                    "useradd",
                    "--system",
                    "--user-group",
                    "--no-create-home",
                    "--home-dir",
                    "/nonexistent",
                    "--shell",
                    "/usr/sbin/nologin",
                    user,
                ],
                check=True,
            )


def make_folders(topology):
    for path, mode in (
        (topology.home, 0o755),
        (topology.folder("log"), 0o700),
        (topology.folder("etc"), 0o755),
        (topology.folder("services"), 0o755),
        (topology.folder("tls"), 0o755),
        (topology.folder("roots"), 0o755),
        (topology.folder("offline"), 0o700),
        (topology.folder("pins"), 0o711),
        (topology.folder("control"), 0o755),
    ):
        pki.folder(path, mode)
    for zone in topology.zones:
        pki.folder(topology.folder(zone.name), 0o755)


def make_run_folders(topology):
    """Sockets stand below /run, which a reboot empties."""
    pki.folder(topology.run, 0o755)
    for zone in topology.zones:
        # setgid: the socket gets the group of this zone's keystore, and nobody else reaches it.
        pki.folder(
            topology.hsm_socket(zone).parent,
            0o2750,
            t.zone_user("hsm", zone),
            t.zone_user("keystore", zone),
        )


def install_library(topology):
    """The certificate service runs as a user that can't read a checkout: it has its own copy."""
    where = pki.folder(topology.folder("lib"), 0o755)
    for source in pathlib.Path(__file__).parent.glob("*.py"):
        pki.write(where / source.name, source.read_bytes(), 0o444)


def make_roots(topology):
    roots = ["process"] + (
        []
        if topology.embedded
        else [f"etcd-{region.name}" for region in topology.regions] + ["etcd-control"]
    )
    for root in roots:
        pki.make_root(topology.folder("roots", root), f"Keystead {root}", t.USERS["ca"])
    for region in topology.regions:
        pki.make_root(
            topology.hsm_root(region.name), f"Keystead hsm {region.name}", "root", "P-384"
        )
    clients = topology.folder("control", "client-root")
    pki.make_root(clients, "Keystead clients", t.USERS["control"])
    # What frontends trust: the root without its key.
    root = pki.read(clients / "ca.pem", t.USERS["control"])
    pki.write(topology.folder("tls", "clients.pem"), root, 0o444)


def token_environment(topology, zone):
    return (("SOFTHSM2_CONF", str(topology.folder(zone.name, "hsm", "softhsm2.conf"))),)


def as_hsm(topology, zone, *argv):
    user = t.zone_user("hsm", zone)
    env = dict(token_environment(topology, zone), PATH="/usr/bin:/bin")
    done = subprocess.run(
        ["chpst", "-u", f"{user}:{user}", *map(str, argv)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(
            f"{pathlib.Path(str(argv[0])).name} failed for {zone.name}: {done.stderr.strip()}"
        )


def make_hsm(topology, zone):
    """Token, node and identity keys, and the operator's signature: once in an hsm's life."""
    user = t.zone_user("hsm", zone)
    where = pki.folder(topology.folder(zone.name, "hsm"), 0o700, user)
    if (where / "enrolled").exists():
        return
    tokens = pki.folder(where / "tokens", 0o700, user)
    pki.write(
        where / "softhsm2.conf",
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\n"
        "log.level = ERROR\nslots.removable = false\n",
        0o400,
        user,
    )
    if not topology.pin(zone).exists():
        pki.write(topology.pin(zone), secrets.token_hex(16), 0o400, user)
    program, config = topology.folder("bin", "keystead-hsm"), topology.folder(
        "etc", f"hsm-{zone.name}.yaml"
    )
    csr, leaf, root = where / "identity.csr", where / "identity.pem", where / "root.pem"
    as_hsm(topology, zone, program, "token", "--config", config)
    as_hsm(topology, zone, program, "init", "--config", config)
    offline = topology.hsm_root(zone.region)
    extensions = (
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        f"subjectAltName=URI:spiffe://{t.TRUST_DOMAIN}/hsm/{zone.region}/{zone.name}\n"
    )
    pem = pki.sign(offline, pki.read(csr, user), extensions, pki.ROOT_DAYS * 24 * 3600)
    pki.write(leaf, pem, 0o444, user)
    pki.write(root, (offline / "ca.pem").read_bytes(), 0o444, user)
    as_hsm(
        topology, zone, program, "enrol", "--config", config, "--certificate", leaf, "--root", root
    )
    pki.write(where / "enrolled", "", 0o444, user)


def write_config(topology, process):
    """Makes a process's folders, and writes its settings if they changed."""
    for folder in process.folders:
        pki.folder(folder, 0o700, process.user)
    path = topology.folder("etc", f"{process.name}.yaml")
    if process.config and not (path.exists() and path.read_text() == process.config):
        pki.write(path, process.config, 0o640, "root", process.user)


def make(topology, say):
    """Everything that must stand before the first process starts. Safe to repeat."""
    everything = processes.all_processes(topology)
    make_users(topology)
    make_folders(topology)
    make_run_folders(topology)
    install_library(topology)
    if topology.netns:
        network.make(topology)
    say("certificates")
    make_roots(topology)
    pki.renew(topology, time.time())
    for process in everything:
        write_config(topology, process)
    say("hsm tokens")
    for zone in topology.zones:
        make_hsm(topology, zone)
    for process in everything:
        runit.write_service(topology, process)
