"""The certificate service: renews each certificate at two thirds of its life.

Runs as keystead-ca, the one user that reads the keys of the process and etcd roots; the roots of
the hsms and of the clients are not among them.
"""

import pathlib
import sys
import time

import pki
import topology as t

# A 60th of a life is soon enough for any lifetime, and often enough for short ones in tests.
CHECK_SECONDS = max(1, min(600, pki.LEAF_SECONDS // 60))


def main():
    topology = t.load(pathlib.Path(sys.argv[1]))
    while True:
        renewed = pki.renew(topology, time.time())
        if renewed:
            print(f"{renewed} certificates renewed", flush=True)
        time.sleep(CHECK_SECONDS)


if __name__ == "__main__":
    main()
