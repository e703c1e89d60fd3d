#!/usr/bin/python3
"""Known answers for pkg/crypto, from Python's cryptography and the code below.

    crypto_vectors.py known-answers > pkg/crypto/known_answer_vectors.h
    crypto_vectors.py tests > tests/vectors/crypto/crypto_vectors.h

Every run prints the same. Published vectors are checked against what is computed here.
"""

import hashlib
import sys

from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.kbkdf import CounterLocation, KBKDFHMAC, Mode


def draw(name, length):
    """Bytes that look random and are the same in every run."""
    return hashlib.shake_256(b"keystead/vectors/" + name.encode()).digest(length)


def hmac_sha256(key, data):
    mac = hmac.HMAC(key, hashes.SHA256())
    mac.update(data)
    return mac.finalize()


def kdf_counter(key, label, context, length):
    return KBKDFHMAC(hashes.SHA256(), Mode.CounterMode, length, 4, 4,
                     CounterLocation.BeforeFixed, label, context, None).derive(key)


def hkdf(secret, salt, info, length, algorithm=hashes.SHA384):
    return HKDF(algorithm(), length, salt or None, info).derive(secret)


class CtrDrbg:
    """CTR_DRBG with AES-256 and the derivation function, NIST SP 800-90A r1 §10.2.1, §10.3.2."""

    KEY, BLOCK, SEED = 32, 16, 48

    def __init__(self, entropy, nonce, personalization):
        self.key, self.v = bytes(self.KEY), bytes(self.BLOCK)
        self._update(self._derive(entropy + nonce + personalization))

    @staticmethod
    def _encrypt(key, block):
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return encryptor.update(block) + encryptor.finalize()

    def _derive(self, data):
        text = len(data).to_bytes(4, "big") + self.SEED.to_bytes(4, "big") + data + b"\x80"
        text += bytes(-len(text) % self.BLOCK)
        key, mixed = bytes(range(self.KEY)), b""
        for i in range(self.SEED // self.BLOCK):
            chain = bytes(self.BLOCK)
            padded = i.to_bytes(4, "big") + bytes(self.BLOCK - 4) + text
            for at in range(0, len(padded), self.BLOCK):
                block = padded[at:at + self.BLOCK]
                chain = self._encrypt(key, bytes(a ^ b for a, b in zip(chain, block)))
            mixed += chain
        key, x, out = mixed[:self.KEY], mixed[self.KEY:], b""
        while len(out) < self.SEED:
            x = self._encrypt(key, x)
            out += x
        return out

    def _next(self):
        number = (int.from_bytes(self.v, "big") + 1) % (1 << 128)
        self.v = number.to_bytes(self.BLOCK, "big")
        return self._encrypt(self.key, self.v)

    def _update(self, data):
        out = b"".join(self._next() for _ in range(self.SEED // self.BLOCK))
        out = bytes(a ^ b for a, b in zip(out, data))
        self.key, self.v = out[:self.KEY], out[self.KEY:]

    def generate(self, length):
        out = b""
        while len(out) < length:
            out += self._next()
        self._update(bytes(self.SEED))
        return out[:length]


# RFC 4231 §4.2 to §4.5: key, data, code. Longer keys than ours are left out.
RFC4231 = [
    ("0b" * 20, b"Hi There".hex(),
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe".hex(), b"what do ya want for nothing?".hex(),
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    ("aa" * 20, "dd" * 50,
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    ("0102030405060708090a0b0c0d0e0f10111213141516171819", "cd" * 50,
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
]

# McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 to 16:
# key, IV, plaintext, AAD, tag.
_KEY = "feffe9928665731c6d6a8f9467308308" * 2
_TEXT = ("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255")
GCM = [
    ("00" * 32, "00" * 12, "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    ("00" * 32, "00" * 12, "00" * 16, "", "d0d1c8a799996bf0265b98b5d48ab919"),
    (_KEY, "cafebabefacedbaddecaf888", _TEXT, "", "b094dac5d93471bdec1a502270e3cc6c"),
    (_KEY, "cafebabefacedbaddecaf888", _TEXT[:120], "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "76fc6ece0f4e1768cddf8853bb2d551b"),
]

# RFC 6979 §A.2.6, P-384 with SHA-384, message "sample": private key, r, s.
ECDSA_KEY = int("6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D8"
                "96D5724E4C70A825F872C9EA60D2EDF5", 16)
ECDSA_R = int("94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C"
              "81A648152E44ACF96E36DD1E80FABE46", 16)
ECDSA_S = int("99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94F"
              "A329C145786E679E7B82C71A38628AC8", 16)

# RFC 5903 §8.2, P-384: both private keys and the shared x.
ECDH_I = int("099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655"
             "E35B538041E649EE3FAEF896783AB194", 16)
ECDH_R = int("41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942"
             "E0308312916B8ED2960E4BD55A7448FC", 16)
ECDH_X = bytes.fromhex("11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4"
                       "D603135569B9E9D09CF5D4A270F59746")


def key_of(number):
    return ec.derive_private_key(number, ec.SECP384R1())


def pkcs8(key):
    return key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def check_published():
    for key, data, code in RFC4231:
        assert hmac_sha256(bytes.fromhex(key), bytes.fromhex(data)).hex() == code
    for key, iv, text, aad, tag in GCM:
        sealed = AESGCM(bytes.fromhex(key)).encrypt(*map(bytes.fromhex, (iv, text, aad)))
        assert sealed[-16:].hex() == tag
    # RFC 5869 §A.1: the same code as ours, which runs it with SHA-384.
    assert hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xf0, 0xfa)), 42,
                hashes.SHA256).hex().startswith("3cb25f25faacd57a90434f64d0362f2a")
    key_of(ECDSA_KEY).public_key().verify(
        utils.encode_dss_signature(ECDSA_R, ECDSA_S), b"sample", ec.ECDSA(hashes.SHA384()))
    assert key_of(ECDH_I).exchange(ec.ECDH(), key_of(ECDH_R).public_key()) == ECDH_X


def print_array(name, value):
    print(f"static const uint8_t {name}[] = {{")
    for at in range(0, len(value), 15):
        print("    " + " ".join(f"0x{byte:02x}," for byte in value[at:at + 15]))
    print("};\n")


def print_known_answers():
    print("/* Printed by tests/vectors/crypto/crypto_vectors.py: answers of another code. */")
    print("/* clang-format off */\n#pragma once\n\n#include <stdint.h>\n")
    key, iv = draw("gcm key", 32), draw("gcm iv", 12)
    text, aad = draw("gcm text", 40), draw("gcm aad", 21)
    drbg = CtrDrbg(draw("drbg entropy", 32), draw("drbg nonce", 16), draw("drbg string", 32))
    drbg.generate(64)
    for name, value in [
            ("gcm_key", key), ("gcm_iv", iv), ("gcm_text", text), ("gcm_aad", aad),
            ("gcm_sealed", AESGCM(key).encrypt(iv, text, aad)),
            ("hash_text", b"abc"),
            ("sha256_digest", hashlib.sha256(b"abc").digest()),
            ("sha384_digest", hashlib.sha384(b"abc").digest()),
            ("mac_code", hmac_sha256(key, text)),
            ("kdf_label", b"keystead/self-test"),
            ("kdf_derived", kdf_counter(key, b"keystead/self-test", aad, 64)),
            ("hkdf_derived", hkdf(key, iv, aad, 64)),
            ("ecdh_private", pkcs8(key_of(ECDH_I))), ("ecdh_peer", spki(key_of(ECDH_R))),
            ("ecdh_shared", ECDH_X),
            ("ecdsa_private", pkcs8(key_of(ECDSA_KEY))), ("ecdsa_text", b"sample"),
            ("ecdsa_signature", utils.encode_dss_signature(ECDSA_R, ECDSA_S)),
            ("drbg_entropy", draw("drbg entropy", 32)), ("drbg_nonce", draw("drbg nonce", 16)),
            ("drbg_string", draw("drbg string", 32)), ("drbg_second", drbg.generate(64))]:
        print_array(name, value)


def print_rows(struct, name, columns, rows):
    print(f"struct {struct} {{\n    const char *" + ", *".join(columns) + ";\n};\n")
    print(f"static const struct {struct} {name}[] = {{")
    for row in rows:
        print("    {" + ",\n     ".join(quote(value) for value in row) + "},")
    print("};\n")


def quote(value):
    value = value if isinstance(value, str) else value.hex()
    lines = [value[at:at + 88] for at in range(0, len(value), 88)] or [""]
    return "\n     ".join(f'"{line}"' for line in lines)


def print_tests():
    print("/* Printed by crypto_vectors.py, all in hex: answers of another implementation. */")
    print("/* clang-format off */\n#pragma once\n")
    gcm = [(bytes.fromhex(k), bytes.fromhex(i), bytes.fromhex(t), bytes.fromhex(a))
           for k, i, t, a, _ in GCM]
    gcm += [(draw(f"k{n}", 32), draw(f"i{n}", 12), draw(f"t{n}", n), draw(f"a{n}", 3 * n))
            for n in (1, 15, 17, 33, 255, 256)]
    print_rows("gcm_vector", "gcm_vectors", ("key", "iv", "text", "aad", "sealed"),
               [row + (AESGCM(row[0]).encrypt(*row[1:]),) for row in gcm])
    print_rows("mac_vector", "mac_vectors", ("key", "text", "code"),
               RFC4231 +
               [(draw(f"k{n}", n), draw(f"t{n}", 3 * n), hmac_sha256(draw(f"k{n}", n),
                                                                      draw(f"t{n}", 3 * n)))
                for n in (1, 32, 63, 64)])
    kdf = [(draw(f"k{n}", 32), draw(f"l{n}", 9).hex().encode(), draw(f"c{n}", c), n)
           for n, c in ((1, 0), (16, 5), (31, 64), (32, 64), (33, 64), (63, 1), (64, 64))]
    print_rows("kdf_vector", "kdf_vectors", ("key", "label", "context", "derived"),
               [row[:3] + (kdf_counter(*row),) for row in kdf])
    expand = [(draw(f"s{n}", s), draw(f"salt{n}", t), draw(f"info{n}", i), n)
              for n, s, t, i in ((1, 48, 0, 0), (32, 48, 48, 20), (48, 32, 13, 0), (64, 64, 0, 99))]
    print_rows("hkdf_vector", "hkdf_vectors", ("secret", "salt", "info", "derived"),
               [row[:3] + (hkdf(*row),) for row in expand])
    print_rows("hash_vector", "hash_vectors", ("text", "sha256", "sha384"),
               [(text, hashlib.sha256(text).digest(), hashlib.sha384(text).digest())
                for text in (b"", b"abc", draw("h", 111), draw("h", 128), draw("h", 300))])


if __name__ == "__main__":
    check_published()
    {"known-answers": print_known_answers, "tests": print_tests}[sys.argv[1]]()
