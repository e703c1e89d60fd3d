#!/bin/sh
# certs DIR: two roots and the certificates that the tests of pkg/rpc need, as NAME.pem and NAME.key.
set -eu
cd "$1"

root() { # NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
        -subj "/CN=$1" -keyout "$1.key" -out "$1.pem" 2>/dev/null
}

leaf() { # NAME ROOT SUBJECT-ALTERNATIVE-NAMES
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
        -keyout "$1.key" -out "$1.csr" 2>/dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -set_serial "$4" -days 30 \
        -extfile "$1.ext" -out "$1.pem" 2>/dev/null
}

root root
root other_root
leaf server root "IP:127.0.0.1,URI:spiffe://test/server/a" 11
leaf server_renewed root "IP:127.0.0.1,URI:spiffe://test/server/a" 12
leaf server_elsewhere root "IP:127.0.0.1,URI:spiffe://test/elsewhere/a" 13
leaf server_two_names root "IP:127.0.0.1,URI:spiffe://test/server/a,URI:spiffe://test/server/b" 14
leaf client root "URI:spiffe://test/client/a" 21
leaf client_renewed root "URI:spiffe://test/client/renewed" 22
leaf stranger root "URI:spiffe://test/stranger" 23
leaf nameless root "DNS:client.test" 24
leaf outsider other_root "URI:spiffe://test/client/a" 25
