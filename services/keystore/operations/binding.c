#include "services/keystore/operations/binding.h"

#include <stddef.h>

#include "keystead/kms/v1/crypto.pb-c.h"
#include "services/keystore/records/key.h"

/* protoc-c makes a struct for each map; all have this form. */
struct map_entry {
    ProtobufCMessage base;
    char *key;
    char *value;
};

#define SAME_FORM(type)                                                                            \
    _Static_assert(offsetof(KMS(type), key) == offsetof(struct map_entry, key) &&                  \
                       offsetof(KMS(type), value) == offsetof(struct map_entry, value) &&          \
                       sizeof(KMS(type)) == sizeof(struct map_entry),                              \
                   #type)

SAME_FORM(EncryptRequest__EncryptionContextEntry);
SAME_FORM(DecryptRequest__EncryptionContextEntry);
SAME_FORM(ReEncryptRequest__SourceEncryptionContextEntry);
SAME_FORM(ReEncryptRequest__DestinationEncryptionContextEntry);
SAME_FORM(GenerateDataKeyRequest__EncryptionContextEntry);
SAME_FORM(GenerateDataKeyWithoutPlaintextRequest__EncryptionContextEntry);

INTERNAL(KeyUse) *
    ks_binding_use(struct ks_call *call, const struct ks_target *target, const char *material_id)
{
    const char *alias = target->alias ? target->alias : target->confirmed_alias;
    INTERNAL(KeyUse) *use = ks_call_alloc(call, 1, sizeof(*use));
    *use = (INTERNAL(KeyUse))INTERNAL_NEW(KEY_USE);
    use->key = (uint32_t)(target - call->targets) + 1; /* ks_call_ask */
    use->alias = ks_lend_text(alias ? alias : "");
    use->material_id = ks_lend_text(material_id ? material_id : "");
    return use;
}

INTERNAL(ContextEntry) *
    *ks_binding_context(struct ks_call *call, const void *entries, size_t count)
{
    const struct map_entry *const *from = entries;
    INTERNAL(ContextEntry) **context = ks_call_pointers(call, count + 1);
    INTERNAL(ContextEntry) *values = ks_call_alloc(call, count + 1, sizeof(*values));
    for (size_t i = 0; i < count; i++) {
        values[i] = (INTERNAL(ContextEntry))INTERNAL_NEW(CONTEXT_ENTRY);
        values[i].key = from[i]->key;
        values[i].value = from[i]->value;
        context[i] = &values[i];
    }
    return context;
}

const STORED(KeyMaterial) *
    ks_binding_material(struct ks_call *call, const struct ks_target *target)
{
    const STORED(KeyMaterial) *material = ks_record_material(target->key, target->material_id);
    if (!material) {
        ks_call_fail(call, KS_INVALID_CIPHERTEXT);
    }
    return material;
}
