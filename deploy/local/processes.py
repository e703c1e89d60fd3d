"""Every process of an installation: its user, its command line and its configuration. Pure."""

import dataclasses
import pathlib

import pki
import topology as t

ETCD_QUOTA_BYTES = 4 * 1024**3
# A group commit is one nested transaction a mutation; etcd's default of 128 operations is too few.
ETCD_MAX_TXN_OPS = 1024
ETCD_MAX_REQUEST_BYTES = 2 * 1024**2
# etcd 3.4 has no option for a least TLS version. Suites of TLS 1.2 that need an RSA certificate,
# which no member has, leave TLS 1.3 as the only one that works; its suites can't be chosen.
ETCD_CIPHERS = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"


@dataclasses.dataclass(frozen=True)
class Process:
    name: str
    user: str
    argv: tuple[str, ...]
    config: str = ""  # written to etc/<name>.yaml when not empty
    env: tuple[tuple[str, str], ...] = ()
    groups: tuple[str, ...] = ()  # besides the user's own
    netns: str | None = None
    capabilities: tuple[str, ...] = ()
    folders: tuple[pathlib.Path, ...] = ()  # made for the user alone


def etcd(topology, name, host, tls, members, folder, client, peer):
    cert = topology.tls(tls)
    pair = [f"{cert}/etcd.pem", f"{cert}/etcd.key", f"{cert}/ca-etcd.pem"]
    argv = (
        "/usr/bin/etcd",
        "--name",
        name,
        "--data-dir",
        str(folder),
        "--listen-client-urls",
        f"https://{client}",
        "--advertise-client-urls",
        f"https://{client}",
        "--listen-peer-urls",
        f"https://{peer}",
        "--initial-advertise-peer-urls",
        f"https://{peer}",
        "--initial-cluster",
        ",".join(f"{n}=https://{p}" for n, p in members),
        "--initial-cluster-token",
        tls if len(members) == 1 else name[:-1],
        "--client-cert-auth",
        "--cert-file",
        pair[0],
        "--key-file",
        pair[1],
        "--trusted-ca-file",
        pair[2],
        "--peer-client-cert-auth",
        "--peer-cert-file",
        pair[0],
        "--peer-key-file",
        pair[1],
        "--peer-trusted-ca-file",
        pair[2],
        "--cipher-suites",
        ETCD_CIPHERS,
        # As few heartbeats as etcd allows within the time-out (five): each wakes every member.
        "--heartbeat-interval",
        "80",
        "--election-timeout",
        "400",
        "--max-txn-ops",
        str(ETCD_MAX_TXN_OPS),
        "--max-request-bytes",
        str(ETCD_MAX_REQUEST_BYTES),
        "--quota-backend-bytes",
        str(ETCD_QUOTA_BYTES),
        "--snapshot-count",
        "10000",
        "--experimental-watch-progress-notify-interval",
        "5s",
        "--logger",
        "zap",
        "--log-level",
        "error",
        "--log-outputs",
        "stderr",
    )
    return Process(
        name,
        t.USERS["etcd"],
        argv,
        env=(("GOMAXPROCS", "1"), ("GODEBUG", "madvdontneed=1")),
        netns=host.netns,
        folders=(folder,),
    )


def etcd_members(topology):
    found = []
    for region in topology.regions:
        members = [(f"etcd-{zone.name}", zone.etcd_peer) for zone in region.zones]
        for zone in region.zones:
            name = f"etcd-{zone.name}"
            found.append(
                etcd(
                    topology,
                    name,
                    zone.host,
                    name,
                    members,
                    topology.folder(zone.name, "etcd"),
                    zone.etcd_client,
                    zone.etcd_peer,
                )
            )
    found.append(
        etcd(
            topology,
            "etcd-control",
            topology.control_host,
            "etcd-control",
            [("etcd-control", topology.control_etcd_peer)],
            topology.folder("control", "etcd"),
            topology.control_etcd_client,
            topology.control_etcd_peer,
        )
    )
    return found


def hsm(topology, zone):
    where = topology.folder(zone.name, "hsm")
    config = (
        f"region: {zone.region}\n"
        f"zone: {zone.name}\n"
        f"token_config: {where}/softhsm2.conf\n"
        f"token_label: {topology.token_label(zone)}\n"
        f"pin_file: {topology.pin(zone)}\n"
        # One machine has one disk: the PIN is on it, too.
        "development: true\n"
        f"csr_file: {where}/identity.csr\n"
        f"socket: {topology.hsm_socket(zone)}\n"
        f"peer_user: {t.zone_user('keystore', zone)}\n"
    )
    name = f"hsm-{zone.name}"
    argv = (
        str(topology.folder("bin", "keystead-hsm")),
        "serve",
        "--config",
        str(topology.folder("etc", f"{name}.yaml")),
    )
    # Its memory is locked, now and in future, and RLIMIT_MEMLOCK is 8 MiB as a rule.
    return Process(name, t.zone_user("hsm", zone), argv, config, capabilities=("ipc_lock",))


def keystore(topology, zone):
    name = f"keystore-{zone.name}"
    tls = topology.tls(name)
    engine = "embedded" if topology.embedded else "replicated"
    config = (
        f"region: {zone.region}\n"
        f"zone: {zone.name}\n"
        f"name: {name}\n"
        f"address: {zone.keystore}\n"
        f"data_folder: {topology.folder(zone.name, 'keystore')}\n"
        f"engine: {engine}\n"
        f"process_ca_file: {tls}/ca-process.pem\n"
        f"process_cert_file: {tls}/process.pem\n"
        f"process_key_file: {tls}/process.key\n"
        f"hsm_socket: {topology.hsm_socket(zone)}\n"
        f"control_address: {topology.control_internal}\n"
        f"client_ca_file: {topology.folder('tls', 'clients.pem')}\n"
        f"min_zones: {1 if topology.embedded else 2}\n"
    )
    if not topology.embedded:
        # Its own zone's member first: the others are asked when that one does not answer.
        zones = sorted(topology.region(zone.region).zones, key=lambda z: z.name != zone.name)
        endpoints = ", ".join(f"https://{z.etcd_client}" for z in zones)
        config += (
            f"etcd_endpoints: [{endpoints}]\n"
            f"etcd_ca_file: {tls}/ca-etcd.pem\n"
            f"etcd_cert_file: {tls}/etcd.pem\n"
            f"etcd_key_file: {tls}/etcd.key\n"
            f"etcd_quota: {ETCD_QUOTA_BYTES // 1024**2}MiB\n"
        )
    argv = (
        str(topology.folder("bin", "keystead-keystore")),
        "--config",
        str(topology.folder("etc", f"{name}.yaml")),
    )
    return Process(
        name,
        t.zone_user("keystore", zone),
        argv,
        config,
        netns=zone.host.netns,
        folders=(topology.folder(zone.name, "keystore"),),
    )


def control(topology):
    process = topology.tls("control")
    engine = "embedded" if topology.embedded else "replicated"
    config = (
        f"admin_address: {topology.control}\n"
        f"internal_address: {topology.control_internal}\n"
        f"data_folder: {topology.folder('control', 'data')}\n"
        f"engine: {engine}\n"
        f"process_ca_file: {process}/ca-process.pem\n"
        f"process_cert_file: {process}/process.pem\n"
        f"process_key_file: {process}/process.key\n"
        f"client_ca_file: {topology.folder('control', 'client-root', 'ca.pem')}\n"
        f"client_ca_key_file: {topology.folder('control', 'client-root', 'ca.key')}\n"
    )
    if not topology.embedded:
        config += (
            f"etcd_endpoints: [https://{topology.control_etcd_client}]\n"
            f"etcd_ca_file: {process}/ca-etcd.pem\n"
            f"etcd_cert_file: {process}/etcd.pem\n"
            f"etcd_key_file: {process}/etcd.key\n"
        )
    argv = (
        str(topology.folder("bin", "keystead-control")),
        "--config",
        str(topology.folder("etc", "control.yaml")),
    )
    return Process(
        "control",
        t.USERS["control"],
        argv,
        config,
        netns=topology.control_host.netns,
        folders=(topology.folder("control", "data"),),
    )


def frontend(topology, frontend):
    region = topology.region(frontend.region)
    zone = next(z for z in region.zones if z.host == frontend.host)
    if not topology.netns:
        zone = region.zones[region.frontends.index(frontend)]
    process = topology.tls(frontend.name)
    keystores = ", ".join(f"{z.name}={z.keystore}" for z in region.zones)
    config = (
        f"region: {frontend.region}\n"
        f"zone: {zone.name}\n"
        f"regions: [{', '.join(r.name for r in topology.regions)}]\n"
        f"address: {frontend.endpoint}\n"
        f"probe_address: {frontend.host.address}:{frontend.health_port}\n"
        f"keystores: [{keystores}]\n"
        f"process_ca_file: {process}/ca-process.pem\n"
        f"process_cert_file: {process}/process.pem\n"
        f"process_key_file: {process}/process.key\n"
        f"client_ca_file: {topology.folder('tls', 'clients.pem')}\n"
    )
    argv = (
        str(topology.folder("bin", "keystead-frontend")),
        "--config",
        str(topology.folder("etc", f"{frontend.name}.yaml")),
    )
    return Process(frontend.name, t.USERS["frontend"], argv, config, netns=frontend.host.netns)


def certificates(topology):
    """The certificate service: see renewer.py."""
    argv = ("/usr/bin/python3", str(topology.folder("lib", "renewer.py")), str(topology.home))
    env = (("KEYSTEAD_CERT_SECONDS", str(pki.LEAF_SECONDS)),)
    return Process("certificates", t.USERS["ca"], argv, env=env)


def all_processes(topology):
    found = [] if topology.embedded else etcd_members(topology)
    for zone in topology.zones:
        found += [hsm(topology, zone), keystore(topology, zone)]
    found += [frontend(topology, f) for f in topology.frontends]
    return found + [control(topology), certificates(topology)]
