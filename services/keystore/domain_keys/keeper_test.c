/*
 * Two zones' keepers on one store, each with a fake hsm: what the machine decides is carried out.
 * The store is the embedded one, so both keystores are "on duty", and its list is empty.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/authentic/authentic.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/store/store_fixture.h"
#include "services/keystore/domain_keys/commands.h"
#include "services/keystore/domain_keys/keeper.h"
#include "services/keystore/domain_keys/kit.h"
#include "services/keystore/domain_keys/requests.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/sync.h"
#include "tests/fakes/hsm.h"

#define REGION  "ap-seoul-1"
#define ACCOUNT "111122223333"
#define KEY_ID  "0b4f9c9e-6f5d-4b8b-9b0e-00000000000"
#define ROUNDS  200

#define ROSTER_MAX 65536U

struct zone {
    char socket[64];
    struct ks_fake_hsm *hsm;
    struct ks_hsm_link *link;
    struct ks_keeper *keeper;
};

static const char *const names[] = {"ap-seoul-1a", "ap-seoul-1b"};
static const char *const keystores[] = {"keystore-1", "keystore-2"};
static char *folder;
static struct ks_store *store;
static struct ks_fake_hsm_root *root;
static struct zone zones[2];

static void connected(void *user, uint64_t life)
{
    ks_keeper_connected(((struct zone *)user)->keeper, life);
}

static void lost(void *user)
{
    ks_keeper_lost(((struct zone *)user)->keeper);
}

static void start_keystore(size_t index)
{
    struct zone *zone = &zones[index];
    const struct ks_hsm_link_options link = {
        .socket_path = zone->socket, .on_connected = connected, .on_lost = lost, .user = zone};
    assert_int_equal(ks_hsm_link_new(&link, &zone->link).code, KS_OK);
    const struct ks_keeper_options keeper = {
        .store = store,
        .link = zone->link,
        .region = REGION,
        .zone = names[index],
        .name = keystores[index],
        .min_zones = 2,
    };
    zone->keeper = ks_keeper_new(&keeper);
    assert_int_equal(ks_hsm_link_start(zone->link).code, KS_OK);
}

static void stop_keystore(size_t index)
{
    ks_hsm_link_free(zones[index].link);
    ks_keeper_free(zones[index].keeper);
}

static void start_zone(size_t index)
{
    static unsigned counter;
    struct zone *zone = &zones[index];
    snprintf(zone->socket, sizeof(zone->socket), "/tmp/keystead-%d-k%u.sock", (int)getpid(),
             ++counter);
    zone->hsm = ks_fake_hsm_new(root, zone->socket, REGION, names[index]);
    start_keystore(index);
}

static void stop_zone(size_t index)
{
    struct zone *zone = &zones[index];
    stop_keystore(index);
    ks_fake_hsm_free(zone->hsm);
    unlink(zone->socket);
    *zone = (struct zone){.hsm = NULL};
}

static int set_up(void **state)
{
    (void)state;
    const struct ks_crypto_options crypto = {.fips = false};
    assert_int_equal(ks_crypto_init(&crypto).code, KS_OK);
    folder = fixture_folder("keeper");
    store = fixture_embedded(folder);
    root = ks_fake_hsm_root_new();
    start_zone(0);
    start_zone(1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop_zone(0);
    stop_zone(1);
    ks_fake_hsm_root_free(root);
    ks_store_free(store);
    fixture_remove(folder);
    ks_free(folder);
    return 0;
}

static bool is_ready(size_t index, uint32_t generation)
{
    struct ks_keeper_status status;
    ks_keeper_get_status(zones[index].keeper, &status);
    return status.ready && status.current == generation &&
           ks_fake_hsm_holds(zones[index].hsm, generation);
}

/* Lets both work in turns until both hold the generation as the current one. */
static bool settle(uint32_t generation)
{
    for (int i = 0; i < ROUNDS; i++) {
        ks_keeper_run(zones[0].keeper, NULL);
        ks_keeper_run(zones[1].keeper, NULL);
        if (is_ready(0, generation) && is_ready(1, generation)) {
            return true;
        }
        fixture_sleep_ms(2);
    }
    return false;
}

static void run_both(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        ks_keeper_run(zones[0].keeper, NULL);
        ks_keeper_run(zones[1].keeper, NULL);
    }
}

static size_t alarm_count(void)
{
    struct ks_keeper_status status[2];
    ks_keeper_get_status(zones[0].keeper, &status[0]);
    ks_keeper_get_status(zones[1].keeper, &status[1]);
    return status[0].alarm_count + status[1].alarm_count;
}

/* Whether both zones hold the same domain key of this generation. */
static bool agree(uint32_t generation)
{
    return ks_fake_hsm_agree(zones[0].hsm, zones[1].hsm, generation);
}

/* A roster of the first count zones. Two of the same hsms and number differ in their signatures. */
static struct ks_buffer sign_roster(size_t count, uint64_t number)
{
    struct ks_fake_hsm *const hsms[] = {zones[0].hsm, zones[1].hsm};
    struct ks_buffer roster = {.len_max = ROSTER_MAX};
    ks_fake_hsm_sign_roster(hsms, count, number, &roster);
    return roster;
}

static ks_code put(uint64_t number, const struct ks_buffer *roster)
{
    return ks_command_put_roster(store, zones[0].link, number, ks_buffer_bytes(roster)).code;
}

static ks_code put_roster_of(size_t count, uint64_t number)
{
    KS_BUFFER_AUTO roster = sign_roster(count, number);
    return put(number, &roster);
}

static ks_code put_roster(uint64_t number)
{
    return put_roster_of(KS_COUNT(zones), number);
}

static void wait_connected(size_t index)
{
    struct ks_keeper_status status;
    for (int i = 0; i < ROUNDS; i++) {
        ks_keeper_run(zones[index].keeper, NULL);
        ks_keeper_get_status(zones[index].keeper, &status);
        if (status.ready) {
            return;
        }
        fixture_sleep_ms(5);
    }
    fail_msg("the hsm never came");
}

static void begin(void)
{
    wait_connected(0);
    assert_int_equal(put_roster(1), KS_OK);
    assert_true(settle(1));
}

static void both_zones_come_to_hold_one_generation_once_a_roster_is_put(void **state)
{
    (void)state;
    wait_connected(0);
    wait_connected(1);
    ks_keeper_run(zones[0].keeper, NULL);
    assert_false(ks_fake_hsm_holds(zones[0].hsm, 1));
    struct ks_keeper_status status;
    ks_keeper_get_status(zones[0].keeper, &status);
    assert_int_equal(status.alarm_count, 1);

    assert_int_equal(put_roster(1), KS_OK);
    assert_true(settle(1));

    assert_true(agree(1));
    assert_int_equal(ks_fake_hsm_roster_number(zones[1].hsm), 1);
    ks_keeper_get_status(zones[0].keeper, &status);
    assert_int_equal(status.alarm_count, 0);
}

static void a_restarted_hsm_gets_its_roster_and_keys_again(void **state)
{
    (void)state;
    begin();

    ks_fake_hsm_restart(zones[0].hsm);
    assert_false(ks_fake_hsm_holds(zones[0].hsm, 1));

    fixture_sleep_ms(20);
    assert_true(settle(1));
    assert_true(agree(1));
    assert_int_equal(ks_fake_hsm_roster_number(zones[0].hsm), 1);
}

/* The keystore ended after its hsm had made a generation, and before that was committed. */
static void a_restarted_keystore_does_not_trust_what_the_hsm_holds(void **state)
{
    (void)state;
    begin();
    KS_ARENA_AUTO arena = {.len_max = 65536};
    ks_bytes wrapped = {0};
    assert_int_equal(ks_request_drop(zones[1].link, 1, &arena).code, KS_OK);
    assert_int_equal(ks_request_make(zones[1].link, 1, &arena, &wrapped).code, KS_OK);
    assert_false(agree(1));

    stop_keystore(1);
    start_keystore(1);

    wait_connected(1);
    assert_true(settle(1));
    assert_true(agree(1));
}

/* The new hsm has another identity: until a roster has it, the other zone tells it nothing. */
static void a_replaced_zone_gets_the_key_once_a_roster_has_it(void **state)
{
    (void)state;
    begin();

    ks_fake_hsm_replace(zones[0].hsm);

    struct ks_keeper_status status = {.ready = false};
    for (int i = 0; i < ROUNDS && !(status.ready && alarm_count() == 1); i++) {
        run_both(1); /* at first the old connection may still look good */
        ks_keeper_get_status(zones[0].keeper, &status);
        fixture_sleep_ms(5);
    }
    assert_false(ks_fake_hsm_holds(zones[0].hsm, 1));
    assert_int_equal(alarm_count(), 1);
    assert_int_equal(put_roster(2), KS_OK);
    assert_true(settle(1));
    assert_true(agree(1));
    assert_int_equal(alarm_count(), 0);
}

static void an_hsm_that_is_not_enrolled_is_an_alarm_and_gets_nothing(void **state)
{
    (void)state;
    wait_connected(0);
    wait_connected(1);
    assert_int_equal(put_roster_of(1, 1), KS_OK);
    run_both(20);
    struct ks_keeper_status status;
    ks_keeper_get_status(zones[0].keeper, &status);
    assert_int_equal(alarm_count(), 1);
    assert_int_equal(status.current, 0);
    assert_false(ks_fake_hsm_holds(zones[1].hsm, 1));

    assert_int_equal(put_roster(2), KS_OK);
    assert_true(settle(1));
    assert_true(agree(1));
}

/* What it has been given before is as good as ever. */
static void a_roster_that_the_hsm_refuses_is_an_alarm_and_stops_nothing(void **state)
{
    (void)state;
    begin();
    STORED(RosterRecord) roster = STORED_NEW(ROSTER_RECORD);
    roster.format = KS_RECORD_FORMAT;
    roster.number = 2;
    roster.roster = ks_lend_bytes(KS_LITERAL("not one that a fake takes"));
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_put(&change, KS_NAME_ROSTER, &roster.base);
    assert_int_equal(ks_sync_commit(store, &change, NULL).code, KS_OK);
    ks_fake_hsm_restart(zones[0].hsm);

    fixture_sleep_ms(20);
    assert_true(settle(1));

    struct ks_keeper_status status;
    ks_keeper_get_status(zones[0].keeper, &status);
    assert_true(status.ready);
    assert_true(status.alarm_count >= 1);
}

static ks_code put_kit(uint32_t period, const struct ks_buffer *kit)
{
    return ks_command_put_kit(store, zones[0].link, period, ks_buffer_bytes(kit)).code;
}

/* Put at one zone, it is in every zone's hsm, and again after a restart. */
static void every_hsm_gets_the_newest_custodian_kit(void **state)
{
    (void)state;
    begin();
    KS_BUFFER_AUTO first = {.len_max = ROSTER_MAX};
    KS_BUFFER_AUTO second = {.len_max = ROSTER_MAX};
    ks_fake_hsm_sign_kit(zones[0].hsm, 1, &first);
    ks_fake_hsm_sign_kit(zones[0].hsm, 2, &second);
    assert_int_equal(put_kit(1, &first), KS_OK);
    assert_int_equal(put_kit(2, &second), KS_OK);
    assert_int_equal(put_kit(2, &second), KS_OK);

    assert_true(settle(1));
    assert_int_equal(ks_fake_hsm_kit_period(zones[0].hsm), 2);
    assert_int_equal(ks_fake_hsm_kit_period(zones[1].hsm), 2);
    ks_fake_hsm_restart(zones[1].hsm);
    fixture_sleep_ms(20);
    assert_true(settle(1));
    assert_int_equal(ks_fake_hsm_kit_period(zones[1].hsm), 2);
}

/* A restarted hsm has forgotten which kit is the newest; the store has not. */
static void a_custodian_kit_never_goes_back(void **state)
{
    (void)state;
    begin();
    KS_BUFFER_AUTO first = {.len_max = ROSTER_MAX};
    KS_BUFFER_AUTO second = {.len_max = ROSTER_MAX};
    KS_BUFFER_AUTO other = {.len_max = ROSTER_MAX};
    ks_fake_hsm_sign_kit(zones[0].hsm, 1, &first);
    ks_fake_hsm_sign_kit(zones[0].hsm, 2, &second);
    ks_fake_hsm_sign_kit(zones[0].hsm, 2, &other);
    assert_int_equal(put_kit(0, &first), KS_VALIDATION);
    assert_int_equal(put_kit(2, &first), KS_ACCESS_DENIED); /* the kit says 1 */
    assert_int_equal(put_kit(2, &second), KS_OK);
    assert_int_equal(put_kit(1, &first), KS_ACCESS_DENIED);
    assert_int_equal(put_kit(2, &other), KS_ACCESS_DENIED);

    ks_fake_hsm_restart(zones[0].hsm);
    ks_code code = KS_UNAVAILABLE;
    for (int i = 0; i < 1000 && code == KS_UNAVAILABLE; i++) {
        fixture_sleep_ms(5);
        code = put_kit(1, &first);
    }
    assert_int_equal(code, KS_ACCESS_DENIED);
}

static void a_kit_that_the_hsm_refuses_is_an_alarm_and_stops_nothing(void **state)
{
    (void)state;
    begin();
    STORED(CustodianKitRecord) kit = STORED_NEW(CUSTODIAN_KIT_RECORD);
    kit.format = KS_RECORD_FORMAT;
    kit.period = 1;
    kit.kit = ks_lend_bytes(KS_LITERAL("not one that a fake takes"));
    const struct ks_name name = ks_name_custodians(1);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_put(&change, ks_name_bytes(&name), &kit.base);
    assert_int_equal(ks_sync_commit(store, &change, NULL).code, KS_OK);

    ks_keeper_run(zones[0].keeper, NULL);

    struct ks_keeper_status status;
    ks_keeper_get_status(zones[0].keeper, &status);
    assert_true(status.ready);
    assert_int_equal(status.alarm_count, 1);
}

/* What a keystore has of a backup's keys; the kit's period is the one that it must know. */
static void an_hsm_begins_a_backup_for_its_kit(void **state)
{
    (void)state;
    begin();
    KS_BUFFER_AUTO kit = {.len_max = ROSTER_MAX};
    KS_ARENA_AUTO arena = {.len_max = 65536};
    struct ks_backup_keys keys = {.stream_key = {NULL, 0}};
    ks_bytes header = KS_LITERAL("header");
    ks_fake_hsm_sign_kit(zones[0].hsm, 1, &kit);
    assert_int_equal(ks_request_backup(zones[0].link, header, 1, &arena, &keys).code,
                     KS_INVALID_STATE);
    assert_int_equal(put_kit(1, &kit), KS_OK);
    assert_int_equal(ks_request_backup(zones[0].link, header, 2, &arena, &keys).code, KS_CONFLICT);

    assert_int_equal(ks_request_backup(zones[0].link, header, 1, &arena, &keys).code, KS_OK);

    assert_int_equal(keys.stream_key.len, 32);
    assert_true(keys.key_block.len > 0);
}

/* A record that nobody can read: nobody guesses, and people are told. */
static void a_damaged_record_is_an_alarm(void **state)
{
    (void)state;
    begin();
    fixture_put(store, "domain/00000009/ap-seoul-1z/0f", "?", 0);
    ks_keeper_run(zones[0].keeper, NULL);
    struct ks_keeper_status status;
    ks_keeper_get_status(zones[0].keeper, &status);
    assert_int_equal(status.alarm_count, 1);
    assert_true(ks_hsm_link_is_open(zones[0].link));
}

static void a_roster_never_goes_back(void **state)
{
    (void)state;
    begin();
    KS_BUFFER_AUTO roster = sign_roster(KS_COUNT(zones), 3);
    assert_int_equal(put(3, &roster), KS_OK);
    assert_int_equal(put(3, &roster), KS_OK);
    assert_int_equal(put_roster_of(1, 3), KS_ACCESS_DENIED);
    assert_int_equal(put_roster(2), KS_ACCESS_DENIED);
    assert_int_equal(put(0, &roster), KS_VALIDATION);
}

/* A restarted hsm has forgotten its roster's number; the store has not. */
static void a_roster_does_not_go_back_though_the_hsm_was_restarted(void **state)
{
    (void)state;
    begin();
    assert_int_equal(put_roster(3), KS_OK);
    ks_fake_hsm_restart(zones[0].hsm);
    ks_code code = KS_UNAVAILABLE;
    for (int i = 0; i < ROUNDS && code == KS_UNAVAILABLE; i++) {
        fixture_sleep_ms(5);
        code = put_roster(2);
    }
    assert_int_equal(code, KS_ACCESS_DENIED);
}

static void make_key(size_t index)
{
    KS_ARENA_AUTO arena = {.len_max = 65536};
    char key_id[40];
    snprintf(key_id, sizeof(key_id), KEY_ID "%zu", index);
    STORED(KeyRecord) key = STORED_NEW(KEY_RECORD);
    key.format = KS_RECORD_FORMAT;
    key.account = ks_lend_text(ACCOUNT);
    key.key_id = key_id;
    key.state = STORED_ENUM(KEY_STATE__KEY_STATE_ENABLED);
    key.spec = 1; /* SYMMETRIC_DEFAULT */
    key.usage = STORED_ENUM(KEY_USAGE__KEY_USAGE_ENCRYPT_DECRYPT);
    key.origin = STORED_ENUM(KEY_ORIGIN__KEY_ORIGIN_AWS_KMS);
    KS_BUFFER_AUTO body = {.len_max = 4096};
    assert_int_equal(ks_record_write(&key.base, &body).code, KS_OK);
    INTERNAL(HsmCreateKey) create = INTERNAL_NEW(HSM_CREATE_KEY);
    create.body = ks_lend_bytes(ks_buffer_bytes(&body));
    create.generation = 1;
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_CREATE_KEY);
    request.create_key = &create;
    const INTERNAL(HsmReply) *reply = NULL;
    assert_int_equal(ks_sync_hsm(zones[0].link, &request, &arena, &reply).code, KS_OK);

    struct ks_name name = ks_name_key(ACCOUNT, key_id);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_put_bytes(&change, ks_name_bytes(&name), ks_bytes_in(reply->records[0]));
    assert_int_equal(ks_sync_commit(store, &change, NULL).code, KS_OK);
}

struct seen {
    size_t count;
    uint32_t generation;
};

static bool look_at_key(void *user, const struct ks_store_record *record)
{
    struct seen *seen = user;
    KS_ARENA_AUTO arena = {.len_max = 65536};
    STORED(KeyRecord) *key = NULL;
    assert_int_equal(ks_record_read_key(record->value, &arena, &key).code, KS_OK);
    const STORED(KeyMaterial) *material = key->materials[0];
    assert_int_equal(material->generation, seen->generation);
    assert_int_equal(ks_fake_hsm_generation_of(material->ekt.data, material->ekt.len),
                     seen->generation);
    struct ks_authentic envelope;
    assert_int_equal(ks_authentic_read(record->value, &envelope).code, KS_OK);
    assert_int_equal(envelope.generation, seen->generation);
    seen->count++;
    return true;
}

/* More keys than a step takes. */
static void a_rotation_reseals_every_key_and_drops_the_old_generation(void **state)
{
    (void)state;
    enum { KEYS = 9 };
    begin();
    for (size_t i = 0; i < KEYS; i++) {
        make_key(i);
    }
    uint32_t current = 0;
    assert_int_equal(ks_command_rotate(store, 2, &current).code, KS_VALIDATION);
    assert_int_equal(ks_command_rotate(store, 0, &current).code, KS_VALIDATION);
    assert_int_equal(ks_command_rotate(store, 1, &current).code, KS_OK);
    assert_int_equal(current, 1);

    assert_true(settle(2));
    for (int i = 0;
         i < ROUNDS && (ks_fake_hsm_holds(zones[0].hsm, 1) || ks_fake_hsm_holds(zones[1].hsm, 1));
         i++) {
        ks_keeper_run(zones[0].keeper, NULL);
        ks_keeper_run(zones[1].keeper, NULL);
    }

    assert_false(ks_fake_hsm_holds(zones[0].hsm, 1));
    assert_false(ks_fake_hsm_holds(zones[1].hsm, 1));
    struct seen seen = {.generation = 2};
    KS_STORE_VIEW_AUTO view = {0};
    assert_int_equal(ks_store_peek(store, &view).code, KS_OK);
    assert_int_equal(ks_store_scan(&view, KS_NAME_KEYS, (ks_bytes){0}, look_at_key, &seen).code,
                     KS_OK);
    assert_int_equal(seen.count, KEYS);
    assert_int_equal(ks_command_rotate(store, 1, &current).code, KS_OK);
    assert_int_equal(current, 2);
}

/* A key that can't be re-sealed keeps its generation alive. */
static void nothing_is_retired_while_a_key_is_sealed_under_it(void **state)
{
    (void)state;
    begin();
    make_key(0);
    uint32_t current = 0;
    ks_fake_hsm_fail(zones[0].hsm, 0, 1000000, KS_CORRUPT);
    ks_fake_hsm_fail(zones[1].hsm, 0, 1000000, KS_CORRUPT);
    assert_int_equal(ks_command_rotate(store, 1, &current).code, KS_OK);

    assert_true(settle(2));
    run_both(20);

    assert_true(ks_fake_hsm_holds(zones[0].hsm, 1));
    assert_true(ks_fake_hsm_holds(zones[1].hsm, 1));
}

/* Who knows what it is sealed under. */
static void nothing_is_retired_while_a_key_cannot_be_read(void **state)
{
    (void)state;
    begin();
    make_key(0);
    fixture_put(store, "key/" ACCOUNT "/broken", "?", 0);
    uint32_t current = 0;
    assert_int_equal(ks_command_rotate(store, 1, &current).code, KS_OK);

    assert_true(settle(2));
    run_both(20);

    assert_true(ks_fake_hsm_holds(zones[0].hsm, 1));
}

static struct ks_buffer read_raw(const char *name, int64_t *ret_revision)
{
    struct ks_buffer value = {.len_max = 65536};
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    assert_int_equal(ks_store_peek(store, &view).code, KS_OK);
    assert_int_equal(ks_store_get(&view, ks_bytes_of(name), &record).code, KS_OK);
    assert_int_equal(ks_buffer_append(&value, record.value).code, KS_OK);
    *ret_revision = record.revision;
    return value;
}

static void write_raw(const char *name, const struct ks_buffer *value)
{
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_put_bytes(&change, ks_bytes_of(name), ks_buffer_bytes(value));
    assert_int_equal(ks_sync_commit(store, &change, NULL).code, KS_OK);
}

static uint32_t generation_of(const char *name)
{
    int64_t revision = 0;
    KS_BUFFER_AUTO value = read_raw(name, &revision);
    struct ks_authentic envelope;
    assert_int_equal(ks_authentic_read(ks_buffer_bytes(&value), &envelope).code, KS_OK);
    return envelope.generation;
}

static bool says_refused(const char *name)
{
    struct ks_keeper_status status;
    ks_keeper_get_status(zones[0].keeper, &status);
    bool says = false;
    for (size_t i = 0; i < status.alarm_count; i++) {
        says = says || strstr(status.alarms[i], name);
    }
    return says;
}

/*
 * One whose MAC is not good, between others, and one that names a generation that nobody has: every
 * other key is brought under the current one, people are told, and the old generation stays. Once
 * they are repaired, it goes.
 */
static void a_damaged_record_stops_the_resealing_of_no_other(void **state)
{
    (void)state;
    enum { KEYS = 5 };
    static const char damaged[] = "key/" ACCOUNT "/" KEY_ID "1";
    static const char unknown[] = "key/" ACCOUNT "/" KEY_ID "2";
    begin();
    for (size_t i = 0; i < KEYS; i++) {
        make_key(i);
    }
    int64_t revision = 0;
    KS_BUFFER_AUTO right = read_raw(damaged, &revision);
    KS_BUFFER_AUTO wrong = read_raw(damaged, &revision);
    wrong.ptr[wrong.len - 1] ^= 1;
    write_raw(damaged, &wrong);
    KS_BUFFER_AUTO right_unknown = read_raw(unknown, &revision);
    KS_BUFFER_AUTO forged = {.len_max = 65536};
    struct ks_authentic envelope;
    assert_int_equal(ks_authentic_read(ks_buffer_bytes(&right_unknown), &envelope).code, KS_OK);
    envelope.generation = 99;
    assert_int_equal(ks_authentic_write(&envelope, &forged).code, KS_OK);
    write_raw(unknown, &forged);
    uint32_t current = 0;
    assert_int_equal(ks_command_rotate(store, 1, &current).code, KS_OK);
    assert_true(settle(2));
    run_both(20);

    assert_int_equal(generation_of(damaged), 1);
    assert_int_equal(generation_of("key/" ACCOUNT "/" KEY_ID "0"), 2);
    assert_int_equal(generation_of("key/" ACCOUNT "/" KEY_ID "3"), 2);
    assert_int_equal(generation_of("key/" ACCOUNT "/" KEY_ID "4"), 2);
    assert_true(ks_fake_hsm_holds(zones[0].hsm, 1));
    assert_true(says_refused(damaged) || says_refused(unknown));

    write_raw(damaged, &right);
    write_raw(unknown, &right_unknown);
    for (int i = 0; i < ROUNDS && ks_fake_hsm_holds(zones[0].hsm, 1); i++) {
        run_both(1);
    }
    assert_false(ks_fake_hsm_holds(zones[0].hsm, 1));
    assert_int_equal(generation_of(damaged), 2);
    run_both(1);
    assert_int_equal(alarm_count(), 0);
}

/* After a rotation nothing has a MAC of the old generation, and what had one is refused. */
static void a_record_under_a_retired_generation_is_refused(void **state)
{
    (void)state;
    static const char name[] = "key/" ACCOUNT "/" KEY_ID "0";
    begin();
    make_key(0);
    int64_t revision = 0;
    KS_BUFFER_AUTO old = read_raw(name, &revision);
    uint32_t current = 0;
    assert_int_equal(ks_command_rotate(store, 1, &current).code, KS_OK);
    assert_true(settle(2));
    for (int i = 0; i < ROUNDS && ks_fake_hsm_holds(zones[0].hsm, 1); i++) {
        run_both(1);
    }
    assert_int_equal(generation_of(name), 2);

    KS_ARENA_AUTO arena = {.len_max = 65536};
    struct ks_about *about = NULL;
    assert_int_equal(ks_about_new(ks_bytes_of(name), ks_buffer_bytes(&old), &arena, &about).code,
                     KS_OK);
    INTERNAL(HsmReseal) ask = INTERNAL_NEW(HSM_RESEAL);
    ask.record = 1;
    ask.generation = 2;
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_RESEAL);
    request.reseal = &ask;
    const INTERNAL(HsmReply) *reply = NULL;
    assert_int_equal(ks_sync_hsm_about(zones[0].link, &request, about, &arena, &reply).code,
                     KS_UNAVAILABLE);
}

static void no_generation_is_rotated_before_one_is_current(void **state)
{
    (void)state;
    uint32_t current = 0;
    assert_int_equal(ks_command_rotate(store, 0, &current).code, KS_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_zones_come_to_hold_one_generation_once_a_roster_is_put),
        TEST(a_restarted_hsm_gets_its_roster_and_keys_again),
        TEST(a_restarted_keystore_does_not_trust_what_the_hsm_holds),
        TEST(a_replaced_zone_gets_the_key_once_a_roster_has_it),
        TEST(an_hsm_that_is_not_enrolled_is_an_alarm_and_gets_nothing),
        TEST(a_roster_that_the_hsm_refuses_is_an_alarm_and_stops_nothing),
        TEST(every_hsm_gets_the_newest_custodian_kit),
        TEST(a_custodian_kit_never_goes_back),
        TEST(a_kit_that_the_hsm_refuses_is_an_alarm_and_stops_nothing),
        TEST(an_hsm_begins_a_backup_for_its_kit),
        TEST(a_damaged_record_is_an_alarm),
        TEST(a_roster_never_goes_back),
        TEST(a_roster_does_not_go_back_though_the_hsm_was_restarted),
        TEST(a_rotation_reseals_every_key_and_drops_the_old_generation),
        TEST(nothing_is_retired_while_a_key_is_sealed_under_it),
        TEST(nothing_is_retired_while_a_key_cannot_be_read),
        TEST(a_damaged_record_stops_the_resealing_of_no_other),
        TEST(a_record_under_a_retired_generation_is_refused),
        TEST(no_generation_is_rotated_before_one_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
