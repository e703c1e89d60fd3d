"""Clients that use and change a few keys and an alias, and write down what they saw."""

import random
import threading
import time
import uuid

import grpc
import harness
import models
from history import FOREVER, Call
from keystead.kms.v1 import aliases_pb2 as al
from keystead.kms.v1 import crypto_pb2 as cr
from keystead.kms.v1 import keys_pb2 as ke
from keystead.kms.v1 import types_pb2 as ty

KEYS, CLIENTS = 3, 6
CALL_SECONDS = 2
PAUSE_SECONDS = 0.02  # of a client between two calls
RETRY_SECONDS = 0.05
# What tells nothing of whether the call was done.
UNKNOWN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class Things:
    """The keys and the alias of one schedule."""

    def __init__(self, kms):
        made = [kms.CreateKey(ke.CreateKeyRequest(description="d0")) for _ in range(KEYS + 2)]
        names = [answer.key_metadata.key_id for answer in made]
        self.keys, self.targets = names[:KEYS], names[KEYS:]
        self.alias = "alias/" + uuid.uuid4().hex
        kms.CreateAlias(al.CreateAliasRequest(alias_name=self.alias, target_key_id=self.targets[0]))
        self.blobs = {
            key: kms.Encrypt(cr.EncryptRequest(key_id=key, plaintext=b"x")).ciphertext_blob
            for key in self.keys
        }


# What a client can do to a key: a model's name, the call, its request, and what its answer says.
def use(things, key, draw):
    if draw.random() < 0.5:
        return "use", "Decrypt", cr.DecryptRequest(ciphertext_blob=things.blobs[key]), None
    return "use", "Encrypt", cr.EncryptRequest(key_id=key, plaintext=b"y"), None


def look(_, key, __):
    read = lambda answer: (
        f"{ty.KeyState.Name(answer.key_metadata.key_state).removeprefix('KEY_STATE_')} "
        f"{answer.key_metadata.description}"
    )
    return "look", "DescribeKey", ke.DescribeKeyRequest(key_id=key), read


def change(name, method, request):
    return lambda things, key, draw: (name, method, request(key, draw), None)


MOVES = (
    (8, use),
    (4, look),
    (3, change("disable", "DisableKey", lambda key, _: ke.DisableKeyRequest(key_id=key))),
    (4, change("enable", "EnableKey", lambda key, _: ke.EnableKeyRequest(key_id=key))),
    (
        2,
        change(
            "describe_as",
            "UpdateKeyDescription",
            lambda key, draw: ke.UpdateKeyDescriptionRequest(
                key_id=key, description=f"d{draw.getrandbits(60)}"
            ),
        ),
    ),
    (
        1,
        change(
            "schedule",
            "ScheduleKeyDeletion",
            lambda key, _: ke.ScheduleKeyDeletionRequest(key_id=key),
        ),
    ),
    (
        2,
        change(
            "cancel", "CancelKeyDeletion", lambda key, _: ke.CancelKeyDeletionRequest(key_id=key)
        ),
    ),
)
READS = {"use", "look"}


def alias_move(things, draw):
    if draw.random() < 0.7:
        read = lambda answer: answer.key_metadata.key_id
        return "look", "DescribeKey", ke.DescribeKeyRequest(key_id=things.alias), read
    target = draw.choice(things.targets)
    request = al.UpdateAliasRequest(alias_name=things.alias, target_key_id=target)
    return "point", "UpdateAlias", request, None


class Client(threading.Thread):
    """One of them. It retries a change, with its request_id, until it knows what became of it or
    until `give_up` is set."""

    def __init__(self, stubs, things, history, seed, ended, give_up):
        super().__init__(daemon=True)
        self.stubs, self.things, self.history = stubs, things, history
        self.draw, self.ended, self.give_up = random.Random(seed), ended, give_up
        self.surprises = []  # answers that nothing explains

    def run(self):
        while not self.ended.wait(PAUSE_SECONDS):
            if self.draw.random() < 0.2:
                self.call("alias", *alias_move(self.things, self.draw))
            else:
                key = self.draw.choice(self.things.keys)
                move = self.draw.choices([m for _, m in MOVES], [weight for weight, _ in MOVES])[0]
                self.call(key, *move(self.things, key, self.draw))

    def call(self, of, name, method, request, read):
        is_read = name in READS
        argument = getattr(request, "description", None) or getattr(request, "target_key_id", None)
        if not is_read:
            request.request_id = uuid.UUID(int=self.draw.getrandbits(128)).hex
        began = time.monotonic()
        while True:
            answer = self.send(method, request, read)
            if answer is not None or is_read or self.give_up.is_set():
                break
            time.sleep(RETRY_SECONDS)
        ended = time.monotonic() if answer is not None else FOREVER
        if answer is not None or not is_read:
            self.history.add(Call(of, name, argument, began, ended, answer))

    def send(self, method, request, read):
        try:
            answer = getattr(self.draw.choice(self.stubs), method)(request)
            return ("ok", read(answer) if read else None)
        except grpc.RpcError as error:
            info = harness.error_info(error)
            if error.code() in UNKNOWN:
                return None
            if info is None:
                self.surprises.append(f"{method}: {error.code()} {error.details()}")
                return None
            return ("refused", info.reason)


def check_all(history, things, check):
    """{thing: Contradiction} of what no order explains."""
    found = {}
    for of, calls in history.by_thing().items():
        alias = of == "alias"
        first = things.targets[0] if alias else models.first_key("d0")
        step = models.step_alias if alias else models.step_key
        contradiction = check(calls, first, step)
        if contradiction:
            found[of] = contradiction
    return found
