#include "pkg/ekt/material.h"

#include <assert.h>
#include <string.h>

#include "pkg/crypto/kdf.h"

ks_result ks_material_id(struct ks_mac *hbk, ks_bytes account, ks_bytes key_id,
                         uint8_t ret_id[static KS_MATERIAL_ID_LEN])
{
    assert(hbk && ret_id);

    if (!ks_is_account(account) || !ks_is_key_id(key_id)) {
        return KS_RES(VALIDATION);
    }
    uint8_t context[KS_ACCOUNT_LEN + KS_KEY_ID_LEN];
    memcpy(context, account.ptr, KS_ACCOUNT_LEN);
    memcpy(context + KS_ACCOUNT_LEN, key_id.ptr, KS_KEY_ID_LEN);
    KS_SECRET_AUTO id = {.len = 0};
    KS_TRY(ks_kdf_counter(hbk, KS_LITERAL("keystead/material-id/v1"),
                          (ks_bytes){context, sizeof(context)}, KS_MATERIAL_ID_LEN, &id));
    memcpy(ret_id, id.bytes, KS_MATERIAL_ID_LEN);
    return KS_RES(OK);
}
