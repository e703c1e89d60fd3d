#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"
#include "pkg/pkcs11/session.h"
#include "pkg/pkcs11/softhsm_fixture.h"

#define LABEL "root"

static struct softhsm softhsm;
static struct ks_token *token;

static struct ks_token *open_token(void)
{
    const struct ks_token_options options = softhsm_options(&softhsm);
    struct ks_token *opened = NULL;
    const char *hint = NULL;
    assert_int_equal(ks_token_open(&options, &opened, &hint).code, KS_OK);
    return opened;
}

static int set_up(void **state)
{
    (void)state;
    softhsm_init(&softhsm);
    token = open_token();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_token_close(token);
    softhsm_done(&softhsm);
    return 0;
}

static void restart(void)
{
    ks_token_close(token);
    token = open_token();
}

static ks_code find(const char *label, ks_token_key *ret_key)
{
    const char *hint = NULL;
    ks_result answer = ks_token_find_root(token, label, ret_key, &hint);
    assert_int_equal(hint != NULL, answer.code != KS_OK);
    return answer.code;
}

static ks_token_key make(const char *label)
{
    const char *hint = NULL;
    ks_token_key key = {0};
    assert_int_equal(ks_token_make_root(token, label, &key, &hint).code, KS_OK);
    return key;
}

static void a_restart_finds_the_same_key(void **state)
{
    (void)state;
    const char *hint = NULL;
    ks_token_key key = {0};
    KS_BUFFER_AUTO wrapped = {.len_max = 1024};
    KS_BUFFER_AUTO opened = {.len_max = 1024};
    assert_int_equal(find(LABEL, &key), KS_NOT_FOUND);
    assert_int_equal(ks_token_find_or_make_root(token, LABEL, &key, &hint).code, KS_OK);
    assert_int_equal(
        ks_token_wrap(token, key, KS_LITERAL("aad"), KS_LITERAL("a node key"), &wrapped).code,
        KS_OK);

    restart();

    hint = NULL;
    assert_int_equal(ks_token_find_or_make_root(token, LABEL, &key, &hint).code, KS_OK);
    assert_int_equal(
        ks_token_unwrap(token, key, KS_LITERAL("aad"), ks_buffer_bytes(&wrapped), &opened).code,
        KS_OK);
    assert_true(ks_bytes_equal(ks_buffer_bytes(&opened), KS_LITERAL("a node key")));
}

static void the_value_cannot_be_read(void **state)
{
    (void)state;
    ks_token_key key = make("unreadable");
    uint8_t value[64];
    CK_ATTRIBUTE got = {CKA_VALUE, value, sizeof(value)};

    assert_int_equal(token->api->C_GetAttributeValue(token->session, key.handle, &got, 1),
                     CKR_ATTRIBUTE_SENSITIVE);
}

static void the_key_cannot_be_weakened(void **state)
{
    (void)state;
    ks_token_key key = make("unchangeable");
    const struct {
        CK_ATTRIBUTE_TYPE type;
        CK_BBOOL value;
    } weaker[] = {{CKA_EXTRACTABLE, CK_TRUE}, {CKA_SENSITIVE, CK_FALSE}, {CKA_WRAP, CK_TRUE}};
    for (size_t i = 0; i < KS_COUNT(weaker); i++) {
        CK_BBOOL value = weaker[i].value;
        CK_ATTRIBUTE wanted = {weaker[i].type, &value, sizeof(value)};
        assert_int_not_equal(
            token->api->C_SetAttributeValue(token->session, key.handle, &wanted, 1), CKR_OK);
    }
    assert_int_equal(find("unchangeable", &key), KS_OK);
}

/* One attribute differs from what ks_token_make_root asks for. */
struct variant {
    const char *label;
    CK_MECHANISM_TYPE mechanism; /* 0: the value is given, and so known outside */
    CK_KEY_TYPE type;
    CK_ULONG len;
    CK_ATTRIBUTE_TYPE changed;
    CK_BBOOL value;
};

static const struct variant variants[] = {
    {"extractable", CKM_AES_KEY_GEN, CKK_AES, 32, CKA_EXTRACTABLE, CK_TRUE},
    {"not sensitive", CKM_AES_KEY_GEN, CKK_AES, 32, CKA_SENSITIVE, CK_FALSE},
    {"modifiable", CKM_AES_KEY_GEN, CKK_AES, 32, CKA_MODIFIABLE, CK_TRUE},
    {"wraps", CKM_AES_KEY_GEN, CKK_AES, 32, CKA_WRAP, CK_TRUE},
    {"unwraps", CKM_AES_KEY_GEN, CKK_AES, 32, CKA_UNWRAP, CK_TRUE},
    {"derives", CKM_AES_KEY_GEN, CKK_AES, 32, CKA_DERIVE, CK_TRUE},
    {"signs", CKM_AES_KEY_GEN, CKK_AES, 32, CKA_SIGN, CK_TRUE},
    {"encrypts not", CKM_AES_KEY_GEN, CKK_AES, 32, CKA_ENCRYPT, CK_FALSE},
    {"decrypts not", CKM_AES_KEY_GEN, CKK_AES, 32, CKA_DECRYPT, CK_FALSE},
    {"short", CKM_AES_KEY_GEN, CKK_AES, 16, CKA_WRAP, CK_FALSE},
    {"generic", CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET, 32, CKA_WRAP, CK_FALSE},
    {"imported", 0, CKK_AES, 32, CKA_WRAP, CK_FALSE},
};

static void make_variant(const struct variant *variant)
{
    static const CK_ATTRIBUTE_TYPE yes[] = {CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_ENCRYPT,
                                            CKA_DECRYPT};
    static const CK_ATTRIBUTE_TYPE no[] = {CKA_EXTRACTABLE, CKA_MODIFIABLE, CKA_WRAP,  CKA_UNWRAP,
                                           CKA_SIGN,        CKA_VERIFY,     CKA_DERIVE};
    static const uint8_t value[32] = {1};
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_BBOOL values[KS_COUNT(yes) + KS_COUNT(no)];
    CK_ATTRIBUTE wanted[4 + KS_COUNT(values)] = {
        ks_token_attribute(CKA_CLASS, &class, sizeof(class)),
        ks_token_attribute(CKA_KEY_TYPE, &variant->type, sizeof(variant->type)),
        ks_token_attribute(CKA_LABEL, variant->label, ks_bytes_of(variant->label).len),
        variant->mechanism != 0
            ? ks_token_attribute(CKA_VALUE_LEN, &variant->len, sizeof(variant->len))
            : ks_token_attribute(CKA_VALUE, value, sizeof(value)),
    };
    for (size_t i = 0; i < KS_COUNT(values); i++) {
        CK_ATTRIBUTE_TYPE type = i < KS_COUNT(yes) ? yes[i] : no[i - KS_COUNT(yes)];
        values[i] = i < KS_COUNT(yes) ? CK_TRUE : CK_FALSE;
        values[i] = type == variant->changed ? variant->value : values[i];
        wanted[4 + i] = ks_token_attribute(type, &values[i], sizeof(values[i]));
    }
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_MECHANISM mechanism = {variant->mechanism, NULL, 0};
    CK_RV made =
        variant->mechanism != 0
            ? token->api->C_GenerateKey(token->session, &mechanism, wanted, KS_COUNT(wanted), &key)
            : token->api->C_CreateObject(token->session, wanted, KS_COUNT(wanted), &key);
    assert_int_equal(made, CKR_OK);
}

static void refuses_a_weaker_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(variants); i++) {
        const char *hint = NULL;
        ks_token_key key = {.handle = 4711};
        make_variant(&variants[i]);

        assert_int_equal(ks_token_find_or_make_root(token, variants[i].label, &key, &hint).code,
                         KS_ACCESS_DENIED);

        assert_non_null(hint);
        assert_int_equal(key.handle, 4711);
    }
}

/* Anybody who reaches the token can make a public key, without a PIN. */
static void a_public_key_that_was_planted_changes_nothing(void **state)
{
    (void)state;
    const struct variant planted = {"planted", CKM_AES_KEY_GEN, CKK_AES, 32, CKA_PRIVATE, CK_FALSE};
    ks_token_key key = {0};
    make_variant(&planted);
    assert_int_equal(find("planted", &key), KS_NOT_FOUND);
    make("planted");

    make_variant(&planted);

    assert_int_equal(find("planted", &key), KS_OK);
}

/* What the variants are made with is right but for the one attribute. */
static void takes_a_key_that_another_made_as_strong(void **state)
{
    (void)state;
    const struct variant same = {"as strong", CKM_AES_KEY_GEN, CKK_AES, 32, CKA_WRAP, CK_FALSE};
    ks_token_key key = {0};
    make_variant(&same);

    assert_int_equal(find("as strong", &key), KS_OK);
}

static void a_label_is_used_once(void **state)
{
    (void)state;
    const char *hint = NULL;
    ks_token_key key = make("once");
    assert_int_equal(ks_token_make_root(token, "once", &key, &hint).code, KS_ALREADY_EXISTS);
    const struct variant second = {"once", CKM_AES_KEY_GEN, CKK_AES, 32, CKA_WRAP, CK_FALSE};

    make_variant(&second);

    assert_int_equal(find("once", &key), KS_ALREADY_EXISTS);
}

static void labels_have_a_length(void **state)
{
    (void)state;
    ks_token_key key = {0};
    const char longest[] = "1234567890123456789012345678901234567890123456789012345678901234";
    const char too_long[] = "12345678901234567890123456789012345678901234567890123456789012345";
    assert_int_equal(sizeof(longest) - 1, KS_TOKEN_NAME_MAX);

    assert_int_equal(find("", &key), KS_VALIDATION);
    assert_int_equal(find(too_long, &key), KS_VALIDATION);
    make(longest);
    assert_int_equal(find(longest, &key), KS_OK);
}

static void a_destroyed_key_opens_nothing(void **state)
{
    (void)state;
    const char *hint = NULL;
    ks_token_key key = make("doomed");
    KS_BUFFER_AUTO wrapped = {.len_max = 1024};
    KS_BUFFER_AUTO opened = {.len_max = 1024};
    assert_int_equal(ks_token_wrap(token, key, (ks_bytes){0}, KS_LITERAL("x"), &wrapped).code,
                     KS_OK);

    assert_int_equal(ks_token_destroy_root(token, "doomed").code, KS_OK);

    assert_true(
        ks_failed(ks_token_unwrap(token, key, (ks_bytes){0}, ks_buffer_bytes(&wrapped), &opened)));
    assert_int_equal(ks_token_destroy_root(token, "doomed").code, KS_NOT_FOUND);
    restart();
    assert_int_equal(ks_token_find_or_make_root(token, "doomed", &key, &hint).code, KS_OK);
    assert_int_equal(
        ks_token_unwrap(token, key, (ks_bytes){0}, ks_buffer_bytes(&wrapped), &opened).code,
        KS_INVALID_CIPHERTEXT);
    assert_int_equal(opened.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_finds_the_same_key),
        cmocka_unit_test(the_value_cannot_be_read),
        cmocka_unit_test(the_key_cannot_be_weakened),
        cmocka_unit_test(refuses_a_weaker_key),
        cmocka_unit_test(a_public_key_that_was_planted_changes_nothing),
        cmocka_unit_test(takes_a_key_that_another_made_as_strong),
        cmocka_unit_test(a_label_is_used_once),
        cmocka_unit_test(labels_have_a_length),
        cmocka_unit_test(a_destroyed_key_opens_nothing),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){.wipe_allocator = true}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
