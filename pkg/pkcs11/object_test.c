#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"
#include "pkg/pkcs11/session.h"
#include "pkg/pkcs11/softhsm_fixture.h"

static struct softhsm softhsm;
static struct ks_token *token;

static void open_token(void)
{
    const struct ks_token_options options = softhsm_options(&softhsm);
    const char *hint = NULL;
    assert_int_equal(ks_token_open(&options, &token, &hint).code, KS_OK);
}

static int set_up(void **state)
{
    (void)state;
    softhsm_init(&softhsm);
    open_token();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_token_close(token);
    softhsm_done(&softhsm);
    return 0;
}

static void assert_holds(const char *label, ks_bytes wanted)
{
    KS_BUFFER_AUTO got = {.len_max = KS_TOKEN_OBJECT_MAX};
    assert_int_equal(ks_token_get(token, label, &got).code, KS_OK);
    assert_true(ks_bytes_equal(ks_buffer_bytes(&got), wanted));
}

static void assert_absent(const char *label)
{
    KS_BUFFER_AUTO got = {.len_max = KS_TOKEN_OBJECT_MAX};
    assert_int_equal(ks_token_get(token, label, &got).code, KS_NOT_FOUND);
    assert_int_equal(got.len, 0);
}

static void a_restart_finds_what_was_put(void **state)
{
    (void)state;
    assert_absent("node-key");
    assert_int_equal(ks_token_put(token, "node-key", KS_LITERAL("wrapped")).code, KS_OK);
    assert_int_equal(ks_token_put(token, "identity", KS_LITERAL("wrapped too")).code, KS_OK);

    ks_token_close(token);
    open_token();

    assert_holds("node-key", KS_LITERAL("wrapped"));
    assert_holds("identity", KS_LITERAL("wrapped too"));
}

static void the_newest_replaces_what_was_there(void **state)
{
    (void)state;
    struct ks_token_objects found = {0};
    for (uint8_t i = 0; i < 20; i++) {
        assert_int_equal(ks_token_put(token, "replaced", (ks_bytes){&i, 1}).code, KS_OK);
        assert_holds("replaced", (ks_bytes){&i, 1});
    }
    assert_int_equal(ks_token_find(token, CKO_DATA, "replaced", &found).code, KS_OK);
    assert_int_equal(found.count, 1);
}

/* As a crash between the two steps of a put leaves it, in either order of the handles. */
static void the_newest_counts_where_two_were_left(void **state)
{
    (void)state;
    for (unsigned char first = 1; first <= 2; first++) {
        CK_OBJECT_CLASS class = CKO_DATA;
        CK_BBOOL yes = CK_TRUE;
        for (unsigned char i = 0; i < 2; i++) {
            uint8_t number[8] = {0, 0, 0, 0, 0, 0, 0, i == 0 ? first : (uint8_t)(3 - first)};
            CK_ATTRIBUTE wanted[] = {
                ks_token_attribute(CKA_CLASS, &class, sizeof(class)),
                ks_token_attribute(CKA_TOKEN, &yes, sizeof(yes)),
                ks_token_attribute(CKA_LABEL, "two", 3),
                ks_token_attribute(CKA_OBJECT_ID, number, sizeof(number)),
                ks_token_attribute(CKA_VALUE, number + 7, 1),
            };
            CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
            assert_int_equal(
                token->api->C_CreateObject(token->session, wanted, KS_COUNT(wanted), &object),
                CKR_OK);
        }
        assert_holds("two", KS_LITERAL("\x02"));
        assert_int_equal(ks_token_put(token, "two", KS_LITERAL("next")).code, KS_OK);
        assert_holds("two", KS_LITERAL("next"));
        assert_int_equal(ks_token_delete(token, "two").code, KS_OK);
        assert_absent("two");
    }
}

static void data_has_a_length(void **state)
{
    (void)state;
    static uint8_t bytes[KS_TOKEN_OBJECT_MAX + 1];
    memset(bytes, 0xaa, sizeof(bytes));

    assert_int_equal(ks_token_put(token, "long", (ks_bytes){0}).code, KS_VALIDATION);
    assert_int_equal(ks_token_put(token, "long", (ks_bytes){bytes, sizeof(bytes)}).code,
                     KS_VALIDATION);
    assert_absent("long");
    assert_int_equal(ks_token_put(token, "long", (ks_bytes){bytes, KS_TOKEN_OBJECT_MAX}).code,
                     KS_OK);
    assert_holds("long", (ks_bytes){bytes, KS_TOKEN_OBJECT_MAX});

    KS_BUFFER_AUTO small = {.len_max = KS_TOKEN_OBJECT_MAX - 1};
    assert_int_equal(ks_token_get(token, "long", &small).code, KS_LIMIT_EXCEEDED);
}

static void what_was_deleted_is_gone(void **state)
{
    (void)state;
    assert_int_equal(ks_token_put(token, "gone", KS_LITERAL("x")).code, KS_OK);

    assert_int_equal(ks_token_delete(token, "gone").code, KS_OK);

    assert_absent("gone");
    assert_int_equal(ks_token_delete(token, "gone").code, KS_NOT_FOUND);
}

/* Only who knows the PIN may see that there is something. */
static void data_is_private(void **state)
{
    (void)state;
    struct ks_token_objects found = {0};
    assert_int_equal(ks_token_put(token, "private", KS_LITERAL("x")).code, KS_OK);
    assert_int_equal(ks_token_find(token, CKO_DATA, "private", &found).code, KS_OK);
    assert_int_equal(found.count, 1);

    assert_int_equal(token->api->C_Logout(token->session), CKR_OK);

    assert_int_equal(ks_token_find(token, CKO_DATA, "private", &found).code, KS_OK);
    assert_int_equal(found.count, 0);
    ks_token_close(token);
    open_token();
}

static void malformed_labels_are_refused(void **state)
{
    (void)state;
    const char too_long[] = "12345678901234567890123456789012345678901234567890123456789012345";

    assert_int_equal(ks_token_put(token, "", KS_LITERAL("x")).code, KS_VALIDATION);
    assert_int_equal(ks_token_put(token, too_long, KS_LITERAL("x")).code, KS_VALIDATION);
}

/* Anybody who reaches the token can make a public object, with the highest number, too. */
static void a_public_object_that_was_planted_changes_nothing(void **state)
{
    (void)state;
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    static const uint8_t number[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    CK_ATTRIBUTE wanted[] = {
        ks_token_attribute(CKA_CLASS, &class, sizeof(class)),
        ks_token_attribute(CKA_TOKEN, &yes, sizeof(yes)),
        ks_token_attribute(CKA_PRIVATE, &no, sizeof(no)),
        ks_token_attribute(CKA_LABEL, "pinned", 6),
        ks_token_attribute(CKA_OBJECT_ID, number, sizeof(number)),
        ks_token_attribute(CKA_VALUE, "another root", 12),
    };
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    assert_int_equal(ks_token_put(token, "pinned", KS_LITERAL("the root")).code, KS_OK);

    assert_int_equal(token->api->C_CreateObject(token->session, wanted, KS_COUNT(wanted), &object),
                     CKR_OK);

    assert_holds("pinned", KS_LITERAL("the root"));
    assert_int_equal(ks_token_delete(token, "pinned").code, KS_OK);
    assert_absent("pinned");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_finds_what_was_put),
        cmocka_unit_test(the_newest_replaces_what_was_there),
        cmocka_unit_test(the_newest_counts_where_two_were_left),
        cmocka_unit_test(data_has_a_length),
        cmocka_unit_test(what_was_deleted_is_gone),
        cmocka_unit_test(data_is_private),
        cmocka_unit_test(a_public_object_that_was_planted_changes_nothing),
        cmocka_unit_test(malformed_labels_are_refused),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){.wipe_allocator = true}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
