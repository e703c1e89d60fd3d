#include "services/keystore/backup/contents.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/keystore/records/name.h"

#define ACCOUNT "111122223333"
#define KEY_ID  "1234abcd-12ab-34cd-56ef-1234567890ab"

static bool keeps(struct ks_name name)
{
    return ks_backup_keeps(ks_name_bytes(&name));
}

/* What a restored cell needs: keys and what belongs to them, what was deleted, what was done. */
static void what_the_cell_is_made_of_is_kept(void **state)
{
    (void)state;
    struct ks_name requests = ks_name_requests(ACCOUNT);

    assert_true(keeps(ks_name_key(ACCOUNT, KEY_ID)));
    assert_true(keeps(ks_name_gone_key(ACCOUNT, KEY_ID)));
    assert_true(keeps(ks_name_alias(ACCOUNT, "alias/a")));
    assert_true(keeps(ks_name_key_alias(ACCOUNT, KEY_ID, "alias/a")));
    assert_true(keeps(ks_name_policy(ACCOUNT, KEY_ID)));
    assert_true(keeps(ks_name_material(ACCOUNT, KEY_ID, "m")));
    assert_true(keeps(ks_name_grant(ACCOUNT, KEY_ID, "g")));
    assert_true(keeps(ks_name_destroyed(ACCOUNT, KEY_ID)));
    assert_true(keeps(ks_name_backup(KEY_ID)));
    assert_true(ks_backup_keeps(ks_name_bytes(&requests)));
    assert_true(ks_backup_keeps(KS_NAME_ROSTER));
    assert_true(ks_backup_keeps(KS_NAME_DOMAIN_CURRENT));
    assert_true(ks_backup_keeps(KS_NAME_DOMAIN_NEWEST));
    assert_true(ks_backup_keeps(KS_LITERAL("a kind that is added later/x")));
}

static void what_belongs_to_the_hsms_of_the_time_is_left_out(void **state)
{
    (void)state;
    struct ks_name keys = ks_name_keys(ACCOUNT);

    assert_false(keeps(ks_name_domain_copy(7, "ap-seoul-1a", "node")));
    assert_false(keeps(ks_name_transit("ap-seoul-1a", "node")));
    assert_false(ks_backup_keeps(KS_NAME_DOMAIN_ROTATE));
    assert_false(keeps(ks_name_gate(&keys)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_cell_is_made_of_is_kept),
        cmocka_unit_test(what_belongs_to_the_hsms_of_the_time_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
