"""What is sent to whom: one payload a workload, taken from real requests and answers."""

import dataclasses
import pathlib
import uuid

from keystead.kms.v1 import batch_pb2 as ba
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke
from keystead.kms.v1 import types_pb2 as ty

import tools

SERVICE = "/keystead.kms.v1.KeyManagementService/"
ECHO_METHOD = "/keystead.speed.Echo/Echo"
ECHO_PORT_OFFSET = 950  # of the installation's first port; the topology uses none of these
UUID_BYTES, LONGER_BYTES = 36, 256
CHANNELS, OUTSTANDING = 4, 64  # on each channel
BATCH_ITEMS, BATCH_OUTSTANDING = 16, 16


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    method: str
    payload: pathlib.Path
    addresses: tuple[str, ...]
    channels: int = CHANNELS
    outstanding: int = OUTSTANDING
    items: int = 1  # operations in a call
    user: str = "alice"

    def alone(self):
        """The same, one call at a time: its latency is that of an idle cluster."""
        return dataclasses.replace(self, name=f"{self.name}_1", channels=1, outstanding=1)


class Workloads:
    """Makes payload files and echo servers for one running cluster."""

    def __init__(self, cluster, folder, built):
        self.cluster, self.folder, self.built = cluster, pathlib.Path(folder), built
        region = cluster.topology.region(cluster.region)
        self.frontends = tuple(f.endpoint for f in region.frontends)
        self._certificates = cluster.topology.tls(region.frontends[0].name)
        self._echoes = []

    def _file(self, name, message):
        path = self.folder / name
        path.write_bytes(message if isinstance(message, bytes) else message.SerializeToString())
        return path

    def _kms(self, name, method, request, **more):
        return Workload(name, SERVICE + method, self._file(name, request), self.frontends, **more)

    def _echo(self, name, request, answer):
        """A server of its own, whose answers are as long as the product's."""
        port = self.cluster.topology.port_base + ECHO_PORT_OFFSET + len(self._echoes)
        address = f"127.0.0.1:{port}"
        tls = {
            "--ca": self.cluster.topology.folder("tls", "clients.pem"),
            "--cert": self._certificates / "process.pem",
            "--key": self._certificates / "process.key",
        }
        words = [word for pair in tls.items() for word in pair]
        child = tools.start(
            [self.built / "echo", "--address", address, "--method", ECHO_METHOD, *words]
            + ["--answer-bytes", answer.ByteSize()]
        )
        self._echoes.append(child)
        tools.expect(child, "listening")
        return Workload(name, ECHO_METHOD, self._file(name, request), (address,)), child.pid

    def crypto(self):
        """([Workload], {process: pid} of the echo servers), in the order of one round."""
        kms, key = self.cluster.kms(), self.cluster.key()
        found, pids = [], {}
        for suffix, length in (("", UUID_BYTES), ("_256", LONGER_BYTES)):
            text = str(uuid.uuid4()).encode() if length == UUID_BYTES else bytes(range(256))
            request = cr.EncryptRequest(key_id=key, plaintext=text)
            answer = kms.Encrypt(request)
            echo, pids[f"echo{suffix}"] = self._echo(f"echo{suffix}", request, answer)
            sealed = cr.DecryptRequest(ciphertext_blob=answer.ciphertext_blob)
            assert kms.Decrypt(sealed).plaintext == text
            found += [
                echo,
                self._kms(f"encrypt{suffix}", "Encrypt", request),
                self._kms(f"decrypt{suffix}", "Decrypt", sealed),
            ]
        request = cr.GenerateDataKeyRequest(key_id=key, key_spec=ty.DATA_KEY_SPEC_AES_256)
        found.append(self._kms("data_key", "GenerateDataKey", request))
        entry = cr.EncryptRequest(key_id=key, plaintext=str(uuid.uuid4()).encode())
        batch = ba.EncryptBatchRequest(entries=[entry] * BATCH_ITEMS)
        shape = {"outstanding": BATCH_OUTSTANDING, "items": BATCH_ITEMS}
        found.append(self._kms("batch_encrypt", "EncryptBatch", batch, **shape))
        return found, pids

    def create_key(self, user, outstanding=16):
        """request_id stays empty, so that the frontend makes one: each call makes a key."""
        request = ke.CreateKeyRequest(description="made by tests/bench")
        return self._kms("create_key", "CreateKey", request, user=user, outstanding=outstanding)

    def command(self, workload, warmup_ms, run_ms, *more):
        here = self.cluster.home / "client"
        return [
            self.built / "load",
            *("--addresses", ",".join(workload.addresses)),
            *("--method", workload.method),
            *("--payload", workload.payload),
            *("--ca", here / "ca.pem"),
            *("--cert", here / f"{workload.user}.pem"),
            *("--key", here / f"{workload.user}.key"),
            *("--channels", workload.channels),
            *("--outstanding", workload.outstanding),
            *("--warmup-ms", warmup_ms),
            *("--run-ms", run_ms),
            *more,
        ]

    def stop_echoes(self):
        for child in self._echoes:
            child.kill()
            child.wait()
        self._echoes.clear()


def put_command(built, cluster, cell, size, outstanding, times):
    """etcd_put at the member that leads: no write goes a shorter way."""
    key_bytes, value_bytes = size
    leader = cluster.leader(cluster.region)
    zones = sorted(cell.zones, key=lambda zone: zone.name != leader)
    ca, cert, key = cell.files
    warmup_ms, run_ms = times
    return [
        built / "etcd_put",
        *("--endpoints", ",".join(f"https://{zone.etcd_client}" for zone in zones)),
        *("--ca", ca),
        *("--cert", cert),
        *("--key", key),
        *("--key-bytes", key_bytes),
        *("--value-bytes", value_bytes),
        *("--outstanding", outstanding),
        *("--warmup-ms", warmup_ms),
        *("--run-ms", run_ms),
    ]
