"""What runs where: regions, zones, addresses, ports and folders."""

import dataclasses
import json
import os
import pathlib

REGIONS = ("ap-seoul-1", "us-oregon-1")
ZONE_LETTERS = "abc"
TRUST_DOMAIN = "keystead"

# One user for each role, so that what a process may hold is what its files' owner allows. The
# keystore and the hsm of a zone have users of that zone's: another zone's hsm does not know them.
USERS = {role: f"keystead-{role}" for role in ("etcd", "frontend", "control", "ca")}


def zone_user(role, zone):
    """The user of a zone's keystore or hsm, such as keystead-hsm-ap-seoul-1a."""
    return f"keystead-{role}-{zone.name}"

# All listeners stand below 32768: above is the kernel's range for outgoing connections.
DEFAULT_PORT_BASE = 21000
REGION_STRIDE, ZONE_STRIDE, FRONTEND_OFFSET, HEALTH_OFFSET, CONTROL_OFFSET = 100, 10, 50, 60, 900


@dataclasses.dataclass(frozen=True)
class Host:
    """An address, and the network namespace that has it (None: this machine's own)."""

    address: str
    netns: str | None = None


@dataclasses.dataclass(frozen=True)
class Zone:
    region: str
    name: str
    host: Host
    port: int

    @property
    def etcd_client(self):
        return f"{self.host.address}:{self.port}"

    @property
    def etcd_peer(self):
        return f"{self.host.address}:{self.port + 1}"

    @property
    def keystore(self):
        return f"{self.host.address}:{self.port + 2}"


@dataclasses.dataclass(frozen=True)
class Frontend:
    region: str
    name: str
    host: Host
    port: int
    health_port: int

    @property
    def endpoint(self):
        return f"{self.host.address}:{self.port}"


@dataclasses.dataclass(frozen=True)
class Region:
    name: str
    zones: tuple[Zone, ...]
    frontends: tuple[Frontend, ...]


class Topology:
    """A whole installation below one folder. netns: each zone is a host of its own."""

    def __init__(self, home, embedded=False, port_base=DEFAULT_PORT_BASE, netns=None):
        self.home = pathlib.Path(home)
        self.renewals = {}  # of a zone's name: how often its hsm has got a new token
        self.embedded = embedded
        self.port_base = port_base
        self.netns = netns
        self.run = pathlib.Path("/run/keystead") / self.home.name
        names = REGIONS[:1] if embedded else REGIONS
        self.control_host = self._host(0, 0)
        self.regions = tuple(self._region(i, name) for i, name in enumerate(names))

    def _host(self, region_index, zone_index):
        if not self.netns:
            return Host("127.0.0.1")
        if region_index == 0:
            return Host("10.199.0.1", f"{self.netns}-net")
        letter = ZONE_LETTERS[zone_index]
        return Host(
            f"10.199.{region_index}.{zone_index + 1}", f"{self.netns}-{region_index}{letter}"
        )

    def _region(self, index, name):
        base = self.port_base + index * REGION_STRIDE
        letters = ZONE_LETTERS[:1] if self.embedded else ZONE_LETTERS
        zones = tuple(
            Zone(name, name + letter, self._host(index + 1, z), base + z * ZONE_STRIDE)
            for z, letter in enumerate(letters)
        )
        frontends = tuple(
            Frontend(
                name,
                f"frontend-{name}-{f}",
                zones[f].host,
                base + FRONTEND_OFFSET + f,
                base + HEALTH_OFFSET + f,
            )
            for f in range(min(2, len(zones)))
        )
        return Region(name, zones, frontends)

    def region(self, name):
        return next(r for r in self.regions if r.name == name)

    @property
    def zones(self):
        return [zone for region in self.regions for zone in region.zones]

    @property
    def frontends(self):
        return [frontend for region in self.regions for frontend in region.frontends]

    @property
    def control(self):
        return f"{self.control_host.address}:{self.port_base + CONTROL_OFFSET}"

    @property
    def control_internal(self):
        return f"{self.control_host.address}:{self.port_base + CONTROL_OFFSET + 1}"

    @property
    def control_etcd_client(self):
        return f"{self.control_host.address}:{self.port_base + CONTROL_OFFSET + 10}"

    @property
    def control_etcd_peer(self):
        return f"{self.control_host.address}:{self.port_base + CONTROL_OFFSET + 11}"

    # Folders. Each belongs to one role; who may read it is set where it is made (pki.py, setup.py).
    def folder(self, *parts):
        return self.home.joinpath(*parts)

    def tls(self, owner):
        """Certificates of one process: its pairs, and the roots that it trusts."""
        return self.folder("tls", owner)

    def token_label(self, zone, more=0):
        """Of the zone's token, or of one that comes after it: each renewal makes another one."""
        count = self.renewals.get(zone.name, 0) + more
        return f"{zone.name}.{count}" if count else zone.name

    def pin(self, zone, more=0):
        """The PIN of that token: apart from the token's folder, though on the same disk."""
        return self.folder("pins", self.token_label(zone, more))

    def hsm_root(self, region):
        """The root of a region's hsms: what certifies one region's is nothing in another."""
        return self.folder("offline", f"hsm-root-{region}")

    def roster(self, region):
        return self.folder("offline", f"{region}.roster")

    def custodians(self, region):
        """Where the first custodians' private keys are made, until people have taken them away."""
        return self.folder("offline", f"custodians-{region}-1")

    def kit(self, region):
        """The custodian kit that the region was given."""
        return self.folder("offline", f"{region}.kit")

    def hsm_socket(self, zone):
        return self.run / zone.name / "hsm.sock"


def from_environment(embedded):
    """What KEYSTEAD_HOME, KEYSTEAD_PORT_BASE and KEYSTEAD_NETNS say, or the default."""
    home = os.environ.get("KEYSTEAD_HOME") or "/var/lib/keystead/" + (
        "embedded" if embedded else "cluster"
    )
    base = int(os.environ.get("KEYSTEAD_PORT_BASE", DEFAULT_PORT_BASE + (2000 if embedded else 0)))
    return Topology(home, embedded, base, os.environ.get("KEYSTEAD_NETNS") or None)


def save(topology):
    """Keeps what the installation was made with: a later run must not move its ports."""
    topology.folder("installation.json").write_text(
        json.dumps(
            {
                "embedded": topology.embedded,
                "port_base": topology.port_base,
                "netns": topology.netns,
                "renewals": topology.renewals,
            }
        )
        + "\n"
    )


def load(home):
    """The installation in a folder; raises FileNotFoundError where there is none."""
    made = json.loads((pathlib.Path(home) / "installation.json").read_text())
    topology = Topology(home, made["embedded"], made["port_base"], made["netns"])
    topology.renewals = made.get("renewals", {})
    return topology
