#include "pkg/rpc/refusal.h"

#include <stdbool.h>
#include <stdio.h>

#define PATH_LEN_MAX 200U /* bytes of a path that are shown */

void ks_rpc_refusal_unknown(char ret_text[KS_RPC_REFUSAL_LEN], ks_bytes path)
{
    char shown[PATH_LEN_MAX + 1];
    size_t len = path.len < PATH_LEN_MAX ? path.len : PATH_LEN_MAX;
    for (size_t i = 0; i < len; i++) {
        bool is_visible = path.ptr[i] > ' ' && path.ptr[i] <= '~';
        shown[i] = is_visible ? (char)path.ptr[i] : '?';
    }
    shown[len] = '\0';
    snprintf(ret_text, KS_RPC_REFUSAL_LEN, "unknown method %s", shown);
}

void ks_rpc_refusal_too_long(char ret_text[KS_RPC_REFUSAL_LEN], size_t len, size_t len_max)
{
    snprintf(ret_text, KS_RPC_REFUSAL_LEN,
             "the request message has %zu bytes; this method takes at most %zu", len, len_max);
}
