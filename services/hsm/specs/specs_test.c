#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/blob/blob.h"
#include "pkg/crypto/crypto.h"
#include "services/hsm/specs/spec.h"

static int set_up(void **state)
{
    (void)state;
    return ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ? -1 : 0;
}

/* A spec whose row offers a usage can do what that usage is for. */
static void every_spec_can_do_what_its_row_offers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_keyspec_count; i++) {
        const struct ks_keyspec *row = &ks_keyspecs[i];
        const struct ks_hsm_spec *spec = ks_hsm_spec_of(row);
        assert_non_null(spec->make);
        assert_non_null(spec->fits);
        assert_non_null(spec->load);
        assert_non_null(spec->unload);
        if (ks_keyspec_use_of(row, KS_USAGE_ENCRYPT_DECRYPT)) {
            assert_non_null(spec->encrypt);
            assert_non_null(spec->decrypt);
        }
    }
}

static void material_that_was_made_fits_and_can_be_loaded(void **state)
{
    (void)state;
    for (size_t i = 0; i < ks_keyspec_count; i++) {
        const struct ks_keyspec *row = &ks_keyspecs[i];
        const struct ks_hsm_spec *spec = ks_hsm_spec_of(row);
        KS_SECRET_AUTO material = {.len = 0};
        void *key = NULL;
        assert_int_equal(spec->make(row, &material).code, KS_OK);
        assert_true(material.len > 0 && material.len <= row->material_len);
        assert_true(spec->fits(row, &material));
        assert_int_equal(spec->load(&material, &key).code, KS_OK);
        assert_non_null(key);
        spec->unload(key);
    }
}

static void a_symmetric_key_has_exactly_its_length(void **state)
{
    (void)state;
    const struct ks_keyspec *row = ks_keyspec_of(KS_KEYSPEC_IF_ABSENT);
    const struct ks_hsm_spec *spec = ks_hsm_spec_of(row);
    ks_secret material = {.len = row->material_len};

    assert_true(spec->fits(row, &material));
    material.len = row->material_len - 1;
    assert_false(spec->fits(row, &material));
    material.len = row->material_len + 1;
    assert_false(spec->fits(row, &material));
}

/* The form holds what the row lets a client send. */
static void a_symmetric_plaintext_of_the_longest_kind_fits_a_blob(void **state)
{
    (void)state;
    const struct ks_keyspec_use *use =
        ks_keyspec_use_of(ks_keyspec_of(KS_KEYSPEC_IF_ABSENT), KS_USAGE_ENCRYPT_DECRYPT);

    assert_int_equal(use->algorithms[0].data_len_max, KS_BLOB_PLAINTEXT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spec_can_do_what_its_row_offers),
        cmocka_unit_test(material_that_was_made_fits_and_can_be_loaded),
        cmocka_unit_test(a_symmetric_key_has_exactly_its_length),
        cmocka_unit_test(a_symmetric_plaintext_of_the_longest_kind_fits_a_blob),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
