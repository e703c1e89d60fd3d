#include "pkg/lmdb/lmdb.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "pkg/base/mem.h"

#define READERS_DEFAULT 126U /* LMDB's own default: its lock file then takes one page */
#define FILE_MODE       0600
#define OWNER_FILE      "owner.lock"
#define PATH_LEN_MAX    4096U

/* With less than this left, a disk counts as full. */
#define DISK_FREE_MIN (1U << 20)

struct ks_lmdb {
    MDB_env *env;
    int owner_fd; /* -1: not held */
};

/*
 * A transaction is LMDB's own. struct ks_lmdb_write and struct ks_lmdb_read are never defined: the
 * compiler tells the two kinds of pointers apart, and that is all they are for.
 */
static MDB_txn *txn_of_write(struct ks_lmdb_write *write)
{
    return (MDB_txn *)(void *)write;
}

static MDB_txn *txn_of_read(struct ks_lmdb_read *read)
{
    return (MDB_txn *)(void *)read;
}

static _Thread_local const char *last_error = "";

const char *ks_lmdb_last_error(void)
{
    return last_error;
}

/* Maps codes of LMDB and errno to ours. A code without a row is INTERNAL. */
static const struct {
    int code;
    ks_code result;
} codes[] = {
    {MDB_NOTFOUND, KS_NOT_FOUND},
    {MDB_MAP_FULL, KS_LIMIT_EXCEEDED},
    {MDB_DBS_FULL, KS_LIMIT_EXCEEDED},
    {MDB_READERS_FULL, KS_LIMIT_EXCEEDED},
    {MDB_TXN_FULL, KS_LIMIT_EXCEEDED},
    {ENOSPC, KS_LIMIT_EXCEEDED},
    {EDQUOT, KS_LIMIT_EXCEEDED},
    {EFBIG, KS_LIMIT_EXCEEDED},
    {ENOMEM, KS_LIMIT_EXCEEDED},
    {MDB_CORRUPTED, KS_CORRUPT},
    {MDB_PAGE_NOTFOUND, KS_CORRUPT},
    {MDB_INVALID, KS_CORRUPT},
    {MDB_VERSION_MISMATCH, KS_CORRUPT},
    {MDB_INCOMPATIBLE, KS_CORRUPT},
    {MDB_BAD_VALSIZE, KS_VALIDATION},
    {ENOENT, KS_NOT_FOUND},
    {ENOTDIR, KS_NOT_FOUND},
    {EACCES, KS_ACCESS_DENIED},
    {EPERM, KS_ACCESS_DENIED},
    {EROFS, KS_ACCESS_DENIED},
};

static ks_result translate(int code)
{
    if (code == MDB_SUCCESS) {
        return KS_RES(OK);
    }
    last_error = mdb_strerror(code);
    for (size_t i = 0; i < KS_COUNT(codes); i++) {
        if (codes[i].code == code) {
            return (ks_result){codes[i].result};
        }
    }
    return KS_RES(INTERNAL);
}

/*
 * LMDB does not allow one process to open a file twice, and we cannot serve two processes that
 * share it.
 */
static ks_result take_folder(const char *folder, int *ret_fd)
{
    char path[PATH_LEN_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", folder, OWNER_FILE);
    if (len < 0 || (size_t)len >= sizeof(path)) {
        last_error = "the folder's name is too long";
        return KS_RES(VALIDATION);
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return translate(errno);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        last_error = "another process has the folder open";
        return KS_RES(CONFLICT);
    }
    *ret_fd = fd;
    return KS_RES(OK);
}

static ks_result open_env(struct ks_lmdb *env, const struct ks_lmdb_options *options)
{
    unsigned readers = options->readers_max ? options->readers_max : READERS_DEFAULT;
    /*
     * A snapshot belongs to its transaction, not to a thread. Reading ahead is of no use, because
     * pages are read at random.
     */
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (options->no_sync ? MDB_NOSYNC : 0U);
    KS_TRY(translate(mdb_env_create(&env->env)));
    KS_TRY(translate(mdb_env_set_mapsize(env->env, options->map_len_max)));
    KS_TRY(translate(mdb_env_set_maxreaders(env->env, readers)));
    KS_TRY(translate(mdb_env_set_maxdbs(env->env, KS_LMDB_DATABASES_MAX)));
    return translate(mdb_env_open(env->env, options->folder, flags, FILE_MODE));
}

/*
 * LMDB maps the file without a look at its length. If it is shorter than its newest header says,
 * reading a page behind its end would end the process with SIGBUS.
 */
static ks_result check_len(struct ks_lmdb *env)
{
    int fd;
    struct stat st;
    KS_TRY(translate(mdb_env_get_fd(env->env, &fd)));
    if (fstat(fd, &st) != 0) {
        return translate(errno);
    }
    if ((size_t)st.st_size < ks_lmdb_used_len(env)) {
        last_error = "the data file is shorter than it says";
        return KS_RES(CORRUPT);
    }
    return KS_RES(OK);
}

ks_result ks_lmdb_open(const struct ks_lmdb_options *options, struct ks_lmdb **ret_env)
{
    assert(options && options->folder && ret_env);
    assert(options->map_len_max > 0 && options->map_len_max % 4096 == 0);

    KS_LMDB_AUTO *env = ks_alloc(1, sizeof(*env));
    env->owner_fd = -1;
    KS_TRY(take_folder(options->folder, &env->owner_fd));
    KS_TRY(open_env(env, options));
    KS_TRY(check_len(env));
    assert(mdb_env_get_maxkeysize(env->env) == (int)KS_LMDB_KEY_MAX);
    *ret_env = env;
    env = NULL;
    return KS_RES(OK);
}

void ks_lmdb_close(struct ks_lmdb *env)
{
    if (!env) {
        return;
    }
    if (env->env) {
        mdb_env_close(env->env);
    }
    if (env->owner_fd >= 0) {
        close(env->owner_fd);
    }
    ks_free(env);
}

void ks_lmdb_close_at(struct ks_lmdb **env)
{
    ks_lmdb_close(*env);
}

ks_result ks_lmdb_database(struct ks_lmdb *env, const char *name, ks_lmdb_db *ret_db)
{
    assert(name && *name != '\0');

    KS_LMDB_WRITE_AUTO *write = NULL;
    KS_TRY(ks_lmdb_write_begin(env, &write));
    MDB_dbi dbi;
    KS_TRY(translate(mdb_dbi_open(txn_of_write(write), name, MDB_CREATE, &dbi)));
    struct ks_lmdb_write *ended = write;
    write = NULL;
    KS_TRY(ks_lmdb_commit(ended));
    ret_db->id = dbi;
    return KS_RES(OK);
}

ks_result ks_lmdb_sync(struct ks_lmdb *env)
{
    return translate(mdb_env_sync(env->env, 1));
}

size_t ks_lmdb_used_len(struct ks_lmdb *env)
{
    MDB_envinfo info;
    MDB_stat stat;
    int failed = mdb_env_info(env->env, &info) | mdb_env_stat(env->env, &stat);
    assert(failed == 0); /* neither has a way to fail on an open environment */
    return (info.me_last_pgno + 1) * stat.ms_psize;
}

ks_result ks_lmdb_write_begin(struct ks_lmdb *env, struct ks_lmdb_write **ret_write)
{
    MDB_txn *txn;
    KS_TRY(translate(mdb_txn_begin(env->env, NULL, 0, &txn)));
    *ret_write = (struct ks_lmdb_write *)(void *)txn;
    return KS_RES(OK);
}

/*
 * LMDB takes its arguments by pointers that are not const, but does not change what they point to.
 */
static MDB_val val_of(ks_bytes bytes)
{
    return (MDB_val){.mv_size = bytes.len, .mv_data = (void *)(uintptr_t)bytes.ptr};
}

static ks_bytes bytes_of(MDB_val val)
{
    return (ks_bytes){val.mv_data, val.mv_size};
}

static ks_result check_key(ks_bytes key)
{
    return translate(key.len > 0 && key.len <= KS_LMDB_KEY_MAX ? MDB_SUCCESS : MDB_BAD_VALSIZE);
}

ks_result ks_lmdb_put(struct ks_lmdb_write *write, ks_lmdb_db db, ks_bytes key, ks_bytes value)
{
    KS_TRY(check_key(key));
    MDB_val key_val = val_of(key);
    MDB_val value_val = val_of(value);
    return translate(mdb_put(txn_of_write(write), db.id, &key_val, &value_val, 0));
}

ks_result ks_lmdb_delete(struct ks_lmdb_write *write, ks_lmdb_db db, ks_bytes key)
{
    KS_TRY(check_key(key));
    MDB_val key_val = val_of(key);
    return translate(mdb_del(txn_of_write(write), db.id, &key_val, NULL));
}

ks_result ks_lmdb_clear(struct ks_lmdb_write *write, ks_lmdb_db db)
{
    return translate(mdb_drop(txn_of_write(write), db.id, 0));
}

static ks_result get(MDB_txn *txn, ks_lmdb_db db, ks_bytes key, ks_bytes *ret_value)
{
    KS_TRY(check_key(key));
    MDB_val key_val = val_of(key);
    MDB_val value_val;
    KS_TRY(translate(mdb_get(txn, db.id, &key_val, &value_val)));
    *ret_value = bytes_of(value_val);
    return KS_RES(OK);
}

ks_result ks_lmdb_write_get(struct ks_lmdb_write *write, ks_lmdb_db db, ks_bytes key,
                            ks_bytes *ret_value)
{
    return get(txn_of_write(write), db, key, ret_value);
}

ks_result ks_lmdb_write_first(struct ks_lmdb_write *write, ks_lmdb_db db, ks_bytes prefix,
                              ks_bytes *ret_key)
{
    if (prefix.len > 0) {
        KS_TRY(check_key(prefix));
    }
    MDB_cursor *cursor;
    MDB_val key = val_of(prefix);
    MDB_val value;
    KS_TRY(translate(mdb_cursor_open(txn_of_write(write), db.id, &cursor)));
    int code = mdb_cursor_get(cursor, &key, &value, prefix.len > 0 ? MDB_SET_RANGE : MDB_FIRST);
    mdb_cursor_close(cursor);
    KS_TRY(translate(code));
    if (!ks_bytes_starts_with(bytes_of(key), prefix)) {
        return KS_RES(NOT_FOUND);
    }
    *ret_key = bytes_of(key);
    return KS_RES(OK);
}

/* LMDB answers EIO when a write was cut short, which is how a disk becomes full. */
static int explain_io_error(int code, int fd)
{
    struct statvfs disk;
    bool is_full =
        code == EIO && fstatvfs(fd, &disk) == 0 && disk.f_bavail < DISK_FREE_MIN / disk.f_frsize;
    return is_full ? ENOSPC : code;
}

ks_result ks_lmdb_commit(struct ks_lmdb_write *write)
{
    MDB_txn *txn = txn_of_write(write);
    int fd;
    int failed = mdb_env_get_fd(mdb_txn_env(txn), &fd);
    assert(failed == 0); /* it has no way to fail on an open environment */
    return translate(explain_io_error(mdb_txn_commit(txn), fd));
}

void ks_lmdb_abort(struct ks_lmdb_write *write)
{
    if (write) {
        mdb_txn_abort(txn_of_write(write));
    }
}

void ks_lmdb_abort_at(struct ks_lmdb_write **write)
{
    ks_lmdb_abort(*write);
}

ks_result ks_lmdb_read_begin(struct ks_lmdb *env, struct ks_lmdb_read **ret_read)
{
    MDB_txn *txn;
    KS_TRY(translate(mdb_txn_begin(env->env, NULL, MDB_RDONLY, &txn)));
    *ret_read = (struct ks_lmdb_read *)(void *)txn;
    return KS_RES(OK);
}

void ks_lmdb_read_end(struct ks_lmdb_read *read)
{
    if (read) {
        mdb_txn_abort(txn_of_read(read));
    }
}

void ks_lmdb_read_end_at(struct ks_lmdb_read **read)
{
    ks_lmdb_read_end(*read);
}

ks_result ks_lmdb_get(struct ks_lmdb_read *read, ks_lmdb_db db, ks_bytes key, ks_bytes *ret_value)
{
    return get(txn_of_read(read), db, key, ret_value);
}

ks_result ks_lmdb_count(struct ks_lmdb_read *read, ks_lmdb_db db, size_t *ret_count)
{
    MDB_stat stat;
    KS_TRY(translate(mdb_stat(txn_of_read(read), db.id, &stat)));
    *ret_count = stat.ms_entries;
    return KS_RES(OK);
}

struct ks_lmdb_walk {
    MDB_cursor *cursor;
    bool is_begun;
    bool is_ended;
    bool after_start;
    size_t prefix_len;
    size_t start_len; /* of the key to begin at; 0: the first of all */
    uint8_t prefix[KS_LMDB_KEY_MAX];
    uint8_t start[KS_LMDB_KEY_MAX];
};

/*
 * No key with the prefix comes before the prefix itself, so the walk starts at the later of the
 * two.
 */
static ks_result set_span(struct ks_lmdb_walk *walk, const struct ks_lmdb_span *span)
{
    ks_bytes start = span->start;
    if (ks_bytes_compare(start, span->prefix) < 0) {
        start = span->prefix;
    }
    if (start.len > KS_LMDB_KEY_MAX || span->prefix.len > KS_LMDB_KEY_MAX) {
        last_error = "a walk's start is longer than any key";
        return KS_RES(VALIDATION);
    }
    if (start.len > 0) {
        memcpy(walk->start, start.ptr, start.len);
    }
    if (span->prefix.len > 0) {
        memcpy(walk->prefix, span->prefix.ptr, span->prefix.len);
    }
    walk->start_len = start.len;
    walk->prefix_len = span->prefix.len;
    walk->after_start = span->after_start && span->start.len > 0;
    return KS_RES(OK);
}

ks_result ks_lmdb_walk_begin(struct ks_lmdb_read *read, ks_lmdb_db db,
                             const struct ks_lmdb_span *span, struct ks_lmdb_walk **ret_walk)
{
    KS_LMDB_WALK_AUTO *walk = ks_alloc(1, sizeof(*walk));
    KS_TRY(set_span(walk, span));
    KS_TRY(translate(mdb_cursor_open(txn_of_read(read), db.id, &walk->cursor)));
    *ret_walk = walk;
    walk = NULL;
    return KS_RES(OK);
}

/* Finds the first key of the walk: the start, or the next key after it. */
static int first_of(struct ks_lmdb_walk *walk, MDB_val *key, MDB_val *value)
{
    if (walk->start_len == 0) {
        return mdb_cursor_get(walk->cursor, key, value, MDB_FIRST);
    }
    ks_bytes start = {walk->start, walk->start_len};
    *key = val_of(start);
    int code = mdb_cursor_get(walk->cursor, key, value, MDB_SET_RANGE);
    bool is_start = code == MDB_SUCCESS && ks_bytes_equal(bytes_of(*key), start);
    return is_start && walk->after_start ? mdb_cursor_get(walk->cursor, key, value, MDB_NEXT)
                                         : code;
}

ks_result ks_lmdb_walk_next(struct ks_lmdb_walk *walk, ks_bytes *ret_key, ks_bytes *ret_value)
{
    if (walk->is_ended) {
        return KS_RES(NOT_FOUND);
    }
    MDB_val key;
    MDB_val value;
    int code = walk->is_begun ? mdb_cursor_get(walk->cursor, &key, &value, MDB_NEXT)
                              : first_of(walk, &key, &value);
    walk->is_begun = true;
    if (code == MDB_SUCCESS &&
        !ks_bytes_starts_with(bytes_of(key), (ks_bytes){walk->prefix, walk->prefix_len})) {
        code = MDB_NOTFOUND;
    }
    walk->is_ended = code != MDB_SUCCESS;
    KS_TRY(translate(code));
    *ret_key = bytes_of(key);
    *ret_value = bytes_of(value);
    return KS_RES(OK);
}

void ks_lmdb_walk_end(struct ks_lmdb_walk *walk)
{
    if (walk) {
        if (walk->cursor) {
            mdb_cursor_close(walk->cursor);
        }
        ks_free(walk);
    }
}

void ks_lmdb_walk_end_at(struct ks_lmdb_walk **walk)
{
    ks_lmdb_walk_end(*walk);
}
