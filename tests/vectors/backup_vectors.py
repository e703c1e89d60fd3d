#!/usr/bin/python3
"""Golden vectors of proto/formats/backup-v1.md, written from the page alone.

Shares no code with ours: hashlib of Python, AES-GCM of `cryptography`.

    backup_vectors.py OUT.json          writes them
    backup_vectors.py OUT.json --check  fails if OUT.json differs from what would be written

Record i of a case has a key of one of KINDS and a number, and a value of `value` bytes, whose
byte j is (7 j + i) mod 256. Of files over 4 KiB the SHA-256 is stored.
"""
import hashlib
import json
import struct
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"\x89KSB\r\n\x1a\n"
SEGMENT = 65536
STORED_MAX = 4096
REGION = b"ap-seoul-1"
EPOCH = b"0b9c3f6e-8a55-4a7e-9d0e-2f6f5f0c7a11"
KINDS = (b"alias/111122223333/", b"key/111122223333/", b"roster")
# name, records of each kind but the roster, bytes of a value
CASES = (("empty", 0, 0), ("small", 2, 40),
         ("one segment more", 40, 1000), ("long values", 2, 262144))


def seed(name, n=32):
    """n bytes that stand for random ones: the same for ever, each name its own."""
    return hashlib.shake_256(b"keystead vectors " + name.encode()).digest(n)


def short(data):
    return struct.pack(">B", len(data)) + data


def header_of(ident, key_count):
    numbers = struct.pack(">QQIBBIQ", 4711, 1790000000000, 3, 2, 3, 7, key_count)
    return MAGIC + b"\1\1" + ident + short(REGION) + short(EPOCH) + numbers


def records_of(count, value_len):
    made = []
    for kind in KINDS:
        for number in range(count if kind.endswith(b"/") else min(count, 1)):
            i = len(made)
            key = kind + (b"%08d" % number if kind.endswith(b"/") else b"")
            made.append((key, bytes((7 * j + i) % 256 for j in range(value_len)), 100 + i))
    return made


def content_of(records):
    out, counts = b"", {}
    for key, value, revision in records:
        out += b"\1" + struct.pack(">H", len(key)) + key
        out += struct.pack(">I", len(value)) + value + struct.pack(">Q", revision)
        kind = key[:key.find(b"/") + 1] or key
        counts[kind] = counts.get(kind, 0) + 1
    end = b"".join(short(kind) + struct.pack(">Q", counts[kind]) for kind in sorted(counts))
    return out + b"\0" + struct.pack(">B", len(counts)) + end


def seal(stream_key, front, content):
    aad = digest = hashlib.sha256(front).digest()
    out = front
    parts = [content[i:i + SEGMENT] for i in range(0, len(content), SEGMENT)]
    for index, part in enumerate(parts):
        iv = bytes(7) + struct.pack(">I", index) + bytes([index == len(parts) - 1])
        sealed = AESGCM(stream_key).encrypt(iv, part, aad)
        digest = hashlib.sha256(digest + sealed).digest()
        out += sealed
    return out + digest


def case(name, count, value_len):
    ident, stream_key = seed("backup id " + name, 16), seed("backup stream key " + name)
    key_block = seed("backup key block " + name, 300 + count)
    header = header_of(ident, count)
    front = header + struct.pack(">I", len(key_block)) + key_block
    file = seal(stream_key, front, content_of(records_of(count, value_len)))
    made = {"name": name, "records": count, "value": value_len, "id": ident.hex(),
            "stream_key": stream_key.hex(), "key_block": key_block.hex(), "header": header.hex(),
            "sha256": hashlib.sha256(file).hexdigest()}
    if len(file) <= STORED_MAX:
        made["file"] = file.hex()
    return made


def main():
    text = json.dumps([case(*row) for row in CASES], indent=1) + "\n"
    if "--check" in sys.argv:
        with open(sys.argv[1], encoding="ascii") as file:
            return 0 if file.read() == text else f"{sys.argv[1]} differs from its page"
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
