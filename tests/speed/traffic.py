"""How many travel together: what keystores count themselves, and what the kernel counts."""

import pathlib
import shutil
import signal
import subprocess

import grpc
from keystead.internal.v1 import internal_pb2, internal_pb2_grpc

SECONDS = 10  # of a call
SENDMSG = "syscalls:sys_enter_sendmsg"
# Each hop: what travelled, and in how many; members of GetStatusResponse.traffic.
HOPS = {
    "frontend_to_keystore": ("items", "item_messages"),
    "keystore_to_hsm": ("hsm_requests", "hsm_frames"),
    "keystore_to_frontend": ("results", "result_messages"),
}
COUNTS = [name for hop in HOPS.values() for name in hop]


def switches(pid):
    """Context switches of all threads that a process has, its own wish or not."""
    count = 0
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            lines = (thread / "status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        count += sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
    return count


class Sendmsg:
    """Counts calls of sendmsg, by which alone gRPC writes to its sockets. perf counts them in the
    kernel, at next to no cost; strace would halve the rate, and change what is counted."""

    def __init__(self, pids):
        self._child = None
        if shutil.which("perf"):
            words = ["perf", "stat", "-x", ",", "-e", SENDMSG, "-p", ",".join(map(str, pids))]
            self._child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)

    def read(self):
        """None where there is no perf, or where the kernel does not let it count."""
        if not self._child:
            return None
        self._child.send_signal(signal.SIGINT)
        count = self._child.communicate()[1].partition(",")[0]
        return int(count) if count.isdigit() else None


class Watch:
    """What a region's frontends and keystores do between begin() and end()."""

    def __init__(self, cluster):
        topology, region = cluster.topology, cluster.topology.region(cluster.region)
        tls = topology.tls("operator")
        ca, key, cert = (tls / n for n in ("ca-process.pem", "process.key", "process.pem"))
        credentials = grpc.ssl_channel_credentials(
            ca.read_bytes(), key.read_bytes(), cert.read_bytes()
        )
        channels = [grpc.secure_channel(zone.keystore, credentials) for zone in region.zones]
        self._stubs = [internal_pb2_grpc.KeystoreServiceStub(channel) for channel in channels]
        self._keystores = [cluster.pid(f"keystore-{zone.name}") for zone in region.zones]
        self._frontends = [cluster.pid(frontend.name) for frontend in region.frontends]

    def _counts(self):
        request = internal_pb2.GetStatusRequest()
        said = [stub.GetStatus(request, timeout=SECONDS).traffic for stub in self._stubs]
        found = {name: sum(getattr(traffic, name) for traffic in said) for name in COUNTS}
        found["keystore_switches"] = sum(map(switches, self._keystores))
        return found

    def begin(self):
        self._before = self._counts()
        self._sendmsg = Sendmsg(self._frontends)

    def end(self):
        """{what: how many since begin}."""
        sendmsg = self._sendmsg.read()
        after = self._counts()
        found = {name: after[name] - self._before[name] for name in after}
        return found if sendmsg is None else {**found, "frontend_sendmsg": sendmsg}


def items_per_message(counts):
    """{hop: how many travelled together on average}."""
    return {hop: counts[of] / counts[by] for hop, (of, by) in HOPS.items() if counts[by]}
