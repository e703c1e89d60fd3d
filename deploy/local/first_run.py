"""After the start: rosters, an account, a user, a key, and a file encrypted through all of it."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pki
import topology as t

READY_SECONDS = 60
DEMO_ACCOUNT, DEMO_USER, DEMO_ALIAS = "demo", "alice", "alias/demo"
DEMO_FILE_BYTES = 8 * 1024**2
OPERATOR_SECONDS = 365 * 24 * 3600


def client_environment(topology, region):
    """What points any client at a region, and the keystead command at the control plane, too."""
    demo = read_demo(topology)
    frontends = topology.region(region).frontends
    here = topology.folder("client")
    return {
        "KEYSTEAD_ENDPOINT": ",".join(f.endpoint for f in frontends),
        "KEYSTEAD_REGION": region,
        "KEYSTEAD_ACCOUNT": demo.get("account", ""),
        "KEYSTEAD_KEY": demo.get("keys", {}).get(region, ""),
        "KEYSTEAD_CA": here / "ca.pem",
        "KEYSTEAD_CERT": here / f"{DEMO_USER}.pem",
        "KEYSTEAD_CERT_KEY": here / f"{DEMO_USER}.key",
        "KEYSTEAD_ADMIN_ENDPOINT": topology.control,
        "KEYSTEAD_OPERATOR_CERT": topology.folder("operator", "operator.pem"),
        "KEYSTEAD_OPERATOR_CERT_KEY": topology.folder("operator", "operator.key"),
        "KEYSTEAD_CLUSTER": topology.folder("operator", "cluster.yaml"),
    }


def read_demo(topology):
    path = topology.folder("client", "demo.json")
    return json.loads(path.read_text()) if path.exists() else {}


def keystead(topology, region, *words, stdin=None, check=True):
    environment = {
        **os.environ,
        **{k: str(v) for k, v in client_environment(topology, region).items()},
    }
    command = [str(topology.folder("bin", "keystead")), *map(str, words)]
    if topology.netns:
        command = ["ip", "netns", "exec", topology.control_host.netns, *command]
    done = subprocess.run(command, env=environment, stdin=stdin, capture_output=True, check=False)
    if check and done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise SystemExit(
            f"keystead {' '.join(map(str, words[:2]))} failed: {said}\n"
            f"Logs: {topology.folder('log')}/*/current"
        )
    return done


def answer(topology, region, *words):
    return json.loads(keystead(topology, region, *words, "--output", "json").stdout)


def make_operator(topology):
    """The operator's client certificate, and what tools need to find the processes."""
    where = pki.folder(topology.folder("operator"), 0o700)
    if pki.is_due(where / "operator.pem", time.time()):
        if not (where / "operator.key").exists():
            pki.write(where / "operator.key", pki.new_key(), 0o400)
        csr = pki.openssl("req", "-new", "-key", where / "operator.key", "-subj", "/O=Keystead")
        extensions = (
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=clientAuth\n"
            f"subjectAltName=URI:spiffe://{t.TRUST_DOMAIN}/operator/local\n"
        )
        pem = pki.sign(topology.folder("control", "client-root"), csr, extensions, OPERATOR_SECONDS)
        pki.write(where / "operator.pem", pem, 0o444)
    tls = topology.tls("operator")
    lines = [
        "# Where the processes of this installation are: for keystead cluster and keystead zone.",
        "keystores: ["
        + ", ".join(f"{z.region}/{z.name}/{z.keystore}" for z in topology.zones)
        + "]",
        "frontends: ["
        + ", ".join(f"{f.region}/{f.name}/{f.endpoint}" for f in topology.frontends)
        + "]",
        f"control: {topology.control}",
        f"ca_file: {tls}/ca-process.pem",
        f"cert_file: {tls}/process.pem",
        f"key_file: {tls}/process.key",
    ]
    pki.write(where / "cluster.yaml", "\n".join(lines) + "\n", 0o400)
    here = pki.folder(topology.folder("client"), 0o755)
    root = pki.read(topology.folder("roots", "process", "ca.pem"), t.USERS["ca"])
    pki.write(here / "ca.pem", root, 0o444)


def put_rosters(topology, say):
    """The operator's signature on which hsms belong to a region: once, at the first start."""
    for region in topology.regions:
        roster = topology.roster(region.name)
        if roster.exists():
            continue
        hsms = [
            f"{zone.name}={topology.folder(zone.name, 'hsm', 'identity.pem')}"
            for zone in region.zones
        ]
        keystead(
            topology,
            region.name,
            "zone",
            "add",
            "--region",
            region.name,
            "--hsm-root",
            topology.hsm_root(region.name),
            "--roster",
            roster,
            "--wait",
            f"{READY_SECONDS}s",
            *hsms,
        )
        say(f"{region.name}: hsms enrolled")


def make_custodians(topology, region):
    """Private keys and kit of the first period. They appear whole, by one rename."""
    where = topology.custodians(region)
    if (where / "custodians.kit").exists():
        return
    partial = where.with_name(where.name + ".new")
    shutil.rmtree(partial, ignore_errors=True)
    words = ["custodians", "--region", region, "--period", 1]
    words += ["--hsm-root", topology.hsm_root(region), "--out", partial]
    done = subprocess.run(
        [str(topology.folder("bin", "keystead-hsm")), *map(str, words)],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(done.stderr.decode(errors="replace").strip())
    os.rename(partial, where)


def put_custodians(topology, say):
    """To whom the backups of each region are sealed: once, at the first start."""
    for region in topology.regions:
        if not topology.kit(region.name).exists():
            make_custodians(topology, region.name)
            kit = topology.custodians(region.name) / "custodians.kit"
            keystead(
                topology,
                region.name,
                "cluster",
                "custodians",
                "--region",
                region.name,
                kit,
                "--wait",
                f"{READY_SECONDS}s",
            )
            pki.write(topology.kit(region.name), kit.read_bytes(), 0o644)
        if any(topology.custodians(region.name).glob("custodian-*.key")):
            say(
                f"{region.name}: the custodians' private keys lie in "
                f"{topology.custodians(region.name)}: give each to another person, off this "
                "machine, and remove them here; any 2 of 3 open the region's backups"
            )


def make_demo(topology):
    """Account and user by the control plane, then a key in each region."""
    demo = read_demo(topology)
    save = lambda: pki.write(topology.folder("client", "demo.json"), json.dumps(demo) + "\n", 0o644)
    first = topology.regions[0].name
    if "account" not in demo:
        demo["account"] = answer(topology, first, "account", "create", "--name", DEMO_ACCOUNT)[
            "AccountId"
        ]
        save()
    certificate = topology.folder("client", f"{DEMO_USER}.pem")
    if not certificate.exists():
        keystead(
            topology,
            first,
            "user",
            "create",
            "--account",
            demo["account"],
            "--name",
            DEMO_USER,
            check=False,
        )
    if pki.is_due(certificate, time.time()):
        keystead(
            topology,
            first,
            "user",
            "certificate",
            "--account",
            demo["account"],
            "--name",
            DEMO_USER,
            "--out",
            topology.folder("client"),
        )
    for region in topology.regions:
        await_user(topology, region.name)
        if region.name not in demo.setdefault("keys", {}):
            made = answer(
                topology,
                region.name,
                "key",
                "create",
                "--alias",
                DEMO_ALIAS,
                "--description",
                "made by deploy/up",
            )
            demo["keys"][region.name] = made["KeyMetadata"]["Arn"]
            save()


def await_user(topology, region):
    """Regions mirror the control plane: a new user is known there a moment later."""
    for _ in range(100):
        if keystead(topology, region, "key", "list", check=False).returncode == 0:
            return
        time.sleep(0.1)
    keystead(topology, region, "key", "list")


def await_well(topology):
    keystead(topology, topology.regions[0].name, "cluster", "status", "--wait", f"{READY_SECONDS}s")


def make_ready(topology, say):
    make_operator(topology)
    if not topology.embedded:  # a single hsm shares its domain key with nobody
        put_rosters(topology, say)
    await_well(topology)
    put_custodians(topology, say)
    say("all regions serve")
    make_demo(topology)
    say(f"account {read_demo(topology)['account']}, user {DEMO_USER}, a key in each region")


def prove(topology, say):
    """A real file through the first region's key and back."""
    region = topology.regions[0].name
    with tempfile.TemporaryDirectory(prefix="keystead-") as work:
        plain, sealed = pathlib.Path(work) / "file", pathlib.Path(work) / "file.sealed"
        plain.write_bytes(os.urandom(DEMO_FILE_BYTES))
        with plain.open("rb") as source:
            sealed.write_bytes(
                keystead(
                    topology,
                    region,
                    "encrypt",
                    "--key",
                    DEMO_ALIAS,
                    "--context",
                    "purpose=first-minute",
                    stdin=source,
                ).stdout
            )
        with sealed.open("rb") as source:
            opened = keystead(
                topology, region, "decrypt", "--context", "purpose=first-minute", stdin=source
            ).stdout
        if hashlib.sha256(opened).digest() != hashlib.sha256(plain.read_bytes()).digest():
            raise SystemExit("what was decrypted is not what was encrypted")
        say(
            f"a file of {DEMO_FILE_BYTES >> 20} MiB encrypted ({sealed.stat().st_size} bytes) "
            "and decrypted"
        )


def explain(topology):
    """What deploy/up prints at its end."""
    demo = read_demo(topology)
    flag = " --embedded" if topology.embedded else ""
    lines = ["", "Keystead is up.", ""]
    for region in topology.regions:
        lines.append(f"  {region.name:<12} gRPC {', '.join(f.endpoint for f in region.frontends)}")
        lines.append(f"  {'':<12} key  {demo['keys'][region.name]}")
    lines += [
        f"  {'control':<12} gRPC {topology.control}",
        "",
        f"  account {demo['account']}, user {DEMO_USER}; "
        f"her certificate: {topology.folder('client')}",
        "",
        "Point a client at it (any gRPC client: mutual TLS with KEYSTEAD_CA, _CERT, _CERT_KEY):",
        f'  eval "$(deploy/env{flag})"',
        "",
        "Then try:",
        "  echo hello | keystead encrypt --key alias/demo > hello.sealed",
        "  keystead decrypt < hello.sealed",
        "  keystead key list",
        "  keystead cluster status",
        f"Stop it with deploy/down{flag}; wipe it with deploy/down{flag} --reset.",
        "",
    ]
    return "\n".join(lines)
