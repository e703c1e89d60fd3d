#!/usr/bin/env python3
"""Fails where C code uses what the code style bans, or outgrows its limits.

usage: banned.py ALLOWED ROOT

ALLOWED has one line for each exception: FILE WORD COUNT  # reason. WORD is a name of BANNED, or
function-lines:NAME, or file-lines. COUNT is exact, so an exception that is no longer needed, or
that grew, is an error, too.
"""
import collections
import os
import re
import sys

CODE_FOLDERS = ("pkg", "services", "tests")
TEXT_ENDINGS = (".c", ".h", ".py", ".sh", ".md", ".proto", ".bzl", ".bazel", ".txt", ".yaml")
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800

# What is banned, and what to use instead.
BANNED = {
    "strcpy": "snprintf or ks_bytes",
    "strcat": "ks_buffer_append",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets",
    "strtok": "ks_bytes",
    "atoi": "strtol, with its errors",
    "atol": "strtol, with its errors",
    "alloca": "a bounded array or ks_alloc",
    "malloc": "ks_alloc",
    "calloc": "ks_alloc",
    "realloc": "ks_realloc",
    "free": "ks_free",
    "strdup": "ks_strdup",
    "strndup": "ks_bytes_dup",
    "memcmp": "ks_bytes_equal, or ks_secret_equal for secrets",
    "bzero": "ks_wipe",
    "goto": "KS_CLEANUP",
    "rand": "ks_random of pkg/crypto",
    "random": "ks_random of pkg/crypto",
    "getrandom": "ks_random of pkg/crypto",
}

WORD = re.compile(r"\b(?:goto\b|(?:%s)\s*\()" % "|".join(b for b in BANNED if b != "goto"))
FUNCTION = re.compile(r"^(\w[^\n;{}#]*\([^;{}]*\)[^;{}]*)\n\{\n(.*?)^\}", re.M | re.S)
UNNUMBERED = re.compile(r"\bTODO\b(?!\(#\d+\))|\bFIXME\b|\bXXX\b")


def blank(match):
    """Keeps the lines, drops the rest."""
    return re.sub(r"[^\n]", " ", match.group(0))


def without_comments(code):
    pattern = r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    return re.sub(pattern, blank, code, flags=re.S)


def function_lengths(code):
    """(name, lines from the first of its head to its closing brace) of each function."""
    for match in FUNCTION.finditer(code):
        name = re.search(r"(\w+)\s*\(", match.group(1)).group(1)
        yield name, match.group(0).count("\n") + 1


def findings_in_c(code):
    """A Counter of banned words, too long functions and a too long file."""
    bare = without_comments(code)
    found = collections.Counter(
        m.group(0).rstrip("(").strip() for m in WORD.finditer(bare))
    for name, lines in function_lengths(bare):
        if lines > FUNCTION_LINES_MAX:
            found[f"function-lines:{name}"] = lines
    lines = code.count("\n")
    if lines > FILE_LINES_MAX:
        found["file-lines"] = lines
    return found


def files(root):
    for folder in sorted(os.listdir(root)):
        if folder.startswith("bazel-"):
            continue  # Bazel's link to what it has built
        for base, folders, names in os.walk(os.path.join(root, folder)):
            folders[:] = sorted(f for f in folders if f[0] != "." and f != "node_modules")
            for name in sorted(names):
                if folder[0] != "." and name.endswith(TEXT_ENDINGS):
                    yield os.path.relpath(os.path.join(base, name), root)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def read_allowed(path):
    allowed, errors = {}, []
    for number, line in enumerate(read(path).splitlines(), 1):
        entry, _, reason = line.partition("#")
        words = entry.split()
        if words and (len(words) != 3 or not reason.strip()):
            errors.append(f"{path}:{number}: wants FILE WORD COUNT  # reason")
        elif words:
            allowed[words[0], words[1]] = int(words[2])
    return allowed, errors


def advice(word):
    return f"use {BANNED[word]}" if word in BANNED else "split it by responsibility"


def check(allowed_path, root):
    """The number of files, and a line for each error."""
    allowed, errors = read_allowed(allowed_path)
    count = 0
    for path in files(root):
        text = read(os.path.join(root, path))
        count += 1
        if not path.startswith("tests/lint/"):
            errors += [f"{path}: {m.group(0)} without the number of an issue, as in TODO(#12)"
                       for m in UNNUMBERED.finditer(text)]
        if path.split("/")[0] not in CODE_FOLDERS or not path.endswith((".c", ".h")):
            continue
        for word, found in sorted(findings_in_c(text).items()):
            expected = allowed.pop((path, word), 0)
            if found != expected:
                errors.append(f"{path}: {word} {found}, allowed {expected}; {advice(word)}")
    errors += [f"{path}: {word} is allowed and not needed" for path, word in allowed]
    return count, errors


def main():
    count, errors = check(sys.argv[1], sys.argv[2])
    for error in errors:
        print(error)
    print(f"{count} files, {len(errors)} errors")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
