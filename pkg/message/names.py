#!/usr/bin/env python3
"""Writes a C table of the names by which a client knows our messages' members and enum values.

usage: names.py SET.binpb... > names_table.c

It reads FileDescriptorSets by itself, so that the build needs no package of protobuf's: reading
them takes a dozen lines. Files of other packages than ours (google.protobuf, which options import)
are skipped. When the json_name of a member is the one that protoc makes up (keyId), the table has
it with its first letter in upper case (KeyId), as AWS spells members.
"""
import sys

# AWS writes the states of a key in another case than all its other values.
CAMEL_CASE_ENUMS = {"keystead.kms.v1.KeyState"}

OUR_PACKAGES = "keystead."

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, value) of each field; a value is an int or bytes."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = varint(data, at)
        elif kind == BYTES:
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
        else:
            length = {FIXED64: 8, FIXED32: 4}[kind]
            value, at = data[at:at + length], at + length
        yield tag >> 3, value


def all_of(data, number):
    return [value for n, value in fields(data) if n == number]


def text_of(data, number):
    return next((value.decode() for value in all_of(data, number)), "")


def number_of(data, number):
    return next(iter(all_of(data, number)), 0)


def camel_case(name, first_upper):
    words = name.split("_")
    head = words[0] if not first_upper else words[0].capitalize()
    return head + "".join(w[:1].upper() + w[1:] for w in words[1:])


def json_name(field):
    name, given = text_of(field, 1), text_of(field, 10)
    return camel_case(name, True) if given == camel_case(name, False) else given


def enum_prefix(name):
    """KeySpec: KEY_SPEC_"""
    return "".join("_" + c if c.isupper() else c for c in name).lstrip("_").upper() + "_"


def enum_rows(full_name, enum):
    prefix = enum_prefix(full_name.split(".")[-1])
    for value in all_of(enum, 2):
        text = text_of(value, 1).removeprefix(prefix)
        if full_name in CAMEL_CASE_ENUMS:
            text = camel_case(text.lower(), True)
        if number_of(value, 2) != 0:
            yield full_name, number_of(value, 2), text


def rows(package, file):
    """The rows of members and of enum values in one FileDescriptorProto."""
    members, values = [], []
    waiting = [(f"{package}.{text_of(m, 1)}", m) for m in all_of(file, 4)]
    while waiting:
        name, message = waiting.pop()
        members += [(name, text_of(f, 1), json_name(f)) for f in all_of(message, 2)]
        waiting += [(f"{name}.{text_of(m, 1)}", m) for m in all_of(message, 3)]
        for enum in all_of(message, 4):
            values += enum_rows(f"{name}.{text_of(enum, 1)}", enum)
    for enum in all_of(file, 5):
        values += enum_rows(f"{package}.{text_of(enum, 1)}", enum)
    return members, values


def main():
    members, values = set(), set()
    for path in sys.argv[1:]:
        with open(path, "rb") as opened:
            for file in all_of(opened.read(), 1):
                package = text_of(file, 2)
                if package.startswith(OUR_PACKAGES):
                    more_members, more_values = rows(package, file)
                    members.update(more_members)
                    values.update(more_values)
    print('#include "pkg/message/names.h"\n')
    print("const struct ks_member_name ks_member_names[] = {")
    for row in sorted(members):
        print('    {"%s", "%s", "%s"},' % row)
    print("};\nconst size_t ks_member_name_count = "
          "sizeof(ks_member_names) / sizeof(ks_member_names[0]);\n")
    print("const struct ks_value_name ks_value_names[] = {")
    for row in sorted(values):
        print('    {"%s", %d, "%s"},' % row)
    print("};\nconst size_t ks_value_name_count = "
          "sizeof(ks_value_names) / sizeof(ks_value_names[0]);")


if __name__ == "__main__":
    main()
