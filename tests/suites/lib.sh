# What the suites share. Sourced by each, which runs in the root of the tree.
# shellcheck shell=sh

logs=${KEYSTEAD_TEST_LOGS:-.cache/tests}
mkdir -p "$logs"

# report NAME COMMAND...: runs it and prints one line, and what it said when it failed.
report() {
    name=$1
    shift
    if "$@" >"$logs/step.log" 2>&1; then
        echo "PASS $name"
    else
        cat "$logs/step.log"
        echo "FAIL $name"
    fi
}

# relay NAME COMMAND...: passes its own PASS and FAIL lines on, live. Where it prints none, or
# ends with an error without a FAIL, its exit status is a line of its own.
relay() {
    name=$1
    shift
    rm -f "$logs/step.status"
    { "$@" 2>&1 || echo $? >"$logs/step.status"; } | tee "$logs/step.log"
    if [ -e "$logs/step.status" ]; then
        grep -q '^FAIL ' "$logs/step.log" ||
            echo "FAIL $name: ended with $(cat "$logs/step.status")"
    else
        grep -Eq '^(PASS|FAIL) ' "$logs/step.log" || echo "PASS $name"
    fi
}
