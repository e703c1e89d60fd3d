#include "pkg/etcd/answer.h"

#include <assert.h>
#include <stdatomic.h>

#include "pkg/etcd/wire.h"

/* The answer is the first member, so that its address is the holder's. */
struct holder {
    struct ks_etcd_answer answer;
    struct ks_arena arena;
    atomic_uint refs;
};

static struct holder *holder_of(const struct ks_etcd_answer *answer)
{
    return (struct holder *)(uintptr_t)answer;
}

#define CAUSE_ROW(name, result_name, may, words)                                                   \
    [KS_ETCD_##name] = {{KS_##result_name}, (may), (words)},

static const struct {
    ks_result result;
    bool may_be_applied;
    const char *text;
} causes[KS_ETCD_CAUSE_COUNT] = {KS_ETCD_CAUSES(CAUSE_ROW)};

ks_result ks_etcd_cause_result(enum ks_etcd_cause cause)
{
    assert(cause < KS_ETCD_CAUSE_COUNT);

    return causes[cause].result;
}

bool ks_etcd_cause_may_be_applied(enum ks_etcd_cause cause)
{
    assert(cause < KS_ETCD_CAUSE_COUNT);

    return causes[cause].may_be_applied;
}

const char *ks_etcd_cause_text(enum ks_etcd_cause cause)
{
    assert(cause < KS_ETCD_CAUSE_COUNT);

    return causes[cause].text;
}

struct ks_etcd_answer *ks_etcd_answer_new(enum ks_etcd_cause cause, ks_bytes detail)
{
    struct holder *holder = ks_alloc(1, sizeof(*holder));
    struct ks_etcd_answer *answer = &holder->answer;
    atomic_init(&holder->refs, 1);
    answer->cause = cause;
    answer->may_be_applied = ks_etcd_cause_may_be_applied(cause);
    for (size_t i = 0; i < detail.len && i < sizeof(answer->detail) - 1; i++) {
        uint8_t c = detail.ptr[i];
        answer->detail[i] = c >= 0x20 && c < 0x7F ? (char)c : '.';
    }
    return answer;
}

struct ks_arena *ks_etcd_answer_arena(struct ks_etcd_answer *answer)
{
    return &holder_of(answer)->arena;
}

struct ks_etcd_answer *ks_etcd_answer_ref(const struct ks_etcd_answer *answer)
{
    assert(answer);

    struct holder *holder = holder_of(answer);
    atomic_fetch_add_explicit(&holder->refs, 1, memory_order_relaxed);
    return &holder->answer;
}

void ks_etcd_answer_unref(struct ks_etcd_answer *answer)
{
    struct holder *holder = holder_of(answer);
    if (holder && atomic_fetch_sub_explicit(&holder->refs, 1, memory_order_acq_rel) == 1) {
        ks_arena_done(&holder->arena);
        ks_free(holder);
    }
}

void ks_etcd_answer_unref_at(struct ks_etcd_answer **answer)
{
    ks_etcd_answer_unref(*answer);
}

ks_result ks_etcd_answer_result(const struct ks_etcd_answer *answer)
{
    assert(answer);

    return ks_etcd_cause_result(answer->cause);
}
