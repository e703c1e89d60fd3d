#!/usr/bin/env python3
"""Writes the table of operations from the options in the proto files.

usage: generate.py SET.binpb table|bounds|list OUT

table   the rows, C code of operation.h
bounds  the largest row of each kind, limits and defaults that code needs, as constants
list    each operation that is carried out, as KS_OPERATIONS(ROW): ROW(number, Name, name)

What the options say wrongly ends the build, with the place.
"""
import re
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "keystead.kms.v1.KeyManagementService"
OPTIONS = "keystead.api.v1"
EXTENSION = 50100
NONE = "KS_MEMBER_NONE"
UTF8_LEN = 4
FIELD_HEAD = 10  # bytes of a field's tag and length, at most
CONTEXT_PAIRS = 128  # pkg/blob/context.h; table.c asserts them
CONTEXT_LEN = 8192
BOUNDED = ("PLAINTEXT", "CIPHERTEXT", "BYTE_COUNT", "REQUEST_ID")  # shapes that code has room for
SEPARATORS = (":", "/")  # between a condition key and the name of an element
Field = descriptor_pb2.FieldDescriptorProto


class Wrong(Exception):
    pass


class Set:
    """A descriptor set whose options can be read."""

    def __init__(self, path):
        files = descriptor_pb2.FileDescriptorSet()
        with open(path, "rb") as f:
            files.ParseFromString(f.read())
        self.pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self.pool.Add(file)
        self.option_types = {name: self.message_class(f"{OPTIONS}.{name}")
                             for name in ("Operation", "Member", "Limits")}
        shape_enum = self.pool.FindEnumTypeByName(f"{OPTIONS}.Shape")
        self.shapes = {v.number: self.option(v, "Limits") for v in shape_enum.values}
        self.enum = {
            name: {v.number: v.name for v in
                   self.pool.FindEnumTypeByName(f"{OPTIONS}.{name}").values}
            for name in ("Kind", "Room", "KeyForm", "StateRule", "Shape")
        }

    def message_class(self, name):
        """Python's class for a message; Debian 12's library makes it in another way than 13's."""
        described = self.pool.FindMessageTypeByName(name)
        if hasattr(message_factory, "GetMessageClass"):
            return message_factory.GetMessageClass(described)
        return message_factory.MessageFactory(self.pool).GetPrototype(described)

    def members_of(self, message):
        """The members of a message that stands within requests."""
        return [Member(self, field) for field in self.pool.FindMessageTypeByName(message).fields]

    def option(self, described, name):
        """The option of that type, empty where it is not there."""
        raw = described.GetOptions().SerializeToString()
        found = self.option_types[name]()
        for number, value in wire_fields(raw):
            if number == EXTENSION:
                found.MergeFromString(value)
        return found


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def wire_fields(data):
    """(number, bytes) of each field of options; all that we look for are messages."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 2:
            length, at = varint(data, at)
            yield tag >> 3, data[at:at + length]
            at += length
        elif tag & 7 == 0:
            _, at = varint(data, at)
        else:
            raise Wrong("an option of a type that no option of ours has")


def camel(name):
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def c_text(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"') if text else "NULL"


def charset(pattern):
    """Two words with a bit for each character of the class."""
    if not re.fullmatch(r"\^\[[^\]]+\]\+\$", pattern):
        raise Wrong(f"{pattern}: a pattern is one class of characters: ^[a-z]+$")
    bits = sum(1 << c for c in range(128) if re.match(pattern, chr(c)))
    return "{{0x%xU, 0x%xU}}" % (bits & (1 << 64) - 1, bits >> 64)


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def type_of(field):
    repeated = field.label == Field.LABEL_REPEATED
    if is_map(field):
        return "CONTEXT"
    if field.message_type is not None:
        if repeated and field.message_type.name == "Tag":
            return "TAGS"
        if repeated and field.name == "entries":
            return "ENTRIES"
    kinds = {Field.TYPE_BOOL: "FLAG", Field.TYPE_STRING: "TEXT", Field.TYPE_BYTES: "BYTES",
             Field.TYPE_INT32: "NUMBER", Field.TYPE_ENUM: "ENUM"}
    kind = kinds.get(field.type)
    if repeated and kind in ("TEXT", "ENUM"):
        return kind + "S"
    if repeated or kind is None:
        raise Wrong(f"{field.full_name}: no member of a request has this type yet")
    return kind


def enum_values(field):
    """Numbers run from 1 on; names without the enum's own."""
    values = [v for v in field.enum_type.values if v.number != 0]
    if [v.number for v in values] != list(range(1, len(values) + 1)):
        raise Wrong(f"{field.enum_type.full_name}: values are to be numbered without a gap")
    prefix = snake(field.enum_type.name).upper() + "_"
    return ", ".join(v.name[len(prefix):] for v in values), len(values)


class Member:
    """A member of a request, with its row."""

    def __init__(self, files, field):
        self.files = files
        self.field = field
        self.option = files.option(field, "Member")
        self.limits = files.shapes[self.option.shape]
        self.type = type_of(field)
        self.form = files.enum["KeyForm"][self.option.key.form][len("KEY_FORM_"):]
        if self.type in ("TEXT", "BYTES", "TEXTS") and self.option.shape == 0:
            raise Wrong(f"{field.full_name}: it has no shape, so a client could grow it")
        if self.type in ("NUMBER", "ENUMS", "TAGS", "ENTRIES") and self.option.shape == 0:
            raise Wrong(f"{field.full_name}: it has no shape")
        if self.limits.min > self.limits.max:
            raise Wrong(f"{field.full_name}: its shape has a minimum above its maximum")
        self.about = NONE
        self.check_absence()
        self.check_condition()

    def check_absence(self):
        """What stands for a member that is absent is one of its values."""
        text = self.option.if_absent
        if not text:
            return
        if self.type == "ENUM" and text in enum_values(self.field)[0].split(", "):
            return
        if self.type == "NUMBER" and self.limits.min <= int(text) <= self.limits.max:
            return
        raise Wrong(f"{self.field.full_name}: its absence cannot stand for {text}")

    def check_condition(self):
        condition = self.option.condition
        if not self.option.HasField("condition"):
            return
        named = self.type in ("CONTEXT", "TAGS")
        if self.type in ("BYTES", "ENTRIES") or self.option.secret:
            raise Wrong(f"{self.field.full_name}: no policy may ask for its value")
        if condition.key.endswith(SEPARATORS) != named or (condition.names and not named):
            raise Wrong(f"{self.field.full_name}: its condition key does not fit its type")

    def facts_max(self):
        """How many facts it makes for a decision, at most."""
        if not self.option.HasField("condition"):
            return 0
        keys = 2 if self.option.condition.names else 1
        if self.type == "CONTEXT":
            return keys * CONTEXT_PAIRS
        return keys * (self.limits.max if self.type in ("TAGS", "TEXTS", "ENUMS") else 1)

    def row(self):
        limits = self.limits
        parts = [f".field = {self.field.number}", f'.name = "{camel(self.field.name)}"',
                 f".type = KS_MEMBER_{self.type}"]
        if self.option.HasField("key"):
            parts.append(f".key_form = KS_KEY_FORM_{self.form}")
        for name in ("required", "secret"):
            if getattr(self.option, name):
                parts.append(f".{name} = true")
        for name in ("min", "max", "element_min", "element_max"):
            if getattr(limits, name):
                parts.append(f".{name} = {getattr(limits, name)}")
        if limits.pattern:
            parts += [f".pattern = {c_text(limits.pattern)}",
                      f".charset = {charset(limits.pattern)}"]
        if self.type in ("ENUM", "ENUMS"):
            values, count = enum_values(self.field)
            parts += [f'.values = "{values}"', f".value_max = {count}"]
        if limits.text:
            parts.append(f".text = {c_text(limits.text)}")
            parts.append(f".text_code = KS_{limits.error or 'VALIDATION'}")
        if self.option.key.alias_text:
            parts.append(f".alias_text = {c_text(self.option.key.alias_text)}")
        if self.option.alias.made:
            parts.append(".alias_made = true")
        if self.option.if_absent:
            parts.append(f".if_absent = {c_text(self.option.if_absent)}")
        if self.option.HasField("condition"):
            condition = self.option.condition
            parts.append(f".condition = {{{c_text(condition.key)}, {c_text(condition.names)}, "
                         f"{self.about}}}")
        return "{" + ", ".join(parts) + "}"

    def joint_maximum(self):
        """(fields, bytes) that it takes at most."""
        limits = self.limits
        if self.type == "CONTEXT":
            pairs = CONTEXT_PAIRS
            return 3 * pairs, CONTEXT_LEN + 3 * FIELD_HEAD * pairs
        if self.type == "TAGS":
            tag = self.files.members_of(self.field.message_type.full_name)
            text = sum(m.joint_maximum()[1] for m in tag)
            return 3 * limits.max, limits.max * (text + FIELD_HEAD)
        if self.type == "TEXTS":
            return limits.max, limits.max * (UTF8_LEN * limits.element_max + FIELD_HEAD)
        if self.type == "ENUMS":
            return 2 * limits.max, 2 * limits.max * FIELD_HEAD  # each packed by itself
        if self.type == "TEXT":
            return 1, UTF8_LEN * limits.max + FIELD_HEAD
        if self.type == "BYTES":
            return 1, limits.max + FIELD_HEAD
        return 1, 2 * FIELD_HEAD


class Operation:
    """A method, with its rows."""

    def __init__(self, files, method):
        self.method = method
        self.files = files
        self.name = method.name
        self.option = files.option(method, "Operation")
        self.request = method.input_type
        self.members = [Member(files, field) for field in self.request.fields]
        self.index = {m.field.name: i for i, m in enumerate(self.members)}
        self.kind = files.enum["Kind"][self.option.kind][len("KIND_"):]
        room = files.enum["Room"][self.option.room][len("ROOM_"):]
        self.room = room if self.option.room else "CHANGES"
        self.is_batch = bool(self.option.batch_of)
        self.check()
        self.confirm()
        self.resources = self.find_resources()
        self.direct_conditions()

    def check(self):
        where = self.method.full_name
        if self.option.kind == 0:
            raise Wrong(f"{where}: it has no kind")
        if self.is_batch != (self.option.number == 0):
            raise Wrong(f"{where}: it has a number or is a batch")
        if self.option.room and self.kind != "MUTATION":
            raise Wrong(f"{where}: mutations alone need room")
        if (self.kind == "MUTATION") != ("request_id" in self.index):
            raise Wrong(f"{where}: mutations, and they alone, have a request_id")

    def confirm(self):
        """A member that confirms a ciphertext's key is a key identifier itself."""
        for member in self.members:
            name = member.option.key.confirmed_by
            if name:
                self.members[self.member(name)].form = "KEY_OR_ALIAS"
                self.members[self.member(name)].option.key.form = 2

    def member(self, name):
        if name not in self.index:
            raise Wrong(f"{self.method.full_name}: it has no member {name}")
        return self.index[name]

    def usage(self, key):
        if not key.usage:
            return 0
        usages = self.files.pool.FindEnumTypeByName("keystead.kms.v1.KeyUsage").values_by_name
        name = "KEY_USAGE_" + key.usage
        if name not in usages:
            raise Wrong(f"{self.method.full_name}: no usage is called {key.usage}")
        return usages[name].number

    def find_resources(self):
        own = "kms:" + self.name
        confirmations = {m.option.key.confirmed_by for m in self.members}
        rows = []
        if self.option.account_action:
            rows.append(("ACCOUNT", self.option.account_action, NONE, NONE, "ANY", 0))
        for i, m in enumerate(self.members):
            if m.option.account_action:
                rows.append(("ACCOUNT", m.option.account_action, i, NONE, "ANY", 0))
            if m.option.HasField("alias"):
                rows.append(("ALIAS", m.option.alias.action or own, i, NONE, "ANY", 0))
            if m.option.HasField("key") and m.field.name not in confirmations:
                key = m.option.key
                rule = self.files.enum["StateRule"][key.states][len("STATE_RULE_"):]
                confirmed = self.member(key.confirmed_by) if key.confirmed_by else NONE
                rows.append(("KEY", key.action or own, i, confirmed,
                             "ANY" if key.states == 0 else rule, self.usage(key)))
        return rows

    def direct_conditions(self):
        """A condition is about a resource that the request names, or about all."""
        if self.option.same_key_condition and self.key_count() != 2:
            raise Wrong(f"{self.method.full_name}: two keys, and they alone, may be one")
        for m in self.members:
            if m.option.condition.about:
                m.about = self.member(m.option.condition.about)
                if m.about not in [row[2] for row in self.resources]:
                    raise Wrong(f"{m.field.full_name}: its condition is about no resource")

    def joint_maximum(self, by_name):
        if self.is_batch:
            return by_name[self.option.batch_of].joint_maximum(by_name)
        sums = [m.joint_maximum() for m in self.members]
        return sum(s[0] for s in sums), sum(s[1] for s in sums)

    def rows(self, by_name):
        low = snake(self.name)
        yield f"static const struct ks_member {low}_members[] = {{"
        for m in self.members:
            yield f"    {m.row()},"
        yield "};\n"
        if self.resources:
            yield f"static const struct ks_resource {low}_resources[] = {{"
            for type_, action, member, confirmed, states, usage in self.resources:
                yield (f'    {{KS_RESOURCE_{type_}, "{action}", {member}, {confirmed}, '
                       f"KS_KEY_RULE_{states}, {usage}}},")
            yield "};\n"
        if self.option.choices:
            yield f"static const struct ks_choice {low}_choices[] = {{"
            for choice in self.option.choices:
                indexes = [self.member(name) for name in choice.members]
                bits = sum(1 << i for i in indexes)
                yield f"    {{0x{bits:x}U, {indexes[0]}, {c_text(choice.text)}}},"
            yield "};\n"
        fields, length = self.joint_maximum(by_name)
        yield f"static const struct ks_operation {low} = {{"
        yield f'    .name = "{self.name}",'
        yield f'    .path = "/{SERVICE}/{self.name}",'
        yield f"    .number = {self.option.number},"
        yield f"    .kind = KS_OPERATION_{self.kind},"
        yield f"    .room = KS_ROOM_{self.room},"
        yield f"    .other_accounts = {'true' if self.option.other_accounts else 'false'},"
        for side, type_ in (("request", self.request), ("response", self.method.output_type)):
            yield f"    .{side} = &keystead__kms__v1__{snake(type_.name)}__descriptor,"
        yield f"    .members = {low}_members,"
        yield f"    .member_count = {len(self.members)},"
        if self.resources:
            yield f"    .resources = {low}_resources,"
            yield f"    .resource_count = {len(self.resources)},"
            yield f"    .key_count = {self.key_count()},"
        if self.option.choices:
            yield f"    .choices = {low}_choices,"
            yield f"    .choice_count = {len(self.option.choices)},"
        yield f"    .request_id = {self.index.get('request_id', NONE)},"
        if self.option.same_key_condition:
            yield f"    .same_key_condition = {c_text(self.option.same_key_condition)},"
        yield f"    .fields_max = {fields},"
        yield f"    .len_max = {length},"
        if self.is_batch:
            yield f"    .entry = &{snake(self.option.batch_of)},"
        yield "};\n"

    def key_count(self):
        return sum(1 for row in self.resources if row[0] == "KEY")


def read(files):
    operations = [Operation(files, m) for m in files.pool.FindServiceByName(SERVICE).methods]
    numbers = [o.option.number for o in operations if not o.is_batch]
    if len(set(numbers)) != len(numbers):
        raise Wrong("two operations have one number")
    names = {o.name for o in operations}
    for o in operations:
        if o.is_batch and o.option.batch_of not in names:
            raise Wrong(f"{o.name}: no method is called {o.option.batch_of}")
    return operations


def write_table(files, operations, out):
    by_name = {o.name: o for o in operations}
    out.append('#include "pkg/operation/operation.h"\n')
    out.append('#include "keystead/kms/v1/kms.pb-c.h"')
    out.append('#include "pkg/blob/blob.h"')
    out.append('#include "pkg/blob/context.h"\n')
    out.append(f"_Static_assert(KS_CONTEXT_PAIRS_MAX == {CONTEXT_PAIRS}, \"generate.py\");")
    out.append(f"_Static_assert(KS_CONTEXT_LEN_MAX == {CONTEXT_LEN}, \"generate.py\");")
    out.append("_Static_assert(KS_PLAINTEXT_MAX == KS_BLOB_PLAINTEXT_MAX, \"a blob has room\");")
    out.append("_Static_assert(KS_CIPHERTEXT_MAX >= KS_BLOB_LEN_MAX, \"a blob can come back\");\n")
    for o in sorted(operations, key=lambda o: o.is_batch):
        out += o.rows(by_name)
    out.append("const struct ks_member ks_tag_members[KS_TAG_MEMBER_COUNT] = {")
    out += [f"    {m.row()}," for m in files.members_of("keystead.kms.v1.Tag")]
    out.append("};\n")
    out.append("const struct ks_operation *const ks_operations[] = {")
    out += [f"    &{snake(o.name)}," for o in operations]
    out.append("};\n")
    out.append(f"const size_t ks_operation_count = {len(operations)};")


def request_id(limits):
    """What a request_id may be, in each form that code needs."""
    letters = "".join(chr(c) for c in range(128) if re.match(limits.pattern, chr(c)))
    text = f"request_id must be 1 to {limits.max} of {limits.pattern.strip('^+$')}"
    return [f"#define KS_REQUEST_ID_LETTERS {c_text(letters)}",
            f"#define KS_REQUEST_ID_TEXT {c_text(text)}"]


def defaults(operations):
    for o in operations:
        for m in o.members:
            if m.option.if_absent and m.type == "NUMBER":
                name = f"KS_DEFAULT_{snake(o.name)}_{m.field.name}".upper()
                yield f"#define {name} {m.option.if_absent}"


def write_bounds(files, operations, out):
    by_name = {o.name: o for o in operations}
    single = [o for o in operations if not o.is_batch]
    bounds = {
        "KS_OPERATION_NUMBER_MAX": max(o.option.number for o in single),
        "KS_OPERATION_COUNT": len(operations),
        "KS_OPERATION_MEMBERS_MAX": max(len(o.members) for o in operations),
        "KS_OPERATION_KEYS_MAX": max(o.key_count() for o in operations),
        "KS_OPERATION_FACTS_MAX": max(sum(m.facts_max() for m in o.members) for o in operations),
        "KS_OPERATION_LEN_MAX": max(o.joint_maximum(by_name)[1] for o in single),
        "KS_TAGS_MAX": max(m.limits.max for o in operations for m in o.members
                           if m.type == "TAGS"),
        "KS_BATCH_ITEMS_MAX": max(o.members[0].limits.max for o in operations if o.is_batch),
    }
    if bounds["KS_OPERATION_MEMBERS_MAX"] > 64:
        raise Wrong("presence of members is kept in 64 bits")
    shapes = {name[len("SHAPE_"):]: files.shapes[number]
              for number, name in files.enum["Shape"].items()}
    bounds.update({f"KS_{name}_MAX": shapes[name].max for name in BOUNDED})
    out.append("/* bounds: the largest operation in each respect; some limits, and defaults. */")
    out.append("#pragma once\n")
    out += [f"#define {name} {value}U" for name, value in bounds.items()]
    out += request_id(shapes["REQUEST_ID"])
    out += defaults(operations)


def write_list(_, operations, out):
    out.append("/* list: each operation that is carried out: its number, and a row. */")
    out.append("#pragma once\n")
    rows = [f"ROW({o.option.number}, {o.name}, {snake(o.name)})"
            for o in operations if not o.is_batch]
    out += [f"#define KS_NUMBER_{snake(o.name).upper()} {o.option.number}U"
            for o in operations if not o.is_batch]
    out.append("\n#define KS_OPERATIONS(ROW) \\")
    out.append(" \\\n".join("    " + row for row in rows))


WRITERS = {"table": write_table, "bounds": write_bounds, "list": write_list}


def main():
    if len(sys.argv) != 4 or sys.argv[2] not in WRITERS:
        sys.exit(__doc__)
    try:
        out = []
        files = Set(sys.argv[1])
        WRITERS[sys.argv[2]](files, read(files), out)
    except Wrong as wrong:
        sys.exit(f"generate.py: {wrong}")
    with open(sys.argv[3], "w", encoding="utf-8") as f:
        f.write("\n".join(out) + "\n")


main()
