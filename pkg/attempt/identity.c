#include "pkg/attempt/identity.h"

#include <assert.h>
#include <string.h>

#include "pkg/codec/codec.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/random.h"
#include "pkg/form/names.h"
#include "pkg/operation/bounds.h"

#define MEMBER          "request_id"
#define PARTS_LEN_MAX   4096U
#define REQUEST_LEN_MAX (1024U * 1024U)
#define LENGTH_LEN      4U
#define DRAWN_LEN       16U /* bytes; as hex within KS_REQUEST_ID_MAX */

_Static_assert(KS_ATTEMPT_SHA256_LEN == KS_SHA256_LEN, "the digest's length");
_Static_assert(2 * DRAWN_LEN <= KS_REQUEST_ID_MAX, "an id that is drawn is valid");

bool ks_request_id_is_valid(const char *request_id)
{
    size_t len = strnlen(request_id, KS_REQUEST_ID_MAX + 1);
    return len > 0 && len <= KS_REQUEST_ID_MAX && strspn(request_id, KS_REQUEST_ID_LETTERS) == len;
}

/* Where the message has its request_id. Every mutation has one: a type without is a mistake. */
static char **id_member(ProtobufCMessage *request)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(request->descriptor, MEMBER);
    assert(field && field->type == PROTOBUF_C_TYPE_STRING);
    return (char **)(void *)((char *)request + field->offset);
}

/* Each part stands behind its length, so that no two different triples give one digest. */
static ks_result append_part(struct ks_buffer *parts, const char *part)
{
    size_t len = strlen(part);
    const uint8_t length[LENGTH_LEN] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16),
                                        (uint8_t)(len >> 8), (uint8_t)len};
    KS_TRY(ks_buffer_append(parts, (ks_bytes){length, sizeof(length)}));
    return ks_buffer_append(parts, ks_bytes_of(part));
}

static ks_result name_it(struct ks_attempt *attempt, const struct ks_attempt_identity *identity,
                         const char *request_id)
{
    KS_BUFFER_AUTO parts = {.len_max = PARTS_LEN_MAX};
    uint8_t digest[KS_SHA256_LEN];
    KS_TRY(append_part(&parts, identity->principal));
    KS_TRY(append_part(&parts, identity->method));
    KS_TRY(append_part(&parts, request_id));
    KS_TRY(ks_hash_sha256_once(ks_buffer_bytes(&parts), digest));

    size_t prefix_len = identity->record_prefix.len;
    assert(prefix_len + 2 * sizeof(digest) < sizeof(attempt->name));
    memcpy(attempt->name, identity->record_prefix.ptr, prefix_len);
    ks_hex_write((ks_bytes){digest, sizeof(digest)}, attempt->name + prefix_len);
    attempt->name_len = prefix_len + 2 * sizeof(digest);
    return KS_RES(OK);
}

static ks_result hash_it(struct ks_attempt *attempt, const ProtobufCMessage *request, char **member)
{
    KS_BUFFER_AUTO packed = {.len_max = REQUEST_LEN_MAX};
    char *as_given = *member;
    *member = NULL; /* which is packed as nothing */
    ks_result result = ks_codec_pack(request, &packed);
    *member = as_given;
    KS_TRY(result);
    return ks_hash_sha256_once(ks_buffer_bytes(&packed), attempt->sha256);
}

static ks_result draw(char ret_id[static 2 * DRAWN_LEN + 1])
{
    uint8_t random[DRAWN_LEN];
    KS_TRY(ks_random_public(random, sizeof(random)));
    ks_hex_write((ks_bytes){random, sizeof(random)}, ret_id);
    return KS_RES(OK);
}

ks_result ks_attempt_identify(struct ks_attempt *attempt,
                              const struct ks_attempt_identity *identity)
{
    char **member = id_member(identity->request);
    const char *request_id = identity->request_id ? identity->request_id : *member;
    char drawn[2 * DRAWN_LEN + 1];
    if (!identity->request_id && (!request_id || request_id[0] == '\0')) {
        KS_TRY(draw(drawn));
        request_id = drawn;
    }
    if (!ks_request_id_is_valid(request_id)) {
        attempt->violated_field = MEMBER;
        return KS_RES(VALIDATION);
    }
    KS_TRY(name_it(attempt, identity, request_id));
    return hash_it(attempt, identity->request, member);
}
