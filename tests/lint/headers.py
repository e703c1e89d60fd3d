#!/usr/bin/env python3
"""Fails where a header of pkg or services does not say what becomes of a function's outputs.

usage: headers.py ALLOWED ROOT

A function that can fail, returns a bool or writes an output needs a comment. The comment may stand
above a run of prototypes without a blank line between them. It must say:

  - how the function fails, if it returns a ks_result ("Fails: ...")
  - what an output (ret_...) holds after a failure or when the function returns false ("on success
    only", "untouched", "unchanged", "unspecified", "zero", ...)
  - when a bool is true or false ("Returns whether ...")

A sentence in the comment at the top of the header ("Outputs are written on success only") counts
for all of its functions, and so does one on how each function fails.

ALLOWED has lines "HEADER FUNCTION  # reason". It may only shrink: an entry that is not needed any
more is an error.
"""
import os
import re
import sys

TOPS = ("pkg", "services")
COMMENT = r"/\*(?:[^*]|\*(?!/))*\*/"
# A prototype begins in the first column and ends with the first semicolon. What stands in braces
# is no prototype: with_functions_only takes it away.
PROTOTYPE = re.compile(
    r"^(?P<comment>" + COMMENT + r"\n)?"
    r"(?P<run>(?:^(?![ \t#/}\n])[^;{}]*?\([^;{}]*\)[^;{}()]*;[^\n]*\n)+)", re.M)
NAME = re.compile(r"\b(ks_\w+)\s*\(")
OUTPUT = re.compile(r"\bret_\w*|\*ret\b")
SAYS_OUTPUT = re.compile(r"success|fail|unchanged|untouched|unspecified|\bzero|false|nothing|as "
                         r"(it was|above)", re.I)
SAYS_FAILURE = re.compile(r"\bfail", re.I)
SAYS_BOOL = re.compile(r"whether|\btrue\b|\bfalse\b", re.I)
HEAD_FAILS = re.compile(r"\b(each|every) function\b[^.]*\bfail", re.I)
HEAD_OUTPUTS = re.compile(r"\boutputs?\b[^.]*\b(success|fail)", re.I)


def with_functions_only(text):
    """The header without directives, macros' bodies and whatever stands in braces."""
    text = re.sub(r"(?m)^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", "", text)
    before = None
    while before != text:
        before, text = text, re.sub(r"\{[^{}]*\}", ";", text)
    return text


def functions(text):
    """(name, prototype, comment) of each function that the header declares."""
    for match in PROTOTYPE.finditer(with_functions_only(text)):
        comment = " ".join(re.sub(r"(?m)^\s*\*", " ", match["comment"] or "").split())
        for statement in match["run"].split(";"):
            name = NAME.search(re.sub(r"__attribute__\(\(.*?\)\)\)?", "", statement))
            is_type = statement.lstrip().startswith(("typedef", "static", "extern const"))
            if name and not is_type:
                yield name[1], statement, comment


def lacks(prototype, comment, head):
    """What the comment does not say of the function; None if it says all."""
    head = " ".join(re.sub(r"(?m)^\s*\*", " ", head).split())
    head_speaks = bool(HEAD_OUTPUTS.search(head))
    has_output = bool(OUTPUT.search(prototype))
    # Without KS_MUST_USE it only hands back the code that it was given.
    can_fail = re.search(r"\bKS_MUST_USE\s+ks_result\s+ks_\w+\s*\(", prototype)
    is_bool = re.search(r"\bbool\s+ks_\w+\s*\(", prototype)
    if not comment:
        return "has no comment" if can_fail or is_bool or has_output else None
    if can_fail and not SAYS_FAILURE.search(comment) and not HEAD_FAILS.search(head):
        return "does not say how it fails"
    if is_bool and not SAYS_BOOL.search(comment):
        return "does not say when it returns true or false"
    if has_output and (can_fail or is_bool) and not head_speaks:
        said = re.sub(r"Fails:.*", "", comment) if can_fail else comment
        if not SAYS_OUTPUT.search(said) and not re.search(
                r"(unchanged|untouched|unspecified|as it was|zero|on success only)", comment):
            return "does not say what its output holds after a failure"
    return None


def headers(root):
    for top in TOPS:
        for base, folders, names in os.walk(os.path.join(root, top)):
            folders.sort()
            for name in sorted(names):
                if name.endswith(".h") and not name.endswith(("_fixture.h", "_suite.h")):
                    yield os.path.relpath(os.path.join(base, name), root)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def read_allowed(path):
    allowed, errors = set(), []
    for number, line in enumerate(read(path).splitlines(), 1):
        entry, _, reason = line.partition("#")
        words = entry.split()
        if words and (len(words) != 2 or not reason.strip()):
            errors.append(f"{path}:{number}: wants HEADER FUNCTION  # reason")
        elif words:
            allowed.add(tuple(words))
    return allowed, errors


def check(allowed_path, root):
    """The number of functions, and a line for each error."""
    allowed, errors = read_allowed(allowed_path)
    count, needed = 0, set()
    for path in headers(root):
        text = read(os.path.join(root, path))
        head = re.match(COMMENT, text)
        for name, prototype, comment in functions(text):
            count += 1
            lack = lacks(prototype, comment, head.group(0) if head else "")
            if lack and (path, name) in allowed:
                needed.add((path, name))
            elif lack:
                errors.append(f"{path}: {name} {lack}")
    errors += [f"{path}: {name} is fine now; take it off the list"
               for path, name in sorted(allowed - needed)]
    return count, errors


def main():
    count, errors = check(sys.argv[1], sys.argv[2])
    for error in errors:
        print(error)
    print(f"{count} functions, {len(errors)} errors")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
