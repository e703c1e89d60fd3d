"""Roots of trust and the certificates under them.

One root for each thing that may trust: each etcd cluster, our processes, the hsms, the clients. A
leaf keeps its key and gets a new certificate at two thirds of its life, swapped in by one rename,
so that a reader sees the old pair or the new one. Keys are P-256 (hsm root: P-384) made by openssl.

    tls/<process>/<purpose>.{key,pem}   a pair; `ca-<purpose>.pem` beside it is the root it trusts
    roots/<root>/{ca.key,ca.pem}        of the roots that renewal needs: user keystead-ca alone
    offline/hsm-root-<region>/          root alone: no running process reads it
"""

import dataclasses
import datetime
import grp
import os
import pathlib
import pwd
import stat
import subprocess
import tempfile

import topology as t

ROOT_DAYS = 3650
LEAF_SECONDS = int(os.environ.get("KEYSTEAD_CERT_SECONDS", 30 * 24 * 3600))


def openssl(*args, stdin=None):
    done = subprocess.run(
        ["openssl", *map(str, args)], input=stdin, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(
            f"openssl {args[0]} failed: {done.stderr.decode(errors='replace').strip()}"
        )
    return done.stdout


# Root reads and writes in folders that belong to services' users. Whoever owns such a service could
# put a link there, and have root publish, overwrite or give away a file that is none of its own.


def write(path, data, mode, user="root", group=None):
    """Writes a file whole, by one rename, with its final owner and mode from the start."""
    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
        own(descriptor, user, group)
        os.fchmod(descriptor, mode)
        file.flush()
        os.fsync(descriptor)
    os.replace(partial, path)


def read(path, user):
    """Reads a file from a folder of `user`, if it is that user's own."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != pwd.getpwnam(user).pw_uid:
            raise SystemExit(f"{path} is not a file of {user}: see who put it there")
        return file.read()


def own(target, user, group=None):
    uid = pwd.getpwnam(user).pw_uid
    gid = grp.getgrnam(group or user).gr_gid
    status = os.stat(target)
    if (status.st_uid, status.st_gid) != (uid, gid):
        os.chown(target, uid, gid)


def folder(path, mode, user="root", group=None):
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        own(descriptor, user, group)
        # Only where it differs: who is not of the group, as keystead-ca, would lose setgid by it.
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
    return path


def new_key(curve="P-256"):
    return openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}")


def make_root(where, name, user, curve="P-256"):
    """A self-signed root below `where`, unless it stands already."""
    if (where / "ca.pem").exists():
        return
    folder(where, 0o750, user)
    write(where / "ca.key", new_key(curve), 0o400, user)
    pem = openssl(
        "req",
        "-x509",
        "-new",
        "-sha384",
        "-key",
        where / "ca.key",
        "-days",
        ROOT_DAYS,
        "-subj",
        f"/O=Keystead/CN={name}",
        "-addext",
        "basicConstraints=critical,CA:TRUE,pathlen:0",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    write(where / "ca.pem", pem, 0o444, user)


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One certificate: who it names, and which root signs it."""

    root: str  # folder of the root
    process: str  # folder below tls/
    purpose: str  # file name
    group: str  # who may read it
    uri: str | None
    usages: tuple[str, ...] = ("serverAuth", "clientAuth")
    # Of who is found by a name or an address: by clients that are not ours (a frontend's and
    # control's), and by etcd's. Our processes know each other by the URI; a name would only let one
    # of them pass for another with a client that looks at names alone.
    addresses: tuple[str, ...] = ()

    def extensions(self):
        names = [f"IP:{a}" for a in self.addresses] + ["DNS:localhost"] * bool(self.addresses)
        names += [f"URI:{self.uri}"] if self.uri else []
        return (
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            f"extendedKeyUsage={','.join(self.usages)}\n"
            + (f"subjectAltName={','.join(names)}\n" if names else "")
        )


def sign(root, csr, extensions, seconds):
    """A certificate for the key of a PEM request, under the root in the folder `root`."""
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=60)
    return _ca_sign(pathlib.Path(root), csr, extensions, start, end)


def _ca_sign(root, csr, extensions, start, end):
    # `openssl ca` is the one command of 3.0 that sets both ends of a validity to the second. It
    # wants files of its own, which nobody else needs: serials are random and nothing is listed.
    with tempfile.TemporaryDirectory(prefix="keystead-ca-") as work:
        work = pathlib.Path(work)
        (work / "index").touch()
        (work / "request").write_bytes(csr)
        (work / "extensions").write_text("[leaf]\n" + extensions)
        (work / "config").write_text(
            "[ca]\ndefault_ca=here\n[here]\n"
            f"database={work}/index\nnew_certs_dir={work}\nrand_serial=yes\ndefault_md=sha384\n"
            "policy=any\nunique_subject=no\ncopy_extensions=none\n"
            "[any]\norganizationName=supplied\n"
        )
        openssl(
            "ca",
            "-batch",
            "-notext",
            "-config",
            work / "config",
            "-keyfile",
            root / "ca.key",
            "-cert",
            root / "ca.pem",
            "-in",
            work / "request",
            "-out",
            work / "leaf",
            "-startdate",
            start.strftime("%Y%m%d%H%M%SZ"),
            "-enddate",
            end.strftime("%Y%m%d%H%M%SZ"),
            "-extfile",
            work / "extensions",
            "-extensions",
            "leaf",
        )
        return (work / "leaf").read_bytes()


def issue(topology, leaf):
    """Makes or renews a leaf; its key is made once."""
    where = topology.tls(leaf.process)
    # setgid: what keystead-ca renews belongs to the group that reads it.
    folder(where, 0o2750, t.USERS["ca"], leaf.group)
    key = where / f"{leaf.purpose}.key"
    root = topology.folder("roots", leaf.root)
    if not key.exists():
        write(key, new_key(), 0o440, t.USERS["ca"], leaf.group)
    # No common name: etcd would take it for a user's name, and its JSON gateway refuses it.
    csr = openssl("req", "-new", "-key", key, "-subj", "/O=Keystead")
    pem = sign(root, csr, leaf.extensions(), LEAF_SECONDS)
    write(where / f"{leaf.purpose}.pem", pem, 0o444, t.USERS["ca"], leaf.group)
    write(
        where / f"ca-{leaf.purpose}.pem",
        read(root / "ca.pem", t.USERS["ca"]),
        0o444,
        t.USERS["ca"],
        leaf.group,
    )


def validity(pem_file):
    """Start and end of a certificate, in seconds since 1970."""
    text = openssl("x509", "-in", pem_file, "-noout", "-startdate", "-enddate").decode()
    ends = [line.split("=", 1)[1] for line in text.splitlines()]
    parse = (
        lambda when: datetime.datetime.strptime(when, "%b %d %H:%M:%S %Y %Z")
        .replace(tzinfo=datetime.timezone.utc)
        .timestamp()
    )
    return parse(ends[0]), parse(ends[1])


def is_due(pem_file, now):
    """Whether two thirds of its life have passed, or it can't be read."""
    if not pathlib.Path(pem_file).exists():
        return True
    start, end = validity(pem_file)
    return now >= start + (end - start) * 2 / 3


def leaves(topology):
    """The certificates of all processes; the clients' and hsms' are made elsewhere."""
    domain = f"spiffe://{t.TRUST_DOMAIN}"
    users = t.USERS
    found = []
    server, client = ("serverAuth",), ("clientAuth",)
    for zone in topology.zones:
        address = (zone.host.address,)
        keystore = f"keystore-{zone.name}"
        user = t.zone_user("keystore", zone)
        uri = f"{domain}/region/{zone.region}/keystore/{zone.name}"
        found.append(Leaf("process", keystore, "process", user, uri))
        if topology.embedded:
            continue
        cell = f"etcd-{zone.region}"
        member = f"etcd-{zone.name}"
        # A member is the client of the others, too.
        found.append(
            Leaf(
                cell,
                member,
                "etcd",
                users["etcd"],
                None,
                addresses=tuple(dict.fromkeys(address + ("127.0.0.1",))),
            )
        )
        found.append(Leaf(cell, keystore, "etcd", user, None, client))
    for frontend in topology.frontends:
        uri = f"{domain}/region/{frontend.region}/frontend/{frontend.name}"
        found.append(
            Leaf(
                "process",
                frontend.name,
                "process",
                users["frontend"],
                uri,
                addresses=(frontend.host.address,),
            )
        )
    address = (topology.control_host.address,)
    found.append(
        Leaf(
            "process",
            "control",
            "process",
            users["control"],
            f"{domain}/control",
            server,
            address,
        )
    )
    if not topology.embedded:
        found.append(
            Leaf(
                "etcd-control",
                "etcd-control",
                "etcd",
                users["etcd"],
                None,
                addresses=tuple(dict.fromkeys(address + ("127.0.0.1",))),
            )
        )
        found.append(Leaf("etcd-control", "control", "etcd", users["control"], None, client))
    # What operators' tools show to keystores (status, rosters): root alone reads it.
    found.append(
        Leaf("process", "operator", "process", "root", f"{domain}/operator/local", client)
    )
    return found


def renew(topology, now):
    """Renews what is due; returns how many."""
    due = [
        leaf
        for leaf in leaves(topology)
        if is_due(topology.tls(leaf.process) / f"{leaf.purpose}.pem", now)
    ]
    for leaf in due:
        issue(topology, leaf)
    return len(due)
