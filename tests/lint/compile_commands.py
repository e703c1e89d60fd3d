#!/usr/bin/env python3
"""Writes compile_commands.json of our C files, for editors and clang-tidy.

usage: compile_commands.py [OUT]        OUT is compile_commands.json in the root, unless named

Paths below Bazel's execution root become absolute, so that the file works from the root. Generated
headers must have been built.
"""
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BAZEL = os.path.join(ROOT, "bazel/bazel")

# Options with a value, and options alone: where Bazel wants its output, and what only gcc has.
DROPPED_PAIRS = {"-o", "-MF"}
DROPPED = ("-MD", "-frandom-seed=", "-fno-canonical-system-headers", "-Wno-free-nonheap-object",
           "-Wunused-but-set-parameter", "-D__DATE__", "-D__TIME__", "-D__TIMESTAMP__",
           "-Wno-builtin-macro-redefined")
PREFIXES = ("", "-I", "-isystem", "-iquote")


def bazel(*arguments):
    done = subprocess.run([BAZEL, *arguments], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bazel {arguments[0]} failed:\n{done.stderr}")
    return done.stdout


def absolute(word, execution_root):
    """word with a path below the execution root made absolute; external/ stands two levels up."""
    base = os.path.dirname(os.path.dirname(execution_root))
    for prefix in PREFIXES:
        if word.startswith(prefix + "bazel-out/"):
            return prefix + os.path.join(execution_root, word[len(prefix):])
        if word.startswith(prefix + "external/"):
            return prefix + os.path.join(base, word[len(prefix):])
    return word


def rewritten(arguments, execution_root):
    kept, skip = [], False
    for word in arguments:
        if skip:
            skip = False
        elif word in DROPPED_PAIRS:
            skip = True
        elif not word.startswith(DROPPED):
            kept.append(absolute(word, execution_root))
    return kept


def commands():
    execution_root = bazel("info", "execution_root").strip()
    graph = json.loads(bazel("aquery", "--output=jsonproto", 'mnemonic("CppCompile", //...)'))
    entries = {}
    for action in graph.get("actions", []):
        arguments = rewritten(action["arguments"], execution_root)
        source = arguments[arguments.index("-c") + 1]
        if source.endswith(".c") and os.path.exists(os.path.join(ROOT, source)):
            entries[source] = {"directory": ROOT, "file": source, "arguments": arguments}
    return [entries[source] for source in sorted(entries)]


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "compile_commands.json")
    found = commands()
    with open(out, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    print(f"{out}: {len(found)} files")


if __name__ == "__main__":
    main()
