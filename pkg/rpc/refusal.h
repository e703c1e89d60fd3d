/*
 * refusal: what the transport says when it refuses a call before a handler has seen it.
 *
 * Private to pkg/rpc. Threads: values.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/bytes.h"

#define KS_RPC_REFUSED_NO_MESSAGE                                                                  \
    "the call ended before a whole request message had arrived; nothing was done"
#define KS_RPC_REFUSED_TWO_MESSAGES                                                                \
    "the method takes one request message, and more than one came; nothing was done"
#define KS_RPC_REFUSED_COMPRESSED "compressed messages are not accepted; send them uncompressed"
#define KS_RPC_REFUSED_ENDED      "the certificate has ended since the connection began; connect anew"

#define KS_RPC_REFUSAL_LEN 256U /* bytes of a text that is made, NUL included */

/* Writes "unknown method /x.Y/Z" to ret_text. The path is the client's: what cannot be shown is
 * replaced by '?', and what is too long is cut. */
void ks_rpc_refusal_unknown(char ret_text[KS_RPC_REFUSAL_LEN], ks_bytes path);

/* Writes that a message of len bytes is longer than the method's limit of len_max to ret_text. */
void ks_rpc_refusal_too_long(char ret_text[KS_RPC_REFUSAL_LEN], size_t len, size_t len_max);
