/* backup verify, backup list: what backups say of themselves, and whether they are whole. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkg/base/mem.h"
#include "pkg/json/json.h"
#include "services/cli/backup/backup.h"
#include "services/cli/backup/check.h"
#include "services/cli/backup/show.h"
#include "services/cli/crypt/stream.h"
#include "services/cli/output/emit.h"
#include "services/cli/output/table.h"
#include "services/cli/setup/cli.h"

#define READ_LEN       (256U * 1024U)
#define LISTED_MAX     4096U /* backups in one folder */
#define OUTPUT_LEN_MAX (4U * 1024U * 1024U)
#define INDENT         2

static void close_file(const int *file)
{
    if (*file >= 0) {
        close(*file);
    }
}

static ks_result open_file(struct ks_cli *cli, const char *path, int *ret_file)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return ks_fail(&cli->failure, errno == ENOENT ? KS_NOT_FOUND : KS_INTERNAL,
                       "cannot read %.400s: %s", path, strerror(errno));
    }
    *ret_file = file;
    return KS_RES(OK);
}

/* Reads up to len bytes; fewer only at the end of the file. */
static ks_result read_some(struct ks_cli *cli, int file, uint8_t *place, size_t len,
                           size_t *ret_len)
{
    size_t at = 0;
    while (at < len) {
        ssize_t count = read(file, place + at, len - at);
        if (count < 0 && errno != EINTR) {
            return ks_fail(&cli->failure, KS_INTERNAL, "cannot read the file: %s", strerror(errno));
        }
        if (count == 0) {
            break;
        }
        at += count > 0 ? (size_t)count : 0;
    }
    *ret_len = at;
    return KS_RES(OK);
}

/* ---- verify ---- */

static ks_result explain(struct ks_cli *cli, ks_result result, const char *path)
{
    if (result.code == KS_UNSUPPORTED) {
        return ks_fail(&cli->failure, result.code,
                       "%.400s is a backup of a version that this program does not know; a newer "
                       "one may",
                       path);
    }
    if (result.code == KS_INVALID_CIPHERTEXT) {
        return ks_fail(&cli->failure, result.code,
                       "%.400s is damaged or cut short, or is no backup: do not rely on it", path);
    }
    return result;
}

static ks_result check_all(struct ks_cli *cli, int file, struct ks_progress *progress,
                           struct ks_backup_check *check)
{
    KS_AUTO_FREE uint8_t *bytes = ks_alloc(1, READ_LEN);
    for (size_t len = READ_LEN; len == READ_LEN;) { /* as long as the file */
        KS_TRY(read_some(cli, file, bytes, READ_LEN, &len));
        KS_TRY(ks_backup_check_push(check, (ks_bytes){bytes, len}));
        ks_progress_add(progress, len);
    }
    return KS_RES(OK);
}

static ks_result print_verified(struct ks_cli *cli, const struct ks_backup_facts *facts,
                                const char *path)
{
    const struct ks_backup_header *header = &facts->header;
    KS_BUFFER_AUTO out = {.len_max = OUTPUT_LEN_MAX};
    char text[1024];
    if (cli->output == KS_OUTPUT_JSON) {
        struct ks_json_writer json = {.buffer = &out, .indent = INDENT};
        ks_json_object(&json, NULL);
        ks_backup_members(&json, header, facts->len, path);
        ks_json_put_bool(&json, "AsWritten", true);
        ks_json_put_bool(&json, "Authenticated", false);
        ks_json_close(&json);
        KS_TRY(ks_json_end(&json));
        KS_TRY(ks_buffer_append(&out, KS_LITERAL("\n")));
        return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
    }
    KS_TABLE_AUTO table = {.column_count = KS_BACKUP_COLUMNS, .text = {.len_max = OUTPUT_LEN_MAX}};
    ks_backup_titles(&table);
    ks_backup_row(&table, header, facts->len, path);
    KS_TRY(ks_table_print(&table, &out));
    snprintf(text, sizeof(text),
             "\n"
             "The file is whole, and every byte is as it was written.\n"
             "Not checked, as only %u of the %u custodians of period %u can: that the keys in it\n"
             "open it, and that nobody has made it up.\n",
             header->threshold, header->custodians, header->period);
    KS_TRY(ks_buffer_append(&out, ks_bytes_of(text)));
    return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
}

ks_result ks_run_backup_verify(struct ks_cli *cli)
{
    const char *path = ks_argument(&cli->arguments, "file");
    struct ks_backup_facts facts;
    struct ks_progress progress;
    KS_BACKUP_CHECK_AUTO *check = ks_backup_check_new();
    KS_CLEANUP(close_file) int file = -1;
    KS_TRY(open_file(cli, path, &file));
    const struct ks_source source = {.file = file};
    ks_progress_begin(&progress, "verified", ks_source_size(&source));
    ks_result r = check_all(cli, file, &progress, check);
    ks_progress_end(&progress);
    if (!ks_failed(r)) {
        r = ks_backup_check_end(check, &facts);
    }
    if (ks_failed(r)) {
        return explain(cli, r, path);
    }
    return print_verified(cli, &facts, path);
}

/* ---- list ---- */

struct listed {
    struct ks_backup_header header;
    uint64_t len;
    char *name;
};

struct listing {
    struct listed *items; /* LISTED_MAX */
    size_t count;
    size_t damaged_count;
    char damaged[256]; /* the name of the first one */
};

static void listing_done(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        ks_free(listing->items[i].name);
    }
    ks_free(listing->items);
}

static int by_time(const void *a, const void *b)
{
    const struct ks_backup_header *one = &((const struct listed *)a)->header;
    const struct ks_backup_header *other = &((const struct listed *)b)->header;
    return (one->time_ms > other->time_ms) - (one->time_ms < other->time_ms);
}

/* Looks at a file. One that does not begin as a backup, and what is no file, is passed over. */
static ks_result look_at(struct ks_cli *cli, int file, const char *name, struct listing *listing)
{
    struct stat about;
    struct ks_backup_front front;
    size_t len = 0;
    KS_AUTO_FREE uint8_t *bytes = ks_alloc(1, KS_BACKUP_FRONT_LEN_MAX);
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) {
        return KS_RES(OK);
    }
    KS_TRY(read_some(cli, file, bytes, KS_BACKUP_FRONT_LEN_MAX, &len));
    if (!ks_backup_is((ks_bytes){bytes, len})) {
        return KS_RES(OK);
    }
    if (ks_failed(ks_backup_front_read((ks_bytes){bytes, len}, &front))) {
        if (listing->damaged_count++ == 0) {
            snprintf(listing->damaged, sizeof(listing->damaged), "%s", name);
        }
        return KS_RES(OK);
    }
    if (listing->count == LISTED_MAX) {
        return ks_fail(&cli->failure, KS_LIMIT_EXCEEDED, "there are more than %u backups",
                       LISTED_MAX);
    }
    listing->items[listing->count++] =
        (struct listed){front.header, (uint64_t)about.st_size, ks_strdup(name)};
    return KS_RES(OK);
}

/* One that can't be opened is passed over. O_NONBLOCK: a pipe without a writer is not waited for. */
static ks_result look_for(struct ks_cli *cli, DIR *folder, const char *name,
                          struct listing *listing)
{
    KS_CLEANUP(close_file)
    int file = openat(dirfd(folder), name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return file >= 0 ? look_at(cli, file, name, listing) : KS_RES(OK);
}

static ks_result look_into(struct ks_cli *cli, DIR *folder, struct listing *listing)
{
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        KS_TRY(look_for(cli, folder, entry->d_name, listing));
    }
    qsort(listing->items, listing->count, sizeof(listing->items[0]), by_time);
    return KS_RES(OK);
}

static ks_result print_listing(struct ks_cli *cli, const struct listing *listing)
{
    KS_BUFFER_AUTO out = {.len_max = OUTPUT_LEN_MAX};
    struct ks_json_writer json = {.buffer = &out, .indent = INDENT};
    KS_TABLE_AUTO table = {.column_count = KS_BACKUP_COLUMNS, .text = {.len_max = OUTPUT_LEN_MAX}};
    if (cli->output != KS_OUTPUT_JSON) {
        ks_backup_titles(&table);
        for (size_t i = 0; i < listing->count; i++) {
            const struct listed *item = &listing->items[i];
            ks_backup_row(&table, &item->header, item->len, item->name);
        }
        KS_TRY(ks_table_print(&table, &out));
        return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
    }
    ks_json_object(&json, NULL);
    ks_json_array(&json, "Backups");
    for (size_t i = 0; i < listing->count; i++) {
        const struct listed *item = &listing->items[i];
        ks_json_object(&json, NULL);
        ks_backup_members(&json, &item->header, item->len, item->name);
        ks_json_close(&json);
    }
    ks_json_close(&json);
    ks_json_close(&json);
    KS_TRY(ks_json_end(&json));
    KS_TRY(ks_buffer_append(&out, KS_LITERAL("\n")));
    return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
}

ks_result ks_run_backup_list(struct ks_cli *cli)
{
    const char *path = ks_argument(&cli->arguments, "dir");
    DIR *folder = opendir(path);
    if (!folder) {
        return ks_fail(&cli->failure, errno == ENOENT ? KS_NOT_FOUND : KS_INTERNAL,
                       "cannot read %.400s: %s", path, strerror(errno));
    }
    KS_CLEANUP(listing_done)
    struct listing listing = {.items = ks_alloc(LISTED_MAX, sizeof(struct listed))};
    ks_result r = look_into(cli, folder, &listing);
    closedir(folder);
    KS_TRY(r);
    KS_TRY(print_listing(cli, &listing));
    if (listing.damaged_count > 0) {
        return ks_fail(
            &cli->failure, KS_INVALID_CIPHERTEXT,
            "%zu not listed: the beginning is damaged, or of a version that is not known, "
            "as of %s",
            listing.damaged_count, listing.damaged);
    }
    return KS_RES(OK);
}
