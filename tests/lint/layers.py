#!/usr/bin/env python3
"""Fails where a file includes a folder that layers.txt does not let it include.

usage: layers.py RULES ROOT

RULES has these lines; a # starts a comment:

  layer NAME FOLDER...        from the lowest to the highest. A folder may be let include only its
                              own layer and lower ones; of pkg and services each has a layer.
  FOLDER: ALLOWED...          what FOLDER may include besides itself; the longest FOLDER wins,
                              and lines of the same one add up.
                              ALLOWED is a folder below ROOT, with all below it (with `/.` behind
                              it: the folder alone), or the folder part of a third-party or
                              generated header, or `*` for everything.
  test PATTERN... : ALLOWED   adds to files whose name matches a pattern.
  guard HEADER...             third-party headers that stand in no folder, such as lmdb.h; other
                              such headers are taken for the standard library's.

Besides, a third-party header must not arrive through the header of another folder whose includer
is not let include it: a library's types do not show in our headers. Rules may not form a circle,
and an allowance that no file needs is an error, unless its folder does not exist yet.
"""
import fnmatch
import os
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)
SYSTEM_FOLDERS = ("sys/", "linux/", "netinet/", "arpa/", "net/", "asm/", "bits/", "sanitizer/")
LAYERED = ("pkg", "services")


class Rules:
    def __init__(self, path):
        self.allowed, self.layers, self.extra, self.guarded = {}, [], [], set()
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                self.add(line.split("#")[0].strip())

    def add(self, line):
        words = line.split()
        if not words:
            return
        if words[0] == "layer":
            self.layers.append((words[1], words[2:]))
        elif words[0] == "guard":
            self.guarded.update(words[1:])
        elif words[0] == "test":
            patterns, _, allowed = line[4:].partition(":")
            self.extra.append((patterns.split(), allowed.split()))
        else:
            folder, _, allowed = line.partition(":")
            self.allowed.setdefault(folder.strip(), []).extend(allowed.split())

    def owner(self, folder):
        return max((r for r in self.allowed if below(folder, r)), key=len, default=folder)

    def for_file(self, owner, name):
        extra = [a for patterns, more in self.extra for a in more
                 if any(fnmatch.fnmatch(name, p) for p in patterns)]
        return self.allowed.get(owner, []) + extra

    def height(self, folder):
        """The number of folder's layer; None for what has none."""
        heights = [(len(f), h) for h, (_, folders) in enumerate(self.layers)
                   for f in folders if below(folder, f)]
        return max(heights)[1] if heights else None


def below(path, folder):
    """Whether path is folder or stands below it; if folder ends in `/.`, whether it is folder."""
    if folder.endswith("/."):
        return path == folder[:-2]
    return path == folder or path.startswith(folder + "/")


def c_files(root):
    for base, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f[0] != "." and f != "node_modules")
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                yield os.path.relpath(os.path.join(base, name), root)


class Tree:
    """What each C file below root includes: our files by path, other headers by folder."""

    def __init__(self, root, guarded):
        self.root, self.guarded = root, guarded
        self.ours, self.others = {}, {}
        for path in c_files(root):
            self.read(path)

    def read(self, path):
        self.ours[path], self.others[path] = [], []
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
            for mark, header in INCLUDE.findall(file.read()):
                near = os.path.normpath(os.path.join(os.path.dirname(path), header))
                if os.path.exists(os.path.join(self.root, header)):
                    self.ours[path].append(header)
                elif mark == '"' and os.path.exists(os.path.join(self.root, near)):
                    self.ours[path].append(near)
                elif "/" in header and not header.startswith(SYSTEM_FOLDERS):
                    self.others[path].append(os.path.dirname(header))
                elif mark == '"' or header in self.guarded:
                    self.others[path].append(header)

    def reached(self, path):
        """(folder of a third-party header, header of ours it came through) seen by path."""
        seen, queue = set(), list(self.ours[path])
        while queue:
            header = queue.pop()
            if header not in seen and header in self.ours:
                seen.add(header)
                queue += self.ours[header]
        return sorted({(other, h) for h in seen for other in self.others[h]})


def include_errors(rules, tree, used):
    for path in tree.ours:
        owner = rules.owner(os.path.dirname(path))
        allowed = [owner] + rules.for_file(owner, os.path.basename(path))

        def hit(target, owner=owner, allowed=allowed):
            found = next((a for a in allowed if a == "*" or below(target, a)), None)
            used.add((owner, found))
            return found

        for target in [os.path.dirname(h) for h in tree.ours[path]] + tree.others[path]:
            if not hit(target):
                yield f"{path}: {owner} may not include {target}"
        for target, through in tree.reached(path):
            if not below(os.path.dirname(through), owner) and not hit(target):
                yield f"{path}: {target} shows in {through}, which it includes"


def unused_errors(rules, root, used):
    for folder, allowed in rules.allowed.items():
        if os.path.isdir(os.path.join(root, folder)):
            for a in allowed:
                if a != "*" and (folder, a) not in used:
                    yield f"{folder}: no file includes {a}; take it off the list"


def layer_errors(rules, root):
    for top in LAYERED:
        folder = os.path.join(root, top)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            path = f"{top}/{name}"
            if not os.path.isdir(os.path.join(root, path)):
                continue
            if rules.height(path) is None:
                yield f"{path}: stands in no layer"
            if path not in rules.allowed:
                yield f"{path}: has no rule"
    for folder, allowed in rules.allowed.items():
        for a in allowed:
            mine, other = rules.height(folder), rules.height(a.removesuffix("/."))
            if other is not None and mine is not None and other > mine:
                yield f"{folder}: {a} is in a higher layer"
            if below(folder, "services") and below(a, "services") and not below(a, folder):
                yield f"{folder}: services never include each other ({a})"


def circle_errors(rules):
    """Takes away folders that allow none of the rest, until only circles are left."""
    rest = {f: [a for a in (a.removesuffix("/.") for a in allowed)
                if a in rules.allowed and a != f]
            for f, allowed in rules.allowed.items()}
    for _ in range(len(rest)):
        rest = {f: [a for a in allowed if a in rest] for f, allowed in rest.items()}
        rest = {f: allowed for f, allowed in rest.items() if allowed}
    if rest:
        yield "a circle: " + ", ".join(sorted(rest))


def check(rules_path, root):
    """The number of files, and a line for each error."""
    rules = Rules(rules_path)
    tree = Tree(root, rules.guarded)
    used = set()
    errors = list(include_errors(rules, tree, used))
    errors += unused_errors(rules, root, used)
    errors += layer_errors(rules, root)
    errors += circle_errors(rules)
    return len(tree.ours), errors


def main():
    files, errors = check(sys.argv[1], sys.argv[2])
    for error in errors:
        print(error)
    print(f"{files} files, {len(errors)} errors")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
