/* cluster status: the command, and how its answer looks. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/json/json.h"
#include "pkg/message/members.h"
#include "services/cli/arguments/lines.h"
#include "services/cli/cluster/status.h"
#include "services/cli/output/emit.h"
#include "services/cli/output/table.h"
#include "services/cli/setup/duration.h"

#define OUTPUT_LEN_MAX (16U * 1024U * 1024U)
#define LOOK_EVERY_MS  200
#define INDENT         2U
#define SIZE_LEN       24U

typedef Keystead__Internal__V1__GetStatusResponse status_response;
typedef Keystead__Internal__V1__MemberStatus member_status;

static const char *const health_words[] = {[KS_HEALTH_NOT_ASKED] = "not asked",
                                           [KS_HEALTH_SERVING] = "well",
                                           [KS_HEALTH_ANSWERS] = "answers",
                                           [KS_HEALTH_FAULTY] = "faulty"};

static const char *health_text(const struct ks_process_status *process)
{
    return process->fault[0] ? process->fault : health_words[process->health];
}

/* "812 B", "1.3 MiB". */
static void size_text(uint64_t bytes, char ret_text[static SIZE_LEN])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < KS_COUNT(units); unit++) {
        value /= 1024;
    }
    snprintf(ret_text, SIZE_LEN, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

/* ---- As tables ---- */

static void keystore_cells(struct ks_table *table, const struct ks_process_status *keystore)
{
    static const status_response unknown;
    const status_response *answer = keystore->answer ? keystore->answer : &unknown;
    char size[SIZE_LEN];
    size_text(answer->database_bytes, size);
    ks_table_cell(table, keystore->place->name);
    ks_table_cell(table, keystore->place->address);
    if (!keystore->answer) {
        for (int i = 0; i < 8; i++) {
            ks_table_cell(table, "-");
        }
    } else {
        ks_table_cellf(table, "%" PRId64 " ms", answer->window_left_ms);
        ks_table_cellf(table, "%" PRId64, answer->applied_revision);
        ks_table_cellf(table, "%" PRId64, answer->settled_revision);
        ks_table_cellf(table, "%" PRIu64, answer->key_count);
        ks_table_cell(table, size);
        ks_table_cell(table, answer->hsm_ready ? "ready" : "no");
        ks_table_cellf(table, "%" PRIu32, answer->domain_generation);
        ks_table_cellf(table, "%" PRId64, answer->identities_revision);
    }
    ks_table_cell(table, health_text(keystore));
}

static ks_result print_keystores(const struct ks_status *status, const char *region,
                                 struct ks_buffer *out)
{
    static const char *const titles[] = {"zone",       "keystore",   "window",   "applied",
                                         "settled",    "keys",       "database", "hsm",
                                         "domain_key", "identities", "health"};
    KS_TABLE_AUTO table = {
        .column_count = KS_COUNT(titles), .indent = "  ", .text = {.len_max = OUTPUT_LEN_MAX}};
    ks_table_titles(&table, titles);
    for (size_t i = 0; i < status->keystore_count; i++) {
        if (strcmp(status->keystores[i].place->region, region) == 0) {
            keystore_cells(&table, &status->keystores[i]);
        }
    }
    return ks_table_print(&table, out);
}

static ks_result print_members(const status_response *seen, struct ks_buffer *out)
{
    static const char *const titles[] = {"etcd", "role",    "revision", "database",
                                         "term", "version", "health"};
    KS_TABLE_AUTO table = {
        .column_count = KS_COUNT(titles), .indent = "  ", .text = {.len_max = OUTPUT_LEN_MAX}};
    ks_table_titles(&table, titles);
    for (size_t i = 0; i < seen->n_members; i++) {
        const member_status *member = seen->members[i];
        char size[SIZE_LEN];
        size_text(member->database_bytes, size);
        ks_table_cell(&table, member->endpoint);
        ks_table_cell(&table, member->leader ? "leads" : "follows");
        ks_table_cellf(&table, "%" PRId64, member->revision);
        ks_table_cell(&table, size);
        ks_table_cellf(&table, "%" PRIu64, member->raft_term);
        ks_table_cell(&table, member->version);
        ks_table_cell(&table, member->reachable ? "well" : "unreachable");
    }
    return ks_table_print(&table, out);
}

static ks_result print_frontends(const struct ks_status *status, const char *region,
                                 struct ks_buffer *out)
{
    static const char *const titles[] = {"frontend", "address", "health"};
    KS_TABLE_AUTO table = {
        .column_count = KS_COUNT(titles), .indent = "  ", .text = {.len_max = OUTPUT_LEN_MAX}};
    ks_table_titles(&table, titles);
    for (size_t i = 0; i < status->frontend_count; i++) {
        const struct ks_process_status *frontend = &status->frontends[i];
        if (strcmp(frontend->place->region, region) == 0) {
            ks_table_cell(&table, frontend->place->name);
            ks_table_cell(&table, frontend->place->address);
            ks_table_cell(&table, health_text(frontend));
        }
    }
    return ks_table_print(&table, out);
}

/* The keystores in the store's list, as the first keystore of the region that answers has it. */
static void print_listed(const struct ks_status *status, const char *region, struct ks_lines *lines)
{
    for (size_t i = 0; i < status->keystore_count; i++) {
        const status_response *answer = status->keystores[i].answer;
        if (!answer || answer->n_listed == 0 ||
            strcmp(status->keystores[i].place->region, region) != 0) {
            continue;
        }
        ks_line(lines, "  listed keystores:");
        for (size_t k = 0; k < answer->n_listed; k++) {
            ks_line(lines, " %s", answer->listed[k]);
        }
        ks_line(lines, "\n");
        return;
    }
}

static void print_alarms(const struct ks_status *status, const char *region, struct ks_lines *lines)
{
    for (size_t i = 0; i < status->keystore_count; i++) {
        const struct ks_process_status *keystore = &status->keystores[i];
        if (!keystore->answer || strcmp(keystore->place->region, region) != 0) {
            continue;
        }
        for (size_t k = 0; k < keystore->answer->n_alarms; k++) {
            ks_line(lines, "  ALARM %s: %s\n", keystore->place->name, keystore->answer->alarms[k]);
        }
    }
}

static void print_reseal(const struct ks_status *status, const char *region, struct ks_lines *lines)
{
    for (size_t i = 0; i < status->keystore_count; i++) {
        const struct ks_process_status *keystore = &status->keystores[i];
        if (!keystore->answer || !keystore->answer->reseal ||
            strcmp(keystore->place->region, region) != 0) {
            continue;
        }
        ks_line(lines,
                "  keys are being re-sealed under domain key %" PRIu32 ": %" PRIu64
                " looked at, %" PRIu64 " re-sealed, %" PRIu64 " keys in all\n",
                keystore->answer->reseal->generation, keystore->answer->reseal->looked_at,
                keystore->answer->reseal->resealed, keystore->answer->key_count);
        if (keystore->answer->reseal->refused > 0) {
            ks_line(lines, "  %" PRIu64 " records can't be re-sealed\n",
                    keystore->answer->reseal->refused);
        }
    }
}

static void faults_line(struct ks_lines *lines, const char *what, size_t faults)
{
    if (faults == 0) {
        ks_line(lines, "%s: all is well\n", what);
    } else {
        ks_line(lines, "%s: %zu %s not well\n", what, faults,
                faults == 1 ? "thing is" : "things are");
    }
}

static ks_result print_region(const struct ks_status *status, const char *region,
                              struct ks_buffer *out)
{
    struct ks_lines lines = {.out = out};
    const status_response *etcd = ks_status_etcd(status, region);
    faults_line(&lines, region, ks_status_region_faults(status, region));
    KS_TRY(print_keystores(status, region, out));
    if (etcd) {
        KS_TRY(print_members(etcd, out));
    }
    KS_TRY(print_frontends(status, region, out));
    print_listed(status, region, &lines);
    print_reseal(status, region, &lines);
    print_alarms(status, region, &lines);
    ks_line(&lines, "\n");
    return lines.result;
}

static ks_result print_tables(const struct ks_status *status, struct ks_buffer *out)
{
    for (size_t i = 0; i < status->keystore_count; i++) {
        bool is_first = ks_status_is_first(status, i);
        KS_TRY(is_first ? print_region(status, status->keystores[i].place->region, out)
                        : KS_RES(OK));
    }
    struct ks_lines lines = {.out = out};
    if (status->has_control) {
        ks_line(&lines, "control %s: %s\n", status->control.place->address,
                health_text(&status->control));
    }
    return lines.result;
}

/* ---- As JSON ---- */

static void put_process(struct ks_json_writer *json, const char *name,
                        const struct ks_process_status *process)
{
    ks_json_object(json, name);
    ks_json_put_string(json, "Name", process->place->name);
    ks_json_put_string(json, "Address", process->place->address);
    ks_json_put_string(json, "Health", health_words[process->health]);
    if (process->fault[0]) {
        ks_json_put_string(json, "Fault", process->fault);
    }
    if (process->answer) {
        ks_json_object(json, "Status");
        ks_members_write(json, &process->answer->base);
        ks_json_close(json);
    }
    ks_json_close(json);
}

static void put_processes(struct ks_json_writer *json, const char *name,
                          const struct ks_process_status *processes, size_t count,
                          const char *region)
{
    ks_json_array(json, name);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(processes[i].place->region, region) == 0) {
            put_process(json, NULL, &processes[i]);
        }
    }
    ks_json_close(json);
}

static ks_result print_json(const struct ks_status *status, struct ks_buffer *out)
{
    struct ks_json_writer json = {.buffer = out, .indent = INDENT};
    ks_json_object(&json, NULL);
    ks_json_put_bool(&json, "Well", ks_status_faults(status) == 0);
    ks_json_array(&json, "Regions");
    for (size_t i = 0; i < status->keystore_count; i++) {
        const char *region = status->keystores[i].place->region;
        if (ks_status_is_first(status, i)) {
            ks_json_object(&json, NULL);
            ks_json_put_string(&json, "Region", region);
            ks_json_put_bool(&json, "Well", ks_status_region_faults(status, region) == 0);
            put_processes(&json, "Keystores", status->keystores, status->keystore_count, region);
            put_processes(&json, "Frontends", status->frontends, status->frontend_count, region);
            ks_json_close(&json);
        }
    }
    ks_json_close(&json);
    if (status->has_control) {
        put_process(&json, "Control", &status->control);
    }
    ks_json_close(&json);
    KS_TRY(ks_json_end(&json));
    return ks_buffer_append(out, KS_LITERAL("\n"));
}

static ks_result print_status(struct ks_cli *cli, const struct ks_status *status)
{
    KS_BUFFER_AUTO out = {.len_max = OUTPUT_LEN_MAX};
    KS_TRY(cli->output == KS_OUTPUT_JSON ? print_json(status, &out) : print_tables(status, &out));
    return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
}

/* ---- The command ---- */

static void pause_ms(int64_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * KS_NS_PER_MS};
    nanosleep(&time, NULL);
}

ks_result ks_run_cluster_status(struct ks_cli *cli)
{
    KS_CLUSTER_AUTO cluster = {.keystore_count = 0};
    struct ks_status status;
    int64_t wait_ms;
    KS_TRY(ks_duration_option(cli, "wait", 0, &wait_ms));
    KS_TRY(ks_cluster_load(cli, &cluster));
    int64_t end_ns = ks_clock_boot_ns(&ks_clock_system) + wait_ms * KS_NS_PER_MS;
    KS_TRY(ks_status_ask(cli, &cluster, &status));
    while (ks_status_faults(&status) > 0 && ks_clock_boot_ns(&ks_clock_system) < end_ns) {
        pause_ms(LOOK_EVERY_MS);
        KS_TRY(ks_status_ask(cli, &cluster, &status));
    }
    KS_TRY(print_status(cli, &status));
    size_t faults = ks_status_faults(&status);
    if (faults > 0) {
        return ks_fail(&cli->failure, KS_INTERNAL, "not all is well: %zu of what is listed",
                       faults);
    }
    return KS_RES(OK);
}
