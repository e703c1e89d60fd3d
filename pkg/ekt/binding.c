#include "pkg/ekt/binding.h"

#include <assert.h>

#include "pkg/form/form.h"

#define SYMMETRIC  0U
#define ASYMMETRIC 1U

ks_result ks_binding_encode(const struct ks_binding *binding, uint8_t *ret_encoded, size_t *ret_len)
{
    assert(binding && binding->material_id);
    assert(ret_encoded && ret_len);

    if (!ks_is_key_name(&binding->name) || binding->spec == 0 || binding->usage == 0 ||
        binding->origin == 0) {
        return KS_RES(VALIDATION);
    }
    struct ks_writer out = {.ptr = ret_encoded, .capacity = KS_BINDING_LEN_MAX};
    ks_write_short(&out, binding->name.region);
    ks_write_bytes(&out, binding->name.account);
    ks_write_bytes(&out, binding->name.key_id);
    ks_write_bytes(&out, (ks_bytes){binding->material_id, KS_MATERIAL_ID_LEN});
    ks_write_u16(&out, binding->spec);
    ks_write_u8(&out, binding->usage);
    ks_write_u8(&out, binding->origin);
    ks_write_u8(&out, binding->public_hash ? ASYMMETRIC : SYMMETRIC);
    if (binding->public_hash) {
        ks_write_bytes(&out, (ks_bytes){binding->public_hash, KS_PUBLIC_HASH_LEN});
    }
    assert(!out.full);
    *ret_len = out.len;
    return KS_RES(OK);
}
