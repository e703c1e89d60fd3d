#include <string.h>

#include "keystead/kms/v1/aliases.pb-c.h"
#include "pkg/operation/bounds.h"
#include "pkg/record/page.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/execute/trust.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/operations/metadata.h"
#include "services/keystore/records/alias.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

/*
 * Bytes of keys' records that a page reads; it ends before the alias whose key would be beyond. A
 * record has up to 110 KiB if a tenant makes it long, and a page shows a few bytes of each.
 */
#define RECORDS_LEN_MAX (2U * 1024U * 1024U)
#define ENTRY_LEN       4096U           /* bytes that an entry takes of the arena at most */
#define RECORD_ROOM     (1024U * 1024U) /* for a record that is unpacked */

_Static_assert(RECORDS_LEN_MAX + KS_STORE_VALUE_LEN_MAX <= KS_CALL_ARENA_MAX / 2,
               "the arena takes copies of the records of a page");

/* A page while it is filled. */
struct filled {
    struct ks_call *call;
    KMS(AliasListEntry) * *entries;
    size_t count;
    struct ks_arena arena;         /* of the key that was read last */
    const STORED(KeyRecord) * key; /* that key, or the call's target; NULL: none */
    size_t records_len;            /* bytes of the records that were read */
};

static int32_t limit_of(const KMS(ListAliasesRequest) * request)
{
    return request->limit_presence_case == 0 ? KS_DEFAULT_LIST_ALIASES_LIMIT : request->limit;
}

/* A record that is longer than its room is none that a keystore puts. */
static ks_result unpack(struct filled *filled, const struct ks_store_record *record)
{
    STORED(KeyRecord) *key = NULL;
    filled->key = NULL;
    ks_arena_done(&filled->arena);
    ks_result result = ks_record_read_key_at(record->key, record->value, &filled->arena, &key);
    filled->key = key;
    return result.code == KS_LIMIT_EXCEEDED ? KS_RES(CORRUPT) : result;
}

/*
 * The key that the page has met last is read once. Fails: LIMIT_EXCEEDED (the page ends before this
 * alias), CORRUPT.
 */
static ks_result read_key(struct filled *filled, const char *key_id)
{
    struct ks_call *call = filled->call;
    if (filled->key && strcmp(filled->key->key_id, key_id) == 0) {
        return KS_RES(OK);
    }
    struct ks_name name = ks_name_key(call->item->account, key_id);
    struct ks_store_record record;
    ks_result result = ks_store_get(&call->view, ks_name_bytes(&name), &record);
    if (result.code == KS_NOT_FOUND) {
        return KS_RES(CORRUPT);
    }
    KS_TRY(result);
    if (filled->count > 0 && filled->records_len + record.value.len > RECORDS_LEN_MAX) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    KS_TRY(unpack(filled, &record));
    filled->records_len += record.value.len;
    ks_call_rest_on_record(call, &record);
    return KS_RES(OK);
}

/* What is shown comes from the key's record, which an hsm has made. The names have their form. */
static ks_result add(struct filled *filled, const char *key_id, const char *name)
{
    if (!ks_call_has_room(filled->call, ENTRY_LEN)) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    KS_TRY(read_key(filled, key_id));
    const STORED(KeyAlias) *alias = ks_record_alias(filled->key, name);
    if (!alias) {
        struct ks_name of_alias = ks_name_alias(filled->call->item->account, name);
        ks_trust_alarm(filled->call->env->trust, ks_name_bytes(&of_alias));
        return KS_RES(CORRUPT);
    }
    filled->entries[filled->count++] = ks_metadata_alias(filled->call, filled->key, alias);
    return KS_RES(OK);
}

static ks_result alarmed(const struct filled *filled, const struct ks_store_record *record,
                         ks_result read)
{
    if (read.code == KS_CORRUPT) {
        ks_trust_alarm(filled->call->env->trust, record->key);
    }
    return read;
}

/* A record alias/<account>/<rest> */
static ks_result add_alias(void *user, ks_bytes name, const struct ks_store_record *record)
{
    (void)name;
    struct filled *filled = user;
    STORED(AliasRecord) *alias = NULL;
    KS_TRY(alarmed(filled, record,
                   ks_record_read_alias(record->key, record->value, &filled->call->arena, &alias)));
    return add(filled, alias->key_id, alias->name);
}

/* A record keyalias/<account>/<key id>/<rest> */
static ks_result add_alias_of_key(void *user, ks_bytes name, const struct ks_store_record *record)
{
    (void)name;
    struct filled *filled = user;
    const struct ks_target *target = &filled->call->targets[0];
    STORED(KeyAliasRecord) *alias = NULL;
    KS_TRY(alarmed(filled, record,
                   ks_record_read_key_alias(record->key, record->value, target->account,
                                            target->key_id, &filled->call->arena, &alias)));
    return add(filled, target->key_id, alias->name);
}

/*
 * Which aliases there are rests on the newest change under the prefix, and what each says on its own
 * record.
 */
static void reply(struct ks_call *call, const struct filled *filled, ks_bytes prefix, char *marker)
{
    KMS(ListAliasesResponse) response = KMS_NEW(LIST_ALIASES_RESPONSE);
    response.next_marker = marker;
    response.truncated = marker[0] != '\0';
    response.aliases = filled->entries;
    response.n_aliases = filled->count;
    ks_call_rest_on_prefix(call, prefix);
    ks_call_reply(call, &response.base);
}

/* Reads the page, and replies. */
static void list(struct ks_call *call, const struct ks_page *page, struct filled *filled)
{
    char marker[KS_MARKER_LEN_MAX + 1];
    bool is_of_key = call->target_count > 0;
    filled->entries = ks_call_pointers(call, page->count_max);
    filled->key = is_of_key ? call->targets[0].key : NULL;
    ks_result result =
        ks_page_read(&call->view, page, is_of_key ? add_alias_of_key : add_alias, filled, marker);
    if (ks_failed(result)) {
        ks_call_fail(call, result.code == KS_INVALID_MARKER ? KS_INVALID_MARKER : KS_INTERNAL);
        return;
    }
    reply(call, filled, page->prefix, marker);
}

void ks_run_list_aliases(struct ks_call *call)
{
    const KMS(ListAliasesRequest) *request = (const KMS(ListAliasesRequest) *)call->request;
    const char *account = call->item->account;
    const char *key_id = call->target_count > 0 ? call->targets[0].key_id : NULL;
    struct ks_name prefix =
        key_id ? ks_name_key_aliases(account, key_id) : ks_name_aliases(account);
    const struct ks_page page = {
        .list = {"ListAliases", account, key_id ? key_id : ""},
        .prefix = ks_name_bytes(&prefix),
        .marker = request->marker_presence_case == 0 ? NULL : request->marker,
        .count_max = (size_t)limit_of(request),
    };
    struct filled filled = {.call = call, .arena = {.len_max = RECORD_ROOM}};
    list(call, &page, &filled);
    ks_arena_done(&filled.arena); /* the call may be gone, and nothing of it stands there */
}
