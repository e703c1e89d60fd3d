#include "pkg/signedset/head.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"
#include "pkg/form/form.h"

#define LABEL       "keystead/identity-head/v1"
#define VERSION     1U
#define MS_PER_S    1000U
#define MESSAGE_MAX (sizeof(LABEL) + KS_HEAD_LEN_MAX)

struct ks_head_verifier {
    struct ks_buffer root;
    struct ks_buffer certificate; /* DER, the last one that was good: of one key come many heads */
    struct ks_x509_info info;     /* of that one */
    struct ks_ec_key *key;        /* of that one; NULL: none yet */
};

/* A head taken apart; its parts are borrowed. */
struct form {
    struct ks_head head;
    ks_bytes certificate;
    ks_bytes body; /* that was signed */
    ks_bytes signature;
};

bool ks_head_follows(const struct ks_head *had, const struct ks_head *next)
{
    if (had->number == 0 || strcmp(had->epoch, next->epoch) != 0) {
        return true;
    }
    bool same = strcmp(had->history, next->history) == 0;
    return next->revision >= had->revision && (same || next->since > had->revision);
}

bool ks_head_is_of(struct ks_crypto *crypto, const struct ks_head *head,
                   const struct ks_set_sum *sum)
{
    uint8_t digest[KS_SHA256_LEN];
    return head->count == sum->count && !ks_failed(ks_set_digest(crypto, sum, digest)) &&
           ks_bytes_equal((ks_bytes){digest, sizeof(digest)},
                          (ks_bytes){head->digest, sizeof(head->digest)});
}

static bool is_in_range(const struct ks_head *head)
{
    return head->epoch[0] != '\0' && head->history[0] != '\0' && head->since >= 0 &&
           head->since <= head->revision && head->number > 0 && head->number <= INT64_MAX;
}

/* The label with its NUL, and the body. */
static ks_result message_of(ks_bytes body, struct ks_buffer *message)
{
    KS_TRY(ks_buffer_append(message, (ks_bytes){(const uint8_t *)LABEL, sizeof(LABEL)}));
    return ks_buffer_append(message, body);
}

ks_result ks_head_sign(const struct ks_head *head, ks_bytes certificate,
                       const struct ks_ec_key *key, struct ks_buffer *out)
{
    if (!is_in_range(head)) {
        return KS_RES(VALIDATION);
    }
    uint8_t place[KS_HEAD_LEN_MAX];
    struct ks_writer writer = {.ptr = place, .capacity = sizeof(place)};
    ks_write_u8(&writer, VERSION);
    ks_write_short(&writer, ks_bytes_of(head->epoch));
    ks_write_short(&writer, ks_bytes_of(head->history));
    ks_write_u64(&writer, (uint64_t)head->since);
    ks_write_u64(&writer, (uint64_t)head->revision);
    ks_write_u64(&writer, head->number);
    ks_write_u64(&writer, head->count);
    ks_write_bytes(&writer, (ks_bytes){head->digest, sizeof(head->digest)});
    ks_write_long(&writer, certificate);
    if (writer.full) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    KS_BUFFER_AUTO message = {.len_max = MESSAGE_MAX};
    uint8_t signature[KS_EC_SIGNATURE_MAX];
    size_t len = 0;
    KS_TRY(message_of(ks_written(&writer), &message));
    KS_TRY(ks_ec_sign(key, ks_buffer_bytes(&message), signature, &len));
    ks_write_long(&writer, (ks_bytes){signature, len});
    return writer.full ? KS_RES(LIMIT_EXCEEDED) : ks_buffer_append(out, ks_written(&writer));
}

static bool is_name(ks_bytes text)
{
    return text.len > 0 && text.len <= KS_HEAD_EPOCH_MAX && !memchr(text.ptr, '\0', text.len);
}

static ks_result take_apart(ks_bytes bytes, struct form *ret_form)
{
    struct ks_reader reader = {.rest = bytes};
    struct form form = {0};
    uint8_t version = ks_read_u8(&reader);
    ks_bytes epoch = ks_read_short(&reader);
    ks_bytes history = ks_read_short(&reader);
    uint64_t since = ks_read_u64(&reader);
    uint64_t revision = ks_read_u64(&reader);
    form.head.number = ks_read_u64(&reader);
    form.head.count = ks_read_u64(&reader);
    ks_bytes digest = ks_read_bytes(&reader, KS_SHA256_LEN);
    form.certificate = ks_read_long(&reader);
    form.body = (ks_bytes){bytes.ptr, bytes.len - reader.rest.len};
    form.signature = ks_read_long(&reader);
    bool formed = ks_read_all(&reader) && version == VERSION && is_name(epoch) &&
                  is_name(history) && since <= revision && revision <= INT64_MAX &&
                  bytes.len <= KS_HEAD_LEN_MAX;
    if (!formed) {
        return KS_RES(VALIDATION);
    }
    memcpy(form.head.epoch, epoch.ptr, epoch.len);
    memcpy(form.head.history, history.ptr, history.len);
    memcpy(form.head.digest, digest.ptr, digest.len);
    form.head.since = (int64_t)since;
    form.head.revision = (int64_t)revision;
    *ret_form = form;
    return is_in_range(&form.head) ? KS_RES(OK) : KS_RES(VALIDATION);
}

ks_result ks_head_read(ks_bytes bytes, struct ks_head *ret_head)
{
    struct form form;
    KS_TRY(take_apart(bytes, &form));
    *ret_head = form.head;
    return KS_RES(OK);
}

ks_result ks_head_verifier_new(ks_bytes root, struct ks_head_verifier **ret_verifier)
{
    struct ks_x509_info info;
    if (ks_failed(ks_x509_read(root, &info)) || !info.is_ca) {
        return KS_RES(VALIDATION);
    }
    struct ks_head_verifier *verifier = ks_alloc(1, sizeof(*verifier));
    verifier->root.len_max = root.len;
    verifier->certificate.len_max = KS_HEAD_LEN_MAX;
    ks_result copied = ks_buffer_append(&verifier->root, root);
    assert(!ks_failed(copied));
    *ret_verifier = verifier;
    return KS_RES(OK);
}

void ks_head_verifier_free(struct ks_head_verifier *verifier)
{
    if (verifier) {
        ks_buffer_done(&verifier->root);
        ks_buffer_done(&verifier->certificate);
        ks_ec_free(verifier->key);
        ks_free(verifier);
    }
}

/* Makes the certificate the verifier's, if the root has issued it to control for this. */
static ks_result take_certificate(struct ks_head_verifier *verifier, ks_bytes certificate,
                                  int64_t at_s)
{
    struct ks_x509_info info;
    KS_EC_AUTO *key = NULL;
    if (ks_failed(ks_x509_verify(certificate, ks_buffer_bytes(&verifier->root), at_s, KS_X509_ANY,
                                 &info)) ||
        strcmp(info.uri, KS_HEAD_SIGNER) != 0) {
        return KS_RES(UNAUTHENTICATED);
    }
    KS_TRY(ks_ec_read_public((ks_bytes){info.spki, info.spki_len}, &key));
    verifier->certificate.len = 0;
    KS_TRY(ks_buffer_append(&verifier->certificate, certificate));
    ks_ec_free(verifier->key);
    verifier->key = key;
    verifier->info = info;
    key = NULL;
    return KS_RES(OK);
}

ks_result ks_head_open(struct ks_head_verifier *verifier, ks_bytes bytes, struct ks_head *ret_head)
{
    struct form form;
    KS_TRY(take_apart(bytes, &form));
    int64_t at_s = (int64_t)(form.head.number / MS_PER_S);
    bool known = verifier->key &&
                 ks_bytes_equal(form.certificate, ks_buffer_bytes(&verifier->certificate)) &&
                 at_s >= verifier->info.not_before_s && at_s < verifier->info.not_after_s;
    if (!known && ks_failed(take_certificate(verifier, form.certificate, at_s))) {
        return KS_RES(UNAUTHENTICATED);
    }
    KS_BUFFER_AUTO message = {.len_max = MESSAGE_MAX};
    KS_TRY(message_of(form.body, &message));
    KS_TRY(ks_ec_verify(verifier->key, ks_buffer_bytes(&message), form.signature));
    *ret_head = form.head;
    return KS_RES(OK);
}
