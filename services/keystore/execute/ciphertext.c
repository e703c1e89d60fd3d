#include "services/keystore/execute/ciphertext.h"

#include "pkg/blob/blob.h"

_Static_assert(sizeof(((struct ks_ciphertext *)0)->material_id) == 2 * KS_MATERIAL_ID_LEN + 1,
               "a material id in hex");

bool ks_ciphertext_read(ks_bytes blob, struct ks_ciphertext *ret_ciphertext)
{
    struct ks_blob parsed;
    if (ks_failed(ks_blob_parse(blob, &parsed))) {
        return false;
    }
    ret_ciphertext->region = parsed.name.region;
    ret_ciphertext->account = parsed.name.account;
    ret_ciphertext->key_id = parsed.name.key_id;
    ks_hex_write((ks_bytes){parsed.material_id, KS_MATERIAL_ID_LEN}, ret_ciphertext->material_id);
    return true;
}
