#include <stdio.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "pkg/arn/arn.h"
#include "pkg/crypto/random.h"
#include "services/control/admin.h"
#include "services/control/listing.h"

#define DISPLAY_NAME_MAX 128U /* characters */

/*
 * Whether a name can be shown as it is. Control characters (below U+0020, U+007F to U+009F) would
 * reach the terminals of operators. The text is valid UTF-8: codec has checked it.
 */
static bool display_name_is_valid(const char *name)
{
    size_t count = 0;
    for (const unsigned char *at = (const unsigned char *)name; *at; at++) {
        bool is_c1 = at[0] == 0xc2 && at[1] < 0xa0;
        if (at[0] < 0x20 || at[0] == 0x7f || is_c1) {
            return false;
        }
        count += (at[0] & 0xc0) != 0x80; /* a character's later bytes do not count */
        if (count > DISPLAY_NAME_MAX) {
            return false;
        }
    }
    return count > 0;
}

/* 12 digits, the first one not 0. The bias of the remainder is below 2^-23, and harmless. */
static ks_result draw_account_id(struct ks_arena *arena, char **ret_id)
{
    uint64_t random;
    KS_TRY(ks_random_public((uint8_t *)&random, sizeof(random)));
    char *id = ks_arena_alloc(arena, KS_ACCOUNT_LEN + 1);
    if (!id) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    unsigned long long number = 100000000000ULL + random % 900000000000ULL;
    snprintf(id, KS_ACCOUNT_LEN + 1, "%llu", number);
    *ret_id = id;
    return KS_RES(OK);
}

static ks_result answer_created(struct ks_admin_try *attempt, char *account, char *name,
                                int64_t created_at_ms)
{
    Google__Protobuf__Timestamp created = ks_timestamp(created_at_ms);
    Keystead__Admin__V1__Account out = KEYSTEAD__ADMIN__V1__ACCOUNT__INIT;
    out.account_id = account;
    out.display_name = name;
    out.create_time = &created;
    Keystead__Admin__V1__CreateAccountResponse response =
        KEYSTEAD__ADMIN__V1__CREATE_ACCOUNT_RESPONSE__INIT;
    response.account = &out;
    return ks_admin_answer(attempt, &response.base);
}

ks_result ks_admin_create_account(struct ks_admin_try *attempt)
{
    const Keystead__Admin__V1__CreateAccountRequest *request =
        (const Keystead__Admin__V1__CreateAccountRequest *)attempt->request;
    if (!display_name_is_valid(request->display_name)) {
        return ks_admin_refuse(attempt, "display_name",
                               "display_name must be 1 to 128 characters, no control characters");
    }
    char *id = request->account_id;
    if (id[0] == '\0') {
        KS_TRY(draw_account_id(attempt->arena, &id));
    }
    if (!ks_account_is_valid(ks_bytes_of(id))) {
        return ks_admin_refuse(attempt, "account_id", "account_id must be 12 digits");
    }
    struct ks_record_key key = ks_account_key(id);
    struct ks_store_record standing;
    ks_result r = ks_store_get(attempt->view, ks_record_key_bytes(&key), &standing);
    if (r.code != KS_NOT_FOUND) {
        KS_TRY(r);
        return ks_admin_fail(attempt, KS_ALREADY_EXISTS, "an account with this number exists");
    }

    Keystead__Storage__V1__AccountRecord record = KEYSTEAD__STORAGE__V1__ACCOUNT_RECORD__INIT;
    record.format = KS_RECORD_FORMAT;
    record.account = id;
    record.name = request->display_name;
    record.created_at_ms = ks_clock_wall_ms(attempt->admin->clock);
    ks_admin_rests_on(attempt, &key, 0);
    ks_admin_put(attempt, &key, &record.base);
    return answer_created(attempt, id, request->display_name, record.created_at_ms);
}

/* One record of a page, into the response. */
static ks_result add_account(struct ks_admin_try *attempt, ks_bytes value)
{
    Keystead__Storage__V1__AccountRecord *record;
    KS_TRY(ks_account_read(value, attempt->arena, &record));
    Google__Protobuf__Timestamp created = ks_timestamp(record->created_at_ms);
    Keystead__Admin__V1__Account out = KEYSTEAD__ADMIN__V1__ACCOUNT__INIT;
    out.account_id = record->account;
    out.display_name = record->name;
    out.create_time = &created;
    return ks_codec_pack_field(1, &out.base, attempt->response);
}

ks_result ks_admin_list_accounts(struct ks_admin_try *attempt)
{
    const Keystead__Admin__V1__ListAccountsRequest *request =
        (const Keystead__Admin__V1__ListAccountsRequest *)attempt->request;
    struct ks_page page = {
        .list = {"ListAccounts", "", ""},
        .prefix = KS_LITERAL("account/"),
        .marker = request->page_token[0] == '\0' ? NULL : request->page_token,
    };
    KS_TRY(ks_admin_page_size(attempt, request->page_size, &page.count_max));
    return ks_listing_answer(attempt, &page, add_account);
}
