#!/usr/bin/env python3
"""Fails where an operation of the API is named in more hand-written files than it needs.

usage: operations.py ALLOWED ROOT

An operation is a method of kms.proto. Its name, as CreateKey or as create_key, belongs in four
files: kms.proto, the file with its messages, its handler, and the row of the command line. Tests,
fixtures and pages may name what they show, and so may comments; they are not counted, nor are
actions ("kms:CreateKey") and what is generated.

ALLOWED has lines "OPERATION COUNT  # reason" for those that are named in more. The list may only
shrink: a count that is higher than needed, or an operation that needs no entry, is an error.
"""
import os
import re
import sys

FILES_MAX = 4
TOPS = ("bazel", "deploy", "pkg", "proto", "services")
ENDS = (".c", ".h", ".proto", ".py", ".bzl", ".bazel", ".yaml")
TEST = re.compile(r"(_test|_fixture|_fuzz|_bench|_suite)\.[ch]$|/fixture/")
ACTION = re.compile(r"\"kms:\w+\"")
METHOD = re.compile(r"^\s*rpc (\w+)\(", re.M)


def sources(root):
    for top in TOPS:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = [f for f in folders if not f.startswith((".", "bazel-"))]
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith(ENDS) and not TEST.search(path):
                    yield path


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def pattern_of(name, others):
    """Whatever names it and not an operation whose name only begins or ends with it."""
    longer = [o for o in others if o != name and name in o]
    words = [name, snake(name)]
    avoid = "|".join(re.escape(w) for o in longer for w in (o, snake(o)))
    match = "|".join(r"(?<![A-Za-z])%s(?=Request|Response|\b|_request|_response|\()" % re.escape(w)
                     for w in words[:1])
    match += r"|(?<![a-z])(?:ks_run_)?%s(?![a-z])" % re.escape(words[1])
    return re.compile(match), re.compile(avoid) if avoid else None


def named_in(texts, name, others):
    wanted, avoid = pattern_of(name, others)
    found = []
    for path, text in texts.items():
        if wanted.search(avoid.sub("", text) if avoid else text):
            found.append(path)
    return found


def code_of(path):
    """The file without comments and actions; directives of C stay."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    comment = re.compile(r"#[^\n]*") if path.endswith((".py", ".bzl", ".bazel", ".yaml")) \
        else re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
    return ACTION.sub("", comment.sub("", text))


def read_allowed(path):
    allowed, errors = {}, []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = re.fullmatch(r"(\w+) (\d+)\s+# \S.*\n", line)
            if match:
                allowed[match[1]] = int(match[2])
            else:
                errors.append(f"{path}:{number}: OPERATION COUNT  # reason")
    return allowed, errors


def check(allowed_path, root):
    """(number of operations, errors)"""
    allowed, errors = read_allowed(allowed_path)
    with open(os.path.join(root, "proto/keystead/kms/v1/kms.proto"), encoding="utf-8") as f:
        operations = METHOD.findall(f.read())
    texts = {os.path.relpath(path, root): code_of(path) for path in sources(root)}
    for name in operations:
        found = named_in(texts, name, operations)
        most = allowed.pop(name, FILES_MAX)
        if len(found) > most:
            errors.append(f"{name}: named in {len(found)} files, {most} are allowed: "
                          + " ".join(sorted(found)))
        elif most > FILES_MAX and len(found) < most:
            errors.append(f"{name}: named in {len(found)} files; lower its {most}")
    errors += [f"{name}: no such operation; take it off the list" for name in allowed]
    return len(operations), errors


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    count, errors = check(sys.argv[1], sys.argv[2])
    print("\n".join(errors + [f"{count} operations, {len(errors)} errors"]))
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
