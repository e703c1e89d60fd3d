#!/usr/bin/env python3
"""Runs clang-tidy on every C file of compile_commands.json, two at a time on two cores.

usage: tidy.py COMMANDS CACHE [PART]...     PART limits it to files whose path contains one

Prints PASS or FAIL for each file. What passed is not checked again until the file, a header it
reaches, its command or the profile changes: CACHE holds a name for each such state.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
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


def state_of(entry, profile):
    digest = hashlib.sha256(profile + json.dumps(entry["arguments"]).encode())
    for path in reached(entry["file"], include_folders(entry["arguments"])):
        with open(path, "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def tidy(entry, commands, cache, profile):
    """None when it passes, else what clang-tidy said."""
    mark = os.path.join(cache, state_of(entry, profile))
    if os.path.exists(mark):
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
