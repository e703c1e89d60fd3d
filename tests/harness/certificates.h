/*
 * certificates: throw-away roots and leaves as PEM files in one folder, NAME.pem and NAME.key. They
 * are made with OpenSSL alone, so that they don't rest on pkg/crypto, which they help to test, and
 * can be what Keystead would never issue.
 *
 * Whatever goes wrong ends the program. Threads: one a folder.
 */
#pragma once

#include <stdint.h>

#define CERTIFICATE_SERIAL_LEN 32U /* hex digits */

struct certificate_root {
    const char *name;  /* its common name, too */
    const char *curve; /* as OpenSSL calls it; NULL: "P-256" */
    int life_days;     /* from now; 0: a month. It begins yesterday. */
};

/* Writes a self-signed root. */
void certificates_root(const char *folder, const struct certificate_root *root);

struct certificate_leaf {
    const char *root; /* NAME of the files that sign it */
    const char *name;
    /* As OpenSSL writes them: "IP:127.0.0.1,URI:spiffe://test/client/a". Texts hold no comma. */
    const char *alternative_names;
    int64_t not_after_s; /* since 1970; 0: in a month */
};

/*
 * Writes a P-256 key and its certificate, for a server and a client alike.
 *
 * ret_serial  CERTIFICATE_SERIAL_LEN hex digits, lower case, and a NUL. May be NULL.
 */
void certificates_leaf(const char *folder, const struct certificate_leaf *leaf, char *ret_serial);
