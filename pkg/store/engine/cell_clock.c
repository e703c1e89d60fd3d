#include "pkg/store/engine/cell_clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAVE_EVERY_NS (60 * KS_NS_PER_S)

/*
 * A format, 2; time_ms, at_ns, doubt_ns; of a step: is_seen, offset_ms, since_ns, doubt_before_ns;
 * cell_doubt_ns; of a cell's step: is_seen, offset_ms, since_ns
 */
#define FORMAT_NUMBER 2
#define FORM                                                                                       \
    "2 %" PRId64 " %" PRId64 " %" PRId64 " %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64        \
    " %d %" PRId64 " %" PRId64 "\n"

static int64_t boot_ns(void *user)
{
    const struct ks_cell_clock *clock = user;
    return ks_clock_boot_ns(clock->own);
}

/* With the lock. */
static void step(struct ks_cell_clock *clock)
{
    int64_t wall_ms = ks_clock_wall_ms(clock->own);
    ks_celltime_step(&clock->time, wall_ms, ks_clock_boot_ns(clock->own));
    atomic_store(&clock->is_known, clock->time.is_known);
}

/*
 * Before anything is known, this is the machine's own time: a store gives no view that may answer
 * then (ks_store_serve).
 */
static int64_t wall_ms(void *user)
{
    struct ks_cell_clock *clock = user;
    pthread_mutex_lock(&clock->lock);
    step(clock);
    int64_t now_ms = clock->time.withdrawal_ms;
    if (!clock->time.is_known) {
        now_ms = ks_clock_wall_ms(clock->own);
    } else if (now_ms > clock->newest_ms) {
        clock->newest_ms = now_ms;
    } else {
        now_ms = clock->newest_ms;
    }
    pthread_mutex_unlock(&clock->lock);
    return now_ms;
}

/* ---- What is saved ---- */

enum {
    FORMAT,
    TIME_MS,
    AT_NS,
    DOUBT_NS,
    IS_SEEN,
    OFFSET_MS,
    SINCE_NS,
    DOUBT_BEFORE_NS,
    CELL_DOUBT_NS,
    CELL_IS_SEEN,
    CELL_OFFSET_MS,
    CELL_SINCE_NS,
    NUMBERS
};

static bool read_numbers(const char *text, int64_t ret_numbers[NUMBERS])
{
    for (size_t i = 0; i < NUMBERS; i++) {
        char *end;
        errno = 0;
        ret_numbers[i] = strtoll(text, &end, 10);
        if (end == text || errno != 0) {
            return false;
        }
        text = end;
    }
    return ret_numbers[FORMAT] == FORMAT_NUMBER && strcmp(text, "\n") == 0;
}

static void restore(struct ks_cell_clock *clock)
{
    char text[KS_FOLDER_TIME_MAX + 1];
    bool is_same_boot;
    int64_t numbers[NUMBERS];
    if (ks_folder_load_time(clock->folder, text, &is_same_boot) && read_numbers(text, numbers)) {
        struct ks_celltime_saved saved = {
            .time_ms = numbers[TIME_MS], .at_ns = numbers[AT_NS], .doubt_ns = numbers[DOUBT_NS]};
        saved.step.is_seen = numbers[IS_SEEN] != 0;
        saved.step.offset_ms = numbers[OFFSET_MS];
        saved.step.since_ns = numbers[SINCE_NS];
        saved.step.doubt_before_ns = numbers[DOUBT_BEFORE_NS];
        saved.cell_doubt_ns = numbers[CELL_DOUBT_NS];
        saved.cell_step.is_seen = numbers[CELL_IS_SEEN] != 0;
        saved.cell_step.offset_ms = numbers[CELL_OFFSET_MS];
        saved.cell_step.since_ns = numbers[CELL_SINCE_NS];
        ks_celltime_restore(&clock->time, &saved, is_same_boot, ks_clock_boot_ns(clock->own));
    }
}

static void save(struct ks_cell_clock *clock)
{
    struct ks_celltime_saved saved;
    pthread_mutex_lock(&clock->lock);
    bool is_known = ks_celltime_save(&clock->time, &saved);
    pthread_mutex_unlock(&clock->lock);
    if (is_known) {
        char text[KS_FOLDER_TIME_MAX + 1];
        snprintf(text, sizeof(text), FORM, saved.time_ms, saved.at_ns, saved.doubt_ns,
                 saved.step.is_seen ? 1 : 0, saved.step.offset_ms, saved.step.since_ns,
                 saved.step.doubt_before_ns, saved.cell_doubt_ns, saved.cell_step.is_seen ? 1 : 0,
                 saved.cell_step.offset_ms, saved.cell_step.since_ns);
        /* If it can't be written, an older one stands: it is as good, under the same boot. */
        (void)ks_folder_save_time(clock->folder, text);
    }
}

/* ---- Life ---- */

void ks_cell_clock_init(struct ks_cell_clock *clock, const struct ks_clock *own,
                        const struct ks_folder *folder, bool is_empty)
{
    *clock = (struct ks_cell_clock){
        .own = own,
        .folder = folder,
        .clock = {boot_ns, wall_ms, clock},
        .time = {.has_own = true, .is_empty = is_empty},
    };
    pthread_mutex_init(&clock->lock, NULL);
    restore(clock);
    atomic_store(&clock->is_known, clock->time.is_known);
}

void ks_cell_clock_done(struct ks_cell_clock *clock)
{
    if (clock->own) {
        save(clock);
        pthread_mutex_destroy(&clock->lock);
    }
}

void ks_cell_clock_tick(struct ks_cell_clock *clock)
{
    pthread_mutex_lock(&clock->lock);
    step(clock);
    bool is_known = clock->time.is_known;
    pthread_mutex_unlock(&clock->lock);
    int64_t now_ns = ks_clock_boot_ns(clock->own);
    if (is_known && (clock->saved_ns == 0 || now_ns - clock->saved_ns >= SAVE_EVERY_NS)) {
        clock->saved_ns = now_ns;
        save(clock);
    }
}

void ks_cell_clock_begin(struct ks_cell_clock *clock)
{
    pthread_mutex_lock(&clock->lock);
    ks_celltime_begin(&clock->time, ks_clock_boot_ns(clock->own));
    pthread_mutex_unlock(&clock->lock);
}

void ks_cell_clock_hear(struct ks_cell_clock *clock, const struct ks_celltime_word *words,
                        size_t count)
{
    pthread_mutex_lock(&clock->lock);
    ks_celltime_hear(&clock->time, words, count, ks_clock_boot_ns(clock->own));
    step(clock);
    pthread_mutex_unlock(&clock->lock);
}

ks_result ks_cell_clock_destruction(struct ks_cell_clock *clock, int64_t *ret_ms)
{
    pthread_mutex_lock(&clock->lock);
    step(clock);
    ks_result result = ks_celltime_destruction(&clock->time, ret_ms);
    pthread_mutex_unlock(&clock->lock);
    return result;
}

const char *ks_cell_clock_alarm(struct ks_cell_clock *clock)
{
    pthread_mutex_lock(&clock->lock);
    step(clock);
    const char *alarm = ks_celltime_alarm(&clock->time);
    pthread_mutex_unlock(&clock->lock);
    return alarm;
}
