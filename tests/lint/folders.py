#!/usr/bin/env python3
"""Fails where a folder of pkg or services has no README.md, BUILD.bazel or test, where a README
does not begin with its folder's path or is longer than a page, and where the top level has grown.

usage: folders.py ROOT
"""
import os
import sys

README_LINES_MAX = 80
TOP_LEVEL = {"services", "proto", "pkg", "deploy", "tests", "bazel", "docs", "WORKSPACE",
             "BUILD.bazel", "README.md", "LICENSE", "CHANGELOG.md", "compile_commands.json"}


def readme_errors(root, folder):
    path = os.path.join(root, folder, "README.md")
    if not os.path.exists(path):
        return [f"{folder}: has no README.md"]
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    errors = []
    if not lines or lines[0] != f"# {folder}":
        errors.append(f"{folder}/README.md: does not begin with '# {folder}'")
    if len(lines) > README_LINES_MAX:
        errors.append(f"{folder}/README.md: {len(lines)} lines, at most {README_LINES_MAX}")
    return errors


def has_file(root, folder, ending):
    return any(name.endswith(ending) for _, _, names in os.walk(os.path.join(root, folder))
               for name in names)


def folder_errors(root, folder):
    errors = readme_errors(root, folder)
    if not os.path.exists(os.path.join(root, folder, "BUILD.bazel")):
        errors.append(f"{folder}: has no BUILD.bazel")
    if has_file(root, folder, ".c") and not has_file(root, folder, "_test.c"):
        errors.append(f"{folder}: has no test")
    return errors


def check(root):
    """The number of folders, and a line for each error."""
    errors = [f"{name}: the top level is fixed" for name in sorted(os.listdir(root))
              if name not in TOP_LEVEL and not name.startswith((".", "bazel-"))]
    folders = [f"{top}/{name}" for top in ("pkg", "services")
               for name in sorted(os.listdir(os.path.join(root, top)))
               if os.path.isdir(os.path.join(root, top, name))]
    for folder in folders:
        errors += folder_errors(root, folder)
    return len(folders), errors


def main():
    count, errors = check(sys.argv[1])
    for error in errors:
        print(error)
    print(f"{count} folders, {len(errors)} errors")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
