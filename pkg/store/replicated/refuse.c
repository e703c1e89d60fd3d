/* Refusals: the engine can't go on until a person helps. Some last over restarts. */
#include <string.h>

#include "pkg/store/replicated/replicated.h"

#define REFUSED_RETRY_NS (5 * KS_NS_PER_S)

void ks_refuse(struct ks_replicated *engine, const char *reason)
{
    ks_window_close(&engine->window);
    ks_follow_stop(engine);
    ks_load_abort(engine);
    if (!engine->alarms.refused || strcmp(engine->alarms.refused, reason) != 0) {
        ks_notice(engine, reason);
    }
    engine->alarms.refused = reason;
    ks_phase_step(&engine->phase, KS_PHASE_ON_REFUSE);
    engine->hello_ns = ks_now(engine) + REFUSED_RETRY_NS;
    ks_keep_publish(engine);
}

bool ks_refuse_has_copy(const struct ks_replicated *engine)
{
    return engine->position.applied > 0 && !engine->position.loading;
}

bool ks_refuse_anchor(const struct ks_replicated *engine, struct ks_anchor *ret_anchor)
{
    if (engine->has_refusal) {
        *ret_anchor = engine->refusal;
        return true;
    }
    if (engine->position.rev_revision == 0) {
        return false;
    }
    *ret_anchor = (struct ks_anchor){
        .source = engine->source,
        .revision = engine->position.rev_revision,
        .nonce = engine->position.nonce,
    };
    return true;
}

/* ---- Refusals that last ---- */

/*
 * It outlives restarts and the copy itself. What waits for a settlement was meant for a history
 * that may be gone: nobody can say any more that it is settled.
 */
void ks_refuse_for_good(struct ks_replicated *engine, const char *reason)
{
    struct ks_anchor anchor;
    if (!engine->has_refusal && ks_refuse_anchor(engine, &anchor)) {
        engine->has_refusal = true;
        engine->refusal = anchor;
        if (ks_failed(ks_anchor_write(&engine->store->folder, &anchor))) {
            ks_notice(engine, "the refusal can't be written to the data folder: it is not kept "
                              "over a restart");
        }
        ks_acks_reset(engine);
    }
    ks_refuse(engine, reason);
}

bool ks_refuse_end(struct ks_replicated *engine)
{
    engine->alarms.refused = NULL;
    if (!engine->has_refusal) {
        return true;
    }
    if (ks_failed(ks_anchor_remove(&engine->store->folder))) {
        ks_refuse(engine, KS_REFUSED_FOLDER);
        return false;
    }
    engine->has_refusal = false;
    return true;
}

ks_result ks_refuse_resume(struct ks_replicated *engine)
{
    ks_result found = ks_anchor_read(&engine->store->folder, &engine->refusal);
    if (found.code == KS_NOT_FOUND) {
        return KS_RES(OK);
    }
    KS_TRY(found);
    engine->has_refusal = true;
    engine->alarms.refused = KS_REFUSED_LOST;
    ks_phase_step(&engine->phase, KS_PHASE_ON_REFUSE);
    return KS_RES(OK);
}
