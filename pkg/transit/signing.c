#include "pkg/transit/signing.h"

#include <assert.h>

#include "pkg/crypto/ec.h"
#include "pkg/form/form.h"

#define LABEL_MAX 64U

static ks_result message_of(const struct ks_signed *what, struct ks_buffer *message)
{
    assert(what->label.len > 0 && what->label.len < LABEL_MAX);

    KS_TRY(ks_buffer_append(message, what->label));
    KS_TRY(ks_buffer_append(message, KS_LITERAL("\0")));
    for (size_t i = 0; i < what->part_count; i++) {
        KS_TRY(ks_buffer_append(message, what->parts[i]));
    }
    return KS_RES(OK);
}

ks_result ks_signed_append(const struct ks_signed *what, const struct ks_ec_key *key,
                           struct ks_buffer *out)
{
    assert(key && ks_ec_curve_of(key) == KS_EC_P384);

    KS_BUFFER_AUTO message = {.len_max = LABEL_MAX + KS_SIGNED_BODY_MAX};
    KS_TRY(message_of(what, &message));
    uint8_t signature[KS_EC_SIGNATURE_MAX];
    size_t len = 0;
    KS_TRY(ks_ec_sign(key, ks_buffer_bytes(&message), signature, &len));
    uint8_t place[2 + KS_EC_SIGNATURE_MAX];
    struct ks_writer writer = {.ptr = place, .capacity = sizeof(place)};
    ks_write_long(&writer, (ks_bytes){signature, len});
    assert(!writer.full);
    return ks_buffer_append(out, ks_written(&writer));
}

ks_result ks_signed_verify(const struct ks_signed *what, const struct ks_ec_key *key,
                           ks_bytes signature)
{
    assert(key);

    KS_BUFFER_AUTO message = {.len_max = LABEL_MAX + KS_SIGNED_BODY_MAX};
    if (ks_failed(message_of(what, &message)) || ks_ec_curve_of(key) != KS_EC_P384) {
        return KS_RES(UNAUTHENTICATED);
    }
    return ks_ec_verify(key, ks_buffer_bytes(&message), signature);
}
