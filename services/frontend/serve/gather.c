#include "services/frontend/serve/gather.h"

#include "keystead/kms/v1/batch.pb-c.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"

/* Numbers in batch.proto, the same in every batch; gather_test.c compares them. */
enum { RESULTS = 1 };
enum { RESULT_RESPONSE = 1, RESULT_ERROR = 2 };

#define ERROR_LEN_MAX 2048U /* bytes: the text, a reason and four entries of metadata */

typedef Keystead__Kms__V1__BatchError batch_error;
typedef Keystead__Kms__V1__BatchError__MetadataEntry metadata_entry;

static ks_result put_error(const struct ks_refusal *refusal, struct ks_buffer *result)
{
    batch_error error = KEYSTEAD__KMS__V1__BATCH_ERROR__INIT;
    metadata_entry entries[KS_REFUSAL_DETAILS_MAX];
    metadata_entry *pointers[KS_REFUSAL_DETAILS_MAX];
    for (size_t i = 0; i < refusal->detail_count; i++) {
        entries[i] = (metadata_entry)KEYSTEAD__KMS__V1__BATCH_ERROR__METADATA_ENTRY__INIT;
        /* protobuf-c has no const; packing reads only. */
        entries[i].key = (char *)(uintptr_t)refusal->details[i].name;
        entries[i].value = (char *)(uintptr_t)refusal->details[i].value;
        pointers[i] = &entries[i];
    }
    const char *text = refusal->text[0] ? refusal->text : ks_text(refusal->code);
    error.code = (char *)(uintptr_t)ks_wire_name(refusal->code);
    error.message = (char *)(uintptr_t)text;
    error.n_metadata = refusal->detail_count;
    error.metadata = pointers;
    return ks_codec_pack_field(RESULT_ERROR, &error.base, result);
}

ks_result ks_gather_result(const struct ks_refusal *refusal, ks_bytes response,
                           struct ks_buffer *batch)
{
    if (refusal->code != KS_OK) {
        KS_BUFFER_AUTO result = {.len_max = ERROR_LEN_MAX};
        KS_TRY(put_error(refusal, &result));
        return ks_wire_put_bytes(RESULTS, ks_buffer_bytes(&result), batch);
    }
    size_t len = ks_wire_head_len(RESULT_RESPONSE, response.len) + response.len;
    KS_TRY(ks_wire_put_head(RESULTS, len, batch));
    return ks_wire_put_bytes(RESULT_RESPONSE, response, batch);
}
