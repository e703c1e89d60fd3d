#!/bin/sh
# The hsm links no etcd, store, rpc or http: what is not in the process cannot be used against it.
# usage: link_test.sh PROGRAM
set -eu

program=$1
failed=0

refuse() {
    echo "keystead-hsm links $1: $2"
    failed=1
}

# Shared libraries: a list of what may be there, so that a new one has to be argued for.
for library in $(readelf -d "$program" | sed -n 's/.*Shared library: \[\(.*\)\]/\1/p'); do
    case $library in
        libc.so.* | libcrypto.so.* | libprotobuf-c.so.* | libseccomp.so.* | libyaml-0.so.* | \
            libdl.so.* | libpthread.so.* | libm.so.* | libgcc_s.so.* | \
            libasan.so.* | libubsan.so.* | libtsan.so.* | libstdc++.so.* | ld-linux*) ;;
        *) refuse "a library" "$library" ;;
    esac
done

# Our own folders, by the prefixes of their functions.
symbols=$(nm --defined-only "$program" | awk '{print $3}')
[ -n "$symbols" ] || refuse "nothing that can be seen" "it is stripped"
for prefix in ks_etcd_ ks_store_ ks_rpc_ ks_lmdb_ ks_json_ ks_policy_ grpc_ curl_ mdb_ json_; do
    found=$(echo "$symbols" | grep "^$prefix" | head -1 || true)
    [ -z "$found" ] || refuse "code" "$found"
done

# It listens on a Unix socket and connects to nobody but to itself, for the status command.
for name in getaddrinfo gethostbyname inet_pton popen system; do
    if nm --undefined-only "$program" | awk '{print $2}' | grep -q "^$name@\|^$name$"; then
        refuse "a function" "$name"
    fi
done
[ "$failed" = 0 ] && echo "links only what it may"
exit "$failed"
