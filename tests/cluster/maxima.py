"""Requests whose members stand at their maxima, all at once: made from the options of the proto
files, so that a member or an operation that is added is covered as it is."""

import uuid

from keystead.api.v1 import options_pb2 as options
from keystead.kms.v1 import kms_pb2

SERVICE = kms_pb2.DESCRIPTOR.services_by_name["KeyManagementService"]
MESSAGE_MAX = 4 << 20  # bytes of a call: keystead/kms/v1/batch.proto
WIDE = "\U0001d11e"  # the longest in UTF-8: four bytes


def limits_of(field):
    member = field.GetOptions().Extensions[options.member]
    shape = options.Shape.DESCRIPTOR.values_by_number[member.shape]
    return shape.GetOptions().Extensions[options.limits]


def context():
    """128 pairs and 8192 bytes: proto/formats/encryption-context.md allows no more. An encoding has
    two bytes, and four for each pair: 59 bytes are left for each, and 126 for all."""
    return {f"{i:03}" + WIDE * 5: WIDE * 9 + "x" * (i < 126) for i in range(128)}


class Values:
    """What members are given that name something. By default nothing is named, only the form is
    kept: such a request is refused for what it says."""

    def key(self, limits):
        return WIDE * limits.max

    def alias(self, limits, made):
        return "alias/" + "x" * (limits.max - len("alias/"))

    def ciphertext(self, limits):
        return b"x" * limits.max

    def opaque(self, limits):
        """A policy or a marker."""
        return WIDE * limits.max


class Named(Values):
    """Members name what there is; what only the service can make is left out."""

    def __init__(self, key, blob, alias):
        self.key_arn, self.blob, self.alias_name = key, blob, alias

    def key(self, limits):
        return self.key_arn

    def alias(self, limits, made):
        if not made:
            return self.alias_name
        unique = uuid.uuid4().hex
        return "alias/" + unique + "x" * (limits.max - len("alias/") - len(unique))

    def ciphertext(self, limits):
        return self.blob

    def opaque(self, limits):
        return None


def value_of(field, index, values):
    """Of a member that is one value; None: it is left out. Flags and enums have no maximum."""
    member, limits = field.GetOptions().Extensions[options.member], limits_of(field)
    if member.HasField("alias"):
        return values.alias(limits, member.alias.made)
    if member.key.form == options.KEY_FORM_CIPHERTEXT:
        return values.ciphertext(limits)
    if member.shape == options.SHAPE_KEY_ID:
        return values.key(limits)
    if member.shape in (options.SHAPE_POLICY, options.SHAPE_MARKER):
        return values.opaque(limits)
    if field.type == field.TYPE_BYTES:
        return b"x" * limits.max
    if field.type == field.TYPE_INT32:
        return limits.max
    if field.type != field.TYPE_STRING:
        return None
    if limits.pattern:
        return uuid.uuid4().hex.ljust(limits.max, "x")
    head = "" if index is None else str(index)  # elements of a list differ
    return head + WIDE * (limits.max - len(head))


def fill(message, values, short_texts=False, left_out=(), index=None):
    for field in message.DESCRIPTOR.fields:
        limits = limits_of(field)
        if field.name in left_out:
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            getattr(message, field.name).update(context())
        elif field.label == field.LABEL_REPEATED and field.message_type:
            for i in range(limits.max):
                fill(getattr(message, field.name).add(), values, short_texts, left_out, i)
        elif field.label == field.LABEL_REPEATED:
            text = WIDE * (limits.element_min if short_texts else limits.element_max)
            getattr(message, field.name).extend([text] * limits.max)
        else:
            value = value_of(field, index, values)
            if value is not None:
                setattr(message, field.name, value)


def requests(method, values):
    """The largest requests of a method. A batch that is too long for one call comes twice: with as
    many entries as fit, and with all of them but the shortest texts in lists."""
    make = method.input_type._concrete_class  # noqa: SLF001
    operation = method.GetOptions().Extensions[options.operation]
    entry = SERVICE.methods_by_name[operation.batch_of or method.name]
    choices = entry.GetOptions().Extensions[options.operation].choices
    left_out = {name for choice in choices for name in choice.members[1:]}
    request = make()
    fill(request, values, left_out=left_out)
    if request.ByteSize() <= MESSAGE_MAX:
        return [request]
    assert operation.batch_of, f"{method.name}: a request that keeps its limits is too long"
    while request.ByteSize() > MESSAGE_MAX:
        del request.entries[-1]
    many = make()
    fill(many, values, short_texts=True, left_out=left_out)
    assert many.ByteSize() <= MESSAGE_MAX
    return [request, many]
