/*
 * The commands for backups, by the real program: from the custodians' keys to the restored hsm, which is
 * one in memory, as is the hsm that was lost.
 */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/pem.h"
#include "pkg/crypto/x509.h"
#include "pkg/custody/restore.h"
#include "services/hsm/fixture/hsm_fixture.h"

#define PROGRAM      "services/hsm/keystead-hsm"
#define REGION       "ap-seoul-1"
#define HEADER       KS_LITERAL("the header of a backup")
#define WORDS        24
#define NAME_MAX_LEN 96

static struct hsm_root root, new_root;
static struct hsm_node lost, restored;
static char folder[] = "/tmp/hsm_offline_XXXXXX";

/* A path in the test's folder; good until the eighth call after it. */
static const char *in_folder(const char *name)
{
    static char paths[8][NAME_MAX_LEN];
    static size_t next;
    char *path = paths[next++ % KS_COUNT(paths)];
    snprintf(path, NAME_MAX_LEN, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, ks_bytes bytes)
{
    FILE *file = fopen(in_folder(name), "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

static struct ks_buffer read_file(const char *name)
{
    struct ks_buffer out = {.len_max = 16384};
    uint8_t *place = NULL;
    FILE *file = fopen(in_folder(name), "re");
    assert_non_null(file);
    assert_int_equal(ks_buffer_extend(&out, out.len_max, &place).code, KS_OK);
    out.len = fread(place, 1, out.len_max, file);
    fclose(file);
    return out;
}

static bool is_there(const char *name)
{
    struct stat status;
    return lstat(in_folder(name), &status) == 0;
}

static mode_t mode_of(const char *name)
{
    struct stat status;
    assert_int_equal(lstat(in_folder(name), &status), 0);
    return status.st_mode & 07777;
}

/* Runs the program with words that are separated by blanks, in the test's folder. */
static int run(const char *line)
{
    char program[PATH_MAX];
    char words[1024];
    char *arguments[WORDS] = {program};
    assert_non_null(realpath(PROGRAM, program));
    assert_true(strlen(line) < sizeof(words));
    memcpy(words, line, strlen(line) + 1);
    size_t count = 1;
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        assert_true(count < WORDS - 1);
        arguments[count++] = word;
    }
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(chdir(folder) == 0 && execv(program, arguments) == 0 ? 0 : 127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void write_root(const struct hsm_root *of, const char *name)
{
    char path[NAME_MAX_LEN];
    KS_BUFFER_AUTO key = {.len_max = KS_EC_PRIVATE_PEM_MAX};
    KS_BUFFER_AUTO certificate = {.len_max = KS_X509_PEM_MAX};
    assert_int_equal(mkdir(in_folder(name), 0700), 0);
    assert_int_equal(ks_ec_write_private_pem(of->key, &key).code, KS_OK);
    assert_int_equal(
        ks_pem_encode(KS_PEM_CERTIFICATE, ks_buffer_bytes(&of->certificate), &certificate).code,
        KS_OK);
    snprintf(path, sizeof(path), "%s/ca.key", name);
    write_file(path, ks_buffer_bytes(&key));
    snprintf(path, sizeof(path), "%s/ca.pem", name);
    write_file(path, ks_buffer_bytes(&certificate));
}

static void write_challenge(struct hsm_node *node, ks_bytes header, const char *name)
{
    uint8_t backup[KS_SHA256_LEN];
    assert_int_equal(ks_hash_sha256_once(header, backup).code, KS_OK);
    const HsmReply *reply = hsm_challenge_restore(node, (ks_bytes){backup, sizeof(backup)});
    assert_int_equal(reply->code, KS_OK);
    write_file(name, (ks_bytes){reply->challenge.data, reply->challenge.len});
}

/* Makes the custodians, and a backup by an hsm that is then of no further use. */
static void back_up(void)
{
    assert_int_equal(run("custodians --region " REGION " --period 1 --hsm-root root --out kit"), 0);
    KS_BUFFER_AUTO kit = read_file("kit/custodians.kit");
    assert_int_equal(hsm_install_kit(&lost, &kit)->code, KS_OK);
    assert_int_equal(hsm_make_domain_key(&lost, 1)->code, KS_OK);
    const HsmReply *backup = hsm_backup_begin(&lost, HEADER, 1);
    assert_int_equal(backup->code, KS_OK);
    write_file("block", (ks_bytes){backup->key_block.data, backup->key_block.len});
    write_challenge(&restored, HEADER, "challenge");
}

static void custodians_and_operator_bring_a_lost_key_back(void **state)
{
    (void)state;
    back_up();
    const struct hsm_key key = hsm_new_key(&lost, 1);
    const HsmReply *sealed = hsm_encrypt(&lost, &key, KS_LITERAL("sealed before the loss"));

    assert_int_equal(run("custodian box --block block --custodians 1,3 --out box"), 0);
    assert_int_equal(run("custodian open --key kit/custodian-1.key --in box --out next"), 0);
    assert_int_equal(run("custodian open --key kit/custodian-3.key --in next --out handed "
                         "--challenge challenge --root new_root/ca.pem"),
                     0);
    assert_int_equal(
        run("restore-order --hsm-root new_root --source-root root/ca.pem --block block "
            "--challenge challenge --out order"),
        0);

    KS_BUFFER_AUTO block = read_file("block");
    KS_BUFFER_AUTO handed = read_file("handed");
    KS_BUFFER_AUTO order = read_file("order");
    const HsmReply *reply = hsm_restore(&restored, ks_buffer_bytes(&block),
                                        ks_buffer_bytes(&handed), ks_buffer_bytes(&order));
    assert_int_equal(reply->code, KS_OK);
    assert_int_equal(hsm_decrypt(&restored, &key, sealed->blob)->code, KS_OK);
}

static void private_keys_are_for_their_owner_only(void **state)
{
    (void)state;
    assert_int_equal(run("custodians --region " REGION " --period 1 --threshold 1 --count 5 "
                         "--hsm-root root --out kit"),
                     0);
    for (unsigned number = 1; number <= 5; number++) {
        char name[32];
        snprintf(name, sizeof(name), "kit/custodian-%u.key", number);
        assert_int_equal(mode_of(name), 0600);
    }
    assert_int_equal(mode_of("kit"), 0700);
    KS_BUFFER_AUTO bytes = read_file("kit/custodians.kit");
    struct ks_kit kit;
    assert_int_equal(ks_kit_open(ks_buffer_bytes(&bytes), root.key, &kit).code, KS_OK);
    assert_int_equal(kit.needed, 1);
    assert_int_equal(kit.count, 5);
    assert_false(is_there("kit/custodian-1.key.new"));
}

/* A key that was written over is a backup that nobody opens. */
static void nothing_is_written_over(void **state)
{
    (void)state;
    back_up();
    KS_BUFFER_AUTO before = read_file("kit/custodian-1.key");
    assert_int_equal(run("custodians --region " REGION " --period 2 --hsm-root root --out kit"), 1);
    assert_int_equal(unlink(in_folder("kit/custodians.kit")), 0);
    assert_int_equal(run("custodians --region " REGION " --period 2 --hsm-root root --out kit"), 1);
    KS_BUFFER_AUTO after = read_file("kit/custodian-1.key");
    assert_true(ks_bytes_equal(ks_buffer_bytes(&before), ks_buffer_bytes(&after)));

    write_file("box", KS_LITERAL("something of mine"));
    assert_int_equal(run("custodian box --block block --custodians 1,2 --out box"), 1);
    KS_BUFFER_AUTO mine = read_file("box");
    assert_true(ks_bytes_equal(ks_buffer_bytes(&mine), KS_LITERAL("something of mine")));
    assert_false(is_there("box.new"));
}

static void another_custodians_key_opens_nothing(void **state)
{
    (void)state;
    back_up();
    assert_int_equal(run("custodian box --block block --custodians 2,3 --out box"), 0);
    assert_int_equal(run("custodian open --key kit/custodian-1.key --in box --out next"), 1);
    assert_int_equal(run("custodian open --key kit/custodian-3.key --in box --out next"), 1);
    assert_int_equal(run("custodian open --key root/ca.key --in box --out next"), 1);
    assert_int_equal(run("custodian open --key box --in box --out next"), 1);
    assert_int_equal(run("custodian open --key kit/custodian-2.key --in block --out next"), 1);
    assert_false(is_there("next"));
}

/* Whoever holds out a challenge of his own must not be sealed the key. */
static void the_last_custodian_seals_to_an_hsm_of_the_root_and_for_this_backup(void **state)
{
    (void)state;
    back_up();
    assert_int_equal(run("custodian box --block block --custodians 1,2 --out box"), 0);
    assert_int_equal(run("custodian open --key kit/custodian-1.key --in box --out next"), 0);
    write_challenge(&restored, KS_LITERAL("another header"), "other");

    assert_int_equal(run("custodian open --key kit/custodian-2.key --in next --out handed"), 2);
    assert_int_equal(run("custodian open --key kit/custodian-2.key --in next --out handed "
                         "--challenge challenge --root root/ca.pem"),
                     1);
    assert_int_equal(run("custodian open --key kit/custodian-2.key --in next --out handed "
                         "--challenge other --root new_root/ca.pem"),
                     1);
    assert_int_equal(run("custodian open --key kit/custodian-2.key --in next --out handed "
                         "--challenge challenge --root new_root/ca.pem --trust-domain other"),
                     1);
    assert_false(is_there("handed"));
    assert_int_equal(run("custodian open --key kit/custodian-1.key --in box --out again "
                         "--challenge challenge --root new_root/ca.pem"),
                     2);
}

/* Kits are public: a block that no hsm has made may hold anybody's domain keys. */
static void no_order_is_signed_for_a_block_of_no_hsm(void **state)
{
    (void)state;
    back_up();
    assert_int_equal(run("restore-order --hsm-root new_root --block block --challenge challenge "
                         "--out order"),
                     1);
    assert_int_equal(run("restore-order --hsm-root root --block block --challenge challenge "
                         "--out order"),
                     1);
    KS_BUFFER_AUTO block = read_file("block");
    block.ptr[block.len - 200] ^= 1;
    write_file("changed", ks_buffer_bytes(&block));
    assert_int_equal(run("restore-order --hsm-root new_root --source-root root/ca.pem "
                         "--block changed --challenge challenge --out order"),
                     1);
    assert_false(is_there("order"));
}

static void says_how_it_is_used(void **state)
{
    (void)state;
    back_up();
    static const char *const lines[] = {
        "custodians --region " REGION " --period 1 --hsm-root root",
        "custodians --region seoul --period 1 --hsm-root root --out new",
        "custodians --region " REGION " --period 0 --hsm-root root --out new",
        "custodians --region " REGION " --period 1x --hsm-root root --out new",
        "custodians --region " REGION " --period 4294967296 --hsm-root root --out new",
        "custodians --region " REGION " --period 1 --count 6 --hsm-root root --out new",
        "custodians --region " REGION " --period 1 --threshold 4 --hsm-root root --out new",
        "custodians --region " REGION " --period 1 --threshold 0 --hsm-root root --out new",
        "custodian box --block block --custodians 1 --out new",
        "custodian box --block block --custodians 1,4 --out new",
        "custodian box --block block --custodians 1,1 --out new",
        "custodian box --block block --custodians 1,2, --out new",
        "custodian box --block block --custodians 12 --out new",
        "custodian",
        "custodian shut",
        "enrol --config nowhere --root nowhere",
    };
    for (size_t i = 0; i < KS_COUNT(lines); i++) {
        assert_int_equal(run(lines[i]), 2);
        assert_false(is_there("new"));
    }
}

static int set_up(void **state)
{
    (void)state;
    hsm_root_init(&root, time(NULL));
    hsm_root_init(&new_root, time(NULL));
    hsm_node_init(&lost, &root, REGION, REGION "a");
    hsm_node_init(&restored, &new_root, REGION, REGION "a");
    memcpy(folder, "/tmp/hsm_offline_XXXXXX", sizeof(folder));
    if (!mkdtemp(folder)) {
        return -1;
    }
    write_root(&root, "root");
    write_root(&new_root, "new_root");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {
        "root/ca.key",
        "root/ca.pem",
        "root",
        "new_root/ca.key",
        "new_root/ca.pem",
        "new_root",
        "kit/custodian-1.key",
        "kit/custodian-2.key",
        "kit/custodian-3.key",
        "kit/custodian-4.key",
        "kit/custodian-5.key",
        "kit/custodians.kit",
        "kit",
        "block",
        "challenge",
        "box",
        "next",
        "handed",
        "order",
        "other",
        "changed",
    };
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        (void)remove(in_folder(names[i]));
    }
    int failed = rmdir(folder);
    hsm_node_done(&lost);
    hsm_node_done(&restored);
    hsm_root_done(&root);
    hsm_root_done(&new_root);
    return failed;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(custodians_and_operator_bring_a_lost_key_back),
        TEST(private_keys_are_for_their_owner_only),
        TEST(nothing_is_written_over),
        TEST(another_custodians_key_opens_nothing),
        TEST(the_last_custodian_seals_to_an_hsm_of_the_root_and_for_this_backup),
        TEST(no_order_is_signed_for_a_block_of_no_hsm),
        TEST(says_how_it_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
