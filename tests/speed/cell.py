"""What etcd's members count, from their /metrics, and what a key's record looks like there."""

import base64
import http.client
import json
import re
import ssl

STARTED = re.compile(r'^grpc_server_started_total\{.*grpc_type="unary"\} (\S+)$', re.M)
METRICS_SECONDS = 5


class Cell:
    """One region's etcd members, seen with the certificate of its first one."""

    def __init__(self, topology, region):
        self.zones = topology.region(region).zones
        tls = topology.tls(f"etcd-{self.zones[0].name}")
        self.files = [tls / name for name in ("ca-etcd.pem", "etcd.pem", "etcd.key")]
        ca, cert, key = map(str, self.files)
        self._context = ssl.create_default_context(cafile=ca)
        self._context.load_cert_chain(cert, key)

    def _metrics(self, zone):
        connection = http.client.HTTPSConnection(
            zone.etcd_client, context=self._context, timeout=METRICS_SECONDS
        )
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def counts(self):
        """Unary calls that all members were ever asked."""
        return sum(float(n) for z in self.zones for n in STARTED.findall(self._metrics(z)))


def key_record_size(cluster, region):
    """(bytes of etcd's key, bytes of its value) of the record of one key, as it is stored."""
    prefix = cluster.etcd(region, "get", "", "--prefix", "--keys-only").stdout.split()
    keys = [k for k in prefix if re.search(r"/d/[0-9a-f]{2}/key/", k)]
    assert keys, f"no record of a key in etcd: {prefix[:5]}"
    found = json.loads(cluster.etcd(region, "get", keys[-1], "-w", "json").stdout)["kvs"][0]
    return tuple(len(base64.b64decode(found[part])) for part in ("key", "value"))
