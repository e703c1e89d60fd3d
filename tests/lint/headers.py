#!/usr/bin/env python3
"""Fails where a header of pkg or services does not say what becomes of a function's outputs.

usage: headers.py ROOT

A function that can fail, returns a bool or writes an output needs a comment. The comment may stand
above a run of prototypes without a blank line between them. It must say:

  - how the function fails, if it returns a ks_result ("Fails: ...")
  - when a bool is true or false ("Returns whether ...")
  - what each output holds after a failure, or when the function returns false ("untouched",
    "unspecified", "written on success only", "may then hold a part of it", ...)

Outputs are ret_x, reterr_x, *ret, and a struct ks_buffer that is appended to. If a function has
one, any such words will do. If it has several, the words must stand behind each output's name, up
to the next output's or to "Fails:", or in a sentence about all of them ("Nothing is written on
failure", "Both are untouched ..."). "Fails: as above" says nothing of outputs.

A sentence in the comment at the top of the header ("Outputs are written on success only") counts
for all of its functions, and so does one on how each function fails.
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
OUTPUT = re.compile(r"\bret(?:err)?_\w+|\*ret\b|(?<!const )\bstruct ks_buffer \*\w+")
# What an output holds when the function did not do what it is for.
SAYS_STATE = re.compile(
    r"\b(un(touched|changed|specified)|on (success|failure|false)|after success"
    r"|(after|with|before) (a|any) failure|as (it|they) (was|were)|left alone|in any case"
    r"|may (then )?hold|then (holds?|is|are|has)\b"
    r"|(not|nothing is|only) written|written with [A-Z_]+ only"
    r"|(when|if|with) ([\w]+ )*(returns (true|false)|(true|false) is returned))\b", re.I)
SAYS_ALL = re.compile(r"\b(outputs?|both|neither|nothing|all of them|they|each)\b", re.I)
REFERENCE = re.compile(r"\bFails:? as [^.;]*|[A-Z_]{4,} \(as [^)]*\)")
SAYS_FAILURE = re.compile(
    r"\bFails\b|\bfails (with|when|if|as)\b|[Rr]eturns (that failure|[A-Z_]{4,})")
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
        lines = (match["comment"] or "").strip("/*\n ").splitlines()
        comment = " ".join(line.strip(" *") for line in lines)
        for statement in match["run"].split(";"):
            name = NAME.search(re.sub(r"__attribute__\(\(.*?\)\)\)?", "", statement))
            is_type = statement.lstrip().startswith(("typedef", "static", "extern const"))
            if name and not is_type:
                yield name[1], statement, comment


def outputs(prototype):
    """The names of a function's outputs, as comments call them."""
    return {found.split("*")[-1] for found in OUTPUT.findall(" ".join(prototype.split()))}


def clauses_of(output, comment):
    """What the comment says of an output: its sentence, and on to the next row or to "Fails:"."""
    for match in re.finditer(rf"[^.;]*\b{output}\b.*?(?=$|Fails:|(?<!,) \w+(, \w+)*  )", comment):
        yield match[0]


def tells_state(output, comment, all_outputs):
    """Whether the comment says what the output holds when the function did not succeed."""
    if len(all_outputs) == 1:
        return SAYS_STATE.search(comment)
    if any(SAYS_STATE.search(clause) for clause in clauses_of(output, comment)):
        return True
    return any(SAYS_ALL.search(sentence) and SAYS_STATE.search(sentence)
               for sentence in re.split(r"[.;]", comment))


def silent_outputs(prototype, comment):
    comment, found = REFERENCE.sub(" ", comment), outputs(prototype)
    return sorted(output for output in found if not tells_state(output, comment, found))


def lacks(prototype, comment, head):
    """What the comment does not say of the function; None if it says all."""
    head = " ".join(re.sub(r"(?m)^\s*\*", " ", head).split())
    # Without KS_MUST_USE it only hands back the code that it was given.
    can_fail = re.search(r"\bKS_MUST_USE\s+ks_result\s+ks_\w+\s*\(", prototype)
    is_bool = re.search(r"\bbool\s+ks_\w+\s*\(", prototype)
    if not comment:
        return "has no comment" if can_fail or is_bool or outputs(prototype) else None
    if can_fail and not SAYS_FAILURE.search(comment) and not HEAD_FAILS.search(head):
        return "does not say how it fails"
    if is_bool and not SAYS_BOOL.search(comment):
        return "does not say when it returns true or false"
    if (can_fail or is_bool) and not HEAD_OUTPUTS.search(head):
        silent = silent_outputs(prototype, comment)
        if silent:
            return f"does not say what {', '.join(silent)} holds after a failure"
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


def check(root):
    """The number of functions, and a line for each error."""
    count, errors = 0, []
    for path in headers(root):
        text = read(os.path.join(root, path))
        head = re.match(COMMENT, text)
        for name, prototype, comment in functions(text):
            count += 1
            lack = lacks(prototype, comment, head.group(0) if head else "")
            if lack:
                errors.append(f"{path}: {name} {lack}")
    return count, errors


def main():
    count, errors = check(sys.argv[-1])
    for error in errors:
        print(error)
    print(f"{count} functions, {len(errors)} errors")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
