#!/usr/bin/env python3
"""Decrypts one blob at one frontend until its standard input closes; prints for each batch that was
answered when it started (CLOCK_MONOTONIC, the same for all processes of a machine), its tries and
its successes. For clients that stand in another network namespace than the test."""

import sys
import threading
import time

import harness  # noqa: F401: it makes the stubs
import grpc
from keystead.kms.v1 import batch_pb2 as ba
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import kms_pb2_grpc


def main():
    address, client, blob = sys.argv[1:4]
    read = lambda name: open(f"{client}/{name}", "rb").read()
    credentials = grpc.ssl_channel_credentials(read("ca.pem"), read("alice.key"), read("alice.pem"))
    kms = kms_pb2_grpc.KeyManagementServiceStub(grpc.secure_channel(address, credentials))
    request = ba.DecryptBatchRequest(
        entries=[cr.DecryptRequest(ciphertext_blob=bytes.fromhex(blob))] * 25
    )
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    while not ended.is_set():
        started = time.monotonic()
        try:
            results = kms.DecryptBatch(request, timeout=2).results
        except grpc.RpcError:
            time.sleep(0.01)
            continue
        opened = sum(r.WhichOneof("outcome") == "response" for r in results)
        print(f"{started} {len(results)} {opened}", flush=True)


main()
