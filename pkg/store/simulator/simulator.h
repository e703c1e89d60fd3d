/*
 * simulator: several keystores' pure parts (window.h, settle.h, list.h) in one process, with a fake
 * etcd log, clocks of different speed and random faults: messages late or lost, processes paused,
 * restarted and loaded anew, watch events lost. After every step the promise is checked that the
 * model calls READ: a read gets nothing older than any client knew when it began. etcd also goes
 * back, as after the loss of its majority, and catches up: then nothing may be read that it lacks,
 * and a store that has refused it serves nothing until the operator decides.
 *
 * A plant is a way to read the rule too loosely, as tests/model has them; the simulator must find
 * each.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SIM_PLANTS(ROW)                                                                            \
    ROW(NONE, "the rule as it is")                                                                 \
    ROW(WINDOW_FROM_ANSWER, "the window counts from the arrival of the heartbeat's answer")        \
    ROW(WINDOW_UNAPPLIED, "the window opens before the heartbeat's revision is applied")           \
    ROW(ANY_HEARTBEAT, "an answer counts for the heartbeat sent last")                             \
    ROW(ONLY_REACHABLE, "a settlement does not wait for silent keystores")                         \
    ROW(SHORT_WAIT, "the wait is a little shorter than the clocks need")                           \
    ROW(WAIT_FROM_SEND, "the wait counts from sending the mutation")                               \
    ROW(READ_UNSETTLED, "a read does not settle")                                                  \
    ROW(SELF, "a keystore that settles counts itself as having applied")                           \
    ROW(STRIKE_BLIND, "striking does not compare the mod revision")                                \
    ROW(STRIKE_LATE, "striking compares with the record as it stands when the wait is over")       \
    ROW(OLD_LIST, "a reader's list is older than the revision it settles")                         \
    ROW(ONE_RECORD, "two keystores share one record")                                              \
    ROW(KEEP_WINDOW, "the copy goes back and the window stays")                                    \
    ROW(COPY_FIRST, "the reader takes the copy first and looks at the window later")               \
    ROW(RETRY_AT_ONCE, "a retry's stored answer goes out unsettled")                               \
    ROW(TRUST_THE_WATCH, "the version of the revision record is not looked at")                    \
    ROW(REV_OF_MUTATIONS, "only mutations and strikes put the revision record")                    \
    ROW(COUNTER_ALONE, "an etcd that went back is refused until its counter has caught up")        \
    ROW(WATCH_UNPROVEN, "a watch that begins again is not compared with the copy")                 \
    ROW(WINDOW_UNPROVEN, "a window opens before the watch has brought the copy's anchor")          \
    ROW(OLD_IDENTITY, "a keystore whose copy is lost keeps the identity under which it spoke")     \
    ROW(REFUSAL_IN_MEMORY, "a restart forgets what was refused")                                   \
    ROW(NONCE_KEPT, "a transaction that is sent again keeps its nonce")

#define SIM_PLANT_ENUM(name, text) SIM_##name,

enum sim_plant { SIM_PLANTS(SIM_PLANT_ENUM) SIM_PLANT_COUNT };

#undef SIM_PLANT_ENUM

/* Returns the text of the plant's row; static. */
const char *sim_plant_text(enum sim_plant plant);

struct sim_report {
    bool is_violated; /* the next three count only then */
    uint64_t step;    /* of the violation */
    int64_t read;     /* the value that was answered, */
    int64_t floor;    /* and what was known when its read began; a higher read: etcd lacks it */
    /* That something happened at all. */
    uint64_t read_count;
    uint64_t mutation_count;
    uint64_t strike_count;
    uint64_t reload_count;
    uint64_t back_count;    /* times that etcd went back */
    uint64_t refusal_count; /* stores that refused it then */
};

/*
 * Runs a simulation until `steps` are done or the promise is violated. The same seed and plant give
 * the same run.
 */
struct sim_report sim_run(uint64_t seed, enum sim_plant plant, uint64_t steps);
