#include "pkg/store/log/space.h"

#include "pkg/base/mem.h"

static bool is_below(const struct ks_space *space, unsigned percent)
{
    return space->used_len < space->quota_len / 100 * percent;
}

bool ks_space_admits(const struct ks_space *space, enum ks_store_room room)
{
    if (room == KS_STORE_WITHDRAWS) {
        return true;
    }
    unsigned percent = room == KS_STORE_GROWS ? KS_SPACE_GROWTH_PERCENT : KS_SPACE_CHANGE_PERCENT;
    return !space->is_out_of_quota && is_below(space, percent);
}

bool ks_space_is_loose(const struct ks_space *space, uint64_t file_len, uint64_t used_len)
{
    uint64_t tenth = space->quota_len / 10;
    uint64_t free_len = file_len > used_len ? file_len - used_len : 0;
    return (file_len >= 5 * tenth && free_len >= 2 * tenth) ||
           (file_len >= 8 * tenth && free_len >= tenth);
}

void ks_history_len_add(struct ks_history_len *history, int64_t revision, uint64_t len)
{
    size_t newest = (history->next + KS_HISTORY_MARKS - 1) % KS_HISTORY_MARKS;
    history->len += len;
    history->newest = revision;
    if (history->len - history->marks[newest].len >= history->len_max / (KS_HISTORY_MARKS / 2)) {
        history->marks[history->next].revision = revision;
        history->marks[history->next].len = history->len;
        history->next = (history->next + 1) % KS_HISTORY_MARKS;
    }
}

/* The newest mark behind which there are too many bytes; 0: there are not so many. */
static int64_t floor_by_len(const struct ks_history_len *history)
{
    int64_t floor = 0;
    for (size_t i = 0; i < KS_HISTORY_MARKS; i++) {
        bool is_far = history->len - history->marks[i].len >= history->len_max;
        if (is_far && history->marks[i].revision > floor) {
            floor = history->marks[i].revision;
        }
    }
    return floor;
}

int64_t ks_history_len_floor(const struct ks_history_len *history, int64_t applied_by_all,
                             bool is_scarce)
{
    int64_t kept = is_scarce ? KS_HISTORY_SCARCE_REVISIONS : KS_HISTORY_REVISIONS_MAX;
    int64_t by_count = applied_by_all - kept;
    int64_t by_len = floor_by_len(history);
    int64_t floor = by_len > by_count ? by_len : by_count;
    return floor < applied_by_all ? floor : applied_by_all;
}
