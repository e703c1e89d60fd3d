#!/usr/bin/env python3
"""What an attacker gets: with a tenant's certificate at any port, with malformed messages, from
memory, disks and logs."""

import os
import pathlib
import re
import socket
import ssl
import subprocess
import tempfile
import time
import uuid

import grpc
import harness
from harness import refused
from keystead.kms.v1 import batch_pb2 as ba
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke


CAP_IPC_LOCK = 1 << 14


def internal_ports(cluster):
    """Every listener but the frontends': (what, host, port)."""
    topology = cluster.topology
    found = []
    for zone in topology.zones:
        for what, address in (
            ("etcd", zone.etcd_client),
            ("etcd peer", zone.etcd_peer),
            ("keystore", zone.keystore),
        ):
            found.append((f"{what} {zone.name}", *address.split(":")))
    for what, address in (
        ("control etcd", topology.control_etcd_client),
        ("control", topology.control),
        ("control internal", topology.control_internal),
    ):
        found.append((what, *address.split(":")))
    return found


def handshake(host, port, certificate=None, version=None):
    """Whether TLS with this certificate gets so far that the server answers anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if version:
        context.minimum_version = context.maximum_version = version
    if certificate:
        context.load_cert_chain(f"{certificate}.pem", f"{certificate}.key")
    try:
        with socket.create_connection((host, int(port)), timeout=5) as raw:
            with context.wrap_socket(raw) as tls:
                tls.settimeout(3)
                tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
                return len(tls.recv(64)) > 0
    except (ssl.SSLError, OSError):
        return False


def test_tenants_certificate_opens_no_other_port(cluster):
    alice = cluster.home / "client" / "alice"
    frontend = cluster.topology.frontends[0]
    assert handshake(
        *frontend.endpoint.split(":"), certificate=alice
    ), "the probe works where it should"
    for what, host, port in internal_ports(cluster):
        if what == "control":
            continue  # the same root: it is the SPIFFE path that is refused there, see below
        assert not handshake(host, port, certificate=alice), f"{what} let a tenant in"
    from keystead.admin.v1 import admin_pb2, admin_pb2_grpc

    stub = admin_pb2_grpc.AdminServiceStub(cluster.channel(cluster.topology.control, "alice"))
    with refused("AccessDeniedException"):
        stub.ListAccounts(admin_pb2.ListAccountsRequest(), timeout=5)
    return f"{len(internal_ports(cluster))} ports"


def test_no_certificate_and_old_tls_open_nothing(cluster):
    everything = internal_ports(cluster) + [
        (f.name, *f.endpoint.split(":")) for f in cluster.topology.frontends
    ]
    alice = cluster.home / "client" / "alice"
    for what, host, port in everything:
        assert not handshake(host, port), f"{what} let in who has no certificate"
        assert not handshake(host, port, alice, ssl.TLSVersion.TLSv1_2), f"{what} speaks TLS 1.2"


def test_process_certificates_are_no_clients(cluster):
    """A frontend's or keystore's certificate is none of the client root's."""
    frontend = cluster.topology.frontends[0]
    for process in (frontend.name, f"keystore-{cluster.topology.zones[0].name}"):
        pair = cluster.topology.tls(process) / "process"
        assert not handshake(*frontend.endpoint.split(":"), certificate=pair), process
    other = cluster.topology.regions[-1].zones[0]
    pair = cluster.topology.tls(f"keystore-{cluster.topology.zones[0].name}") / "etcd"
    if other.region != cluster.region:
        assert not handshake(
            *other.etcd_client.split(":"), certificate=pair
        ), "one cell's root in another's place"
    assert not handshake(*cluster.topology.control_etcd_client.split(":"), certificate=pair)


def raw(channel, method, payload):
    path = "/keystead.kms.v1.KeyManagementService/" + method
    return channel.unary_unary(path)(payload, timeout=10)


def test_malformed_messages_harm_nobody(cluster):
    kms = cluster.kms()
    channel = cluster.channel(cluster.topology.frontends[0].endpoint)
    before = {name: cluster.pid(name) for name in cluster.processes()}
    good = cr.EncryptRequest(key_id=cluster.key(), plaintext=b"x").SerializeToString()
    nested = b""
    for _ in range(200):
        nested = b"\x1a" + bytes([0x80 | (len(nested) & 0x7F), len(nested) >> 7]) + nested
    bad = [
        b"\xff" * 50,
        good[:-1],
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0a\x02\xc3\x28",
        b"\x0a\x03a\0b",
        nested,
        good + good,
        b"\x0b" * 100,
        b"\x80" * 11,
        b"\x0a\x03abc" * 5000,
        b"\x1a\x04\x0a\x02\xff\xfe",
    ]
    for message in bad:
        for method in ("Encrypt", "Decrypt", "CreateKey"):
            try:
                raw(channel, method, message)
            except grpc.RpcError as error:
                assert error.code() in (
                    grpc.StatusCode.INVALID_ARGUMENT,
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    grpc.StatusCode.NOT_FOUND,
                    grpc.StatusCode.PERMISSION_DENIED,
                ), (method, message[:20], error.code())
            else:
                assert method == "CreateKey", (method, message[:20])
    for megabytes in (1, 5):
        try:
            raw(
                channel,
                "Encrypt",
                b"\x12"
                + bytes([0x80, 0x80, 0x80 | (megabytes << 6 & 0x7F), megabytes >> 1])
                + b"x" * (megabytes << 20),
            )
            raise AssertionError("oversized message taken")
        except grpc.RpcError as error:
            assert error.code() in (
                grpc.StatusCode.INVALID_ARGUMENT,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
            ), error
    assert kms.Encrypt(cr.EncryptRequest(key_id=cluster.key(), plaintext=b"x")).ciphertext_blob
    assert before == {name: cluster.pid(name) for name in cluster.processes()}, "a process died"


# ---- One tenant's requests in the way of another's ----

REQUEST_MAX = 512 << 10  # bytes, unknown fields included: pkg/operation/check.h
ITEM_MAX = 1 << 20  # bytes of a request between frontend and keystore: internal/v1/limits.h
ITEM_HEAD_MAX = 2400  # bytes that may stand around the request there: who calls, what it rests on
UNKNOWN_FIELD = b"\xc2\x3e"  # number 1000, with a length


def varint(number):
    low = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes(byte | 0x80 for byte in low[:-1]) + bytes(low[-1:])


def padded(request, length):
    """The request with a field that nobody knows, of so many bytes in all."""
    room = length - len(request) - len(UNKNOWN_FIELD) - 3
    message = request + UNKNOWN_FIELD + varint(room) + bytes(room)
    assert len(message) == length
    return message


def send_padded(channel, entry, length, count):
    """Sends a batch with a padded entry in its midst; fails unless each gets its own answer."""
    entries = [entry] * count
    entries[count // 2] = padded(entry, length)
    batch = b"".join(b"\x0a" + varint(len(e)) + e for e in entries)
    results = ba.EncryptBatchResponse.FromString(raw(channel, "EncryptBatch", batch)).results
    assert len(results) == count
    for i, result in enumerate(results):
        if i == count // 2 and length > REQUEST_MAX:
            text = f"The request has {length} bytes; it must have at most {REQUEST_MAX}."
            assert result.error.code == "ValidationException" and result.error.message == text
        else:
            assert result.response.ciphertext_blob, (length, i, result.error)


def test_a_padded_entry_disturbs_no_other_tenant(cluster):
    """The lengths are those around each limit that a request meets on its way."""
    cluster.user("bystander")
    bystander = cluster.kms(certificate="bystander")
    theirs = bystander.CreateKey(ke.CreateKeyRequest()).key_metadata.arn
    load = harness.Load(
        lambda: bystander.Encrypt(cr.EncryptRequest(key_id=theirs, plaintext=b"x"))
    )
    channel = cluster.channel(cluster.topology.frontends[0].endpoint)
    entry = cr.EncryptRequest(key_id=cluster.key(), plaintext=b"x").SerializeToString()
    near = [limit + by for limit in (REQUEST_MAX, ITEM_MAX) for by in range(-20, 21)]
    # Where a keystore's limit would be met by what stands around the request: it is met by more
    # than three lengths in a row.
    before = range(ITEM_MAX - ITEM_HEAD_MAX, ITEM_MAX - 20, 3)
    load.start()
    try:
        for length in near:
            send_padded(channel, entry, length, 100)
        for length in before:
            send_padded(channel, entry, length, 3)
    finally:
        load.stop()
    assert not load.failures and not load.wrong, (load.failures[:3], load.wrong[:3])
    assert load.gap_ms() < 1000, f"the bystander stood still for {load.gap_ms():.0f} ms"
    return (
        f"{len(near) + len(before)} lengths; bystander: {len(load.successes)} calls, "
        f"longest gap {load.gap_ms():.0f} ms"
    )


# ---- Secrets ----


def scanner():
    """The program of memscan.c."""
    program = harness.ROOT / ".cache" / "memscan"
    source = harness.ROOT / "tests" / "cluster" / "memscan.c"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        command = ["gcc", "-O2", "-std=c17", "-D_GNU_SOURCE", source, "-o", program]
        subprocess.run(command, check=True)
    return program


def holds(places, needles):
    """Which of the 32-byte needles stand in each place, a process id or a file: {place: set}."""
    needles = list(needles)
    found = {place: set() for place in map(str, places)}
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(needles))
        file.flush()
        command = [scanner(), file.name, *found]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for line in lines.splitlines():
        index, place = line.split(" ", 1)
        found[place].add(needles[int(index)])
    return found


def files(cluster):
    return [p for p in cluster.home.rglob("*") if p.is_file() and not p.is_symlink()]


def test_plaintexts_rest_nowhere(cluster):
    """Data keys and plaintexts that passed through: on no disk, in no log, and when the next
    requests have passed, in the memory of no etcd member and no hsm."""
    kms = cluster.kms()
    key = cluster.key()
    canaries = []
    for _ in range(20):
        canary = uuid.uuid4().hex.encode()
        canaries.append(canary)
        blob = kms.Encrypt(cr.EncryptRequest(key_id=key, plaintext=canary)).ciphertext_blob
        assert kms.Decrypt(cr.DecryptRequest(ciphertext_blob=blob)).plaintext == canary
        made = kms.GenerateDataKey(cr.GenerateDataKeyRequest(key_id=key, number_of_bytes=32))
        canaries.append(made.plaintext)
    me = str(os.getpid())
    assert len(holds([me], canaries)[me]) == len(canaries), "the scan does not find what is there"
    time.sleep(1)
    for path, hits in holds(files(cluster), canaries).items():
        assert not hits, f"a plaintext stands in {path}"
    # Buffers of the libraries in between (TLS records, HTTP/2 frames) are reused: push them out.
    for _ in range(1000):
        kms.Encrypt(cr.EncryptRequest(key_id=key, plaintext=b"y" * 64))
    names = {str(cluster.pid(n)): n for n in cluster.processes() if cluster.region in n}
    kept = {names[pid]: len(hits) for pid, hits in holds(names, canaries).items() if hits}
    ours_to_wipe = {n: c for n, c in kept.items() if n.startswith(("hsm-", "etcd-"))}
    assert not ours_to_wipe, f"plaintexts stayed in memory: {kept}"
    return f"{len(canaries)} canaries in {len(names)} processes; left: {kept or 'none'}"


def hsm_secrets(cluster, zone):
    """Node, domain and backing keys of an hsm, found by reading its memory as root: candidates are
    32-byte runs of locked memory that are dense and unlike text. Only root on the machine can do
    this, and only here: what is found must stand in no other process."""
    pid = cluster.pid(f"hsm-{zone}")
    status = pathlib.Path(f"/proc/{pid}/smaps").read_text()
    locked, runs = [], []
    for block in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", status):
        head = block.split("\n", 1)[0].split()
        if len(head) == 5 or (len(head) > 5 and head[5] == "[heap]"):
            if head[1].startswith("rw") and re.search(r"Locked:\s+[1-9]", block):
                locked.append(tuple(int(p, 16) for p in head[0].split("-")))
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for start, end in locked:
            memory.seek(start)
            data = memory.read(end - start)
            for at in range(0, len(data) - 32, 8):
                run = data[at : at + 32]
                if len(set(run)) >= 28 and sum(b == 0 for b in run) == 0:
                    runs.append(run)
    return set(runs)


def test_key_material_is_in_no_process_but_the_hsm(cluster):
    zone = cluster.topology.regions[0].zones[0].name
    kms = cluster.kms()
    for _ in range(50):
        kms.Encrypt(cr.EncryptRequest(key_id=cluster.key(), plaintext=b"x"))
    secrets = hsm_secrets(cluster, zone)
    assert len(secrets) > 3, "nothing was found in the hsm: the scan shows nothing"
    hsm = str(cluster.pid(f"hsm-{zone}"))
    assert len(holds([hsm], secrets)[hsm]) > 3, "the scan does not find what is there"
    # What is public stands elsewhere, too: blobs, EKTs, certificates; and what any process has that
    # links the same libraries.
    places = [p for p in files(cluster) if "hsm/tokens" not in str(p)] + [os.getpid()]
    public = set().union(*holds(places, secrets).values())
    others = {str(cluster.pid(n)): n for n in cluster.processes() if not n.startswith("hsm-")}
    for pid, hits in holds(others, secrets - public).items():
        assert not hits, f"{len(hits)} runs of the hsm's memory stand in {others[pid]}"
    return f"{len(secrets)} runs of the hsm's memory in {len(others)} other processes"


def test_hsm_is_sealed(cluster):
    import pwd

    for zone in cluster.topology.zones:
        pid = cluster.pid(f"hsm-{zone.name}")
        status = dict(
            line.split(":\t", 1)
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
        assert (
            int(status["VmLck"].split()[0]) > 0 and int(status["CapEff"], 16) & ~CAP_IPC_LOCK == 0
        )
        user = f"keystead-hsm-{zone.name}"
        assert status["Uid"].split()[0] == str(pwd.getpwnam(user).pw_uid)
        tokens = cluster.home / zone.name / "hsm"
        assert tokens.stat().st_mode & 0o077 == 0 and tokens.owner() == user
        pin = cluster.home / "pins" / zone.name
        assert pin.stat().st_mode & 0o377 == 0 and pin.owner() == user
    offline = cluster.home / "offline"
    assert offline.stat().st_mode & 0o077 == 0 and offline.owner() == "root"


def test_a_keystore_reaches_no_other_zones_hsm(cluster):
    """One user for all zones let a keystore that was taken over use the hsms of both regions."""
    own = cluster.topology.zones[0]
    user = f"keystead-keystore-{own.name}"
    connect = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    for zone in cluster.topology.zones:
        words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        words += ["/usr/bin/python3", "-c", connect, str(cluster.topology.hsm_socket(zone))]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == (zone == own), done.stderr
        assert zone == own or "PermissionError" in done.stderr


def test_root_follows_no_link_of_a_services_user(cluster):
    """deploy/up runs as root in folders that services own: a link there must not lead it astray."""
    user = "keystead-control"
    with tempfile.TemporaryDirectory(prefix="keystead-links-") as work:
        work = pathlib.Path(work)
        secret = work / "secret"
        secret.write_text("root's own")
        secret.chmod(0o400)
        theirs = harness.pki.folder(work / "theirs", 0o750, user)
        for name in ("ca.pem", "leaf.pem.new", "folder"):
            (theirs / name).symlink_to(secret if name != "folder" else work)
        os.link(secret, theirs / "hard.pem")

        for name in ("ca.pem", "hard.pem"):
            try:
                harness.pki.read(theirs / name, user)
                raise AssertionError(f"{name} was read")
            except (OSError, SystemExit):
                pass
        harness.pki.write(theirs / "leaf.pem", "new", 0o444, user)
        try:
            harness.pki.folder(theirs / "folder", 0o700, user)
            raise AssertionError("a link was taken for a folder")
        except OSError:
            pass

        assert harness.pki.read(theirs / "leaf.pem", user) == b"new"
        assert secret.read_text() == "root's own" and secret.owner() == "root"
        assert work.owner() == "root"


def test_no_process_leaves_a_core(cluster):
    """A process that may not be dumped belongs to root in /proc (proc(5)), whatever its user."""
    for name in cluster.processes():
        pid = cluster.pid(name)
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.M), name
        if not name.startswith("etcd-"):  # not ours; what passes through it is sealed
            assert os.stat(f"/proc/{pid}/mem").st_uid == 0, f"{name} can be dumped"


def test_logs_hold_no_secret(cluster):
    """Nothing that a client sent as content, whether it was taken or refused, and no key."""
    kms = cluster.kms()
    words = [uuid.uuid4().hex for _ in range(5)]
    made = kms.CreateKey(ke.CreateKeyRequest(description=words[0])).key_metadata
    blob = kms.Encrypt(
        cr.EncryptRequest(
            key_id=made.arn, plaintext=words[1].encode(), encryption_context={words[2]: words[3]}
        )
    ).ciphertext_blob
    with refused("InvalidCiphertextException"):
        kms.Decrypt(cr.DecryptRequest(ciphertext_blob=blob, encryption_context={words[4]: "x"}))
    with refused("ValidationException"):
        kms.Encrypt(cr.EncryptRequest(key_id=made.arn, plaintext=words[1].encode() * 200))
    time.sleep(1)
    logs = cluster.logs()
    assert "serving" in logs, "the logs are read"
    assert not [w for w in words if w in logs] and "PRIVATE KEY" not in logs


if __name__ == "__main__":
    harness.main(globals())
