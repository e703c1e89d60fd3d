#include "pkg/celltime/celltime.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"

#define ALARM_APART                                                                                \
    "the wall clocks of this cell's keystores differ by more than a minute: nothing is destroyed " \
    "and no request record is removed until they agree; see to the time of every machine"
#define ALARM_STEP                                                                                  \
    "this machine's wall clock was stepped: nothing is destroyed until its new time has stood for " \
    "three days; if the time is wrong, set it right before that"
#define ALARM_TOGETHER                                                                              \
    "most wall clocks of this cell were stepped together, or this machine was off for more than a " \
    "day: nothing is destroyed until the time has stood for three days; if the time is wrong, set " \
    "it right before that, on every machine"

#define READINGS_MAX (KS_CELLTIME_CLOCKS_MAX + 1U)

/* What the clocks that count say now, the least first. */
struct readings {
    int64_t ms[READINGS_MAX];
    size_t count;
    size_t silent; /* others that are listed and still waited for */
};

static int64_t distance(int64_t a, int64_t b)
{
    return a > b ? a - b : b - a;
}

static bool agree(int64_t a_ms, int64_t b_ms)
{
    return distance(a_ms, b_ms) <= KS_CELLTIME_APART_MS;
}

/* ---- What is saved ---- */

void ks_celltime_restore(struct ks_celltime *time, const struct ks_celltime_saved *saved,
                         bool is_same_boot, int64_t now_ns)
{
    assert(!time->is_known);

    time->cell_doubt_ns = saved->cell_doubt_ns;
    if (!is_same_boot || now_ns < saved->at_ns) {
        time->floor_ms = saved->time_ms;
        time->floor_doubt_ns = saved->doubt_ns;
        return;
    }
    time->is_known = true;
    time->withdrawal_ms = saved->time_ms;
    time->at_ns = saved->at_ns;
    time->doubt_ns = saved->doubt_ns;
    time->step = saved->step;
    time->cell_step = saved->cell_step;
}

bool ks_celltime_save(const struct ks_celltime *time, struct ks_celltime_saved *ret_saved)
{
    if (!time->is_known) {
        return false;
    }
    *ret_saved = (struct ks_celltime_saved){
        .time_ms = time->withdrawal_ms,
        .at_ns = time->at_ns,
        .doubt_ns = time->doubt_ns,
        .step = time->step,
        .cell_doubt_ns = time->cell_doubt_ns,
        .cell_step = time->cell_step,
    };
    return true;
}

/* ---- What others say ---- */

void ks_celltime_begin(struct ks_celltime *time, int64_t now_ns)
{
    time->clock_count = 0;
    time->has_begun = false;
    time->begun_ns = now_ns;
}

static const struct ks_celltime_clock *find(const struct ks_celltime_clock *clocks, size_t count,
                                            const char *id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(clocks[i].id, id) == 0) {
            return &clocks[i];
        }
    }
    return NULL;
}

static struct ks_celltime_clock take(const struct ks_celltime *time,
                                     const struct ks_celltime_clock *before,
                                     const struct ks_celltime_word *word, int64_t now_ns)
{
    if (before && before->version == word->version) {
        return *before;
    }
    struct ks_celltime_clock clock = {.version = word->version, .wall_ms = word->wall_ms};
    memcpy(clock.id, word->id, strlen(word->id));
    clock.heard_ns = before || time->has_begun ? now_ns : 0;
    return clock;
}

void ks_celltime_hear(struct ks_celltime *time, const struct ks_celltime_word *words, size_t count,
                      int64_t now_ns)
{
    struct ks_celltime_clock clocks[KS_CELLTIME_CLOCKS_MAX];
    size_t taken = count < KS_COUNT(clocks) ? count : KS_COUNT(clocks);
    for (size_t i = 0; i < taken; i++) {
        assert(strlen(words[i].id) <= KS_CELLTIME_ID_LEN_MAX);
        const struct ks_celltime_clock *before = find(time->clocks, time->clock_count, words[i].id);
        clocks[i] = take(time, before, &words[i], now_ns);
    }
    for (size_t i = 0; i < taken; i++) {
        time->clocks[i] = clocks[i];
    }
    time->clock_count = taken;
    time->has_begun = true;
}

/* ---- What they say now ---- */

/* A clock that nobody has set says nothing. Another machine can say any number. */
static bool is_set(int64_t wall_ms)
{
    return wall_ms >= KS_CELLTIME_FIRST_MS && wall_ms <= KS_CELLTIME_LAST_MS;
}

/* Keeps the readings in order. */
static void add_reading(struct readings *readings, int64_t wall_ms)
{
    if (!is_set(wall_ms)) {
        return;
    }
    size_t at = readings->count++;
    while (at > 0 && readings->ms[at - 1] > wall_ms) {
        readings->ms[at] = readings->ms[at - 1];
        at--;
    }
    readings->ms[at] = wall_ms;
}

static void gather(const struct ks_celltime *time, int64_t own_wall_ms, int64_t now_ns,
                   struct readings *ret_readings)
{
    *ret_readings = (struct readings){.count = 0};
    if (time->has_own) {
        add_reading(ret_readings, own_wall_ms);
    }
    bool waits = now_ns - time->begun_ns < KS_CELLTIME_HEARD_NS;
    for (size_t i = 0; i < time->clock_count; i++) {
        const struct ks_celltime_clock *clock = &time->clocks[i];
        int64_t age_ns = now_ns - clock->heard_ns;
        if (clock->heard_ns == 0) {
            ret_readings->silent += waits ? 1 : 0;
        } else if (age_ns < KS_CELLTIME_HEARD_NS && is_set(clock->wall_ms)) {
            add_reading(ret_readings, clock->wall_ms + age_ns / KS_NS_PER_MS);
        }
    }
}

/* The lower one of the two in the middle, if their number is even. */
static int64_t median(const struct readings *readings)
{
    return readings->ms[(readings->count - 1) / 2];
}

/*
 * Whether more than half lie within a minute. They stand in order, so the median is then one of
 * them.
 */
static bool has_majority(const struct readings *readings)
{
    size_t most = readings->count / 2 + 1;
    for (size_t i = 0; i + most <= readings->count; i++) {
        if (agree(readings->ms[i], readings->ms[i + most - 1])) {
            return true;
        }
    }
    return false;
}

/* ---- Withdrawal time ---- */

static void advance(struct ks_celltime *time, int64_t passed_ns)
{
    int64_t rest_ns = time->rest_ns + passed_ns;
    time->withdrawal_ms += rest_ns / KS_NS_PER_MS;
    time->rest_ns = rest_ns % KS_NS_PER_MS;
}

static void set(struct ks_celltime *time, int64_t to_ms)
{
    time->withdrawal_ms = to_ms;
    time->rest_ns = 0;
}

/*
 * Has passed_ns of CLOCK_BOOTTIME lead towards to_ms: by a leap if it is later and leaps, otherwise
 * a tenth faster; a tenth slower if it is earlier.
 */
static void lead(struct ks_celltime *time, int64_t to_ms, int64_t passed_ns, bool leaps)
{
    int64_t slew_ns = passed_ns / KS_CELLTIME_SLEW;
    int64_t on_ms = time->withdrawal_ms + (time->rest_ns + passed_ns) / KS_NS_PER_MS;
    if (to_ms == on_ms) {
        advance(time, passed_ns);
    } else if (to_ms < on_ms) {
        advance(time, passed_ns - slew_ns);
        if (time->withdrawal_ms < to_ms) {
            set(time, to_ms);
        }
    } else if (leaps) {
        set(time, to_ms);
    } else {
        advance(time, passed_ns + slew_ns);
        if (time->withdrawal_ms > to_ms) {
            set(time, to_ms);
        }
    }
}

/* A clock alone does not agree with the time that has passed. */
static void note_step(struct ks_celltime *time, int64_t wall_ms, int64_t now_ns)
{
    int64_t offset_ms = wall_ms - now_ns / KS_NS_PER_MS;
    struct ks_celltime_step *step = &time->step;
    if (step->is_seen && agree(step->offset_ms, offset_ms)) {
        return;
    }
    if (!step->is_seen) {
        step->doubt_before_ns = time->doubt_ns;
    }
    step->is_seen = true;
    step->offset_ms = offset_ms;
    step->since_ns = now_ns;
    time->doubt_ns = KS_CELLTIME_DESTRUCTION_NS;
}

/* It agrees again, and nobody has gone by the step: there was none. */
static void forget_step(struct ks_celltime *time, bool was_believed)
{
    if (time->step.is_seen && !was_believed) {
        time->doubt_ns = time->step.doubt_before_ns;
    }
    time->step = (struct ks_celltime_step){.is_seen = false};
}

/* passed_ns is what has passed since the last step. */
static void follow_alone(struct ks_celltime *time, int64_t wall_ms, int64_t passed_ns,
                         int64_t now_ns)
{
    int64_t on_ms = time->withdrawal_ms + passed_ns / KS_NS_PER_MS;
    if (agree(wall_ms, on_ms)) {
        forget_step(time, false);
        lead(time, wall_ms, passed_ns, false);
        return;
    }
    note_step(time, wall_ms, now_ns);
    if (now_ns - time->step.since_ns < KS_CELLTIME_WITHDRAWAL_NS) {
        advance(time, passed_ns);
        return;
    }
    bool leaps = wall_ms > on_ms;
    lead(time, wall_ms, passed_ns, leaps);
    if (leaps) {
        forget_step(time, true);
    }
}

/*
 * The time of most clocks does not agree with the time that has passed since they last agreed: they
 * have one source, and it was set. A time that nobody had agreed on before can't be left.
 */
static void note_cell_step(struct ks_celltime *time, int64_t to_ms, int64_t on_ms, int64_t now_ns)
{
    int64_t offset_ms = to_ms - now_ns / KS_NS_PER_MS;
    struct ks_celltime_step *step = &time->cell_step;
    if (time->is_tentative || agree(to_ms, on_ms)) {
        *step = (struct ks_celltime_step){.is_seen = false};
    } else if (!step->is_seen || !agree(step->offset_ms, offset_ms)) {
        *step =
            (struct ks_celltime_step){.is_seen = true, .offset_ms = offset_ms, .since_ns = now_ns};
        time->cell_doubt_ns = KS_CELLTIME_DESTRUCTION_NS;
    }
    time->is_tentative = false;
}

static void follow_majority(struct ks_celltime *time, int64_t to_ms, int64_t passed_ns,
                            int64_t now_ns)
{
    note_cell_step(time, to_ms, time->withdrawal_ms + passed_ns / KS_NS_PER_MS, now_ns);
    lead(time, to_ms, passed_ns, true);
    forget_step(time, false);
    time->doubt_ns = 0;
}

/* By what was saved before the machine was off. */
static bool was_off_briefly(const struct ks_celltime *time, int64_t wall_ms)
{
    return time->floor_ms > 0 && wall_ms >= time->floor_ms - KS_CELLTIME_APART_MS &&
           wall_ms - time->floor_ms <= KS_CELLTIME_OFF_MS;
}

/* Whether a clock alone, which is the first thing that is known, could be wrong without a sign. */
static int64_t first_doubt_ns(const struct ks_celltime *time, int64_t wall_ms)
{
    if (time->is_empty) {
        return 0;
    }
    return was_off_briefly(time, wall_ms) ? time->floor_doubt_ns : KS_CELLTIME_DESTRUCTION_NS;
}

/* All machines may have been off, and come back with clocks that one source has set wrong. */
static void doubt_first_cell(struct ks_celltime *time, int64_t wall_ms)
{
    if (time->floor_ms > 0 && !was_off_briefly(time, wall_ms)) {
        time->cell_doubt_ns = KS_CELLTIME_DESTRUCTION_NS;
    }
}

/* Nothing is known yet. Others are waited for, until more than half of all have said something. */
static void begin_time(struct ks_celltime *time, const struct readings *readings)
{
    if (!time->has_begun || readings->count == 0 || readings->silent >= readings->count) {
        return;
    }
    int64_t wall_ms = median(readings);
    set(time, wall_ms > time->floor_ms ? wall_ms : time->floor_ms);
    time->doubt_ns = readings->count == 1 ? first_doubt_ns(time, wall_ms) : 0;
    if (readings->count > 1) {
        doubt_first_cell(time, wall_ms);
    }
    time->is_tentative = readings->count > 1 && !has_majority(readings);
    time->is_known = true;
}

static void step_withdrawal(struct ks_celltime *time, const struct readings *readings,
                            int64_t now_ns)
{
    int64_t passed_ns = now_ns - time->at_ns;
    if (!time->is_known) {
        begin_time(time, readings);
        return;
    }
    time->doubt_ns = time->doubt_ns > passed_ns ? time->doubt_ns - passed_ns : 0;
    time->cell_doubt_ns = time->cell_doubt_ns > passed_ns ? time->cell_doubt_ns - passed_ns : 0;
    if (readings->count == 1) {
        follow_alone(time, readings->ms[0], passed_ns, now_ns);
    } else if (readings->count > 1 && has_majority(readings)) {
        follow_majority(time, median(readings), passed_ns, now_ns);
    } else {
        advance(time, passed_ns);
    }
}

/* ---- Destruction time ---- */

static void step_destruction(struct ks_celltime *time, const struct readings *readings)
{
    time->destroys = false;
    if (!time->is_known || !time->has_begun || readings->count == 0 || readings->silent > 0) {
        return;
    }
    if (time->cell_doubt_ns > 0) {
        return;
    }
    int64_t least_ms = readings->ms[0];
    bool is_alone = readings->count == 1;
    bool is_ahead = least_ms > time->withdrawal_ms;
    if (is_alone && (time->doubt_ns > 0 || (is_ahead && !agree(least_ms, time->withdrawal_ms)))) {
        return;
    }
    if (!agree(least_ms, readings->ms[readings->count - 1])) {
        return;
    }
    time->destruction_ms = is_alone && is_ahead ? time->withdrawal_ms : least_ms;
    time->destroys = true;
}

void ks_celltime_step(struct ks_celltime *time, int64_t own_wall_ms, int64_t now_ns)
{
    if (now_ns < time->at_ns) {
        return; /* two threads have read the clock in one order and came in the other */
    }
    struct readings readings;
    gather(time, own_wall_ms, now_ns, &readings);
    step_withdrawal(time, &readings, now_ns);
    time->at_ns = now_ns;
    time->counted = (int64_t)readings.count;
    step_destruction(time, &readings);
}

ks_result ks_celltime_destruction(const struct ks_celltime *time, int64_t *ret_ms)
{
    if (!time->destroys) {
        return KS_RES(UNAVAILABLE);
    }
    *ret_ms = time->destruction_ms;
    return KS_RES(OK);
}

const char *ks_celltime_alarm(const struct ks_celltime *time)
{
    if (!time->is_known || time->destroys) {
        return NULL;
    }
    if (time->cell_doubt_ns > 0) {
        return ALARM_TOGETHER;
    }
    if (time->counted > 1) {
        return ALARM_APART;
    }
    return time->counted == 1 && time->step.is_seen ? ALARM_STEP : NULL;
}
