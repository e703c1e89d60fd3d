"""A real installation for a test: its own folder, ports and (if wanted) network namespaces.

A test file has functions test_*(cluster) and ends with `harness.main(globals())`. They run in the
order they stand in, against a cluster that is brought up by the same code as deploy/up and wiped at
the end. Each prints PASS or FAIL and its name, and how long it took. Run by itself, a file has a
cluster of its own; run.py brings up one for all files that don't ask for another: those that do
have OWN, the arguments of Cluster.
"""

import contextlib
import importlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
STUBS = ROOT / ".cache" / "python"
sys.path[:0] = [str(ROOT / "deploy" / "local"), str(STUBS)]

import grpc  # noqa: E402

import pki  # noqa: E402
import runit  # noqa: E402
import topology as t  # noqa: E402

PROTOS = (
    "keystead/api/v1/*.proto",
    "keystead/kms/v1/*.proto",
    "keystead/admin/v1/*.proto",
    "keystead/internal/v1/internal.proto",
    "google/rpc/*.proto",
)
FIRST_PORT, PORTS_STRIDE = 24000, 1000
SECONDS = 10  # of a call: long enough for an election on a busy machine
CLAIM_SECONDS_MAX = 420


def make_stubs():
    """Python messages and stubs of our protos, made by Debian's grpc_tools."""
    sources = [
        str(p.relative_to(ROOT / "proto"))
        for pattern in PROTOS
        for p in (ROOT / "proto").glob(pattern)
    ]
    newest = max((ROOT / "proto" / s).stat().st_mtime for s in sources)
    stamp = STUBS / "made"
    if stamp.exists() and stamp.stat().st_mtime > newest:
        return
    STUBS.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            "-I",
            ROOT / "proto",
            "-I",
            "/usr/include",
            f"--python_out={STUBS}",
            f"--grpc_python_out={STUBS}",
            *sources,
        ],
        check=True,
    )
    stamp.touch()
    # The folder was looked for, and was not there, when it came on the path.
    importlib.invalidate_caches()
    sys.path_importer_cache.pop(str(STUBS), None)


make_stubs()

from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from keystead.admin.v1 import admin_pb2, admin_pb2_grpc  # noqa: E402
from keystead.kms.v1 import crypto_pb2, kms_pb2_grpc  # noqa: E402


def build():
    """The folder of the built programs."""
    return subprocess.run(
        [ROOT / "deploy" / "build"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def error_info(error):
    """The google.rpc.ErrorInfo of a failed call; None if it carries none."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                if detail.type_url.endswith("google.rpc.ErrorInfo"):
                    return error_details_pb2.ErrorInfo.FromString(detail.value)
    return None


@contextlib.contextmanager
def refused(reason, text=None, code=None, metadata=None):
    """The block's call must fail with this AWS exception (and text: a regular expression)."""
    try:
        yield
    except grpc.RpcError as error:
        info = error_info(error)
        got = info.reason if info else f"{error.code()} {error.details()}"
        assert got == reason, f"expected {reason}, got {got}: {error.details()}"
        if text:
            assert re.search(text, error.details()), f"{error.details()!r} does not match {text!r}"
        if code:
            assert error.code() == code, f"expected {code}, got {error.code()}"
        for key, value in (metadata or {}).items():
            assert info.metadata.get(key) == value, f"metadata {dict(info.metadata)}"
        return
    raise AssertionError(f"expected {reason}, but the call succeeded")


class Stub:
    """A service stub whose calls have a deadline, in or out of a network namespace."""

    def __init__(self, stub, seconds=SECONDS):
        self._stub, self._seconds = stub, seconds

    def __getattr__(self, name):
        call = getattr(self._stub, name)
        return lambda request, **more: call(request, **{"timeout": self._seconds, **more})


class Cluster:
    """begins_with: a function that gives another tree of this project and its built programs, which
    the installation is first brought up by; None: this tree's."""

    def __init__(
        self, name, index=0, embedded=False, netns=False, environment=None, begins_with=None
    ):
        self.home = pathlib.Path("/var/lib/keystead-test") / name
        self.embedded, self.netns = embedded, f"kt{index}" if netns else None
        self.environment = {
            **os.environ,
            "KEYSTEAD_HOME": str(self.home),
            "KEYSTEAD_PORT_BASE": str(FIRST_PORT + index * PORTS_STRIDE),
            **(environment or {}),
        }
        if self.netns:
            self.environment["KEYSTEAD_NETNS"] = self.netns
        self.built = build()
        self.begins_with = begins_with
        self.topology = None
        self.before_down = []  # functions that undo what a test did to the machine

    # ---- Life ----

    def deploy(self, command, *words, tree=ROOT):
        flags = ["--embedded"] if self.embedded else []
        subprocess.run(
            [sys.executable, tree / "deploy/local/cluster.py", command, *flags, *words],
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def up(self):
        began = time.monotonic()
        tree, built = self.begins_with() if self.begins_with else (ROOT, self.built)
        self.deploy("up", "--built", built, "--no-remember", tree=tree)
        self.topology = t.load(self.home)
        if self.netns:
            self._enter(self.topology.control_host.netns)
        return time.monotonic() - began

    def down(self, reset=True):
        while self.before_down:
            self.before_down.pop()()
        if self.home.exists():
            self.deploy("down", *(["--reset"] if reset else []))

    @staticmethod
    def _enter(netns):
        """This process moves into the namespace where clients stand."""
        import ctypes

        descriptor = os.open(f"/run/netns/{netns}", os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(descriptor)

    # ---- Clients ----

    @property
    def demo(self):
        return json.loads((self.home / "client" / "demo.json").read_text())

    @property
    def region(self):
        return self.topology.regions[0].name

    def key(self, region=None):
        return self.demo["keys"][region or self.region]

    def credentials(self, certificate=None):
        """(root, key, certificate) of the demo user, or of a name that user() gave."""
        here = self.home / "client"
        name = certificate or "alice"
        return grpc.ssl_channel_credentials(
            (here / "ca.pem").read_bytes(),
            (here / f"{name}.key").read_bytes(),
            (here / f"{name}.pem").read_bytes(),
        )

    def channel(self, address, certificate=None):
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_retries", 0),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.min_reconnect_backoff_ms", 2000),
            ("grpc.max_reconnect_backoff_ms", 200),
        ]
        return grpc.secure_channel(address, self.credentials(certificate), options)

    def kms(self, region=None, frontend=0, certificate=None, seconds=SECONDS):
        address = self.topology.region(region or self.region).frontends[frontend].endpoint
        return Stub(
            kms_pb2_grpc.KeyManagementServiceStub(self.channel(address, certificate)), seconds
        )

    def admin(self):
        here = self.home / "operator"
        credentials = grpc.ssl_channel_credentials(
            (self.home / "client" / "ca.pem").read_bytes(),
            (here / "operator.key").read_bytes(),
            (here / "operator.pem").read_bytes(),
        )
        return Stub(
            admin_pb2_grpc.AdminServiceStub(grpc.secure_channel(self.topology.control, credentials))
        )

    def user(self, name, account=None):
        """Makes a user (and an account, unless given) with a certificate: (account, serial)."""
        admin = self.admin()
        if account is None:
            account = admin.CreateAccount(
                admin_pb2.CreateAccountRequest(display_name=name)
            ).account.account_id
        admin.CreateUser(admin_pb2.CreateUserRequest(account_id=account, user_name=name))
        key = pki.new_key()
        here = self.home / "client"
        (here / f"{name}.key").write_bytes(key)
        csr = pki.openssl("req", "-new", "-key", here / f"{name}.key", "-subj", "/O=x").decode()
        issued = admin.IssueCertificate(
            admin_pb2.IssueCertificateRequest(account_id=account, user_name=name, csr_pem=csr)
        )
        (here / f"{name}.pem").write_text(issued.certificate_pem)
        # Regions mirror the control plane: a new user is known there a moment later.
        for region in self.topology.regions:
            for frontend in range(len(region.frontends)):
                kms = self.kms(region.name, frontend, certificate=name)
                request = crypto_pb2.GenerateRandomRequest(number_of_bytes=1)
                until(lambda: kms.GenerateRandom(request), 10, f"{name} is known in {region.name}")
        return account, issued.serial

    def cli(self, *words, region=None, stdin=b"", check=True):
        import first_run

        region = region or self.region
        environment = {
            **os.environ,
            **{k: str(v) for k, v in first_run.client_environment(self.topology, region).items()},
        }
        done = subprocess.run(
            [self.home / "bin" / "keystead", *map(str, words)],
            env=environment,
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"keystead {words}: {done.stderr.decode()}"
        return done

    # ---- Processes ----

    def pid(self, process):
        """Of a running process; None while it is down."""
        return runit.pid(self.topology, process)

    def signal(self, number, *processes):
        for process in processes:
            pid = self.pid(process)
            if pid:
                os.kill(pid, number)

    def kill(self, *processes):
        self.signal(signal.SIGKILL, *processes)

    def zone_processes(self, zone):
        return [f"etcd-{zone}", f"keystore-{zone}", f"hsm-{zone}"]

    def processes(self):
        return [name for name in runit.names(self.topology) if name != "certificates"]

    def service(self, verb, *names):
        assert runit.sv(self.topology, verb, *names, seconds=20), f"sv {verb} {names}"

    def etcdctl(self, region):
        """etcdctl's words for a cell, as the cell's own certificate allows."""
        zones = self.topology.region(region).zones
        tls = self.topology.tls(f"etcd-{zones[0].name}")
        endpoints = ",".join(f"https://{zone.etcd_client}" for zone in zones)
        return [
            "etcdctl",
            "--endpoints",
            endpoints,
            "--cacert",
            tls / "ca-etcd.pem",
            "--cert",
            tls / "etcd.pem",
            "--key",
            tls / "etcd.key",
        ]

    def etcd(self, region, *words):
        """What etcdctl says."""
        return subprocess.run(
            [*self.etcdctl(region), *words],
            capture_output=True,
            text=True,
            env={**os.environ, "ETCDCTL_API": "3"},
            check=False,
        )

    def leader(self, region):
        """The zone whose etcd member leads."""
        status = json.loads(self.etcd(region, "endpoint", "status", "-w", "json").stdout)
        for member in status:
            if member["Status"]["leader"] == member["Status"]["header"]["member_id"]:
                return next(
                    z.name
                    for z in self.topology.region(region).zones
                    if z.etcd_client in member["Endpoint"]
                )
        raise AssertionError("nobody leads")

    def logs(self):
        return "\n".join(
            p.read_text(errors="replace") for p in sorted(self.home.glob("log/*/current"))
        )


def until(condition, seconds, what):
    """Waits for a condition; returns how long it took. Exceptions count as not yet."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(grpc.RpcError, AssertionError, OSError):
            if condition():
                return time.monotonic() - began
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Load(threading.Thread):
    """Calls something over and over in a thread; keeps when each success came and what failed."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.call, self.successes, self.failures, self.wrong = call, [], [], []
        self._end = threading.Event()

    def run(self):
        self.successes.append(time.monotonic())
        while not self._end.is_set():
            try:
                self.call()
                self.successes.append(time.monotonic())
            except grpc.RpcError as error:
                self.failures.append((time.monotonic(), error.code(), error.details()))
                time.sleep(0.005)
            except AssertionError as error:
                self.wrong.append(str(error))

    def stop(self):
        self._end.set()
        self.join(SECONDS + 5)
        self.successes.append(time.monotonic())

    def gap_ms(self):
        """The longest time without a success."""
        return max((b - a) * 1000 for a, b in zip(self.successes, self.successes[1:]))


def name_of(file):
    return pathlib.Path(file).stem.removeprefix("test_")


def run_on(cluster, name, body):
    """Calls body(failures) while the cluster is up, and wipes it; returns the failures."""
    failures = []
    try:
        cluster.down()
        print(f"# {cluster.up():.1f} s {name}: up", flush=True)
        body(failures)
    except Skip as why:
        print(f"SKIP {name}: {why}", flush=True)
    except Exception:  # noqa: BLE001: a test's failure of any kind is its failure
        traceback.print_exc(file=sys.stdout)
        print(f"FAIL {name} start", flush=True)
        failures.append("start")
    finally:
        keep_logs(cluster, name, failures)
        if not os.environ.get("KEYSTEAD_TEST_KEEP"):
            cluster.down()
    return failures


def keep_logs(cluster, name, failures):
    if failures and os.environ.get("KEYSTEAD_TEST_LOGS"):
        kept = pathlib.Path(os.environ["KEYSTEAD_TEST_LOGS"]) / f"cluster-{name}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(cluster.home / "log", kept, ignore_dangling_symlinks=True)


class Skip(Exception):
    """Raised by a claim that can't be looked at on this machine, with the reason."""


@contextlib.contextmanager
def limited():
    """TimeoutError in the block when it takes too long."""

    def expire(*_):
        raise TimeoutError(f"not within {CLAIM_SECONDS_MAX} s")

    signal.signal(signal.SIGALRM, expire)
    signal.alarm(CLAIM_SECONDS_MAX)
    try:
        yield
    finally:
        signal.alarm(0)


def run_claims(cluster, name, scope, failures, wanted=()):
    """Runs the claims of one test file, or those wanted."""
    for test_name, test in list(scope.items()):
        claim = test_name.removeprefix("test_")
        if claim == test_name or not callable(test) or (wanted and test_name not in wanted):
            continue
        began = time.monotonic()
        try:
            with limited():
                said = test(cluster)
            print(f"PASS {name} {claim}", flush=True)
        except Skip as why:
            said = None
            print(f"SKIP {name} {claim}: {why}", flush=True)
        except Exception:  # noqa: BLE001: a test's failure of any kind is its failure
            said = None
            failures.append(claim)
            traceback.print_exc(file=sys.stdout)
            print(f"FAIL {name} {claim}", flush=True)
        seconds = time.monotonic() - began
        print(f"# {seconds:.1f} s {name} {claim}{': ' + said if said else ''}", flush=True)


def main(scope):
    name = name_of(scope["__file__"])
    cluster = Cluster(name, **scope.get("OWN", {}))
    body = lambda failures: run_claims(cluster, name, scope, failures, sys.argv[1:])
    sys.exit(1 if run_on(cluster, name, body) else 0)
