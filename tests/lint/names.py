#!/usr/bin/env python3
"""Fails where two files that one program links define a struct, union or enum of the same name, or
two headers define a macro of the same name, or two headers of the same name both export functions
with that name as their prefix. Asks Bazel.

These are the names that mean one thing here and another there. A function may have another prefix
than its file: 160 do, most of them their folder's (ks_etcd_, ks_hsm_) or that of what they work on
(ks_key_). No reader takes one for another, and the linker refuses two of the same name.

usage: names.py ALLOWED RULES

RULES is links.txt: its packages are those whose programs are read. ALLOWED has one line for each
name that stands twice: NAME FILE FILE  # reason. A line that is no longer needed is an error.
"""
import collections
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TAG = re.compile(r"^(?:typedef\s+)?(?:struct|union|enum)\s+(ks_\w+)\s*\{", re.M)
MACRO = re.compile(r"^#define (KS_\w+)", re.M)
FUNCTION = re.compile(r"^[^\s/*#].*?\b(ks_\w+)\(", re.M)


def sources(package):
    """The C files and headers of ours that the programs of a package are made of."""
    programs = f'kind("cc_binary", {package}/...) except attr("testonly", 1, {package}/...)'
    query = f'kind("source file", deps({programs}))'
    done = subprocess.run([os.path.join(ROOT, "bazel/bazel"), "query", "--noshow_progress", query],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bazel query failed:\n{done.stderr}")
    return sorted(label[2:].replace(":", "/") for label in done.stdout.split()
                  if label.startswith(("//pkg", "//services")) and label.endswith((".c", ".h")))


def owned(path, text):
    """The names that the file has for itself: tags and macros that it defines, its prefix."""
    for tag in TAG.findall(text):
        yield tag
    if path.endswith(".h"):
        yield from MACRO.findall(text)
        prefix = f"ks_{os.path.splitext(os.path.basename(path))[0]}_"
        if any(name.startswith(prefix) for name in FUNCTION.findall(text)):
            yield prefix + "*"


def twice(files):
    """(name, file, file) of each name that two of the files own; files maps paths to texts."""
    owners = collections.defaultdict(list)
    for path, text in sorted(files.items()):
        for name in set(owned(path, text)):
            owners[name].append(path)
    return {(name, one, other) for name, paths in owners.items()
            for index, one in enumerate(paths) for other in paths[index + 1:]}


def read_allowed(path):
    allowed, errors = set(), []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            entry, _, reason = line.partition("#")
            words = entry.split()
            if words and (len(words) != 3 or not reason.strip()):
                errors.append(f"{path}:{number}: wants NAME FILE FILE  # reason")
            elif words:
                allowed.add(tuple(words))
    return allowed, errors


def errors_of(found, allowed):
    for name, one, other in sorted(found - allowed):
        yield f"{name}: in {one} and in {other}, which one program links; rename one of them"
    for name, one, other in sorted(allowed - found):
        yield f"{name}: no longer in {one} and {other}; take it off the list"


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        packages = [words[0] for words in (line.split("#")[0].split() for line in file) if words]
    allowed, errors = read_allowed(sys.argv[1])
    found = set()
    for package in packages:
        found |= twice({path: read(path) for path in sources(package)
                        if os.path.exists(os.path.join(ROOT, path))})
    errors += errors_of(found, allowed)
    for error in errors:
        print(error)
    print(f"{len(packages)} programs, {len(errors)} errors")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
