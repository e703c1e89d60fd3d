"""How each fault is done to a cluster whose zones are hosts of their own, and how it is undone."""

import contextlib
import os
import random
import shutil
import signal
import struct
import subprocess
import time

import harness
import network
import topology as t

PAGE = struct.Struct("=qqq")  # of shim.c
NS_PER_S = 1_000_000_000
DISK_BYTES = 768 * 1024**2
BALLAST = "ballast"
CORRUPT_BYTES = 64
SMALL_ZONE = 2  # whose disks are small enough to be filled


def build_shim():
    """The library of shim.c."""
    library = harness.ROOT / ".cache" / "shim.so"
    source = harness.ROOT / "tests" / "faults" / "shim.c"
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        command = ["gcc", "-O2", "-std=gnu17", "-shared", "-fPIC", source, "-o", library]
        subprocess.run(command, check=True)
    return library


class Shim:
    """What one process is told by its preloaded library."""

    def __init__(self, cluster, process):
        self.path = cluster.home / "shim" / process
        self.path.parent.mkdir(mode=0o755, exist_ok=True)
        self.script = cluster.home / "services" / process / "run"
        self.script_before = self.script.read_text()
        self.values = [0, 0, 0]
        self.write()
        self.install(process)

    def install(self, process):
        """From its next start on the process has the library."""
        here = shutil.copy(build_shim(), self.path.parent / "shim.so")
        assert self.script_before.count("env -i ") == 1, f"{process} starts in another way"
        words = f"env -i LD_PRELOAD={here} KEYSTEAD_SHIM={self.path} "
        self.script.write_text(self.script_before.replace("env -i ", words))

    def remove(self):
        """From its next start on the process is without it."""
        self.script.write_text(self.script_before)

    def write(self):
        # In place: the process has mapped the file.
        with open(self.path, "r+b" if self.path.exists() else "wb") as page:
            page.write(PAGE.pack(*self.values))

    def set(self, wall_s=0.0, frozen_ns=0, sync_fails=False):
        self.values = [int(wall_s * NS_PER_S), frozen_ns, int(sync_fails)]
        self.write()


class SmallDisk:
    """A file system of its own below a process's folder."""

    def __init__(self, folder):
        self.folder = folder

    def mount(self):
        """The process that owns the folder is down."""
        aside = self.folder.with_name(self.folder.name + ".aside")
        self.folder.rename(aside)
        self.folder.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "keystead", self.folder],
            check=True,
        )
        subprocess.run(["cp", "-a", f"{aside}/.", self.folder], check=True)
        shutil.rmtree(aside)

    def fill(self):
        with contextlib.suppress(OSError), open(self.folder / BALLAST, "wb", buffering=0) as file:
            for step in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"\0" * step)

    def free(self):
        (self.folder / BALLAST).unlink(missing_ok=True)

    def unmount(self):
        subprocess.run(["umount", "--lazy", self.folder], check=False)


class Region:
    """One region of a cluster, and all that can be done to it."""

    def __init__(self, cluster, name):
        self.cluster, self.region = cluster, cluster.topology.region(name)
        self.zones = self.region.zones
        self.shims = {z.name: Shim(cluster, f"keystore-{z.name}") for z in self.zones}
        small = self.zones[SMALL_ZONE].name
        self.disks = {
            part: SmallDisk(cluster.topology.folder(small, part)) for part in ("keystore", "etcd")
        }
        self.snapshot = cluster.home / f"{name}.snapshot"
        cluster.before_down.append(self.close)
        self._restart_with_shims(small)

    def _restart_with_shims(self, small):
        both = [f"keystore-{small}", f"etcd-{small}"]
        self.cluster.service("down", *both)
        for disk in self.disks.values():
            disk.mount()
        self.cluster.service("up", *both)
        for zone in self.zones:
            if zone.name != small:
                self.cluster.service("restart", f"keystore-{zone.name}")

    def close(self):
        for disk in self.disks.values():
            disk.unmount()

    def process(self, part, zone):
        """The name of a zone's process; None where it has none of that kind."""
        if part != "frontend":
            return f"{part}-{zone.name}"
        return next((f.name for f in self.region.frontends if f.host == zone.host), None)

    # ---- Faults: begin and end of each kind ----

    def begin(self, fault):
        getattr(self, f"begin_{fault.kind}")(fault, self.zones[fault.zone])

    def end(self, fault):
        getattr(self, f"end_{fault.kind}", lambda *_: None)(fault, self.zones[fault.zone])

    def _signal(self, number, part, zone):
        process = self.process(part, zone)
        if process:
            with contextlib.suppress(ProcessLookupError):
                self.cluster.signal(number, process)

    def begin_kill(self, fault, zone):
        self._signal(signal.SIGKILL, fault.part, zone)

    def begin_pause(self, fault, zone):
        self._signal(signal.SIGSTOP, fault.part, zone)

    def end_pause(self, fault, zone):
        self._signal(signal.SIGCONT, fault.part, zone)

    begin_long_pause, end_long_pause = begin_pause, end_pause

    def begin_cut(self, _, zone):
        network.set_link(self.cluster.topology, zone, up=False)

    def end_cut(self, _, zone):
        network.set_link(self.cluster.topology, zone, up=True)

    def begin_apart(self, _, zone):
        """Clients reach the zone; the other zones do not."""
        self._routes("replace", zone)

    def end_apart(self, _, zone):
        self._routes("del", zone)

    def _routes(self, verb, zone):
        for other in self.zones:
            if other is not zone:
                route = ["route", verb, "blackhole", f"{other.host.address}/32"]
                network.ip("-n", zone.host.netns, *route, check=False)

    def begin_clock(self, fault, zone):
        self.shims[zone.name].set(wall_s=fault.step)

    def end_clock(self, _, zone):
        self.shims[zone.name].set()

    def begin_sync(self, _, zone):
        self.shims[zone.name].set(sync_fails=True)

    end_sync = end_clock

    def begin_full(self, fault, _):
        self.disks[fault.part].fill()

    def end_full(self, fault, _):
        self.disks[fault.part].free()

    def begin_corrupt(self, fault, zone):
        """Bytes of the local copy change while its keystore is down."""
        process = self.process("keystore", zone)
        self.cluster.kill(process)
        copy = self.cluster.topology.folder(zone.name, "keystore") / "data.mdb"
        draw = random.Random(fault.at)
        with contextlib.suppress(FileNotFoundError), open(copy, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            for _ in range(CORRUPT_BYTES):
                file.seek(draw.randrange(max(size, 1)))
                file.write(draw.randbytes(1))

    # ---- The end of all faults ----

    def heal(self):
        for zone in self.zones:
            for part in ("keystore", "hsm", "etcd", "frontend"):
                self._signal(signal.SIGCONT, part, zone)
            self.end_cut(None, zone)
            self.end_apart(None, zone)
            self.shims[zone.name].set()
        for disk in self.disks.values():
            disk.free()

    def is_well(self):
        words = ("cluster", "status")
        return self.cluster.cli(*words, region=self.region.name, check=False).returncode == 0

    # ---- An etcd that goes back ----

    def take_snapshot(self):
        self.snapshot.unlink(missing_ok=True)
        zone = self.zones[0]
        tls = self.cluster.topology.tls(f"etcd-{zone.name}")
        done = subprocess.run(
            [
                *("etcdctl", "--endpoints", f"https://{zone.etcd_client}"),
                *("--cacert", tls / "ca-etcd.pem"),
                *("--cert", tls / "etcd.pem", "--key", tls / "etcd.key"),
                *("snapshot", "save", self.snapshot),
            ],
            env={**os.environ, "ETCDCTL_API": "3"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

    def go_back(self):
        """Every member is restored from the snapshot, as if it had never been anything else."""
        members = [f"etcd-{zone.name}" for zone in self.zones]
        self.cluster.service("down", *members)
        for zone, member in zip(self.zones, members):
            self._restore(zone, member)
        self.cluster.service("up", *members)

    def _restore(self, zone, member):
        folder = self.cluster.topology.folder(zone.name, "etcd")
        made = folder.with_name("etcd.restored")
        shutil.rmtree(made, ignore_errors=True)
        peers = ",".join(f"etcd-{z.name}=https://{z.etcd_peer}" for z in self.zones)
        subprocess.run(
            [
                *("etcdctl", "snapshot", "restore", self.snapshot),
                *("--data-dir", made, "--name", member, "--initial-cluster", peers),
                *("--initial-cluster-token", member[:-1]),
                *("--initial-advertise-peer-urls", f"https://{zone.etcd_peer}"),
            ],
            env={**os.environ, "ETCDCTL_API": "3"},
            capture_output=True,
            check=True,
        )
        shutil.rmtree(folder / "member")
        shutil.move(made / "member", folder / "member")
        shutil.rmtree(made)
        user = t.USERS["etcd"]
        subprocess.run(["chown", "-R", f"{user}:{user}", folder / "member"], check=True)

    def new_epoch(self):
        """What the runbook tells an operator who has accepted the restored state."""
        key = f"/keystead/{self.region.name}/epoch"
        done = self.cluster.etcd(self.region.name, "put", key, os.urandom(16).hex())
        assert done.returncode == 0, done.stderr


def run(region, faults, ended):
    """Does the faults at their times. ended: a threading.Event that stops it early."""
    steps = [(f.at, True, f) for f in faults] + [(f.at + f.lasts, False, f) for f in faults]
    began = time.monotonic()
    for at, is_begin, fault in sorted(steps, key=lambda step: step[0]):
        if ended.wait(max(0.0, began + at - time.monotonic())):
            return
        (region.begin if is_begin else region.end)(fault)
