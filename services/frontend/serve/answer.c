#include "services/frontend/serve/answer.h"

#include <assert.h>
#include <stdio.h>

_Static_assert(KS_REFUSAL_TEXT_MAX <= KS_RPC_TEXT_MAX, "a refusal's text is sent whole");
_Static_assert(KS_REFUSAL_VIOLATIONS_MAX <= KS_RPC_VIOLATIONS_MAX, "so are its violations");
_Static_assert(KS_REFUSAL_DETAILS_MAX <= KS_RPC_METADATA_MAX, "and its details");

void ks_answer_status(const struct ks_refusal *refusal, struct ks_answer_status *ret_status)
{
    assert(refusal->code != KS_OK);

    struct ks_rpc_status *status = &ret_status->status;
    *status = (struct ks_rpc_status){
        .code = refusal->code,
        .text = refusal->text[0] ? refusal->text : NULL,
        .metadata_count = refusal->detail_count,
        .violation_count = refusal->violation_count,
    };
    for (size_t i = 0; i < refusal->detail_count; i++) {
        status->metadata[i] =
            (struct ks_rpc_entry){refusal->details[i].name, refusal->details[i].value};
    }
    for (size_t i = 0; i < refusal->violation_count; i++) {
        const struct ks_refusal_violation *violation = &refusal->violations[i];
        (void)snprintf(ret_status->violations[i], sizeof(ret_status->violations[i]), "%.*s",
                       (int)violation->len, refusal->text + violation->at);
        status->violations[i] = (struct ks_rpc_entry){violation->field, ret_status->violations[i]};
    }
}
