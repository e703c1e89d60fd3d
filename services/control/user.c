#include "keystead/admin/v1/admin.pb-c.h"
#include "pkg/arn/arn.h"
#include "services/control/admin.h"
#include "services/control/listing.h"

#define USER_ID_BYTES 10U

/* A user as the API shows it. */
static ks_result show_user(struct ks_admin_try *attempt,
                           const Keystead__Storage__V1__UserRecord *record,
                           Google__Protobuf__Timestamp *created, Keystead__Admin__V1__User *ret)
{
    struct ks_arn *arn = ks_arena_alloc(attempt->arena, sizeof(*arn));
    if (!arn) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    ks_arn_of_user(attempt->admin->partition, record->account, record->name, arn);
    *created = ks_timestamp(record->created_at_ms);
    *ret = (Keystead__Admin__V1__User)KEYSTEAD__ADMIN__V1__USER__INIT;
    ret->account_id = record->account;
    ret->user_name = record->name;
    ret->arn = arn->text;
    ret->create_time = created;
    return KS_RES(OK);
}

static ks_result check_account(struct ks_admin_try *attempt, const char *account)
{
    bool valid = ks_account_is_valid(ks_bytes_of(account));
    return valid ? KS_RES(OK)
                 : ks_admin_refuse(attempt, "account_id", "account_id must be 12 digits");
}

static ks_result check_names(struct ks_admin_try *attempt, const char *account, const char *name)
{
    KS_TRY(check_account(attempt, account));
    if (!ks_user_name_is_valid(ks_bytes_of(name))) {
        return ks_admin_refuse(attempt, "user_name",
                               "user_name must be 1 to 64 of A-Z a-z 0-9 + = , . @ _ -");
    }
    return KS_RES(OK);
}

ks_result ks_admin_find_user(struct ks_admin_try *attempt, const char *account, const char *name,
                             Keystead__Storage__V1__UserRecord **ret_user, int64_t *ret_revision)
{
    KS_TRY(check_names(attempt, account, name));
    ks_result r =
        ks_user_load(attempt->view, account, name, attempt->arena, ret_user, ret_revision);
    return r.code == KS_NOT_FOUND ? ks_admin_fail(attempt, KS_NOT_FOUND, "no such user") : r;
}

/* The account, which the try rests on or which it lists. */
static ks_result find_account(struct ks_admin_try *attempt, const char *account,
                              int64_t *ret_revision)
{
    Keystead__Storage__V1__AccountRecord *record;
    ks_result r = ks_account_load(attempt->view, account, attempt->arena, &record, ret_revision);
    return r.code == KS_NOT_FOUND ? ks_admin_fail(attempt, KS_NOT_FOUND, "no such account") : r;
}

ks_result ks_admin_create_user(struct ks_admin_try *attempt)
{
    const Keystead__Admin__V1__CreateUserRequest *request =
        (const Keystead__Admin__V1__CreateUserRequest *)attempt->request;
    KS_TRY(check_names(attempt, request->account_id, request->user_name));
    int64_t account_revision;
    KS_TRY(find_account(attempt, request->account_id, &account_revision));
    struct ks_record_key key = ks_user_key(request->account_id, request->user_name);
    struct ks_store_record standing;
    ks_result r = ks_store_get(attempt->view, ks_record_key_bytes(&key), &standing);
    if (r.code != KS_NOT_FOUND) {
        KS_TRY(r);
        return ks_admin_fail(attempt, KS_ALREADY_EXISTS, "a user of this name exists");
    }

    Keystead__Storage__V1__UserRecord record = KEYSTEAD__STORAGE__V1__USER_RECORD__INIT;
    record.format = KS_RECORD_FORMAT;
    record.account = request->account_id;
    record.name = request->user_name;
    record.created_at_ms = ks_clock_wall_ms(attempt->admin->clock);
    KS_TRY(ks_admin_random_hex(attempt, USER_ID_BYTES, &record.user_id));
    struct ks_record_key account_key = ks_account_key(request->account_id);
    ks_admin_rests_on(attempt, &account_key, account_revision);
    ks_admin_rests_on(attempt, &key, 0);
    ks_admin_put(attempt, &key, &record.base);

    Google__Protobuf__Timestamp created;
    Keystead__Admin__V1__User user;
    KS_TRY(show_user(attempt, &record, &created, &user));
    Keystead__Admin__V1__CreateUserResponse response =
        KEYSTEAD__ADMIN__V1__CREATE_USER_RESPONSE__INIT;
    response.user = &user;
    return ks_admin_answer(attempt, &response.base);
}

static ks_result add_user(struct ks_admin_try *attempt, ks_bytes value)
{
    Keystead__Storage__V1__UserRecord *record;
    KS_TRY(ks_user_read(value, attempt->arena, &record));
    Google__Protobuf__Timestamp created;
    Keystead__Admin__V1__User user;
    KS_TRY(show_user(attempt, record, &created, &user));
    return ks_codec_pack_field(1, &user.base, attempt->response);
}

ks_result ks_admin_list_users(struct ks_admin_try *attempt)
{
    const Keystead__Admin__V1__ListUsersRequest *request =
        (const Keystead__Admin__V1__ListUsersRequest *)attempt->request;
    KS_TRY(check_account(attempt, request->account_id));
    int64_t revision;
    KS_TRY(find_account(attempt, request->account_id, &revision));

    struct ks_record_key prefix = ks_user_key(request->account_id, "");
    struct ks_page page = {
        .list = {"ListUsers", request->account_id, ""},
        .prefix = ks_record_key_bytes(&prefix),
        .marker = request->page_token[0] == '\0' ? NULL : request->page_token,
    };
    KS_TRY(ks_admin_page_size(attempt, request->page_size, &page.count_max));
    return ks_listing_answer(attempt, &page, add_user);
}

ks_result ks_admin_delete_user(struct ks_admin_try *attempt)
{
    const Keystead__Admin__V1__DeleteUserRequest *request =
        (const Keystead__Admin__V1__DeleteUserRequest *)attempt->request;
    Keystead__Storage__V1__UserRecord *record;
    int64_t revision;
    KS_TRY(
        ks_admin_find_user(attempt, request->account_id, request->user_name, &record, &revision));
    struct ks_record_key key = ks_user_key(request->account_id, request->user_name);
    ks_admin_rests_on(attempt, &key, revision);
    ks_admin_put(attempt, &key, NULL);
    Keystead__Admin__V1__DeleteUserResponse response =
        KEYSTEAD__ADMIN__V1__DELETE_USER_RESPONSE__INIT;
    return ks_admin_answer(attempt, &response.base);
}
