#include "pkg/store/log/layout.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/store/copy/index.h"

#define DATA          "d/"
#define DATA_HEAD_LEN 5U /* "d/hh/" */
#define KEYSTORES     "ks/"

static bool is_printable(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c < 0x21 || *c > 0x7e) {
            return false;
        }
    }
    return true;
}

ks_result ks_layout_init(struct ks_layout *layout, const char *prefix)
{
    size_t len = strlen(prefix);
    if (len == 0 || len > KS_LAYOUT_PREFIX_LEN_MAX || !is_printable(prefix)) {
        return KS_RES(VALIDATION);
    }
    *layout = (struct ks_layout){.prefix = ""};
    memcpy(layout->prefix, prefix, len);
    memcpy(layout->prefix_end, prefix, len);
    layout->prefix_end[len - 1]++; /* at most 0x7f: never wraps */
    snprintf(layout->rev, sizeof(layout->rev), "%srev", layout->prefix);
    snprintf(layout->epoch, sizeof(layout->epoch), "%sepoch", layout->prefix);
    snprintf(layout->list, sizeof(layout->list), "%sks/", layout->prefix);
    snprintf(layout->list_end, sizeof(layout->list_end), "%sks0", layout->prefix);
    return KS_RES(OK);
}

unsigned ks_layout_bucket(ks_bytes key)
{
    uint32_t hash = 2166136261U;
    ks_bytes hashed = key;
    (void)ks_index_directory(key, &hashed);
    for (size_t i = 0; i < hashed.len; i++) {
        hash = (hash ^ hashed.ptr[i]) * 16777619U;
    }
    hash ^= hash >> 16;
    return (hash ^ hash >> 8) & 0xff;
}

static ks_bytes join(struct ks_arena *arena, const char *head, ks_bytes tail)
{
    size_t head_len = strlen(head);
    uint8_t *place = ks_arena_alloc(arena, head_len + tail.len);
    assert(place);
    memcpy(place, head, head_len);
    if (tail.len > 0) {
        memcpy(place + head_len, tail.ptr, tail.len);
    }
    return (ks_bytes){place, head_len + tail.len};
}

ks_bytes ks_layout_data_key(const struct ks_layout *layout, struct ks_arena *arena, ks_bytes key)
{
    char head[KS_LAYOUT_PREFIX_LEN_MAX + 16];
    snprintf(head, sizeof(head), "%s" DATA "%02x/", layout->prefix, ks_layout_bucket(key));
    return join(arena, head, key);
}

void ks_layout_prefix_range(const struct ks_layout *layout, struct ks_arena *arena, ks_bytes prefix,
                            ks_bytes *ret_from, ks_bytes *ret_to)
{
    ks_bytes directory;
    assert(ks_index_directory(prefix, &directory));

    ks_bytes from = ks_layout_data_key(layout, arena, prefix);
    char *to = ks_arena_dup(arena, from);
    assert(to);
    to[from.len - 1]++; /* printable ASCII: it never wraps */
    *ret_from = from;
    *ret_to = (ks_bytes){(const uint8_t *)to, from.len};
}

ks_bytes ks_layout_keystore_key(const struct ks_layout *layout, struct ks_arena *arena,
                                const char *id)
{
    return join(arena, layout->list, ks_bytes_of(id));
}

void ks_layout_bucket_range(const struct ks_layout *layout, unsigned bucket,
                            struct ks_layout_range *ret_range)
{
    assert(bucket < KS_LAYOUT_BUCKETS);

    snprintf(ret_range->from, sizeof(ret_range->from), "%s" DATA "%02x/", layout->prefix, bucket);
    snprintf(ret_range->to, sizeof(ret_range->to), "%s" DATA "%02x0", layout->prefix, bucket);
}

enum ks_layout_kind ks_layout_parse(const struct ks_layout *layout, ks_bytes etcd_key,
                                    ks_bytes *ret_name)
{
    if (ks_bytes_equal(etcd_key, ks_bytes_of(layout->rev))) {
        return KS_LAYOUT_REV;
    }
    if (ks_bytes_equal(etcd_key, ks_bytes_of(layout->epoch))) {
        return KS_LAYOUT_EPOCH;
    }
    size_t prefix_len = strlen(layout->prefix);
    if (!ks_bytes_starts_with(etcd_key, ks_bytes_of(layout->prefix))) {
        return KS_LAYOUT_OTHER;
    }
    ks_bytes rest = {etcd_key.ptr + prefix_len, etcd_key.len - prefix_len};
    size_t head_len = strlen(KEYSTORES);
    if (ks_bytes_starts_with(rest, KS_LITERAL(KEYSTORES)) && rest.len > head_len) {
        *ret_name = (ks_bytes){rest.ptr + head_len, rest.len - head_len};
        return KS_LAYOUT_KEYSTORE;
    }
    if (ks_bytes_starts_with(rest, KS_LITERAL(DATA)) && rest.len > DATA_HEAD_LEN &&
        rest.ptr[DATA_HEAD_LEN - 1] == '/') {
        *ret_name = (ks_bytes){rest.ptr + DATA_HEAD_LEN, rest.len - DATA_HEAD_LEN};
        return KS_LAYOUT_DATA;
    }
    return KS_LAYOUT_OTHER;
}
