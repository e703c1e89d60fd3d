#include "pkg/authorize/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/codec/codec.h"

typedef Keystead__Internal__V1__Fact proto_fact;
typedef Keystead__Internal__V1__View proto_view;

#define BUFFER_LEN 65536U

/* A view without a version is the run of its facts. */
static void pack(size_t count, const char *key, struct ks_buffer *buffer)
{
    proto_fact fact = KEYSTEAD__INTERNAL__V1__FACT__INIT;
    proto_fact *facts[KS_FACTS_MAX + 1];
    fact.key = (char *)(uintptr_t)key;
    fact.value = (ProtobufCBinaryData){3, (uint8_t *)"a\0b"};
    fact.name = (ProtobufCBinaryData){4, (uint8_t *)"name"};
    for (size_t i = 0; i < count; i++) {
        facts[i] = &fact;
    }
    proto_view view = KEYSTEAD__INTERNAL__V1__VIEW__INIT;
    view.facts = facts;
    view.n_facts = count;
    assert_int_equal(ks_codec_pack(&view.base, buffer).code, KS_OK);
}

static void reads_what_protobuf_writes(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    struct ks_facts facts;
    pack(2, "kms:KeySpec", &buffer);

    assert_int_equal(ks_facts_read(ks_buffer_bytes(&buffer), &facts).code, KS_OK);

    assert_int_equal(facts.count, 2);
    assert_int_equal(ks_facts_find(&facts, "kms:KeySpec").len, 3);
    assert_int_equal(facts.items[1].name.len, 4);
    assert_int_equal(ks_facts_find(&facts, "kms:KeySpe").len, 0);
    assert_int_equal(ks_facts_read((ks_bytes){0}, &facts).code, KS_OK);
    assert_int_equal(facts.count, 0);
}

static void takes_no_more_than_there_is_room_for(void **state)
{
    (void)state;
    for (size_t count = KS_FACTS_MAX; count <= KS_FACTS_MAX + 1; count++) {
        KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
        struct ks_facts facts;
        pack(count, "x:y", &buffer);
        assert_int_equal(ks_facts_read(ks_buffer_bytes(&buffer), &facts).code,
                         count <= KS_FACTS_MAX ? KS_OK : KS_VALIDATION);
    }
}

/* What a decision rests on is read whole or not at all. */
static void refuses_every_cut(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = BUFFER_LEN};
    struct ks_facts facts;
    pack(1, "kms:KeySpec", &buffer);
    for (size_t len = 1; len < buffer.len; len++) {
        assert_int_equal(ks_facts_read((ks_bytes){buffer.ptr, len}, &facts).code, KS_VALIDATION);
    }
    KS_BUFFER_AUTO keyless = {.len_max = BUFFER_LEN};
    pack(1, "", &keyless);
    assert_int_equal(ks_facts_read(ks_buffer_bytes(&keyless), &facts).code, KS_VALIDATION);
}

static void adds_until_it_is_full(void **state)
{
    (void)state;
    const struct ks_policy_fact fact = {.key = KS_LITERAL("a:b"), .value = KS_LITERAL("c")};
    struct ks_facts facts = {.count = 0};
    for (size_t i = 0; i < KS_FACTS_MAX; i++) {
        assert_int_equal(ks_facts_add(&facts, &fact).code, KS_OK);
    }
    assert_int_equal(ks_facts_add(&facts, &fact).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(facts.count, KS_FACTS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_protobuf_writes),
        cmocka_unit_test(takes_no_more_than_there_is_room_for),
        cmocka_unit_test(refuses_every_cut),
        cmocka_unit_test(adds_until_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
