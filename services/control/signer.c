#include "services/control/signer.h"

#include "pkg/base/mem.h"
#include "pkg/crypto/ec.h"
#include "services/control/issuer.h"

#define LIFE_S   (30LL * 24 * 3600)
#define RENEW_S  (10LL * 24 * 3600) /* before the end */
#define BEFORE_S 3600LL             /* that a certificate is valid before it is made */
#define MS_PER_S 1000U

struct ks_signer {
    struct ks_issuer *issuer;
    struct ks_crypto *crypto;
    struct ks_ec_key *key;
    struct ks_buffer spki;
    struct ks_buffer certificate; /* DER; empty until the first head */
    int64_t not_before_s;
    int64_t not_after_s;
};

ks_result ks_signer_new(const char *ca_file, const char *ca_key_file, struct ks_signer **ret_signer)
{
    struct ks_signer *signer = ks_alloc(1, sizeof(*signer));
    signer->crypto = ks_crypto_new();
    signer->spki.len_max = KS_EC_PUBLIC_DER_MAX;
    signer->certificate.len_max = KS_X509_DER_MAX;
    ks_result made = ks_issuer_new(ca_file, ca_key_file, &signer->issuer);
    if (!ks_failed(made)) {
        made = ks_ec_generate(KS_EC_P256, &signer->key);
    }
    if (!ks_failed(made)) {
        made = ks_ec_write_public_der(signer->key, &signer->spki);
    }
    if (ks_failed(made)) {
        ks_signer_free(signer);
        return made;
    }
    *ret_signer = signer;
    return KS_RES(OK);
}

void ks_signer_free(struct ks_signer *signer)
{
    if (signer) {
        ks_issuer_free(signer->issuer);
        ks_crypto_free(signer->crypto);
        ks_ec_free(signer->key);
        ks_buffer_done(&signer->spki);
        ks_buffer_done(&signer->certificate);
        ks_free(signer);
    }
}

/* Sees to a certificate that is valid at that time, and for a while longer if the root is. */
static ks_result need_certificate(struct ks_signer *signer, int64_t at_s)
{
    int64_t root_end_s = ks_issuer_not_after_s(signer->issuer);
    int64_t renew_at_s =
        signer->not_after_s < root_end_s ? signer->not_after_s - RENEW_S : root_end_s;
    if (signer->certificate.len > 0 && at_s >= signer->not_before_s && at_s < renew_at_s) {
        return KS_RES(OK);
    }
    KS_BUFFER_AUTO pem = {.len_max = KS_X509_PEM_MAX};
    int64_t end_s = at_s + LIFE_S < root_end_s ? at_s + LIFE_S : root_end_s;
    KS_TRY(ks_issuer_certify(signer->issuer, ks_buffer_bytes(&signer->spki), KS_HEAD_SIGNER,
                             at_s - BEFORE_S, end_s, &pem));
    signer->certificate.len = 0;
    KS_TRY(ks_x509_to_der(ks_buffer_bytes(&pem), &signer->certificate));
    signer->not_before_s = at_s - BEFORE_S;
    signer->not_after_s = end_s;
    return KS_RES(OK);
}

ks_result ks_signer_sign(struct ks_signer *signer, const struct ks_set_sum *sum,
                         struct ks_head *head, struct ks_buffer *ret_bytes)
{
    KS_TRY(need_certificate(signer, (int64_t)(head->number / MS_PER_S)));
    KS_TRY(ks_set_digest(signer->crypto, sum, head->digest));
    head->count = sum->count;
    return ks_head_sign(head, ks_buffer_bytes(&signer->certificate), signer->key, ret_bytes);
}
