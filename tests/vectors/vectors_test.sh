#!/bin/sh
# The golden files are what the pages of proto/formats say, and each label of labels.md stands in
# the code once, and no label in the code is missing there.
# usage: vectors_test.sh, in the root of the repository
set -eu

python3 tests/vectors/make_vectors.py tests/vectors --check
python3 tests/vectors/file_vectors.py tests/vectors/file.json --check
python3 tests/vectors/backup_vectors.py tests/vectors/backup.json --check

page=proto/formats/labels.md
listed=$(sed -n 's/^| `\(keystead\/[a-z0-9/-]*\)`.*/\1/p' "$page" | sort)
[ -n "$listed" ]
[ "$(echo "$listed" | uniq -d)" = "" ] || { echo "$page: a label stands twice"; exit 1; }

used=$(grep -rhoE '"keystead/[a-z0-9/-]+/v[0-9]+"' --include='*.c' --exclude='*_test.c' \
    --exclude='*_fuzz.c' pkg services | tr -d '"' | sort -u)
if [ "$listed" != "$used" ]; then
    echo "$page (left) and the code (right) differ:"
    printf '%s\n' "$listed" >"${TMPDIR:-/tmp}/labels.$$"
    printf '%s\n' "$used" | diff "${TMPDIR:-/tmp}/labels.$$" - || true
    rm -f "${TMPDIR:-/tmp}/labels.$$"
    exit 1
fi
echo "vectors and labels are as their pages say"
