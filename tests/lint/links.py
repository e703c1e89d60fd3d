#!/usr/bin/env python3
"""Fails where a program links what links.txt says it must never link. Asks Bazel.

usage: links.py RULES

RULES has one line for each package of programs: PACKAGE FORBIDDEN...  # reason. FORBIDDEN is a
package of ours, with all below it, or a repository of a system library.
"""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(path):
    """(package, forbidden) of each line whose package is there already."""
    with open(path, encoding="utf-8") as file:
        lines = [line.split("#")[0].split() for line in file]
    return [(words[0], words[1:]) for words in lines
            if words and os.path.exists(os.path.join(ROOT, words[0][2:], "BUILD.bazel"))]


def linked(package):
    """The labels of all that the programs of a package are made of. Measurements are none."""
    query = f'deps(attr("testonly", 0, kind("cc_binary", {package}/...)))'
    done = subprocess.run([os.path.join(ROOT, "bazel/bazel"), "query", "--noshow_progress", query],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bazel query failed:\n{done.stderr}")
    return done.stdout.split()


def matches(label, forbidden):
    return label.startswith((forbidden + ":", forbidden + "/"))


def errors_of(package, forbidden, labels):
    if not labels:
        yield f"{package}: has no program"
    for name in forbidden:
        hits = [label for label in labels if matches(label, name)]
        if hits:
            yield f"{package}: links {name} ({hits[0]})"


def main():
    rules = read(sys.argv[1])
    errors = [e for package, forbidden in rules
              for e in errors_of(package, forbidden, linked(package))]
    for error in errors:
        print(error)
    print(f"{len(rules)} programs, {len(errors)} errors")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
