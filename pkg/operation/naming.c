#include "pkg/operation/naming.h"

#include <assert.h>

#include "pkg/arn/arn.h"
#include "pkg/blob/blob.h"
#include "pkg/operation/constraint.h"

/* One member whose text is being read. */
struct reading {
    const struct ks_naming_scene *scene;
    const struct ks_member *member;
    ks_bytes text;
    struct ks_refusal *refusal;
};

static ks_result refuse_arn(const struct reading *r)
{
    return ks_refusal_blame(r->refusal, KS_INVALID_ARN, r->member->name, "Invalid arn %.*s",
                            ks_shown_len(r->text), (const char *)r->text.ptr);
}

static ks_result refuse_key(const struct reading *r)
{
    return ks_refusal_blame(r->refusal, KS_NOT_FOUND, r->member->name, "Invalid keyId '%.*s'",
                            ks_shown_len(r->text), (const char *)r->text.ptr);
}

static ks_result refuse_alias(const struct reading *r, const struct ks_key_ref *ref)
{
    if (r->member->alias_text) {
        return ks_refusal_blame(r->refusal, KS_VALIDATION, r->member->name, "%s",
                                r->member->alias_text);
    }
    return ref->kind == KS_KEY_REF_ALIAS ? refuse_key(r) : refuse_arn(r);
}

/* An ARN of another account is passed on: absent or not, it gets the same answer there. */
static ks_result check_place(const struct reading *r, const struct ks_key_ref *ref)
{
    const struct ks_home *home = r->scene->home;
    if (ref->account.len == 0) {
        return KS_RES(OK);
    }
    if (!ks_bytes_equal(ref->partition, ks_bytes_of(home->partition))) {
        return refuse_arn(r);
    }
    bool own = ks_bytes_equal(ref->account, ks_bytes_of(r->scene->account));
    if (own && !ks_bytes_equal(ref->region, ks_bytes_of(home->region))) {
        return ks_refusal_blame(r->refusal, KS_NOT_FOUND, r->member->name, "Invalid arn %.*s",
                                (int)ref->region.len, (const char *)ref->region.ptr);
    }
    return KS_RES(OK);
}

static ks_result read_key(const struct reading *r, ks_bytes *ret_account, ks_bytes *ret_name)
{
    struct ks_key_ref ref;
    ks_result parsed = ks_key_ref_parse(r->text, &ref);
    if (ks_failed(parsed)) {
        return parsed.code == KS_INVALID_ARN ? refuse_arn(r) : refuse_key(r);
    }
    if (r->member->key_form == KS_KEY_FORM_KEY && ks_key_ref_is_alias(&ref)) {
        return refuse_alias(r, &ref);
    }
    KS_TRY(check_place(r, &ref));
    *ret_account = ref.account.len > 0 ? ref.account : ks_bytes_of(r->scene->account);
    *ret_name = ref.name;
    return KS_RES(OK);
}

/* A name that no alias can have is refused where one is made, and else is that of no alias. */
static ks_result check_alias(const struct reading *r)
{
    const char *shown = (const char *)r->text.ptr;
    if (!ks_bytes_starts_with(r->text, KS_LITERAL(KS_ALIAS_PREFIX))) {
        return ks_refusal_blame(r->refusal, KS_VALIDATION, r->member->name,
                                "Alias must start with the prefix \"alias/\". Please see "
                                "https://docs.aws.amazon.com/kms/latest/developerguide/"
                                "kms-alias.html");
    }
    if (r->member->alias_made && ks_alias_is_reserved(r->text)) {
        return ks_refusal_set_code(r->refusal, KS_INVALID_ALIAS_NAME);
    }
    if (ks_alias_is_valid(r->text)) {
        return KS_RES(OK);
    }
    if (r->member->alias_made) {
        return ks_refusal_blame(r->refusal, KS_INVALID_ALIAS_NAME, r->member->name,
                                "%.*s contains invalid characters for an alias",
                                ks_shown_len(r->text), shown);
    }
    return ks_refusal_blame(r->refusal, KS_NOT_FOUND, r->member->name,
                            "Alias arn:%s:kms:%s:%s:%.*s is not found.", r->scene->home->partition,
                            r->scene->home->region, r->scene->account, ks_shown_len(r->text),
                            shown);
}

static bool is_known_region(const struct ks_home *home, ks_bytes region)
{
    for (size_t i = 0; i < home->known_region_count; i++) {
        if (ks_bytes_equal(region, ks_bytes_of(home->known_regions[i]))) {
            return true;
        }
    }
    return false;
}

#define NOT_HERE                                                                                   \
    "The ciphertext refers to a customer master key that does not exist, does not exist in this "  \
    "region, or you are not allowed to access."

/* As AWS answers; a region that the installation has is named besides. */
static ks_result refuse_region(const struct reading *r, ks_bytes region)
{
    if (!is_known_region(r->scene->home, region)) {
        return ks_refusal_set(r->refusal, KS_ACCESS_DENIED, NOT_HERE);
    }
    ks_refusal_add(r->refusal, KS_LITERAL("region"), region);
    return ks_refusal_set(r->refusal, KS_ACCESS_DENIED, NOT_HERE " It is of region %.*s.",
                          (int)region.len, (const char *)region.ptr);
}

static ks_result read_ciphertext(const struct reading *r, struct ks_key_naming *key)
{
    struct ks_blob blob;
    if (ks_failed(ks_blob_parse(r->text, &blob)) || !ks_key_id_is_valid(blob.name.key_id) ||
        !ks_account_is_valid(blob.name.account)) {
        return ks_refusal_set_code(r->refusal, KS_INVALID_CIPHERTEXT);
    }
    if (!ks_bytes_equal(blob.name.region, ks_bytes_of(r->scene->home->region))) {
        return refuse_region(r, blob.name.region);
    }
    key->account = blob.name.account;
    key->name = blob.name.key_id;
    key->material_id = (ks_bytes){blob.material_id, KS_MATERIAL_ID_LEN};
    return KS_RES(OK);
}

static struct reading reading_of(const struct ks_naming_scene *scene,
                                 const struct ks_checked *checked, uint8_t index,
                                 struct ks_refusal *refusal)
{
    return (struct reading){scene, &scene->operation->members[index], checked->values[index],
                            refusal};
}

static ks_result read_named(const struct reading *r, struct ks_key_naming *key)
{
    if (r->member->key_form == KS_KEY_FORM_CIPHERTEXT) {
        return read_ciphertext(r, key);
    }
    if (r->member->key_form == KS_KEY_FORM_ALIAS) {
        KS_TRY(check_alias(r));
        key->account = ks_bytes_of(r->scene->account);
        key->name = r->text;
        return KS_RES(OK);
    }
    return read_key(r, &key->account, &key->name);
}

static ks_result find_key(const struct ks_naming_scene *scene, const struct ks_resource *resource,
                          struct ks_checked *checked, struct ks_refusal *refusal)
{
    struct ks_key_naming *key = &checked->keys[checked->key_count++];
    *key = (struct ks_key_naming){.resource = resource};
    struct reading named = reading_of(scene, checked, resource->member, refusal);
    KS_TRY(read_named(&named, key));
    if (!ks_checked_has(checked, resource->confirmed)) {
        return KS_RES(OK);
    }
    struct reading confirming = reading_of(scene, checked, resource->confirmed, refusal);
    return read_key(&confirming, &key->confirmed_account, &key->confirmed_name);
}

static ks_result find(const struct ks_naming_scene *scene, const struct ks_resource *resource,
                      struct ks_checked *checked, struct ks_refusal *refusal)
{
    if (resource->type == KS_RESOURCE_KEY) {
        return find_key(scene, resource, checked, refusal);
    }
    if (resource->type == KS_RESOURCE_ALIAS) {
        struct reading alias = reading_of(scene, checked, resource->member, refusal);
        return check_alias(&alias);
    }
    return KS_RES(OK);
}

ks_result ks_naming_find(const struct ks_naming_scene *scene, struct ks_checked *checked,
                         struct ks_refusal *refusal)
{
    const struct ks_operation *operation = scene->operation;
    checked->key_count = 0;
    for (size_t i = 0; i < operation->resource_count; i++) {
        if (!ks_checked_has(checked, operation->resources[i].member)) {
            continue;
        }
        KS_TRY(find(scene, &operation->resources[i], checked, refusal));
    }
    return KS_RES(OK);
}
