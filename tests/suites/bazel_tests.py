#!/usr/bin/env python3
"""Runs Bazel's tests and prints PASS or FAIL for each target, with the number of its cmocka tests,
and SKIP with its reason for each cmocka test that could not run here (tests/harness/skip.h).

usage: bazel_tests.py NAME ARGUMENT...      NAME stands before each target's name; the arguments
                                            are those of `bazel test`
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Bazel's exit codes: all well; tests failed; nothing to test. Others are a build that failed.
DONE, TESTS_FAILED, NO_TESTS = 0, 3, 4


def cmocka_count(log, word):
    """The sum over the groups of a test: cmocka ends each with its numbers."""
    return sum(int(n) for n in re.findall(rf"^\[  {word}  \] (\d+) test\(s\)", log, re.M))


def skipped(log):
    """(name, why) of each cmocka test that ended itself. cmocka lists them once more at the end."""
    running, why = "", ""
    for line in log.splitlines():
        if found := re.match(r"\[ RUN      \] (\w+)$", line):
            running, why = found[1], "it does not say why"
        elif line.startswith("[  BECAUSE ] "):
            why = line.removeprefix("[  BECAUSE ] ")
        elif line == f"[  SKIPPED ] {running}":
            yield running, why
            running = ""


def read_log(event):
    for output in event.get("testActionOutput", []):
        if output.get("name") == "test.log":
            path = urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read()
    return ""


def results(path):
    """label: (passed?, log) of each target that ran, or came from the cache."""
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if "testResult" in event:
                label = event["id"]["testResult"]["label"]
                result = event["testResult"]
                found[label] = (result["status"] == "PASSED", read_log(result))
    return found


def lines(name, found, exit_code):
    for label, (passed, log) in sorted(found.items()):
        for test, why in skipped(log):
            yield f"SKIP {name} {label} {test}: {why}"
        good, bad = cmocka_count(log, "PASSED"), cmocka_count(log, "FAILED")
        if passed:
            whole = 0 if any(skipped(log)) else 1
            yield f"PASS {name} {label} ({max(good, whole)})"
        else:
            if good:
                yield f"PASS {name} {label}, in part ({good})"
            yield f"FAIL {name} {label} ({max(bad, 1)})"
    explained = exit_code == TESTS_FAILED and not all(passed for passed, _ in found.values())
    if exit_code not in (DONE, NO_TESTS) and not explained:
        yield f"FAIL {name}: bazel test ended with {exit_code}; see above"


def main():
    name, arguments = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        events = os.path.join(folder, "events.json")
        code = subprocess.run(
            [os.path.join(ROOT, "bazel/bazel"), "test", "--keep_going", "--curses=no",
             "--color=no", "--show_progress_rate_limit=15", "--ui_event_filters=-info",
             "--noshow_loading_progress", "--test_summary=none",
             "--build_event_json_file=" + events, *arguments],
            cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, check=False).returncode
        found = results(events) if os.path.exists(events) else {}
    failed = False
    for line in lines(name, found, code):
        failed = failed or line.startswith("FAIL")
        print(line)
    return failed


if __name__ == "__main__":
    sys.exit(main())
