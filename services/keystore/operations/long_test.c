/* Keys with the longest tags and descriptions: whatever rests on many of them is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/kms/v1/tags.pb-c.h"
#include "pkg/operation/bounds.h"
#include "pkg/record/marker.h"
#include "services/keystore/execute/trust.h"
#include "services/keystore/fixture/key_fixture.h"

#define KEYS         50U
#define LETTER       "\xf0\x9d\x84\x9e" /* one character of four bytes */
#define LETTER_LEN   4U
#define TAG_KEY      128U /* characters */
#define TAG_VALUE    256U
#define DESCRIPTION  8192U
#define PAGE_LIMIT   100
#define PAGES_MAX    20U
#define TAG_KEY_ROOM (TAG_KEY * LETTER_LEN + 1U)

static char ids[KEYS][KS_KEY_ID_LEN + 1];
static struct ks_trust *fresh; /* that trusts nothing yet; NULL: none */

static void fill(char *text, size_t letters)
{
    for (size_t i = 0; i < letters; i++) {
        memcpy(text + i * LETTER_LEN, LETTER, LETTER_LEN);
    }
    text[letters * LETTER_LEN] = '\0';
}

/* The longest that a client can make; its record has 110 KiB. */
static void create_long_key(char ret_key_id[KS_KEY_ID_LEN + 1])
{
    static char names[KS_TAGS_MAX][TAG_KEY_ROOM];
    static char value[TAG_VALUE * LETTER_LEN + 1];
    static char text[DESCRIPTION * LETTER_LEN + 1];
    KMS(Tag) made[KS_TAGS_MAX];
    KMS(Tag) * tags[KS_TAGS_MAX];
    fill(value, TAG_VALUE);
    fill(text, DESCRIPTION);
    for (size_t i = 0; i < KS_TAGS_MAX; i++) {
        fill(names[i] + 2, TAG_KEY - 2);
        names[i][0] = (char)('a' + i % 10);
        names[i][1] = (char)('a' + i / 10);
        made[i] = (KMS(Tag))KMS_NEW(TAG);
        made[i].tag_key = names[i];
        made[i].tag_value_presence_case = KMS_ENUM(TAG__TAG_VALUE_PRESENCE_TAG_VALUE);
        made[i].tag_value = value;
        tags[i] = &made[i];
    }
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    message.tags = tags;
    message.n_tags = KS_TAGS_MAX;
    message.description = text;
    const struct cell_request request = {.operation = OP(CREATE_KEY),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(create_key_response)};
    CELL_ANSWER_AUTO answer = cell_call(&cell, &request);
    expect(&answer, "OK");
    snprintf(ret_key_id, KS_KEY_ID_LEN + 1, "%s",
             ((KMS(CreateKeyResponse) *)answer.response)->key_metadata->key_id);
}

static int set_up_long(void **state)
{
    (void)set_up(state);
    for (unsigned i = 0; i < KEYS; i++) {
        char alias[32];
        snprintf(alias, sizeof(alias), "alias/%03u", i);
        create_long_key(ids[i]);
        cell_create_alias(&cell, alias, ids[i]);
    }
    return 0;
}

static int tear_down_long(void **state)
{
    struct ks_trust *made = fresh;
    (void)tear_down(state);
    ks_trust_free(made);
    fresh = NULL;
    return 0;
}

static struct cell_answer list_aliases(const char *marker)
{
    KMS(ListAliasesRequest) message = KMS_NEW(LIST_ALIASES_REQUEST);
    message.limit_presence_case = KMS_ENUM(LIST_ALIASES_REQUEST__LIMIT_PRESENCE_LIMIT);
    message.limit = PAGE_LIMIT;
    if (marker[0] != '\0') {
        message.marker_presence_case = KMS_ENUM(LIST_ALIASES_REQUEST__MARKER_PRESENCE_MARKER);
        message.marker = ks_lend_text(marker);
    }
    const struct cell_request request = {.operation = OP(LIST_ALIASES),
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(list_aliases_response)};
    return cell_call(&cell, &request);
}

/* AWS KMS API: ListAliases. A page may hold fewer than the limit, and then has a marker. */
static unsigned expect_all_aliases(void)
{
    char marker[KS_MARKER_LEN_MAX + 1] = "";
    unsigned listed = 0;
    unsigned pages = 0;
    do {
        CELL_ANSWER_AUTO answer = list_aliases(marker);
        expect(&answer, "OK");
        const KMS(ListAliasesResponse) *page = (const KMS(ListAliasesResponse) *)answer.response;
        assert_true(page->n_aliases > 0);
        for (size_t i = 0; i < page->n_aliases; i++, listed++) {
            char alias[32];
            snprintf(alias, sizeof(alias), "alias/%03u", listed);
            assert_string_equal(page->aliases[i]->alias_name, alias);
            assert_string_equal(page->aliases[i]->target_key_id, ids[listed]);
        }
        snprintf(marker, sizeof(marker), "%s", page->next_marker);
        assert_int_equal(page->truncated, marker[0] != '\0');
        pages++;
    } while (marker[0] != '\0' && pages < PAGES_MAX);
    assert_int_equal(listed, KEYS);
    return pages;
}

static void aliases_of_the_longest_keys_are_listed_page_by_page(void **state)
{
    (void)state;
    assert_true(expect_all_aliases() > 1);
}

/* A keystore that has just started has every record of a page checked. */
static void the_same_when_no_record_has_been_checked_yet(void **state)
{
    (void)state;
    struct ks_trust *before = cell.env.trust;
    fresh = ks_trust_new();
    cell.env.trust = fresh;
    assert_true(expect_all_aliases() > 1);
    cell.env.trust = before;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aliases_of_the_longest_keys_are_listed_page_by_page),
        cmocka_unit_test(the_same_when_no_record_has_been_checked_yet),
    };
    return cmocka_run_group_tests(tests, set_up_long, tear_down_long);
}
