#include "pkg/mirror/state.h"

#include <assert.h>
#include <string.h>

#include "pkg/form/form.h"

#define STATE_MAX (1U + 8U + 8U + 8U + 2U * KS_SET_SUM_WORDS + 2U + KS_HEAD_LEN_MAX)

ks_result ks_mirror_state_read(ks_bytes bytes, struct ks_mirror_state *ret_state)
{
    struct ks_reader reader = {.rest = bytes};
    struct ks_mirror_state state = {.active = ks_read_u8(&reader)};
    state.floor = (int64_t)ks_read_u64(&reader);
    state.tombstones = ks_read_u64(&reader);
    state.sum.count = ks_read_u64(&reader);
    for (size_t i = 0; i < KS_SET_SUM_WORDS; i++) {
        state.sum.words[i] = ks_read_u16(&reader);
    }
    ks_bytes head = ks_read_long(&reader);
    bool fits = ks_read_all(&reader) && state.active < 2 && state.floor >= 0 &&
                head.len <= KS_HEAD_LEN_MAX && !ks_failed(ks_head_read(head, &state.head));
    if (!fits) {
        return KS_RES(CORRUPT);
    }
    memcpy(state.head_bytes, head.ptr, head.len);
    state.head_len = head.len;
    *ret_state = state;
    return KS_RES(OK);
}

ks_result ks_mirror_state_put(const struct ks_mirror_db *mirror, struct ks_lmdb_write *write,
                              const struct ks_mirror_state *state)
{
    uint8_t place[STATE_MAX];
    struct ks_writer writer = {.ptr = place, .capacity = sizeof(place)};
    ks_write_u8(&writer, state->active);
    ks_write_u64(&writer, (uint64_t)state->floor);
    ks_write_u64(&writer, state->tombstones);
    ks_write_u64(&writer, state->sum.count);
    for (size_t i = 0; i < KS_SET_SUM_WORDS; i++) {
        ks_write_u16(&writer, state->sum.words[i]);
    }
    ks_write_long(&writer, (ks_bytes){state->head_bytes, state->head_len});
    assert(!writer.full);
    return ks_lmdb_put(write, mirror->meta, KS_MIRROR_STATE_KEY, ks_written(&writer));
}

ks_result ks_mirror_entry_read(ks_bytes key, ks_bytes entry, enum ks_mirror_kind *ret_kind,
                               struct ks_mirror_record *ret_record)
{
    struct ks_reader reader = {.rest = entry};
    uint64_t revision = ks_read_u64(&reader);
    uint8_t kind = ks_read_u8(&reader);
    bool fits = !reader.bad && revision > 0 && revision <= INT64_MAX &&
                (kind == KS_MIRROR_LIVE || kind == KS_MIRROR_GONE);
    if (!fits) {
        return KS_RES(CORRUPT);
    }
    *ret_kind = (enum ks_mirror_kind)kind;
    *ret_record = (struct ks_mirror_record){.key = key, .revision = (int64_t)revision};
    if (kind == KS_MIRROR_LIVE) {
        ret_record->value = reader.rest;
    }
    return KS_RES(OK);
}
