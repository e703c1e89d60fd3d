#!/usr/bin/env python3
"""Runs clang-tidy on every C file of compile_commands.json, two at a time on two cores.

usage: tidy.py COMMANDS CACHE [PART]...     PART limits it to files whose path contains one

Prints PASS or FAIL for each file. What passed is not checked again until the file, a header it
reaches, its command or the profile changes: CACHE holds a name for each such state. The names hold
for every copy of the tree, so that a new clone uses what another one has found: CACHE stands
outside of the tree. A name that nobody has asked for in KEPT_DAYS is removed.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEPT_DAYS = 30
INCLUDE = re.compile(rb'^\s*#\s*include\s+["<]([^">]+)[">]', re.M)


def include_folders(arguments):
    """Folders of the command in which our own and generated headers stand."""
    folders = [ROOT]
    for index, word in enumerate(arguments):
        if word in ("-isystem", "-iquote", "-I"):
            folders.append(os.path.join(ROOT, arguments[index + 1]))
    return folders


def reached(source, folders):
    """source and all headers it reaches in folders, as absolute paths."""
    seen, queue = set(), [os.path.join(ROOT, source)]
    while queue:
        path = queue.pop()
        if path in seen:
            continue
        seen.add(path)
        with open(path, "rb") as file:
            headers = INCLUDE.findall(file.read())
        for header in headers:
            places = (os.path.join(folder, header.decode()) for folder in folders)
            queue += [place for place in places if os.path.isfile(place)][:1]
    return sorted(seen)


# Bazel's folder of one copy of the tree; what stands in it is the same in all that are alike.
EXECUTION_ROOT = re.compile(r"/[^ ]*/bazel/[0-9a-f]{32}/")


def everywhere(text):
    """text without what differs between two copies of the same tree."""
    return EXECUTION_ROOT.sub("BAZEL/", text).replace(ROOT + "/", "")


def state_of(entry, profile):
    digest = hashlib.sha256(profile)
    digest.update(json.dumps([everywhere(word) for word in entry["arguments"]]).encode())
    paths = reached(entry["file"], include_folders(entry["arguments"]))
    for name, path in sorted((everywhere(path), path) for path in paths):
        with open(path, "rb") as file:
            digest.update(name.encode() + hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def remove_old(cache):
    for mark in os.scandir(cache):
        if time.time() - mark.stat().st_mtime > KEPT_DAYS * 86400:
            os.remove(mark.path)


def tidy(entry, commands, cache, profile):
    """None when it passes, else what clang-tidy said."""
    mark = os.path.join(cache, state_of(entry, profile))
    if os.path.exists(mark):
        os.utime(mark)
        return None
    done = subprocess.run(
        ["clang-tidy", "--quiet", "-p", os.path.dirname(commands), entry["file"]],
        cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        with open(mark, "w", encoding="utf-8"):
            return None
    return done.stdout + done.stderr


def version():
    return subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout


def main():
    commands, cache, parts = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:]
    os.makedirs(cache, exist_ok=True)
    remove_old(cache)
    with open(commands, encoding="utf-8") as file:
        entries = [e for e in json.load(file)
                   if not parts or any(part in e["file"] for part in parts)]
    with open(os.path.join(ROOT, ".clang-tidy"), "rb") as file:
        profile = file.read() + version()
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [(e, pool.submit(tidy, e, commands, cache, profile)) for e in entries]
        for entry, job in jobs:
            said = job.result()
            failed += said is not None
            print(f"{said}FAIL tidy {entry['file']}" if said else f"PASS tidy {entry['file']}",
                  flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
