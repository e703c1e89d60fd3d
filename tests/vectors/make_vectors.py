#!/usr/bin/python3
"""Golden vectors for proto/formats, written from the pages alone.

Shares no code with ours: hmac and hashlib of Python, AES-GCM, ECDSA, ECDH, HKDF and X.509 of
`cryptography`. The files are committed; a change of one is a change of a format, so it fails the
tests of what was written before. Signatures are random, so those files are made once:

    make_vectors.py OUT          writes what OUT does not have yet
    make_vectors.py OUT --check  fails if a deterministic file differs from what is written now
"""
import datetime
import hashlib
import hmac
import json
import os
import struct
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID

REGION = b"ap-seoul-1"
ZONE = b"ap-seoul-1a"
ACCOUNT = b"111122223333"
KEY_ID = b"1234abcd-12ab-34cd-56ef-1234567890ab"
DER = serialization.Encoding.DER


def seed(name, n=32):
    """n bytes that stand for random ones: the same for ever, each name its own."""
    return hashlib.shake_256(b"keystead vectors " + name.encode()).digest(n)


def short(x):
    return struct.pack(">B", len(x)) + x


def long_(x):
    return struct.pack(">H", len(x)) + x


def counter(key, label, context, n):
    out = b""
    i = 1
    while len(out) < n:
        message = struct.pack(">I", i) + label + b"\0" + context + struct.pack(">I", 8 * n)
        out += hmac.new(key, message, hashlib.sha256).digest()
        i += 1
    return out[:n]


def gcm(key, aad, plaintext):
    return AESGCM(key).encrypt(bytes(12), plaintext, aad)


def sha256(x):
    return hashlib.sha256(x).digest()


def sha384(x):
    return hashlib.sha384(x).digest()


def encode_context(pairs):
    out = struct.pack(">H", len(pairs))
    for key in sorted(pairs):
        out += long_(key) + long_(pairs[key])
    return out


def blob_case(name, plaintext, pairs, region=REGION):
    hbk, nonce, material = seed("hbk " + name), seed("nonce " + name), seed("material " + name)
    context = encode_context(pairs)
    header = b"\1\1" + short(region) + ACCOUNT + KEY_ID + material + nonce
    keys = counter(hbk, b"keystead/blob/v1", nonce + sha256(header + context), 64)
    blob = header + keys[32:] + gcm(keys[:32], header, plaintext)
    return {"name": name, "hbk": hbk.hex(), "region": region.decode(), "account": ACCOUNT.decode(),
            "key_id": KEY_ID.decode(), "material_id": material.hex(), "nonce": nonce.hex(),
            "context": context.hex(), "plaintext": plaintext.hex(), "blob": blob.hex()}


def blobs():
    return [
        blob_case("one byte", b"\0", {}),
        blob_case("data key", seed("data key"), {b"tenant": b"a", b"app": b""}),
        blob_case("256 bytes", seed("256", 256), {b"k": b"v"}, b"us-oregon-1"),
        blob_case("longest", seed("longest", 4096), {b"k": b"v" * 2048},
                  b"abcdefghij-abcdefghij-abcdefgh-1"),
    ]


def contexts():
    cases = [("none", []), ("one", [("ab", "c")]), ("moved", [("a", "bc")]),
             ("sorted", [("tenant", "a"), ("app", "")]),
             ("prefix", [("ab", "1"), ("a", "2"), ("abc", "3")]),
             ("bytes", [("é", "ü"), ("z", "~"), ("\x7f", "x")]),
             ("longest", [("k" * 2048, "v" * 2048)])]
    out = []
    for name, pairs in cases:
        raw = {k.encode(): v.encode() for k, v in pairs}
        out.append({"name": name,
                    "pairs": [[k.encode().hex(), v.encode().hex()] for k, v in pairs],
                    "encoded": encode_context(raw).hex()})
    return out


def ekts():
    out = []
    samples = (("symmetric", 1, b""), ("asymmetric", 99999999, sha256(b"spki")))
    for name, generation, public in samples:
        domain, hbk, salt = seed("domain " + name), seed("hbk " + name), seed("salt " + name)
        material = counter(hbk, b"keystead/material-id/v1", ACCOUNT + KEY_ID, 32)
        binding = (short(REGION) + ACCOUNT + KEY_ID + material + struct.pack(">HBB", 1, 1, 1) +
                   (b"\1" + public if public else b"\0"))
        head = b"\1" + struct.pack(">I", generation) + salt
        key = counter(domain, b"keystead/ekt/v1", salt + sha256(binding), 32)
        out.append({"name": name, "domain_key": domain.hex(), "hbk": hbk.hex(), "salt": salt.hex(),
                    "generation": generation, "region": REGION.decode(),
                    "account": ACCOUNT.decode(), "key_id": KEY_ID.decode(),
                    "material_id": material.hex(), "public_sha256": public.hex(),
                    "binding": binding.hex(), "ekt": (head + gcm(key, head + binding, hbk)).hex()})
    return out


def wraps():
    node, domain, salt = seed("node"), seed("domain"), seed("wrap salt")
    head = b"\1" + struct.pack(">I", 7) + salt
    key = counter(node, b"keystead/domain-key-wrap/v1", salt, 32)
    wrapped = head + gcm(key, head + short(REGION) + short(ZONE), domain)
    return [{"name": "generation 7", "node_key": node.hex(), "domain_key": domain.hex(),
             "salt": salt.hex(), "generation": 7, "region": REGION.decode(), "zone": ZONE.decode(),
             "wrapped": wrapped.hex()}]


def varint(x):
    out = b""
    while x > 127:
        out += struct.pack(">B", x & 127 | 128)
        x >>= 7
    return out + struct.pack(">B", x)


def record_case(name, key, body, count, generation):
    domain = seed("domain " + name)
    k = counter(domain, b"keystead/record-mac/v1", short(REGION), 32)
    said = (b"\1" + short(REGION) + long_(key) +
            struct.pack(">QII", count, generation, len(body)) + body)
    mac = hmac.new(k, said, hashlib.sha256).digest()
    envelope = (b"\x08\1\x12" + varint(len(body)) + body + b"\x18" + varint(count) + b"\x20" +
                varint(generation) + b"\x2a\x20" + mac)
    return {"name": name, "domain_key": domain.hex(), "region": REGION.decode(),
            "record_name": key.decode(), "body": body.hex(), "counter": "%016x" % count,
            "generation": generation, "mac": mac.hex(), "envelope": envelope.hex()}


def records():
    key = b"key/" + ACCOUNT + b"/" + KEY_ID
    return [record_case("first", key, b"\x08\1", 1, 1),
            record_case("later", key, seed("record", 300), 300, 99999999),
            record_case("tombstone", b"gone/" + key, seed("gone", 128), 2**64 - 1, 7)]


def new_key():
    return ec.generate_private_key(ec.SECP384R1())


def pkcs8(key):
    return key.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def spki(key):
    return key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def sign(key, label, body):
    return key.sign(label + b"\0" + body, ec.ECDSA(hashes.SHA384()))


# Valid from 2024 to 2124, so that a stored file never expires; the tests hand in 2026.
BEGIN = datetime.datetime(2024, 1, 1)
END = datetime.datetime(2124, 1, 1)


def certificate(subject_key, name, issuer_key, uri=None):
    builder = (x509.CertificateBuilder()
               .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
               .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hsm root")]))
               .public_key(subject_key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(BEGIN).not_valid_after(END)
               .add_extension(x509.BasicConstraints(uri is None, 0 if uri is None else None), True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(subject_key.public_key()),
                              False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                   issuer_key.public_key()), False)
               .add_extension(x509.KeyUsage(uri is not None, False, False, False, False,
                                            uri is None, uri is None, False, False), True))
    if uri:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), False)
    return builder.sign(issuer_key, hashes.SHA384()).public_bytes(DER)


def roster_bytes(root, number, certificates):
    entries = sorted((sha256(c), zone) for c, zone in certificates)
    body = b"\1" + struct.pack(">Q", number) + short(REGION) + struct.pack(">H", len(entries))
    body += b"".join(fingerprint + short(zone) for fingerprint, zone in entries)
    return body + long_(sign(root, b"keystead/roster/v1", body))


def challenge_bytes(key, cert, transit, generation, nonce):
    wanted = struct.pack(">I", generation)
    request = sha256(b"keystead/transit/request/domain-key/v1\0" + short(REGION) + wanted)
    body = (b"\1\1" + nonce + long_(cert) + long_(spki(transit)) + long_(wanted) + request)
    return body + long_(sign(key, b"keystead/transit/challenge/v1", body))


def envelope_bytes(key, cert, ephemeral, transit, challenge, secret):
    h = sha384(challenge)
    head = b"\1\1" + challenge[2:34] + long_(cert) + long_(spki(ephemeral))
    z = ephemeral.exchange(ec.ECDH(), transit.public_key())
    info = b"keystead/transit/seal/v1\0" + h + sha384(head)
    k = HKDF(hashes.SHA384(), 32, challenge[2:34], info).derive(z)
    sealed = long_(gcm(k, h + head, secret))
    return head + sealed + long_(sign(key, b"keystead/transit/envelope/v1", h + head + sealed))


def transits():
    root, receiver, sender, transit, ephemeral = (new_key() for _ in range(5))
    root_cert = certificate(root, "hsm root", root)
    receiver_cert = certificate(receiver, "b", root, "spiffe://keystead/hsm/ap-seoul-1/ap-seoul-1b")
    sender_cert = certificate(sender, "a", root, "spiffe://keystead/hsm/ap-seoul-1/ap-seoul-1a")
    secret = seed("domain key in transit")
    challenge = challenge_bytes(receiver, receiver_cert, transit, 3, seed("transit nonce"))
    envelope = envelope_bytes(sender, sender_cert, ephemeral, transit, challenge, secret)
    roster = roster_bytes(root, 5, [(receiver_cert, b"ap-seoul-1b"), (sender_cert, b"ap-seoul-1a")])
    return [{"name": "domain key", "at_s": 1767225600, "trust_domain": "keystead",
             "region": REGION.decode(), "generation": 3, "nonce": seed("transit nonce").hex(),
             "secret": secret.hex(), "root_certificate": root_cert.hex(),
             "receiver_key": pkcs8(receiver).hex(), "receiver_certificate": receiver_cert.hex(),
             "sender_key": pkcs8(sender).hex(), "sender_certificate": sender_cert.hex(),
             "transit_key": pkcs8(transit).hex(), "ephemeral_key": pkcs8(ephemeral).hex(),
             "roster": roster.hex(), "challenge": challenge.hex(), "envelope": envelope.hex()}]


def rosters():
    root = new_key()
    keys = [new_key() for _ in range(3)]
    zones = [b"ap-seoul-1a", b"ap-seoul-1b", b"ap-seoul-1c"]
    certs = [certificate(k, z.decode(), root, "spiffe://keystead/hsm/ap-seoul-1/" + z.decode())
             for k, z in zip(keys, zones)]
    return [{"name": "three zones", "number": 5, "region": REGION.decode(),
             "root_key": pkcs8(root).hex(), "root_spki": spki(root).hex(),
             "entries": [[sha256(c).hex(), z.decode()] for c, z in zip(certs, zones)],
             "roster": roster_bytes(root, 5, list(zip(certs, zones))).hex()}]


def subsets(m, n):
    return [s for s in range(1, 1 << n) if bin(s).count("1") == m]


def custody_block(hsm, cert, custodians, ephemeral, kit_id, k, backup, m, domain_keys):
    n = len(custodians)
    head = (b"\1" + backup + kit_id + short(REGION) + struct.pack(">IBB", 7, m, n) +
            spki(ephemeral))
    body = head
    for s in subsets(m, n):
        members = [i for i in range(n) if s >> i & 1]
        box = k
        for p in range(m, 0, -1):
            z = ephemeral.exchange(ec.ECDH(), custodians[members[p - 1]].public_key())
            turn = struct.pack(">BB", s, p)
            info = b"keystead/custody/layer/v1\0" + sha384(head) + turn
            box = gcm(HKDF(hashes.SHA384(), 32, b"", info).derive(z), head + turn, box)
        body += box
    plain = b"".join(struct.pack(">I", g) + d for g, d in domain_keys)
    body += long_(gcm(counter(k, b"keystead/backup/domain-keys/v1", backup, 32), body, plain))
    body += long_(cert)
    return body + long_(sign(hsm, b"keystead/key-block/v1", body))


def handed_key(challenge, nonce, ephemeral, transit, k):
    h = sha384(challenge)
    head = b"\1" + nonce + spki(ephemeral)
    info = b"keystead/custody/restore/v1\0" + h + sha384(head)
    z = ephemeral.exchange(ec.ECDH(), transit.public_key())
    return head + gcm(HKDF(hashes.SHA384(), 32, nonce, info).derive(z), h + head, k)


def custody():
    root, hsm, transit, ephemeral, handing = (new_key() for _ in range(5))
    custodians = [new_key() for _ in range(3)]
    root_cert = certificate(root, "hsm root", root)
    cert = certificate(hsm, "a", root, "spiffe://keystead/hsm/ap-seoul-1/ap-seoul-1a")
    kit = b"\1" + short(REGION) + struct.pack(">IBB", 7, 2, 3) + b"".join(map(spki, custodians))
    k, nonce = seed("backup key"), seed("restore nonce")
    header = seed("backup header", 100)
    backup = sha256(header)
    domain_keys = [(3, seed("domain key 3")), (99999999, seed("domain key last"))]
    block = custody_block(hsm, cert, custodians, ephemeral, sha256(kit), k, backup, 2, domain_keys)
    request = sha256(b"keystead/transit/request/restore/v1\0" + short(REGION) + backup)
    challenge = b"\1\3" + nonce + long_(cert) + long_(spki(transit)) + long_(backup) + request
    challenge += long_(sign(hsm, b"keystead/transit/challenge/v1", challenge))
    order = b"\1" + sha384(challenge) + sha384(block)
    return [{"name": "two of three", "at_s": 1767225600, "trust_domain": "keystead",
             "region": REGION.decode(), "period": 7, "needed": 2, "root_key": pkcs8(root).hex(),
             "root_certificate": root_cert.hex(),
             "kit": (kit + long_(sign(root, b"keystead/custodian-kit/v1", kit))).hex(),
             "custodian_1": pkcs8(custodians[0]).hex(), "custodian_2": pkcs8(custodians[1]).hex(),
             "custodian_3": pkcs8(custodians[2]).hex(), "header": header.hex(),
             "backup_key": k.hex(),
             "stream_key": counter(k, b"keystead/backup/stream/v1", backup, 32).hex(),
             "domain_keys": ["%08x" % g + d.hex() for g, d in domain_keys],
             "ephemeral_key": pkcs8(ephemeral).hex(), "certificate": cert.hex(),
             "block": block.hex(), "transit_key": pkcs8(transit).hex(),
             "challenge": challenge.hex(), "handing_key": pkcs8(handing).hex(),
             "handed": handed_key(challenge, nonce, handing, transit, k).hex(),
             "order": (order + long_(sign(root, b"keystead/restore-order/v1", order))).hex()}]


def identity_heads():
    root, signer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_cert = certificate(root, "hsm root", root)
    cert = certificate(signer, "identities", root, "spiffe://keystead/control/identities")
    records = [(b"account/111122223333", seed("account record", 40), 3),
               (b"certificate/00ff", b"", 2**40),
               (b"user/111122223333/alice", seed("user record", 70000), 7)]
    total = [0] * 1024
    for key, value, revision in records:
        leaf = sha256(b"keystead/identity-record/v1\0" + struct.pack(">Q", revision) + long_(key)
                      + struct.pack(">I", len(value)) + value)
        element = struct.unpack(">1024H", hashlib.shake_128(leaf).digest(2048))
        total = [(a + b) % 65536 for a, b in zip(total, element)]
    digest = sha256(b"keystead/identity-set/v1\0" + struct.pack(">Q", len(records))
                    + struct.pack(">1024H", *total))
    body = (b"\1" + short(b"0123456789abcdef") + short(b"history of control's copy")
            + struct.pack(">QQQQ", 2**33, 2**40, 1767225600123, 3) + digest + long_(cert))
    signature = signer.sign(b"keystead/identity-head/v1\0" + body, ec.ECDSA(hashes.SHA256()))
    return [{"name": "three records", "epoch": "0123456789abcdef",
             "root_certificate": root_cert.hex(),
             "records": [[k.decode(), v.hex(), r.to_bytes(8, "big").hex()] for k, v, r in records],
             "digest": digest.hex(), "head": (body + long_(signature)).hex()}]


DETERMINISTIC = {"blob.json": blobs, "context.json": contexts, "ekt.json": ekts, "wrap.json": wraps,
                 "record.json": records}
SIGNED = {"transit.json": transits, "roster.json": rosters, "custody.json": custody,
          "identity_head.json": identity_heads}


def text_of(cases):
    return json.dumps(cases, indent=1, ensure_ascii=True) + "\n"


def main():
    folder, check = sys.argv[1], "--check" in sys.argv
    bad = 0
    for name, make in {**DETERMINISTIC, **SIGNED}.items():
        path = os.path.join(folder, name)
        if check and name in DETERMINISTIC and open(path).read() != text_of(make()):
            print("%s differs from its page" % name)
            bad += 1
        if not check and not os.path.exists(path):
            with open(path, "w") as out:
                out.write(text_of(make()))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
