#!/usr/bin/env python3
"""A backup of a real cell under load: of one revision, with all that was answered before it,
sealed, whole; and no longer whole with one bit of it changed."""

import json
import pathlib
import random
import re
import stat
import tempfile

import harness
from keystead.kms.v1 import keys_pb2 as ke

CREATED_BEFORE = 40
LOADS = 4
FLIPS = 25
CIPHERTEXT, STATE = 5, 7  # exit codes

FOLDER = pathlib.Path(tempfile.gettempdir()) / "keystead-test-backups"


def backup(cluster, *words, check=True):
    return cluster.cli("backup", *words, "--output", "json", check=check)


def facts_of(done):
    return json.loads(done.stdout)


def names_at(cluster, revision, kind):
    """Records of a kind in the cell's etcd, as they were at a revision."""
    prefix = f"/keystead/{cluster.region}/d/"
    words = ["get", prefix, "--prefix", "--keys-only", f"--rev={revision}"]
    done = cluster.etcd(cluster.region, *words)
    assert done.returncode == 0, done.stderr
    return re.findall(rf"^{re.escape(prefix)}[0-9a-f]{{2}}/{kind}/(.+)$", done.stdout, re.M)


def fresh(name):
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    path = FOLDER / name
    path.unlink(missing_ok=True)
    return path


def test_a_backup_under_load_is_of_one_revision(cluster):
    """Every key whose creation was answered before is in it, and it counts those of its revision,
    which etcd still knows."""
    kms = cluster.kms()
    answered = []
    create = lambda: answered.append(kms.CreateKey(ke.CreateKeyRequest()).key_metadata.key_id)
    loads = [harness.Load(create) for _ in range(LOADS)]
    for load in loads:
        load.start()
    path = fresh("load.backup")
    try:
        harness.until(lambda: len(answered) >= CREATED_BEFORE, 30, "keys are made")
        before = list(answered)
        made = facts_of(backup(cluster, "create", "--out", path))
        harness.until(lambda: len(answered) > len(before), 10, "keys are made meanwhile")
    finally:
        for load in loads:
            load.stop()

    wrong = [text for load in loads for text in load.wrong]
    assert not wrong and not any(load.failures for load in loads), "creates failed meanwhile"
    there = names_at(cluster, made["Revision"], "key")
    assert made["Keys"] == len(there), f"{made['Keys']} keys, but {len(there)} at its revision"
    missing = set(before) - {name.split("/")[-1] for name in there}
    assert not missing, f"{len(missing)} keys that were answered before it"
    assert made["Bytes"] == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return f"{made['Keys']} keys, {made['Bytes']} bytes"


def test_it_is_whole_and_listed(cluster):
    path = fresh("whole.backup")
    made = facts_of(backup(cluster, "create", "--out", path))

    verified = facts_of(backup(cluster, "verify", path))
    listed = facts_of(backup(cluster, "list", FOLDER))["Backups"]

    assert verified["AsWritten"] and not verified["Authenticated"], verified
    assert verified["BackupId"] == made["BackupId"]
    assert (verified["CustodiansNeeded"], verified["Custodians"]) == (2, 3)
    assert [b["File"] for b in listed if b["BackupId"] == made["BackupId"]] == ["whole.backup"]


def test_each_backup_leaves_a_record(cluster):
    path = fresh("record.backup")
    made = facts_of(backup(cluster, "create", "--out", path))

    assert made["BackupId"] not in names_at(cluster, made["Revision"], "backup")
    assert made["BackupId"] in names_at(cluster, 0, "backup")


def test_one_flipped_bit_is_found(cluster):
    """And a byte that is missing; what it was found in is left as it is."""
    path = fresh("flipped.backup")
    backup(cluster, "create", "--out", path)
    whole = path.read_bytes()
    places = [0, len(whole) - 1, *random.Random(6).sample(range(len(whole)), FLIPS)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.Random(place).randrange(8)
        path.write_bytes(damaged)
        code = backup(cluster, "verify", path, check=False).returncode
        assert code in (CIPHERTEXT, 1), f"byte {place}: {code}"  # 1: a version not known
    path.write_bytes(whole[:-1])
    assert backup(cluster, "verify", path, check=False).returncode == CIPHERTEXT
    path.write_bytes(whole)
    assert backup(cluster, "verify", path).returncode == 0


def test_a_file_that_is_there_stays(cluster):
    path = fresh("precious")
    path.write_text("precious")
    done = backup(cluster, "create", "--out", path, check=False)

    assert done.returncode == STATE and b"exists already" in done.stderr, done.stderr
    assert path.read_text() == "precious"
    assert not path.with_name("precious.partial").exists()


def test_no_secret_of_the_cell_stands_in_it(cluster):
    """What is in the clear in etcd (names of aliases, descriptions) is sealed in a backup."""
    kms = cluster.kms()
    kms.CreateKey(ke.CreateKeyRequest(description="a-word-that-stands-nowhere-else"))
    path = fresh("sealed.backup")
    backup(cluster, "create", "--out", path)

    content = path.read_bytes()
    assert b"a-word-that-stands-nowhere-else" not in content
    assert cluster.demo["account"].encode() not in content
    for file in FOLDER.iterdir():
        file.unlink()


if __name__ == "__main__":
    harness.main(globals())
