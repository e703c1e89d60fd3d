#!/usr/bin/env python3
"""Each RPC's happy path, each error by its name, both sides of each limit, with Debian's grpcio."""

import re
import uuid

import grpc
import harness
import maxima
from harness import refused
from keystead.kms.v1 import aliases_pb2 as al
from keystead.kms.v1 import batch_pb2 as ba
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke
from keystead.kms.v1 import types_pb2 as ty

CONTEXT = {"tenant": "a", "path": "/x"}
ABSENT = "00000000-0000-4000-8000-000000000000"


def new_key(kms, **more):
    return kms.CreateKey(ke.CreateKeyRequest(**more)).key_metadata


def test_create_and_describe(cluster):
    kms = cluster.kms()
    tags = [ty.Tag(tag_key="team", tag_value="blue")]
    made = new_key(kms, description="a key", tags=tags)
    assert made.arn == f"arn:aws:kms:{cluster.region}:{cluster.demo['account']}:key/{made.key_id}"
    assert made.enabled and made.key_state == ty.KEY_STATE_ENABLED
    assert made.key_spec == ty.KEY_SPEC_SYMMETRIC_DEFAULT and made.origin == ty.ORIGIN_AWS_KMS
    assert made.description == "a key" and len(made.current_key_material_id) == 64
    for name in (made.key_id, made.arn):
        assert kms.DescribeKey(ke.DescribeKeyRequest(key_id=name)).key_metadata == made


def test_four_forms_of_identifier(cluster):
    kms = cluster.kms()
    key = new_key(kms)
    alias = "alias/forms-" + uuid.uuid4().hex
    kms.CreateAlias(al.CreateAliasRequest(alias_name=alias, target_key_id=key.key_id))
    alias_arn = key.arn.replace("key/" + key.key_id, alias)
    blob = None
    for name in (key.key_id, key.arn, alias, alias_arn):
        blob = kms.Encrypt(cr.EncryptRequest(key_id=name, plaintext=b"x")).ciphertext_blob
        assert kms.Decrypt(cr.DecryptRequest(key_id=name, ciphertext_blob=blob)).plaintext == b"x"
        assert kms.DescribeKey(ke.DescribeKeyRequest(key_id=name)).key_metadata.key_id == key.key_id
    # An operation that the AWS page does not allow aliases for.
    with refused("NotFoundException", "Invalid keyId"):
        kms.DisableKey(ke.DisableKeyRequest(key_id=alias))
    with refused("InvalidArnException"):
        kms.DisableKey(ke.DisableKeyRequest(key_id=alias_arn))


def test_encrypt_decrypt_and_context(cluster):
    kms = cluster.kms()
    key = cluster.key()
    for size in (1, 36, 256, 4095, 4096):
        data = bytes(i & 0xFF for i in range(size))
        sealed = kms.Encrypt(
            cr.EncryptRequest(key_id=key, plaintext=data, encryption_context=CONTEXT)
        )
        assert sealed.key_id == key and len(sealed.ciphertext_blob) <= 6144
        opened = kms.Decrypt(
            cr.DecryptRequest(ciphertext_blob=sealed.ciphertext_blob, encryption_context=CONTEXT)
        )
        assert (
            opened.plaintext == data and opened.key_id == key and len(opened.key_material_id) == 64
        )
    for context in ({}, {"tenant": "b", "path": "/x"}, {"tenant": "a"}, {**CONTEXT, "more": ""}):
        with refused("InvalidCiphertextException"):
            kms.Decrypt(
                cr.DecryptRequest(
                    ciphertext_blob=sealed.ciphertext_blob, encryption_context=context
                )
            )


def test_plaintext_limits(cluster):
    kms = cluster.kms()
    with refused("ValidationException", "plaintext"):
        kms.Encrypt(cr.EncryptRequest(key_id=cluster.key(), plaintext=b""))
    with refused(
        "ValidationException",
        "Value at 'plaintext' failed to satisfy constraint: Member must "
        "have length less than or equal to 4096",
    ):
        kms.Encrypt(cr.EncryptRequest(key_id=cluster.key(), plaintext=b"x" * 4097))
    with refused("ValidationException", "6144"):
        kms.Decrypt(cr.DecryptRequest(ciphertext_blob=b"x" * 6145))
    with refused("InvalidCiphertextException"):
        kms.Decrypt(cr.DecryptRequest(ciphertext_blob=b"x" * 6144))


def test_data_keys(cluster):
    kms = cluster.kms()
    key = cluster.key()
    for size in (1, 1024):
        made = kms.GenerateDataKey(
            cr.GenerateDataKeyRequest(key_id=key, number_of_bytes=size, encryption_context=CONTEXT)
        )
        assert len(made.plaintext) == size
        opened = kms.Decrypt(
            cr.DecryptRequest(ciphertext_blob=made.ciphertext_blob, encryption_context=CONTEXT)
        )
        assert opened.plaintext == made.plaintext
    for spec, size in ((ty.DATA_KEY_SPEC_AES_256, 32), (ty.DATA_KEY_SPEC_AES_128, 16)):
        assert (
            len(kms.GenerateDataKey(cr.GenerateDataKeyRequest(key_id=key, key_spec=spec)).plaintext)
            == size
        )
        hidden = kms.GenerateDataKeyWithoutPlaintext(
            cr.GenerateDataKeyWithoutPlaintextRequest(key_id=key, key_spec=spec)
        )
        assert (
            len(kms.Decrypt(cr.DecryptRequest(ciphertext_blob=hidden.ciphertext_blob)).plaintext)
            == size
        )
    for request in (
        dict(number_of_bytes=0),
        dict(number_of_bytes=1025),
        dict(),
        dict(number_of_bytes=16, key_spec=ty.DATA_KEY_SPEC_AES_128),
    ):
        with refused("ValidationException"):
            kms.GenerateDataKey(cr.GenerateDataKeyRequest(key_id=key, **request))


def test_random(cluster):
    kms = cluster.kms()
    drawn = set()
    for size in (1, 2, 1023, 1024):
        got = kms.GenerateRandom(cr.GenerateRandomRequest(number_of_bytes=size)).plaintext
        assert len(got) == size
        drawn.add(got[:16])
    assert len(drawn) == 4
    with refused("ValidationException", "greater than or equal to 1"):
        kms.GenerateRandom(cr.GenerateRandomRequest(number_of_bytes=0))
    with refused("ValidationException", "less than or equal to 1024"):
        kms.GenerateRandom(cr.GenerateRandomRequest(number_of_bytes=1025))
    with refused("ValidationException"):
        kms.GenerateRandom(cr.GenerateRandomRequest())


def test_re_encrypt(cluster):
    kms = cluster.kms()
    source, target = new_key(kms), new_key(kms)
    blob = kms.Encrypt(
        cr.EncryptRequest(key_id=source.arn, plaintext=b"moved", encryption_context={"a": "1"})
    ).ciphertext_blob
    moved = kms.ReEncrypt(
        cr.ReEncryptRequest(
            ciphertext_blob=blob,
            source_encryption_context={"a": "1"},
            destination_key_id=target.key_id,
            destination_encryption_context={"b": "2"},
        )
    )
    assert moved.source_key_id == source.arn and moved.key_id == target.arn
    opened = kms.Decrypt(
        cr.DecryptRequest(ciphertext_blob=moved.ciphertext_blob, encryption_context={"b": "2"})
    )
    assert opened.plaintext == b"moved" and opened.key_id == target.arn
    with refused("InvalidCiphertextException"):
        kms.ReEncrypt(cr.ReEncryptRequest(ciphertext_blob=blob, destination_key_id=target.key_id))
    with refused("IncorrectKeyException"):
        kms.ReEncrypt(
            cr.ReEncryptRequest(
                ciphertext_blob=blob,
                source_encryption_context={"a": "1"},
                source_key_id=target.arn,
                destination_key_id=target.key_id,
            )
        )


def test_states(cluster):
    kms = cluster.kms()
    key = new_key(kms)
    blob = kms.Encrypt(cr.EncryptRequest(key_id=key.arn, plaintext=b"x")).ciphertext_blob
    kms.DisableKey(ke.DisableKeyRequest(key_id=key.key_id))
    with refused("DisabledException", f"{key.arn} is disabled."):
        kms.Decrypt(cr.DecryptRequest(ciphertext_blob=blob))
    with refused("DisabledException"):
        kms.Encrypt(cr.EncryptRequest(key_id=key.arn, plaintext=b"x"))
    kms.DisableKey(ke.DisableKeyRequest(key_id=key.key_id))
    kms.EnableKey(ke.EnableKeyRequest(key_id=key.arn))
    assert kms.Decrypt(cr.DecryptRequest(ciphertext_blob=blob)).plaintext == b"x"
    with refused("KMSInvalidStateException", "is not pending deletion"):
        kms.CancelKeyDeletion(ke.CancelKeyDeletionRequest(key_id=key.key_id))
    for days in (6, 31):
        with refused("ValidationException", "^PendingWindowInDays must be between 7 and 30 days.$"):
            kms.ScheduleKeyDeletion(
                ke.ScheduleKeyDeletionRequest(key_id=key.key_id, pending_window_in_days=days)
            )
    scheduled = kms.ScheduleKeyDeletion(
        ke.ScheduleKeyDeletionRequest(key_id=key.key_id, pending_window_in_days=7)
    )
    assert scheduled.key_id == key.arn and scheduled.pending_window_in_days == 7
    assert scheduled.key_state == ty.KEY_STATE_PENDING_DELETION
    with refused("KMSInvalidStateException", "is pending deletion"):
        kms.Decrypt(cr.DecryptRequest(ciphertext_blob=blob))
    for call, request in (
        (kms.EnableKey, ke.EnableKeyRequest),
        (kms.DisableKey, ke.DisableKeyRequest),
        (kms.ScheduleKeyDeletion, ke.ScheduleKeyDeletionRequest),
    ):
        with refused("KMSInvalidStateException", "is pending deletion"):
            call(request(key_id=key.key_id))
    assert kms.CancelKeyDeletion(ke.CancelKeyDeletionRequest(key_id=key.key_id)).key_id == key.arn
    described = kms.DescribeKey(ke.DescribeKeyRequest(key_id=key.key_id)).key_metadata
    assert described.key_state == ty.KEY_STATE_DISABLED and not described.HasField("deletion_date")


def test_description(cluster):
    kms = cluster.kms()
    key = new_key(kms)
    for text in ("", "short", "x" * 8192):
        kms.UpdateKeyDescription(
            ke.UpdateKeyDescriptionRequest(key_id=key.key_id, description=text)
        )
        assert (
            kms.DescribeKey(ke.DescribeKeyRequest(key_id=key.key_id)).key_metadata.description
            == text
        )
    with refused("ValidationException", "description"):
        kms.UpdateKeyDescription(
            ke.UpdateKeyDescriptionRequest(key_id=key.key_id, description="x" * 8193)
        )


def test_aliases(cluster):
    kms = cluster.kms()
    key, other = new_key(kms), new_key(kms)
    name = "alias/app/" + uuid.uuid4().hex
    kms.CreateAlias(al.CreateAliasRequest(alias_name=name, target_key_id=key.key_id))
    with refused("AlreadyExistsException"):
        kms.CreateAlias(al.CreateAliasRequest(alias_name=name, target_key_id=other.key_id))
    blob = kms.Encrypt(cr.EncryptRequest(key_id=name, plaintext=b"x"))
    assert blob.key_id == key.arn
    kms.UpdateAlias(al.UpdateAliasRequest(alias_name=name, target_key_id=other.arn))
    assert kms.Encrypt(cr.EncryptRequest(key_id=name, plaintext=b"x")).key_id == other.arn
    listed = kms.ListAliases(al.ListAliasesRequest(key_id=other.key_id)).aliases
    assert [a.alias_name for a in listed] == [name] and listed[0].target_key_id == other.key_id
    kms.DeleteAlias(al.DeleteAliasRequest(alias_name=name))
    with refused("NotFoundException"):
        kms.Encrypt(cr.EncryptRequest(key_id=name, plaintext=b"x"))
    with refused("NotFoundException"):
        kms.DeleteAlias(al.DeleteAliasRequest(alias_name=name))
    with refused("ValidationException", 'Alias must start with the prefix "alias/"'):
        kms.CreateAlias(al.CreateAliasRequest(alias_name="nope", target_key_id=key.key_id))
    for bad in ("alias/aws/x", "alias/a:b", "alias/"):
        with refused("InvalidAliasNameException"):
            kms.CreateAlias(al.CreateAliasRequest(alias_name=bad, target_key_id=key.key_id))
    with refused("ValidationException", "256"):
        too_long = "alias/" + "x" * 251
        kms.CreateAlias(al.CreateAliasRequest(alias_name=too_long, target_key_id=key.key_id))
    longest = "alias/" + "y" * 250
    kms.CreateAlias(al.CreateAliasRequest(alias_name=longest, target_key_id=key.key_id))
    kms.DeleteAlias(al.DeleteAliasRequest(alias_name=longest))


def test_alias_quota(cluster):
    kms = cluster.kms()
    key = new_key(kms)
    for i in range(50):
        kms.CreateAlias(
            al.CreateAliasRequest(alias_name=f"alias/q{key.key_id}-{i}", target_key_id=key.key_id)
        )
    with refused("LimitExceededException"):
        kms.CreateAlias(
            al.CreateAliasRequest(alias_name=f"alias/q{key.key_id}-50", target_key_id=key.key_id)
        )


def test_pagination(cluster):
    cluster.user("pager")
    kms = cluster.kms(certificate="pager")
    made = {new_key(kms).arn for _ in range(7)}
    seen, marker, pages = [], None, 0
    while True:
        page = kms.ListKeys(ke.ListKeysRequest(limit=3, marker=marker))
        seen += [k.key_arn for k in page.keys]
        pages += 1
        assert page.truncated == bool(page.next_marker)
        if not page.truncated:
            break
        marker = page.next_marker
    assert set(seen) == made and len(seen) == 7 and pages == 3
    assert len(kms.ListKeys(ke.ListKeysRequest()).keys) == 7
    for limit in (0, 1001):
        with refused("ValidationException", "limit"):
            kms.ListKeys(ke.ListKeysRequest(limit=limit))
    kms.ListKeys(ke.ListKeysRequest(limit=1000))
    with refused("InvalidMarkerException"):
        kms.ListKeys(ke.ListKeysRequest(marker="nonsense"))
    for limit in (0, 101):
        with refused("ValidationException", "limit"):
            kms.ListAliases(al.ListAliasesRequest(limit=limit))


def test_tags(cluster):
    kms = cluster.kms()
    tag = lambda k, v="v": ty.Tag(tag_key=k, tag_value=v)
    new_key(kms, tags=[tag("k" * 128, "v" * 256)])
    new_key(kms, tags=[tag(f"t{i}") for i in range(50)])
    with refused("TagException", "Too many tags"):
        new_key(kms, tags=[tag(f"t{i}") for i in range(51)])
    with refused("TagException", "Duplicate tag keys"):
        new_key(kms, tags=[tag("a"), tag("a")])
    with refused("TagException", "aws:"):
        new_key(kms, tags=[tag("aws:x")])
    with refused("ValidationException", "128"):
        new_key(kms, tags=[tag("k" * 129)])
    with refused("ValidationException", "256"):
        new_key(kms, tags=[tag("k", "v" * 257)])


def test_policy_that_is_not_enforced_is_not_stored(cluster):
    with refused("UnsupportedOperationException"):
        new_key(cluster.kms(), policy='{"Version":"2012-10-17","Statement":[]}')


def test_absent_and_foreign_look_alike(cluster):
    cluster.user("mallory")
    mallory = cluster.kms(certificate="mallory")
    theirs = cluster.key()
    absent = theirs.rsplit("/", 1)[0] + "/" + ABSENT
    texts = set()
    for name in (theirs, absent):
        for call in (
            lambda n: mallory.Encrypt(cr.EncryptRequest(key_id=n, plaintext=b"x")),
            lambda n: mallory.DescribeKey(ke.DescribeKeyRequest(key_id=n)),
            lambda n: mallory.DisableKey(ke.DisableKeyRequest(key_id=n)),
        ):
            try:
                call(name)
                raise AssertionError("allowed")
            except grpc.RpcError as error:
                assert harness.error_info(error).reason == "AccessDeniedException"
                texts.add(error.details().replace(name, "<name>"))
    assert len(texts) == 1, texts
    blob = cluster.kms().Encrypt(cr.EncryptRequest(key_id=theirs, plaintext=b"x")).ciphertext_blob
    with refused("AccessDeniedException"):
        mallory.Decrypt(cr.DecryptRequest(ciphertext_blob=blob))
    with refused("NotFoundException"):
        cluster.kms().DescribeKey(ke.DescribeKeyRequest(key_id=ABSENT))
    # Where only the id is given, it is the caller's own account that is meant.
    with refused("NotFoundException"):
        mallory.DescribeKey(ke.DescribeKeyRequest(key_id=theirs.rsplit("/", 1)[1]))


def test_damaged_blobs_never_open(cluster):
    kms = cluster.kms()
    blob = kms.Encrypt(
        cr.EncryptRequest(key_id=cluster.key(), plaintext=b"secret", encryption_context=CONTEXT)
    ).ciphertext_blob
    allowed = {"InvalidCiphertextException", "AccessDeniedException", "ValidationException"}
    damaged = [blob[:n] for n in range(len(blob))]
    damaged += [
        bytes(b ^ (1 << bit) if i == at else b for i, b in enumerate(blob))
        for at in range(len(blob))
        for bit in range(8)
    ]
    damaged.append(blob + b"\0")
    # By the batch form: a hundred at a time.
    for first in range(0, len(damaged), 100):
        part = [
            cr.DecryptRequest(ciphertext_blob=d, encryption_context=CONTEXT)
            for d in damaged[first : first + 100]
        ]
        for result in kms.DecryptBatch(ba.DecryptBatchRequest(entries=part)).results:
            assert result.WhichOneof("outcome") == "error", "a damaged blob was opened"
            assert result.error.code in allowed, result.error.code
    return f"{len(damaged)} damaged blobs refused"


def test_blob_of_another_region(cluster):
    if len(cluster.topology.regions) < 2:
        return "one region only"
    here, there = (r.name for r in cluster.topology.regions)
    blob = (
        cluster.kms(here)
        .Encrypt(cr.EncryptRequest(key_id=cluster.key(here), plaintext=b"x"))
        .ciphertext_blob
    )
    text = f"not exist in this region, or you are not allowed to access. It is of region {here}"
    with refused("AccessDeniedException", text, metadata={"region": here}):
        cluster.kms(there).Decrypt(cr.DecryptRequest(ciphertext_blob=blob))
    return None


def test_batches(cluster):
    kms = cluster.kms()
    key = cluster.key()
    entries = [cr.EncryptRequest(key_id=key, plaintext=bytes([i])) for i in range(16)]
    entries[5] = cr.EncryptRequest(key_id=ABSENT, plaintext=b"x")
    results = kms.EncryptBatch(ba.EncryptBatchRequest(entries=entries)).results
    assert len(results) == 16 and results[5].error.code == "NotFoundException"
    blobs = [r.response.ciphertext_blob for i, r in enumerate(results) if i != 5]
    opened = kms.DecryptBatch(
        ba.DecryptBatchRequest(entries=[cr.DecryptRequest(ciphertext_blob=b) for b in blobs])
    ).results
    assert [r.response.plaintext for r in opened] == [bytes([i]) for i in range(16) if i != 5]
    keys = kms.GenerateDataKeyBatch(
        ba.GenerateDataKeyBatchRequest(
            entries=[cr.GenerateDataKeyRequest(key_id=key, number_of_bytes=32)] * 3
        )
    ).results
    assert len({r.response.plaintext for r in keys}) == 3
    moved = kms.ReEncryptBatch(
        ba.ReEncryptBatchRequest(
            entries=[cr.ReEncryptRequest(ciphertext_blob=blobs[0], destination_key_id=key)]
        )
    ).results
    assert moved[0].response.key_id == key
    kms.EncryptBatch(ba.EncryptBatchRequest(entries=[entries[0]] * 100))
    for count in (0, 101):
        with refused("ValidationException"):
            kms.EncryptBatch(ba.EncryptBatchRequest(entries=[entries[0]] * count))


def test_exactly_once(cluster):
    kms = cluster.kms()
    request_id = uuid.uuid4().hex
    first = kms.CreateKey(ke.CreateKeyRequest(description="once", request_id=request_id))
    for frontend in (0, len(cluster.topology.regions[0].frontends) - 1):
        again = cluster.kms(frontend=frontend).CreateKey(
            ke.CreateKeyRequest(description="once", request_id=request_id)
        )
        assert again == first
    with refused("ConflictException"):
        kms.CreateKey(ke.CreateKeyRequest(description="twice", request_id=request_id))


def test_dry_run(cluster):
    """A dry run does all but the effect: a ciphertext that would not open is told."""
    kms, key = cluster.kms(), cluster.key()
    context = {"a": "b"}
    blob = kms.Encrypt(
        cr.EncryptRequest(key_id=key, plaintext=b"x", encryption_context=context)
    ).ciphertext_blob
    flipped = blob[:-1] + bytes([blob[-1] ^ 1])

    def decrypt(blob, context):
        return kms.Decrypt(
            cr.DecryptRequest(ciphertext_blob=blob, encryption_context=context, dry_run=True)
        )

    def re_encrypt(blob, context):
        return kms.ReEncrypt(
            cr.ReEncryptRequest(
                ciphertext_blob=blob,
                source_encryption_context=context,
                destination_key_id=key,
                dry_run=True,
            )
        )

    assert kms.Encrypt(
        cr.EncryptRequest(key_id=key, plaintext=b"x", dry_run=True)
    ) == cr.EncryptResponse(dry_run=True)
    assert kms.GenerateDataKey(
        cr.GenerateDataKeyRequest(key_id=key, number_of_bytes=8, dry_run=True)
    ) == cr.GenerateDataKeyResponse(dry_run=True)
    assert kms.GenerateDataKeyWithoutPlaintext(
        cr.GenerateDataKeyWithoutPlaintextRequest(key_id=key, number_of_bytes=8, dry_run=True)
    ) == cr.GenerateDataKeyWithoutPlaintextResponse(dry_run=True)
    assert decrypt(blob, context) == cr.DecryptResponse(dry_run=True)
    assert re_encrypt(blob, context) == cr.ReEncryptResponse(dry_run=True)
    for run in (decrypt, re_encrypt):
        for wrong in ((flipped, context), (blob, {"a": "c"}), (blob, {})):
            with refused("InvalidCiphertextException"):
                run(*wrong)


# ---- Answers that are AWS's ----


def test_an_absent_description_erases_nothing(cluster):
    kms = cluster.kms()
    key = new_key(kms, description="kept").key_id
    described = lambda: kms.DescribeKey(ke.DescribeKeyRequest(key_id=key)).key_metadata.description
    with refused("ValidationException", "Value null at 'description' .* not be null"):
        kms.UpdateKeyDescription(ke.UpdateKeyDescriptionRequest(key_id=key))
    assert described() == "kept"
    kms.UpdateKeyDescription(ke.UpdateKeyDescriptionRequest(key_id=key, description=""))
    assert described() == ""


def test_alias_names_keep_the_pattern(cluster):
    kms = cluster.kms()
    key = cluster.key()
    pattern = re.escape("satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$")
    for name in ("alias/my-alias!", "alias/a b", "alias/\u00e9"):
        for call, request in (
            (kms.CreateAlias, al.CreateAliasRequest(alias_name=name, target_key_id=key)),
            (kms.UpdateAlias, al.UpdateAliasRequest(alias_name=name, target_key_id=key)),
            (kms.DeleteAlias, al.DeleteAliasRequest(alias_name=name)),
        ):
            with refused("ValidationException", pattern):
                call(request)
    # The pattern allows the colon, and aliases don't: only who makes one is told.
    name = "alias/my:alias"
    with refused("InvalidAliasNameException", "contains invalid characters for an alias"):
        kms.CreateAlias(al.CreateAliasRequest(alias_name=name, target_key_id=key))
    with refused("NotFoundException"):
        kms.UpdateAlias(al.UpdateAliasRequest(alias_name=name, target_key_id=key))
    with refused("NotFoundException"):
        kms.DeleteAlias(al.DeleteAliasRequest(alias_name=name))


def test_aliases_refer_to_keys(cluster):
    kms = cluster.kms()
    alias = "alias/target-" + uuid.uuid4().hex
    kms.CreateAlias(al.CreateAliasRequest(alias_name=alias, target_key_id=cluster.key()))
    arn = cluster.key().rsplit(":", 1)[0] + ":" + alias
    for target in (alias, arn, "alias/absent"):
        for call, request in (
            (kms.CreateAlias, al.CreateAliasRequest(alias_name="alias/x", target_key_id=target)),
            (kms.UpdateAlias, al.UpdateAliasRequest(alias_name=alias, target_key_id=target)),
        ):
            with refused("ValidationException", "^Aliases must refer to keys. Not aliases$"):
                call(request)


def test_multi_region_ids_name_no_key(cluster):
    kms = cluster.kms()
    name = "mrk-" + uuid.uuid4().hex
    arn = cluster.key().rsplit("/", 1)[0] + "/" + name
    for form in (name, arn):
        with refused("NotFoundException", f"Key '{arn}' does not exist"):
            kms.DescribeKey(ke.DescribeKeyRequest(key_id=form))


def test_empty_is_not_absent(cluster):
    kms = cluster.kms()
    short = "at '{}' failed to satisfy constraint: Member must have length greater than or equal"
    for member, call in (
        ("keyId", lambda: kms.ListAliases(al.ListAliasesRequest(key_id=""))),
        ("marker", lambda: kms.ListAliases(al.ListAliasesRequest(marker=""))),
        ("marker", lambda: kms.ListKeys(ke.ListKeysRequest(marker=""))),
        ("policy", lambda: new_key(kms, policy="")),
        ("keyId", lambda: kms.Decrypt(cr.DecryptRequest(key_id="", ciphertext_blob=b"x"))),
    ):
        with refused("ValidationException", short.format(member)):
            call()
    with refused("ValidationException", "Value null at 'tags.1.member.tagValue' .* not be null"):
        new_key(kms, tags=[ty.Tag(tag_key="a")])
    new_key(kms, tags=[ty.Tag(tag_key="a", tag_value="")])
    with refused("ValidationException", "^NumberOfBytes is required.$"):
        kms.GenerateRandom(cr.GenerateRandomRequest())


def test_all_violations_are_told_together(cluster):
    kms = cluster.kms()
    null = "Value null at '{}' failed to satisfy constraint: Member must not be null"
    text = f"2 validation errors detected: {null.format('keyId')}; {null.format('plaintext')}"
    with refused("ValidationException", f"^{text}$"):
        kms.Encrypt(cr.EncryptRequest())
    with refused("ValidationException", "^3 validation errors detected: "):
        new_key(kms, description="x" * 8193, policy="", request_id="a b")
    with refused("ValidationException", "^1 validation error detected: "):
        kms.Encrypt(cr.EncryptRequest(key_id=cluster.key()))


def test_request_ids(cluster):
    """1 to 64 of [A-Za-z0-9_.:-], at both services that make things."""
    from keystead.admin.v1 import admin_pb2

    kms, admin = cluster.kms(), cluster.admin()
    account = lambda name: admin_pb2.CreateAccountRequest(display_name="x", request_id=name)
    unique = uuid.uuid4().hex
    for good in ("aZ0_.:-" + unique, unique.ljust(64, "x")):
        new_key(kms, request_id=good)
        admin.CreateAccount(account(good))
    for bad in (unique.ljust(65, "x"), unique + " ", unique + "/", "\u00e9"):
        with refused("ValidationException", "at 'requestId' failed to satisfy constraint"):
            new_key(kms, request_id=bad)
        with refused("ValidationException", "request_id must be 1 to 64 of"):
            admin.CreateAccount(account(bad))


def test_a_wrong_entry_fails_alone(cluster):
    entries = [cr.EncryptRequest(key_id=cluster.key(), plaintext=b"x").SerializeToString()] * 5
    wrong = {1: b"\xff" * 9, 2: b"", 3: b"\x0a\x02\xc3\x28\x12\x01x"}
    sent = [wrong.get(i, entry) for i, entry in enumerate(entries)]
    batch = b"".join(b"\x0a" + bytes([len(entry)]) + entry for entry in sent)
    channel = cluster.channel(cluster.topology.regions[0].frontends[0].endpoint)
    call = channel.unary_unary("/keystead.kms.v1.KeyManagementService/EncryptBatch")
    results = ba.EncryptBatchResponse.FromString(call(batch, timeout=5)).results
    failed = {i: r.error.code for i, r in enumerate(results) if r.WhichOneof("outcome") == "error"}
    assert len(results) == 5 and failed == dict.fromkeys(wrong, "ValidationException"), results


# ---- Limits ----

# What a request that keeps each limit is never refused with.
OF_SIZE = ("ValidationException", "LimitExceededException", "TagException", "ThrottlingException")
OF_SIZE += ("KMSInternalException", "DependencyTimeoutException")


def outcomes(kms, method, request):
    """Why the call, or each entry of a batch, was refused; None for what was accepted."""
    try:
        answer = getattr(kms, method.name)(request)
    except grpc.RpcError as error:
        info = harness.error_info(error)
        assert info, f"{method.name}: {error.code()} {error.details()}"
        assert info.reason not in OF_SIZE, f"{method.name}: {info.reason}: {error.details()}"
        return [info.reason]
    if "entries" not in request.DESCRIPTOR.fields_by_name:
        return [None]
    wrong = [r.error for r in answer.results if r.error.code in OF_SIZE]
    assert not wrong and len(answer.results) == len(request.entries), f"{method.name}: {wrong[:1]}"
    return [r.error.code or None for r in answer.results]


def test_limits_hold_together(cluster):
    """Each method takes each member at its maximum, all at once; what is refused then is refused
    for what it says."""
    kms = cluster.kms(seconds=30)
    accepted, refusals = [], set()
    for method in maxima.SERVICE.methods:
        key = new_key(kms).arn
        blob = kms.Encrypt(
            cr.EncryptRequest(
                key_id=key, plaintext=b"x" * 4096, encryption_context=maxima.context()
            )
        ).ciphertext_blob
        alias = ("alias/" + uuid.uuid4().hex).ljust(256, "x")
        kms.CreateAlias(al.CreateAliasRequest(alias_name=alias, target_key_id=key))
        for request in maxima.requests(method, maxima.Named(key, blob, alias)):
            told = outcomes(kms, method, request)
            if set(told) == {None}:
                accepted.append(method.name)
            else:
                refusals.add((method.name, *set(told) - {None}))
        for request in maxima.requests(method, maxima.Values()):
            outcomes(kms, method, request)
    # The key of each is enabled, so that one has nothing to do.
    assert refusals <= {("CancelKeyDeletion", "KMSInvalidStateException")}, refusals
    return f"{len(set(accepted))} of {len(maxima.SERVICE.methods)} methods accepted"


# ---- Users ----


def test_revoked_certificates_and_deleted_users(cluster):
    from keystead.admin.v1 import admin_pb2

    account, serial = cluster.user("eve")
    kms = cluster.kms(certificate="eve")
    key = new_key(kms).arn
    cluster.admin().RevokeCertificate(admin_pb2.RevokeCertificateRequest(serial=serial))
    denied = lambda: _is_refused(
        lambda: kms.Encrypt(cr.EncryptRequest(key_id=key, plaintext=b"x")),
        "UnrecognizedClientException",
    )
    took = harness.until(denied, 5, "the revoked certificate is refused")
    cluster.user("dave", account)
    dave = cluster.kms(certificate="dave")
    harness.until(
        lambda: dave.Encrypt(cr.EncryptRequest(key_id=key, plaintext=b"x")), 5, "dave is known"
    )
    cluster.admin().DeleteUser(admin_pb2.DeleteUserRequest(account_id=account, user_name="dave"))
    cluster.admin().CreateUser(admin_pb2.CreateUserRequest(account_id=account, user_name="dave"))
    harness.until(
        lambda: _is_refused(
            lambda: dave.Encrypt(cr.EncryptRequest(key_id=key, plaintext=b"x")),
            "UnrecognizedClientException",
        ),
        5,
        "the old dave is refused",
    )
    return f"refused {took * 1000:.0f} ms after RevokeCertificate returned"


def _is_refused(call, reason):
    try:
        call()
        return False
    except grpc.RpcError as error:
        info = harness.error_info(error)
        return info is not None and info.reason == reason


def test_unknown_method(cluster):
    call = cluster.channel(cluster.topology.regions[0].frontends[0].endpoint).unary_unary(
        "/keystead.kms.v1.KeyManagementService/Nothing"
    )
    try:
        call(b"", timeout=5)
        raise AssertionError("answered")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED
        path = "/keystead.kms.v1.KeyManagementService/Nothing"
        assert f"unknown method {path}" in error.details(), error.details()


SERVING = b"\x08\x01"  # of grpc.health.v1.HealthCheckResponse
ALL_SERVICES = b"\x3a\x01*"  # list_services of a ServerReflectionRequest


def test_health(cluster):
    channel = cluster.channel(cluster.topology.regions[0].frontends[0].endpoint)
    service = b"keystead.kms.v1.KeyManagementService"
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    for name in (b"", service):
        request = b"\x0a" + bytes([len(name)]) + name
        assert check(request, timeout=5) == SERVING
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(request, timeout=5)
        assert next(watch) == SERVING
        watch.cancel()
    try:
        check(b"\x0a\x04none", timeout=5)
        raise AssertionError("a service that is not there is healthy")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND


def test_reflection(cluster):
    channel = cluster.channel(cluster.topology.regions[0].frontends[0].endpoint)
    for version in ("v1", "v1alpha"):
        path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        answer = next(channel.stream_stream(path)(iter([ALL_SERVICES]), timeout=5))
        assert b"keystead.kms.v1.KeyManagementService" in answer


if __name__ == "__main__":
    harness.main(globals())
