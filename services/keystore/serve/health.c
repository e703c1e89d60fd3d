#include "services/keystore/serve/health.h"

#include <stdatomic.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/link.h"

struct ks_health {
    struct ks_health_options options;
    bool serving; /* as on_change was told; the worker's */
    atomic_bool asking;
    atomic_int_fast64_t answered_ns; /* when the hsm answered last; 0: never */
};

struct ks_health *ks_health_new(const struct ks_health_options *options)
{
    struct ks_health *health = ks_alloc(1, sizeof(*health));
    health->options = *options;
    if (!health->options.clock) {
        health->options.clock = &ks_clock_system;
    }
    return health;
}

void ks_health_free(struct ks_health *health)
{
    ks_free(health);
}

/* On the link's thread, or within ask. Whatever the hsm says, it is there. */
static void on_answer(void *user, ks_result result, const INTERNAL(HsmReply) * reply)
{
    struct ks_health *health = user;
    if (reply || result.code == KS_THROTTLED) {
        atomic_store(&health->answered_ns, ks_clock_boot_ns(health->options.clock));
    }
    atomic_store(&health->asking, false);
}

static void ask_hsm(struct ks_health *health)
{
    if (atomic_exchange(&health->asking, true)) {
        return; /* it has not answered the last one */
    }
    INTERNAL(HsmStatusRequest) nothing = INTERNAL_NEW(HSM_STATUS_REQUEST);
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_STATUS);
    request.status = &nothing;
    const struct ks_hsm_ask ask = {.message = &request};
    ks_hsm_link_ask(health->options.link, &ask, on_answer, health);
}

static bool has_hsm(struct ks_health *health)
{
    int64_t silence_ns =
        ks_clock_boot_ns(health->options.clock) - atomic_load(&health->answered_ns);
    return ks_hsm_link_is_open(health->options.link) && atomic_load(&health->answered_ns) != 0 &&
           silence_ns < KS_HEALTH_SILENCE_MS * KS_NS_PER_MS;
}

void ks_health_run(void *user, struct ks_worker *worker)
{
    (void)worker;
    struct ks_health *health = user;
    KS_STORE_VIEW_AUTO view = {0};
    ask_hsm(health);
    bool window = !ks_failed(ks_store_serve(health->options.store, &view));
    bool hsm = has_hsm(health);
    bool held = ks_store_is_held(health->options.store);
    bool serving = window && hsm && !held;
    if (serving != health->serving) {
        health->serving = serving;
        ks_log(INFO, serving ? "serving" : "not serving",
               KS_TEXT("cause", serving ? ""
                                : !hsm  ? "no hsm"
                                : held  ? "its records are not compared yet"
                                        : "no serving window"));
        health->options.on_change(health->options.user, serving);
    }
}
