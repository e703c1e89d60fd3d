#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/authentic/authentic.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/mac.h"
#include "tests/vectors/record_json.h"
#include "tests/vectors/vectors.h"

#define REGION KS_LITERAL("ap-seoul-1")
#define NAME   KS_LITERAL("key/111122223333/1234abcd-12ab-34cd-56ef-1234567890ab")

static struct ks_mac *key;
static uint8_t mac[KS_AUTHENTIC_MAC_LEN];
static struct ks_buffer value; /* a good envelope */

static struct ks_authentic a_record(void)
{
    return (struct ks_authentic){KS_LITERAL("what a key is"), 300, 7, mac};
}

static int set_up(void **state)
{
    (void)state;
    const ks_secret domain_key = {.len = 32, .bytes = {1}};
    KS_MAC_AUTO *domain = NULL;
    KS_SECRET_AUTO derived = {.len = 0};
    struct ks_authentic record = a_record();
    value = (struct ks_buffer){.len_max = 1024};
    return ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ||
                   ks_failed(ks_mac_new(&domain_key, &domain)) ||
                   ks_failed(ks_authentic_key(domain, REGION, &derived)) ||
                   ks_failed(ks_mac_new(&derived, &key)) ||
                   ks_failed(ks_authentic_mac(key, REGION, NAME, &record, mac)) ||
                   ks_failed(ks_authentic_write(&record, &value))
               ? -1
               : 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_mac_free(key);
    ks_buffer_done(&value);
    return 0;
}

/* Reads an exact heap copy, so that a sanitizer sees each read past the end, and checks it. */
static ks_code open_copy(ks_bytes bytes)
{
    uint8_t *copy = ks_alloc(1, bytes.len + 1);
    memcpy(copy, bytes.ptr, bytes.len);
    struct ks_authentic record;
    ks_result result = ks_authentic_read((ks_bytes){copy, bytes.len}, &record);
    if (!ks_failed(result)) {
        result = ks_authentic_check(key, REGION, NAME, &record);
    }
    ks_free(copy);
    return result.code;
}

static void check_vector(const struct ks_json *vector)
{
    KS_VECTOR_AUTO domain_key = ks_vector_hex(vector, "domain_key");
    KS_VECTOR_AUTO body = ks_vector_hex(vector, "body");
    KS_VECTOR_AUTO good_mac = ks_vector_hex(vector, "mac");
    KS_VECTOR_AUTO envelope = ks_vector_hex(vector, "envelope");
    KS_VECTOR_AUTO number = ks_vector_hex(vector, "counter");
    ks_bytes region = ks_vector_text(vector, "region");
    ks_secret domain_secret = {.len = domain_key.len};
    memcpy(domain_secret.bytes, domain_key.ptr, domain_key.len);
    KS_MAC_AUTO *domain = NULL;
    KS_MAC_AUTO *derived_mac = NULL;
    KS_SECRET_AUTO derived = {.len = 0};
    uint64_t counter = 0;
    for (size_t i = 0; i < number.len; i++) {
        counter = counter << 8 | number.ptr[i];
    }
    struct ks_authentic record = {ks_vector_view(&body), counter,
                                  ks_vector_number(vector, "generation"), good_mac.ptr};
    uint8_t got[KS_AUTHENTIC_MAC_LEN];
    KS_BUFFER_AUTO written = {.len_max = 1024U * 1024U};

    assert_int_equal(ks_mac_new(&domain_secret, &domain).code, KS_OK);
    assert_int_equal(ks_authentic_key(domain, region, &derived).code, KS_OK);
    assert_int_equal(ks_mac_new(&derived, &derived_mac).code, KS_OK);
    assert_int_equal(
        ks_authentic_mac(derived_mac, region, ks_vector_text(vector, "record_name"), &record, got)
            .code,
        KS_OK);
    assert_int_equal(ks_authentic_write(&record, &written).code, KS_OK);

    assert_memory_equal(got, good_mac.ptr, sizeof(got));
    assert_true(ks_bytes_equal(ks_buffer_bytes(&written), ks_vector_view(&envelope)));
    struct ks_authentic read = {.counter = 0};
    assert_int_equal(ks_authentic_read(ks_vector_view(&envelope), &read).code, KS_OK);
    assert_true(read.counter == counter && read.generation == record.generation);
    assert_true(ks_bytes_equal(read.body, record.body));
    assert_memory_equal(read.mac, good_mac.ptr, sizeof(got));
}

static void agrees_with_the_golden_vectors(void **state)
{
    (void)state;
    struct ks_json_doc *doc = ks_vectors_open(ks_record_json, ks_record_json_len);
    for (size_t i = 0; i < ks_vectors_count(doc); i++) {
        check_vector(ks_vectors_at(doc, i));
    }
    ks_json_free(doc);
}

static void refuses_every_damage(void **state)
{
    (void)state;
    assert_int_equal(open_copy(ks_buffer_bytes(&value)), KS_OK);
    for (size_t bit = 0; bit < 8 * value.len; bit++) {
        value.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_equal(open_copy(ks_buffer_bytes(&value)), KS_CORRUPT);
        value.ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t len = 0; len < value.len; len++) {
        assert_int_equal(open_copy((ks_bytes){value.ptr, len}), KS_CORRUPT);
    }
}

/* Two readers must never disagree about what an envelope says. */
static void refuses_another_encoding_of_the_same_content(void **state)
{
    (void)state;
    static const uint8_t long_counter[] = {0x18, 0xac, 0x82, 0x00}; /* 300, in a byte too many */
    struct ks_authentic record;
    KS_BUFFER_AUTO other = {.len_max = 1024};
    const size_t counter_at = 2 + 2 + a_record().body.len;
    assert_int_equal(value.ptr[counter_at], 0x18);
    assert_int_equal(ks_buffer_append(&other, (ks_bytes){value.ptr, counter_at}).code, KS_OK);
    assert_int_equal(ks_buffer_append(&other, (ks_bytes){long_counter, sizeof(long_counter)}).code,
                     KS_OK);
    assert_int_equal(
        ks_buffer_append(&other, (ks_bytes){value.ptr + counter_at + 3, value.len - counter_at - 3})
            .code,
        KS_OK);
    assert_int_equal(ks_authentic_read(ks_buffer_bytes(&other), &record).code, KS_CORRUPT);

    ks_buffer_done(&other);
    assert_int_equal(ks_buffer_append(&other, ks_buffer_bytes(&value)).code, KS_OK);
    assert_int_equal(ks_buffer_append(&other, KS_LITERAL("\x08\x01")).code, KS_OK);
    assert_int_equal(ks_authentic_read(ks_buffer_bytes(&other), &record).code, KS_CORRUPT);
}

/* Everything that stands beside the body is under the MAC, too. */
static void a_mac_is_good_for_one_place_and_one_counter(void **state)
{
    (void)state;
    struct ks_authentic record = a_record();
    assert_int_equal(ks_authentic_check(key, REGION, NAME, &record).code, KS_OK);
    assert_int_equal(ks_authentic_check(key, KS_LITERAL("us-oregon-1"), NAME, &record).code,
                     KS_CORRUPT);
    assert_int_equal(ks_authentic_check(key, REGION, KS_LITERAL("key/1/2"), &record).code,
                     KS_CORRUPT);
    record.counter++;
    assert_int_equal(ks_authentic_check(key, REGION, NAME, &record).code, KS_CORRUPT);
    record.counter--;
    record.generation++;
    assert_int_equal(ks_authentic_check(key, REGION, NAME, &record).code, KS_CORRUPT);
}

static void keeps_both_sides_of_its_limits(void **state)
{
    (void)state;
    static uint8_t big[KS_AUTHENTIC_BODY_MAX + 1];
    const struct {
        size_t body_len;
        uint64_t counter;
        uint32_t generation;
        ks_code code;
    } cases[] = {
        {1, 1, 1, KS_OK},
        {KS_AUTHENTIC_BODY_MAX, UINT64_MAX, 99999999, KS_OK},
        {0, 1, 1, KS_VALIDATION},
        {KS_AUTHENTIC_BODY_MAX + 1, 1, 1, KS_VALIDATION},
        {1, 0, 1, KS_VALIDATION},
        {1, 1, 0, KS_VALIDATION},
        {1, 1, 100000000, KS_VALIDATION},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        const struct ks_authentic record = {
            {big, cases[i].body_len}, cases[i].counter, cases[i].generation, mac};
        KS_BUFFER_AUTO out = {.len_max = 1024U * 1024U};
        struct ks_authentic read;
        uint8_t got[KS_AUTHENTIC_MAC_LEN];
        assert_int_equal(ks_authentic_write(&record, &out).code, cases[i].code);
        assert_int_equal(ks_authentic_mac(key, REGION, NAME, &record, got).code, cases[i].code);
        if (cases[i].code == KS_OK) {
            assert_true(out.len - cases[i].body_len <= KS_AUTHENTIC_EXTRA_MAX);
            assert_int_equal(ks_authentic_read(ks_buffer_bytes(&out), &read).code, KS_OK);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_golden_vectors),
        cmocka_unit_test(refuses_every_damage),
        cmocka_unit_test(refuses_another_encoding_of_the_same_content),
        cmocka_unit_test(a_mac_is_good_for_one_place_and_one_counter),
        cmocka_unit_test(keeps_both_sides_of_its_limits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
