#!/bin/sh
# test_certs DIR: a process root and the certificates that keystore_test needs, as NAME.pem, NAME.key.
set -eu
cd "$1"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj "/CN=process" -keyout root.key -out root.pem 2>/dev/null

leaf() { # NAME SPIFFE-PATH SERIAL
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
        -keyout "$1.key" -out "$1.csr" 2>/dev/null
    printf 'subjectAltName=URI:spiffe://keystead/%s\nextendedKeyUsage=serverAuth,clientAuth\n' \
        "$2" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA root.pem -CAkey root.key -set_serial "$3" -days 30 \
        -extfile "$1.ext" -out "$1.pem" 2>/dev/null
}

leaf keystore region/ap-seoul-1/keystore/ap-seoul-1a 11
leaf peer region/ap-seoul-1/keystore/ap-seoul-1b 12
leaf frontend region/ap-seoul-1/frontend/frontend-1 13
leaf foreign region/us-oregon-1/frontend/frontend-1 14
leaf operator operator/alice 15
leaf control control 16
leaf tenant account/111122223333/user/alice 17
