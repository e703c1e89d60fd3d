# What the suites share. Sourced by each, which runs in the root of the tree.
# shellcheck shell=sh

logs=${KEYSTEAD_TEST_LOGS:-.cache/tests}
mkdir -p "$logs"
step=$logs/${0##*/}.step # another suite may run beside this one

# report NAME COMMAND...: runs it and prints one line, and what it said when it failed.
report() {
    name=$1
    shift
    if "$@" >"$step.log" 2>&1; then
        echo "PASS $name"
    else
        cat "$step.log"
        echo "FAIL $name"
    fi
}

# relay NAME COMMAND...: passes its own PASS and FAIL lines on, live. Where it prints none, or
# ends with an error without a FAIL, its exit status is a line of its own.
relay() {
    name=$1
    shift
    rm -f "$step.status"
    { "$@" 2>&1 || echo $? >"$step.status"; } | tee "$step.log"
    if [ -e "$step.status" ]; then
        grep -q '^FAIL ' "$step.log" ||
            echo "FAIL $name: ended with $(cat "$step.status")"
    else
        grep -Eq '^(PASS|FAIL) ' "$step.log" || echo "PASS $name"
    fi
}
