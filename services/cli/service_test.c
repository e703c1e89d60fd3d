/* The program as a person sees it: what it sends, prints and answers, against a fake service. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/x509.h"
#include "pkg/json/json.h"
#include "services/cli/file/file.h"
#include "services/cli/output/failure.h"
#include "services/cli/program_fixture.h"
#include "services/cli/service_fixture.h"

#define INPUT_MAX 200000U

static uint8_t input[INPUT_MAX];

static ks_bytes input_of(size_t len)
{
    for (size_t i = 0; i < len; i++) {
        input[i] = (uint8_t)(i * 7 + i / 256);
    }
    return (ks_bytes){input, len};
}

static const char *const encrypt_words[] = {"encrypt", "--context", "a=b", NULL};
static const char *const decrypt_words[] = {"decrypt", "--context", "a=b", NULL};

static void assert_says(const struct ran *ran, const char *text)
{
    if (!strstr((const char *)ran->err.ptr, text)) {
        fail_msg("'%s' is not in: %s", text, (const char *)ran->err.ptr);
    }
}

static void assert_prints(const struct ran *ran, const char *text)
{
    if (!strstr((const char *)ran->out.ptr, text)) {
        fail_msg("'%s' is not in: %s", text, (const char *)ran->out.ptr);
    }
}

static struct ks_json_doc *json_of(const struct ran *ran)
{
    struct ks_json_doc *doc = NULL;
    assert_int_equal(
        ks_json_parse(ks_buffer_bytes(&ran->out), (struct ks_json_limits){.len_max = 65536}, &doc)
            .code,
        KS_OK);
    return doc;
}

static void assert_member(const struct ks_json *object, const char *name, const char *value)
{
    ks_bytes text;
    assert_int_equal(ks_json_text(ks_json_get(object, name), &text).code, KS_OK);
    assert_true(ks_bytes_equal(text, ks_bytes_of(value)));
}

/* ---- encrypt and decrypt ---- */

/* Both sides of the blob's limit and of segments' borders. */
static void what_is_encrypted_comes_back(void **state)
{
    (void)state;
    const size_t lens[] = {0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 131072, 131073};
    for (size_t i = 0; i < KS_COUNT(lens); i++) {
        ks_bytes plain = input_of(lens[i]);
        RAN_AUTO sealed = run_program(encrypt_words, plain);
        assert_int_equal(sealed.code, 0);
        RAN_AUTO opened = run_program(decrypt_words, ks_buffer_bytes(&sealed.out));

        assert_int_equal(opened.code, 0);
        assert_true(ks_bytes_equal(ks_buffer_bytes(&opened.out), plain));
        assert_int_equal(opened.err.len, 0);
    }
}

/* A blob is what any other client can decrypt; AWS's limit is 4096 bytes. */
static void up_to_4096_bytes_are_one_call_and_a_blob(void **state)
{
    (void)state;
    RAN_AUTO last = run_program(encrypt_words, input_of(4096));
    RAN_AUTO first = run_program(encrypt_words, input_of(4097));

    assert_false(ks_file_is(ks_buffer_bytes(&last.out)));
    assert_true(ks_file_is(ks_buffer_bytes(&first.out)));
    assert_int_equal(fake_calls("Encrypt"), 1);
    assert_int_equal(fake_calls("GenerateDataKey"), 1);
}

static void another_context_is_refused_and_nothing_is_written(void **state)
{
    (void)state;
    const size_t lens[] = {100, 70000};
    for (size_t i = 0; i < KS_COUNT(lens); i++) {
        RAN_AUTO sealed = run_program(encrypt_words, input_of(lens[i]));
        const char *const words[] = {"decrypt", "--context", "a=c", NULL};
        RAN_AUTO opened = run_program(words, ks_buffer_bytes(&sealed.out));

        assert_int_equal(opened.code, KS_EXIT_CIPHERTEXT);
        assert_int_equal(opened.out.len, 0);
        assert_says(&opened, "keystead: InvalidCiphertextException: ");
    }
}

static void a_cut_file_gives_what_was_whole_and_says_so(void **state)
{
    (void)state;
    ks_bytes plain = input_of(150000);
    RAN_AUTO sealed = run_program(encrypt_words, plain);
    size_t header = 0;
    assert_int_equal(ks_file_header_len(ks_buffer_bytes(&sealed.out), &header).code, KS_OK);
    /* Behind one segment, at its border, and within the second. */
    const size_t cuts[] = {header + KS_FILE_SEALED_LEN + 20, header + KS_FILE_SEALED_LEN,
                           sealed.out.len - 1};
    const size_t wholes[] = {KS_FILE_SEGMENT_LEN, 0, 2 * KS_FILE_SEGMENT_LEN};
    for (size_t i = 0; i < KS_COUNT(cuts); i++) {
        RAN_AUTO opened = run_program(decrypt_words, (ks_bytes){sealed.out.ptr, cuts[i]});

        assert_int_equal(opened.code, KS_EXIT_CIPHERTEXT);
        assert_int_equal(opened.out.len, wholes[i]);
        assert_true(ks_bytes_equal(ks_buffer_bytes(&opened.out), (ks_bytes){input, wholes[i]}));
        assert_says(&opened, wholes[i] > 0 ? "INCOMPLETE" : "nothing was written");
    }
}

static void a_damaged_segment_is_not_written(void **state)
{
    (void)state;
    RAN_AUTO sealed = run_program(encrypt_words, input_of(150000));
    sealed.out.ptr[sealed.out.len / 2] ^= 1;
    RAN_AUTO opened = run_program(decrypt_words, ks_buffer_bytes(&sealed.out));

    assert_int_equal(opened.code, KS_EXIT_CIPHERTEXT);
    assert_int_equal(opened.out.len, KS_FILE_SEGMENT_LEN);
    assert_says(&opened, "after 65536 bytes");
}

static void says_which_region_a_blob_belongs_to(void **state)
{
    (void)state;
    RAN_AUTO ran = run_program(decrypt_words, KS_LITERAL("\2 from elsewhere"));

    assert_int_equal(ran.code, KS_EXIT_CIPHERTEXT);
    assert_says(&ran, "us-oregon-1");
}

static void input_that_is_neither_form_is_refused_here(void **state)
{
    (void)state;
    RAN_AUTO empty = run_program(decrypt_words, (ks_bytes){0});
    RAN_AUTO long_one = run_program(decrypt_words, input_of(6145));
    RAN_AUTO cut = run_program(decrypt_words, KS_LITERAL("\x89KSF\r\n\x1a\n\1\1 and no more"));
    RAN_AUTO newer = run_program(
        decrypt_words,
        KS_LITERAL("\x89KSF\r\n\x1a\n\2\1 of a version that will be written in some years"));

    assert_int_equal(empty.code, KS_EXIT_CIPHERTEXT);
    assert_int_equal(long_one.code, KS_EXIT_CIPHERTEXT);
    assert_int_equal(cut.code, KS_EXIT_CIPHERTEXT);
    assert_int_equal(newer.code, KS_EXIT_FAILURE);
    assert_says(&newer, "version");
    assert_int_equal(fake_calls("Decrypt"), 0);
}

/* What is no text can change how a terminal behaves. */
static void a_terminal_gets_text_only(void **state)
{
    (void)state;
    const char *const forced[] = {"encrypt", "--force", NULL};
    const char *const plain[] = {"decrypt", NULL};
    RAN_AUTO refused = run_on_terminal(encrypt_words, KS_LITERAL("hello"));
    RAN_AUTO written = run_on_terminal(forced, KS_LITERAL("hello"));
    const char *const words[] = {"encrypt", NULL};
    RAN_AUTO text = run_program(words, KS_LITERAL("hello"));
    RAN_AUTO escape = run_program(words, KS_LITERAL("\033[2J"));
    RAN_AUTO shown = run_on_terminal(plain, ks_buffer_bytes(&text.out));
    RAN_AUTO hidden = run_on_terminal(plain, ks_buffer_bytes(&escape.out));

    assert_int_equal(refused.code, KS_EXIT_USAGE);
    assert_int_equal(refused.out.len, 0);
    assert_says(&refused, "--force");
    assert_int_equal(written.code, 0);
    assert_true(written.out.len > 0);
    assert_true(ks_bytes_equal(ks_buffer_bytes(&shown.out), KS_LITERAL("hello")));
    assert_int_equal(hidden.code, KS_EXIT_USAGE);
    assert_int_equal(hidden.out.len, 0);
}

/* ---- Calls ---- */

/* A mutation that may have been done must be the same request when it is sent again. */
static void retries_carry_the_same_request_id(void **state)
{
    (void)state;
    fake_fail("CreateKey", KS_UNAVAILABLE, 3);
    RAN_AUTO ran = RUN("key", "create");

    assert_int_equal(ran.code, 0);
    assert_int_equal(fake_calls("CreateKey"), 4);
    assert_true(fake_calls_were_equal("CreateKey"));
}

static void two_commands_have_two_request_ids(void **state)
{
    (void)state;
    RAN_AUTO first = RUN("key", "create");
    RAN_AUTO second = RUN("key", "create");

    assert_int_equal(first.code + second.code, 0);
    assert_false(fake_calls_were_equal("CreateKey"));
}

static void fails_over_to_the_next_endpoint(void **state)
{
    (void)state;
    char endpoints[64];
    snprintf(endpoints, sizeof(endpoints), "%s,%s", fake_nobody(), fake_frontend());
    RAN_AUTO ran = RUN("key", "enable", "x", "--endpoint", endpoints);

    assert_int_equal(ran.code, 0);
    assert_int_equal(fake_calls("EnableKey"), 1);
}

/* Whoever makes a certificate uses it at once, and the region hears of it a moment later. */
static void a_new_certificate_may_take_a_moment(void **state)
{
    (void)state;
    fake_fail("EnableKey", KS_UNAUTHENTICATED, 2);
    fake_age_certificate(0);
    RAN_AUTO fresh = RUN("key", "enable", "x");
    fake_fail("EnableKey", KS_UNAUTHENTICATED, 1);
    fake_age_certificate(60);
    RAN_AUTO old = RUN("key", "enable", "x");

    assert_int_equal(fresh.code, 0);
    assert_int_equal(old.code, KS_EXIT_DENIED);
}

/* A certificate of the right root is not enough: it must be a frontend of that region. */
static void does_not_talk_to_another_regions_frontend(void **state)
{
    (void)state;
    fake_fail("", KS_INTERNAL, 1);
    RAN_AUTO ran = RUN("key", "enable", "x", "--region", "us-oregon-1", "--timeout", "300ms");

    assert_int_equal(ran.code, KS_EXIT_UNAVAILABLE);
    assert_int_equal(fake_calls("EnableKey"), 0);
}

static void each_failure_has_its_exit_code_and_name(void **state)
{
    (void)state;
    const struct {
        ks_code code;
        int exit;
    } cases[] = {
        {KS_VALIDATION, 2},
        {KS_NOT_FOUND, 3},
        {KS_ALREADY_EXISTS, 7},
        {KS_ACCESS_DENIED, 4},
        {KS_DISABLED, 7},
        {KS_INVALID_STATE, 7},
        {KS_INVALID_CIPHERTEXT, 5},
        {KS_INCORRECT_KEY, 5},
        {KS_INVALID_ARN, 2},
        {KS_INVALID_ALIAS_NAME, 2},
        {KS_INVALID_MARKER, 2},
        {KS_INVALID_KEY_USAGE, 7},
        {KS_TAG, 2},
        {KS_LIMIT_EXCEEDED, 7},
        {KS_CONFLICT, 7},
        {KS_UNSUPPORTED, 1},
        {KS_UNAUTHENTICATED, 4},
        {KS_INTERNAL, 1},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        char begins[64];
        snprintf(begins, sizeof(begins), "keystead: %s: ", ks_wire_name(cases[i].code));
        fake_age_certificate(60);
        fake_fail("EnableKey", cases[i].code, 1);
        RAN_AUTO ran = RUN("key", "enable", "x");

        assert_int_equal(ran.code, cases[i].exit);
        assert_int_equal(ran.out.len, 0);
        assert_ptr_equal(strstr((const char *)ran.err.ptr, begins), ran.err.ptr);
        /* One line, whatever was said. */
        assert_ptr_equal(strchr((const char *)ran.err.ptr, '\n'), ran.err.ptr + ran.err.len - 1);
    }
}

static void a_missing_setting_or_file_is_named(void **state)
{
    (void)state;
    RAN_AUTO file = RUN("key", "list", "--cert", "/nowhere/user.pem");
    RAN_AUTO setting = RUN("key", "list", "--ca", "");

    assert_int_equal(file.code, KS_EXIT_USAGE);
    assert_says(&file, "/nowhere/user.pem");
    assert_int_equal(setting.code, 0); /* an empty one leaves it to the environment */
}

/* ---- What is printed ---- */

static void key_create_prints_its_metadata(void **state)
{
    (void)state;
    RAN_AUTO ran = RUN("key", "create", "--description", "d \"q\"", "--alias", "alias/new", "--tag",
                       "a=b", "--output", "json");
    KS_JSON_AUTO *doc = json_of(&ran);
    const struct ks_json *key = ks_json_get(ks_json_root(doc), "KeyMetadata");

    assert_int_equal(ran.code, 0);
    assert_member(key, "KeyId", FAKE_KEY_ID);
    assert_member(key, "AWSAccountId", FAKE_ACCOUNT);
    assert_member(key, "Description", "d \"q\"");
    assert_member(key, "KeyState", "Enabled");
    assert_member(key, "CreationDate", "2026-01-01T00:00:00.000Z");
    assert_int_equal(fake_calls("CreateAlias"), 1);
}

static void a_malformed_alias_makes_no_key(void **state)
{
    (void)state;
    RAN_AUTO ran = RUN("key", "create", "--alias", "new");

    assert_int_equal(ran.code, KS_EXIT_USAGE);
    assert_int_equal(fake_calls("CreateKey"), 0);
}

static void says_which_key_was_left_without_its_alias(void **state)
{
    (void)state;
    fake_fail("CreateAlias", KS_ALREADY_EXISTS, 1);
    RAN_AUTO ran = RUN("key", "create", "--alias", "alias/new");

    assert_int_equal(ran.code, KS_EXIT_STATE);
    assert_says(&ran, FAKE_KEY_ID);
}

/* The service takes no alias to enable a key; people name keys by nothing else. */
static void an_alias_is_looked_up_where_the_service_takes_none(void **state)
{
    (void)state;
    RAN_AUTO name = RUN("key", "enable", FAKE_ALIAS);
    RAN_AUTO arn = RUN("key", "enable", FAKE_ALIAS_ARN);
    RAN_AUTO absent = RUN("key", "enable", "alias/absent");

    assert_int_equal(name.code, 0);
    assert_int_equal(arn.code, 0);
    assert_int_equal(absent.code, KS_EXIT_NOT_FOUND);
    assert_says(&absent, "NotFoundException");
    assert_int_equal(fake_calls("DescribeKey"), 3);
    assert_int_equal(fake_calls("EnableKey"), 2);
}

static void a_key_id_is_sent_as_it_is(void **state)
{
    (void)state;
    RAN_AUTO id = RUN("key", "enable", FAKE_KEY_ID);
    RAN_AUTO arn = RUN("key", "enable", FAKE_KEY_ARN);
    RAN_AUTO encrypt = run_program((const char *const[]){"encrypt", "--key", FAKE_ALIAS, NULL},
                                   input_of(1)); /* Encrypt takes aliases itself */

    assert_int_equal(id.code, 0);
    assert_int_equal(arn.code, 0);
    assert_int_equal(encrypt.code, 0);
    assert_int_equal(fake_calls("DescribeKey"), 0);
}

/* The table of operations has them. */
static void help_says_which_values_are_accepted(void **state)
{
    (void)state;
    RAN_AUTO days = RUN("key", "delete", "--help");
    RAN_AUTO spec = RUN("data-key", "--help");

    assert_prints(&days, "30 unless said (7 to 30)");
    assert_prints(&spec, "its length (1 to 1024)");
    assert_prints(&spec, "(AES_256, AES_128)");
}

static void lists_hold_all_pages(void **state)
{
    (void)state;
    RAN_AUTO json = RUN("key", "list", "--output", "json");
    RAN_AUTO table = RUN("key", "list");
    KS_JSON_AUTO *doc = json_of(&json);
    const struct ks_json *keys = ks_json_get(ks_json_root(doc), "Keys");

    assert_int_equal(ks_json_count(keys), FAKE_KEYS);
    assert_member(ks_json_at(keys, FAKE_KEYS - 1), "KeyId", "key-6");
    assert_true(ks_bytes_starts_with(ks_buffer_bytes(&table.out), KS_LITERAL("KEY ID  KEY ARN\n")));
    assert_int_equal(fake_calls("ListKeys"), 6);
}

static void account_create_prints_the_account_itself(void **state)
{
    (void)state;
    RAN_AUTO ran = RUN("account", "create", "--name", "demo", "--output", "json");
    KS_JSON_AUTO *doc = json_of(&ran);

    assert_int_equal(ran.code, 0);
    assert_member(ks_json_root(doc), "AccountId", FAKE_ACCOUNT);
    assert_member(ks_json_root(doc), "DisplayName", "demo");
}

static void a_data_key_is_base64_in_json(void **state)
{
    (void)state;
    RAN_AUTO ran = RUN("data-key", "--output", "json");
    KS_JSON_AUTO *doc = json_of(&ran);

    assert_member(ks_json_root(doc), "Plaintext", "YSBkYXRhIGtleSB0aGF0IGlzIG5vIHNlY3JldC4uLi4=");
}

/* ---- Certificates, zones, the cluster ---- */

static void user_certificate_keeps_the_key_private_and_uses_it_again(void **state)
{
    (void)state;
    char key_before[512] = "";
    char key_after[512] = "";
    struct stat about;
    for (int i = 0; i < 2; i++) {
        RAN_AUTO ran = RUN("user", "certificate", "--name", "alice", "--out", fake_path("made"),
                           "--lifetime", "1h", "--output", "json");
        assert_int_equal(ran.code, 0);
        KS_JSON_AUTO *doc = json_of(&ran);
        assert_member(ks_json_root(doc), "CertificateFile", fake_path("made/alice.pem"));
        FILE *file = fopen(fake_path("made/alice.key"), "rb");
        assert_non_null(file);
        assert_true(fread(i == 0 ? key_before : key_after, 1, 511, file) > 100);
        fclose(file);
    }

    assert_int_equal(stat(fake_path("made/alice.key"), &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_string_equal(key_before, key_after);
    assert_int_equal(stat(fake_path("made/alice.pem"), &about), 0);
}

static void a_users_name_is_no_path(void **state)
{
    (void)state;
    RAN_AUTO ran = RUN("user", "certificate", "--name", "../x", "--out", fake_path("made"));

    assert_int_equal(ran.code, KS_EXIT_USAGE);
    assert_int_equal(fake_calls("IssueCertificate"), 0);
}

static struct ran zone(const char *verb, const char *word)
{
    return RUN("zone", verb, "--hsm-root", fake_path("hsm-root"), "--roster", fake_path("roster"),
               "--wait", "5s", word);
}

static void zone_add_and_replace_sign_the_next_roster(void **state)
{
    (void)state;
    char first[128];
    char second[128];
    fake_hsm_certificate(FAKE_REGION "a", "hsm-a");
    fake_hsm_certificate(FAKE_REGION "a", "hsm-a2");
    snprintf(first, sizeof(first), FAKE_REGION "a=%s", fake_path("hsm-a.pem"));
    snprintf(second, sizeof(second), FAKE_REGION "a=%s", fake_path("hsm-a2.pem"));

    RAN_AUTO added = zone("add", first);
    assert_int_equal(added.code, 0);
    assert_int_equal(fake_roster_number(), 1);
    assert_int_equal(fake_roster_entries(), 1);

    /* The answer is lost: the number counts as given out, as it may be. */
    fake_fail("PutRoster", KS_ACCESS_DENIED, 1);
    RAN_AUTO lost = zone("add", second);
    assert_int_equal(lost.code, KS_EXIT_DENIED);
    RAN_AUTO again = zone("add", second);
    assert_int_equal(again.code, 0);
    assert_int_equal(fake_roster_number(), 3);
    assert_int_equal(fake_roster_entries(), 2);

    RAN_AUTO replaced = zone("replace", second);
    assert_int_equal(replaced.code, 0);
    assert_int_equal(fake_roster_number(), 4);
    assert_int_equal(fake_roster_entries(), 1);
    assert_int_equal(fake_calls("RotateDomainKey"), 1);
}

static void cluster_rotate_names_the_generation_that_is_to_be_replaced(void **state)
{
    (void)state;
    size_t before = fake_calls("RotateDomainKey");
    RAN_AUTO ran = RUN("cluster", "rotate", "--wait", "5s");
    assert_int_equal(ran.code, 0);
    assert_int_equal(fake_calls("RotateDomainKey"), before + 1);
}

static void cluster_custodians_gives_the_kit_of_the_region(void **state)
{
    (void)state;
    char path[128];
    fake_custodian_kit(FAKE_REGION, 7, "kit");
    fake_custodian_kit("us-elsewhere-1", 7, "kit-elsewhere");
    snprintf(path, sizeof(path), "%s", fake_path("kit"));

    RAN_AUTO ran = RUN("cluster", "custodians", path, "--wait", "5s");
    assert_int_equal(ran.code, 0);
    assert_int_equal(fake_calls("PutCustodians"), 1);
    assert_string_equal((const char *)ran.out.ptr,
                        "backups of " FAKE_REGION
                        " are sealed to the custodians of period 7 from now on\n");

    snprintf(path, sizeof(path), "%s", fake_path("kit-elsewhere"));
    RAN_AUTO elsewhere = RUN("cluster", "custodians", path);
    assert_int_equal(elsewhere.code, KS_EXIT_USAGE);
    snprintf(path, sizeof(path), "%s", fake_path("hsm-root/ca.pem"));
    RAN_AUTO none = RUN("cluster", "custodians", path);
    assert_int_equal(none.code, KS_EXIT_USAGE);
    assert_int_equal(fake_calls("PutCustodians"), 1);
}

static void zone_add_refuses_what_is_not_the_zones_hsm(void **state)
{
    (void)state;
    char word[128];
    fake_hsm_certificate(FAKE_REGION "b", "hsm-b");
    snprintf(word, sizeof(word), FAKE_REGION "a=%s", fake_path("hsm-b.pem"));
    RAN_AUTO other_zone = zone("add", word);
    snprintf(word, sizeof(word), FAKE_REGION "a=%s", fake_path("user.pem"));
    RAN_AUTO other_root = zone("add", word);
    RAN_AUTO other_region = zone("add", "us-oregon-1a=x");

    assert_int_equal(other_zone.code, KS_EXIT_USAGE);
    assert_int_equal(other_root.code, KS_EXIT_USAGE);
    assert_int_equal(other_region.code, KS_EXIT_USAGE);
    assert_int_equal(fake_calls("PutRoster"), 0);
}

static void cluster_status_says_whether_all_is_well(void **state)
{
    (void)state;
    RAN_AUTO well = RUN("cluster", "status");
    RAN_AUTO json = RUN("cluster", "status", "--output", "json");
    fake_window(false);
    RAN_AUTO closed = RUN("cluster", "status", "--wait", "1s");
    KS_JSON_AUTO *doc = json_of(&json);
    bool is_well = false;

    assert_int_equal(well.code, 0);
    assert_true(ks_bytes_starts_with(ks_buffer_bytes(&well.out),
                                     KS_LITERAL(FAKE_REGION ": all is well\n")));
    assert_int_equal(ks_json_bool(ks_json_get(ks_json_root(doc), "Well"), &is_well).code, KS_OK);
    assert_true(is_well);
    assert_int_equal(closed.code, 1);
    assert_true(fake_calls("GetStatus") > 3);
    assert_says(&closed, "not all is well");
}

/* A process that is gone is a row of the answer, not the end of it. */
static void cluster_status_shows_who_is_unreachable(void **state)
{
    (void)state;
    FILE *file = fopen(fake_path("other.yaml"), "w");
    fprintf(file,
            "keystores: [ap-seoul-1/ap-seoul-1a/127.0.0.1:1]\nca_file: %s\ncert_file: %s\n"
            "key_file: %s\n",
            fake_path("ca.pem"), fake_path("user.pem"), fake_path("user.key"));
    fclose(file);
    RAN_AUTO ran = RUN("cluster", "status", "--cluster", fake_path("other.yaml"));

    assert_int_equal(ran.code, 1);
    uint8_t nul = 0;
    assert_int_equal(ks_buffer_append(&ran.out, (ks_bytes){&nul, 1}).code, KS_OK);
    assert_non_null(strstr((const char *)ran.out.ptr, "unreachable"));
}

/* ---- Settings ---- */

static void options_win_over_environment_over_profile(void **state)
{
    (void)state;
    mkdir(fake_path("config"), 0700);
    mkdir(fake_path("config/keystead"), 0700);
    FILE *file = fopen(fake_path("config/keystead/work.yaml"), "w");
    fprintf(file, "endpoint: %s\nregion: us-oregon-1\n", fake_nobody());
    fclose(file);
    setenv("KEYSTEAD_PROFILE", "work", 1);
    RAN_AUTO environment = RUN("key", "enable", "x");
    unsetenv("KEYSTEAD_REGION");
    RAN_AUTO profile = RUN("key", "enable", "x", "--timeout", "300ms");
    RAN_AUTO option = RUN("key", "enable", "x", "--region", FAKE_REGION);
    RAN_AUTO list = RUN("profile", "list", "--output", "json");
    setenv("KEYSTEAD_REGION", FAKE_REGION, 1);
    setenv("KEYSTEAD_PROFILE", "absent", 1);
    RAN_AUTO absent = RUN("key", "enable", "x");
    unsetenv("KEYSTEAD_PROFILE");
    KS_JSON_AUTO *doc = json_of(&list);

    assert_int_equal(environment.code, 0);
    assert_int_equal(profile.code, KS_EXIT_UNAVAILABLE); /* the frontend is of another region */
    assert_int_equal(option.code, 0);
    assert_int_equal(absent.code, KS_EXIT_NOT_FOUND);
    assert_member(ks_json_at(ks_json_get(ks_json_root(doc), "Profiles"), 0), "Name", "work");
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup(name, fake_reset)
    const struct CMUnitTest tests[] = {
        CLAIM(what_is_encrypted_comes_back),
        CLAIM(up_to_4096_bytes_are_one_call_and_a_blob),
        CLAIM(another_context_is_refused_and_nothing_is_written),
        CLAIM(a_cut_file_gives_what_was_whole_and_says_so),
        CLAIM(a_damaged_segment_is_not_written),
        CLAIM(says_which_region_a_blob_belongs_to),
        CLAIM(input_that_is_neither_form_is_refused_here),
        CLAIM(a_terminal_gets_text_only),
        CLAIM(retries_carry_the_same_request_id),
        CLAIM(two_commands_have_two_request_ids),
        CLAIM(fails_over_to_the_next_endpoint),
        CLAIM(a_new_certificate_may_take_a_moment),
        CLAIM(does_not_talk_to_another_regions_frontend),
        CLAIM(each_failure_has_its_exit_code_and_name),
        CLAIM(a_missing_setting_or_file_is_named),
        CLAIM(key_create_prints_its_metadata),
        CLAIM(a_malformed_alias_makes_no_key),
        CLAIM(says_which_key_was_left_without_its_alias),
        CLAIM(an_alias_is_looked_up_where_the_service_takes_none),
        CLAIM(a_key_id_is_sent_as_it_is),
        CLAIM(help_says_which_values_are_accepted),
        CLAIM(lists_hold_all_pages),
        CLAIM(account_create_prints_the_account_itself),
        CLAIM(a_data_key_is_base64_in_json),
        CLAIM(user_certificate_keeps_the_key_private_and_uses_it_again),
        CLAIM(a_users_name_is_no_path),
        CLAIM(zone_add_and_replace_sign_the_next_roster),
        CLAIM(cluster_rotate_names_the_generation_that_is_to_be_replaced),
        CLAIM(cluster_custodians_gives_the_kit_of_the_region),
        CLAIM(zone_add_refuses_what_is_not_the_zones_hsm),
        CLAIM(cluster_status_says_whether_all_is_well),
        CLAIM(cluster_status_shows_who_is_unreachable),
        CLAIM(options_win_over_environment_over_profile),
    };
    return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
