#!/usr/bin/python3
"""Golden vectors of proto/formats/file-v1.md, written from the page alone.

Shares no code with ours: hmac and hashlib of Python, AES-GCM of `cryptography`.

    file_vectors.py OUT.json          writes them
    file_vectors.py OUT.json --check  fails if OUT.json differs from what would be written

Content is not stored: byte i is (7 i + i // 256) mod 256. Of files over 4 KiB the SHA-256 is.
"""
import hashlib
import hmac
import json
import struct
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"\x89KSF\r\n\x1a\n"
SEGMENT = 65536
STORED_MAX = 4096
LENGTHS = (0, 1, 100, 4097, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 2 * SEGMENT + 1)


def seed(name, n=32):
    """n bytes that stand for random ones: the same for ever, each name its own."""
    return hashlib.shake_256(b"keystead vectors " + name.encode()).digest(n)


def content(n):
    return bytes((7 * i + i // 256) % 256 for i in range(n))


def counter_32(key, label, context):
    """Counter(key, label, context, 32): one block of HMAC-SHA-256."""
    message = struct.pack(">I", 1) + label + b"\0" + context + struct.pack(">I", 256)
    return hmac.new(key, message, hashlib.sha256).digest()


def header_of(nonce, blob):
    return MAGIC + b"\1\1" + nonce + struct.pack(">H", len(blob)) + blob


def seal(data_key, header, plaintext):
    nonce = header[10:42]
    key = counter_32(data_key, b"keystead/file/v1", nonce + hashlib.sha256(header).digest())
    parts = [plaintext[i:i + SEGMENT] for i in range(0, len(plaintext), SEGMENT)] or [b""]
    out = header
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        iv = bytes(7) + struct.pack(">I", index) + bytes([last])
        out += AESGCM(key).encrypt(iv, part, None)
    return out


def case(length):
    name = f"{length} bytes"
    data_key, nonce = seed("file data key " + name), seed("file nonce " + name)
    blob = seed("file blob " + name, 200 + length % 7)
    header = header_of(nonce, blob)
    file = seal(data_key, header, content(length))
    made = {"name": name, "length": length, "data_key": data_key.hex(), "nonce": nonce.hex(),
            "blob": blob.hex(), "header": header.hex(), "sha256": hashlib.sha256(file).hexdigest()}
    if len(file) <= STORED_MAX:
        made["file"] = file.hex()
    return made


def main():
    text = json.dumps([case(n) for n in LENGTHS], indent=1) + "\n"
    if "--check" in sys.argv:
        with open(sys.argv[1], encoding="ascii") as file:
            return 0 if file.read() == text else f"{sys.argv[1]} differs from its page"
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
