#!/usr/bin/python3
"""Certificates and requests for the tests of pkg/crypto, made by Python's cryptography.

    x509_vectors.py > tests/vectors/crypto/x509_vectors.h

ECDSA draws random numbers, so that every run prints other bytes that must pass the same tests.
"""

import base64
import datetime
import hashlib
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

FROM = datetime.datetime(2026, 1, 1)
UNTIL = datetime.datetime(2036, 1, 1)
SPIFFE = "spiffe://keystead/region/ap-seoul-1/process/frontend"
SERIAL = 0x4a0102030405060708090a0b0c0d0e0f


def draw_key(name, curve=ec.SECP384R1):
    number = int.from_bytes(hashlib.sha256(b"keystead/" + name.encode()).digest()[:31], "big")
    return ec.derive_private_key(number, curve())


def name_of(common_name=None, organization=None):
    parts = []
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    if common_name:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(parts)


def usage(sign=True, certify=False):
    return x509.KeyUsage(sign, False, False, False, False, certify, certify, False, False)


CA_KEY, OTHER_KEY, LEAF_KEY = draw_key("ca"), draw_key("other"), draw_key("leaf", ec.SECP256R1)
CA_NAME = name_of("test root", "Keystead")


def sign(builder, key=CA_KEY, algorithm=hashes.SHA384):
    return builder.sign(key, algorithm())


def ca(key, since=FROM, until=UNTIL, is_ca=True, certify=True, name=CA_NAME):
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
               .public_key(key.public_key()).serial_number(SERIAL)
               .not_valid_before(since).not_valid_after(until)
               .add_extension(x509.BasicConstraints(is_ca, 0 if is_ca else None), True)
               .add_extension(usage(not certify, certify), True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False))
    return sign(builder, key)


def leaf(uris=(SPIFFE,), since=FROM, until=UNTIL, usages=(Usage.CLIENT_AUTH,), key=LEAF_KEY,
         issuer=CA_KEY, is_ca=False, extra=None, critical=True, algorithm=hashes.SHA384,
         issuer_name=CA_NAME):
    names = [x509.UniformResourceIdentifier(uri) for uri in uris]
    names += [x509.DNSName("frontend.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (x509.CertificateBuilder().subject_name(name_of("leaf", "Keystead"))
               .issuer_name(issuer_name).public_key(key.public_key()).serial_number(SERIAL + 1)
               .not_valid_before(since).not_valid_after(until)
               .add_extension(x509.BasicConstraints(is_ca, None), True)
               .add_extension(usage(True, is_ca), True)
               .add_extension(x509.SubjectAlternativeName(names), False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                   issuer.public_key()), False))
    if is_ca:
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
    if extra:
        builder = builder.add_extension(extra, critical)
    return sign(builder, issuer, algorithm)


def request(key, algorithm=hashes.SHA256):
    return (x509.CertificateSigningRequestBuilder().subject_name(name_of("who I say I am"))
            .add_extension(x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier("spiffe://keystead/operator/root")]), False)
            .sign(key, algorithm()))


def pem(thing):
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def damaged(thing, label):
    """With the last bit of the signature flipped."""
    der = bytearray(thing.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return to_pem(bytes(der), label)


def to_pem(der, label):
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n"


def swapped(certificate, old, new):
    """Other bytes of the same length within what was signed: for readers, not for verifiers."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert len(old) == len(new) and der.count(old) == 1
    return to_pem(der.replace(old, new), "CERTIFICATE")


def even_key():
    """A key whose point ends in a 0 bit, which a reader may take for unused."""
    names = (f"even {number}" for number in range(64))
    return next(key for key in (draw_key(name, ec.SECP256R1) for name in names)
                if point(key)[-1] % 2 == 0)


def even_signature():
    """A leaf whose signature ends in a 0 bit, said to be unused: the same leaf in another form."""
    while True:
        certificate = leaf()
        signature = certificate.signature
        if signature[-1] % 2 == 0:
            head = bytes([3, len(signature) + 1])
            return swapped(certificate, head + b"\0" + signature, head + b"\1" + signature)


def point(key):
    return key.public_key().public_bytes(serialization.Encoding.X962,
                                         serialization.PublicFormat.UncompressedPoint)


def hybrid(uncompressed):
    return bytes([6 + uncompressed[-1] % 2]) + uncompressed[1:]


def private_pem(key, form=serialization.PrivateFormat.PKCS8):
    return key.private_bytes(serialization.Encoding.PEM, form,
                             serialization.NoEncryption()).decode()


def note(length):
    """An extension that nobody knows."""
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), bytes(length))


def unix_seconds(moment):
    return int((moment - datetime.datetime(1970, 1, 1)).total_seconds())


def main():
    rsa_key = rsa.generate_private_key(65537, 2048)
    good = leaf()
    two_eku = leaf(usages=(Usage.SERVER_AUTH, Usage.CLIENT_AUTH))
    rows = {
        "ca": pem(ca(CA_KEY)),
        "ca_other_key_same_name": pem(ca(OTHER_KEY)),
        "ca_expired": pem(ca(CA_KEY, until=datetime.datetime(2026, 2, 1))),
        "ca_false": pem(ca(CA_KEY, is_ca=False, certify=False)),
        "ca_cannot_sign": pem(ca(CA_KEY, certify=False)),
        "leaf": pem(good),
        "leaf_no_uri": pem(leaf(uris=())),
        "leaf_two_uris": pem(leaf(uris=(SPIFFE, "spiffe://keystead/operator/root"))),
        "leaf_long_uri": pem(leaf(uris=("spiffe://keystead/" + "a" * 237,))),
        "leaf_too_long_uri": pem(leaf(uris=("spiffe://keystead/" + "a" * 238,))),
        "leaf_nul_uri": swapped(good, b"ap-seoul-1/process", b"ap-seoul-1\0process"),
        "leaf_blank_uri": swapped(good, b"ap-seoul-1/process", b"ap-seoul-1 process"),
        "leaf_high_uri": swapped(good, b"ap-seoul-1/process", b"ap-seoul-1\xffprocess"),
        "leaf_expired": pem(leaf(until=datetime.datetime(2026, 2, 1))),
        "leaf_later": pem(leaf(since=datetime.datetime(2035, 1, 1))),
        "leaf_server": pem(leaf(usages=(Usage.SERVER_AUTH,))),
        "leaf_no_usage": pem(leaf(usages=())),
        "leaf_is_ca": pem(leaf(is_ca=True)),
        "leaf_unknown_critical": pem(leaf(extra=note(2))),
        "leaf_sha1": pem(leaf(algorithm=hashes.SHA1)),
        "leaf_other_issuer": pem(leaf(issuer=OTHER_KEY)),
        "leaf_other_issuer_name": pem(leaf(issuer_name=name_of("another root", "Keystead"))),
        "leaf_bad_signature": damaged(good, "CERTIFICATE"),
        "leaf_changed": swapped(good, b"ap-seoul-1/process", b"ap-seoul-2/process"),
        # The second extended key usage becomes a second one of the first.
        "leaf_twice_basic_constraints": swapped(
            two_eku, bytes.fromhex("0603551d0f"), bytes.fromhex("0603551d13")),
        "leaf_off_curve": swapped(good, point(LEAF_KEY), point(LEAF_KEY)[:-1] + b"\0"),
        "leaf_hybrid_point": swapped(good, point(LEAF_KEY), hybrid(point(LEAF_KEY))),
        "leaf_unused_key_bit": swapped(
            leaf(key=even_key()), bytes.fromhex("03420004"), bytes.fromhex("03420104")),
        "leaf_unused_signature_bit": even_signature(),
        "leaf_large": pem(leaf(extra=note(3500), critical=False)),
        "leaf_too_large": pem(leaf(extra=note(3700), critical=False)),
        "leaf_rsa": pem(leaf(key=rsa_key)),
        "leaf_p521": pem(leaf(key=draw_key("p521", ec.SECP521R1))),
        "csr": pem(request(LEAF_KEY)),
        "csr_p384": pem(request(draw_key("p384"), hashes.SHA384)),
        "csr_rsa": pem(request(rsa_key)),
        "csr_p521": pem(request(draw_key("p521", ec.SECP521R1))),
        "csr_sha1": pem(request(LEAF_KEY, hashes.SHA1)),
        "csr_bad_signature": damaged(request(LEAF_KEY), "CERTIFICATE REQUEST"),
        "key_p256": private_pem(LEAF_KEY),
        "key_p384": private_pem(CA_KEY),
        "key_p521": private_pem(draw_key("p521", ec.SECP521R1)),
        "key_sec1": private_pem(LEAF_KEY, serialization.PrivateFormat.TraditionalOpenSSL),
    }
    print("/* Printed by x509_vectors.py, whose file says what each one is. */")
    print("/* clang-format off */\n#pragma once\n")
    print(f'#define VECTOR_URI         "{SPIFFE}"')
    print(f'#define VECTOR_CA_SERIAL   "{SERIAL:x}"')
    print(f'#define VECTOR_LEAF_SERIAL "{SERIAL + 1:x}"')
    print(f"#define VECTOR_FROM_S      {unix_seconds(FROM)}LL")
    print(f"#define VECTOR_UNTIL_S     {unix_seconds(UNTIL)}LL")
    print(f'#define VECTOR_LEAF_SHA256 "{good.fingerprint(hashes.SHA256()).hex()}"\n')
    for name, text in rows.items():
        if len(text) > 4095:  # what a string of ISO C has to hold
            print(f"static const char *const vector_{name}[] = {{")
            print("\n".join(f'    "{line}\\n",' for line in text.splitlines()) + "\n};\n")
        else:
            print(f"static const char vector_{name}[] =")
            print("\n".join(f'    "{line}\\n"' for line in text.splitlines()) + ";\n")


if __name__ == "__main__":
    main()
