#include "services/cli/backup/check.h"

#include "pkg/backup/reader.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"

struct ks_backup_check {
    struct ks_crypto *crypto;
    struct ks_buffer front; /* what has come, until it is as long as a front can be */
    struct ks_backup_header header;
    struct ks_backup_reader *reader; /* NULL: the front has not been read yet */
    uint64_t len;
};

struct ks_backup_check *ks_backup_check_new(void)
{
    struct ks_backup_check *check = ks_alloc(1, sizeof(*check));
    check->crypto = ks_crypto_new();
    check->front.len_max = KS_BACKUP_FRONT_LEN_MAX;
    return check;
}

void ks_backup_check_free(struct ks_backup_check *check)
{
    if (check) {
        ks_backup_reader_free(check->reader);
        ks_crypto_free(check->crypto);
        ks_buffer_done(&check->front);
        ks_free(check);
    }
}

void ks_backup_check_free_at(struct ks_backup_check **check)
{
    ks_backup_check_free(*check);
}

const struct ks_backup_header *ks_backup_check_header(const struct ks_backup_check *check)
{
    return check->reader ? &check->header : NULL;
}

/* Reads the front; what was kept behind it goes to the reader. */
static ks_result begin(struct ks_backup_check *check)
{
    struct ks_backup_front front;
    ks_bytes kept = ks_buffer_bytes(&check->front);
    KS_TRY(ks_backup_front_read(kept, &front));
    check->header = front.header;
    const struct ks_backup_reader_options options = {.crypto = check->crypto, .front = &front};
    KS_TRY(ks_backup_reader_new(&options, &check->reader));
    const ks_bytes rest = {kept.ptr + front.bytes.len, kept.len - front.bytes.len};
    return ks_backup_reader_push(check->reader, rest);
}

ks_result ks_backup_check_push(struct ks_backup_check *check, ks_bytes bytes)
{
    check->len += bytes.len;
    if (!check->reader) {
        size_t room = check->front.len_max - check->front.len;
        size_t len = bytes.len < room ? bytes.len : room;
        KS_TRY(ks_buffer_append(&check->front, (ks_bytes){bytes.ptr, len}));
        if (check->front.len < check->front.len_max) {
            return KS_RES(OK);
        }
        KS_TRY(begin(check));
        bytes = (ks_bytes){bytes.ptr + len, bytes.len - len};
    }
    return ks_backup_reader_push(check->reader, bytes);
}

ks_result ks_backup_check_end(struct ks_backup_check *check, struct ks_backup_facts *ret_facts)
{
    if (!check->reader) {
        KS_TRY(begin(check));
    }
    KS_TRY(ks_backup_reader_end(check->reader));
    *ret_facts = (struct ks_backup_facts){check->header, check->len};
    return KS_RES(OK);
}
