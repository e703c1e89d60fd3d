#include "services/keystore/execute/check_records.h"

#include "services/keystore/execute/trust.h"

#define LEN_MAX (256U * 1024U) /* bytes of records in one request: a frame takes some of them */

/* Records that are asked about in turn. In the call's arena. */
struct ks_checking {
    void (*then)(struct ks_call *call, ks_result result);
    struct ks_about **about; /* not trusted yet */
    size_t count;
    size_t done;   /* that were found authentic */
    size_t flying; /* that the hsm is being asked about */
};

static void ask_next(struct ks_call *call);

static void add(struct ks_call *call, struct ks_checking *checking, struct ks_about *about)
{
    if (about && !ks_trust_knows(call->env->trust, about->name, about->record)) {
        checking->about[checking->count++] = about;
    }
}

/* Of several, the first is named: each is looked at by itself when it is used. */
static void checked(void *user, ks_result result, const INTERNAL(HsmReply) * reply)
{
    (void)reply;
    struct ks_call *call = user;
    struct ks_checking *checking = call->checking;
    if (result.code == KS_CORRUPT) {
        ks_trust_alarm(call->env->trust, checking->about[checking->done]->name);
    }
    if (ks_failed(result)) {
        bool known = result.code == KS_CORRUPT || result.code == KS_THROTTLED;
        checking->then(call, known ? result : KS_RES(UNAVAILABLE));
        return;
    }
    for (size_t i = 0; i < checking->flying; i++) {
        const struct ks_about *about = checking->about[checking->done++];
        ks_trust_note(call->env->trust, about->name, about->record);
    }
    ask_next(call);
}

static size_t next_count(const struct ks_checking *checking)
{
    size_t count = 0;
    size_t len = 0;
    while (checking->done + count < checking->count && count < KS_HSM_LINK_ABOUT_MAX) {
        len += checking->about[checking->done + count]->packed.len;
        if (count > 0 && len > LEN_MAX) {
            break;
        }
        count++;
    }
    return count;
}

static void ask_next(struct ks_call *call)
{
    struct ks_checking *checking = call->checking;
    checking->flying = next_count(checking);
    if (checking->flying == 0) {
        checking->then(call, KS_RES(OK));
        return;
    }
    INTERNAL(HsmCheckRecords) check = INTERNAL_NEW(HSM_CHECK_RECORDS);
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_CHECK_RECORDS);
    request.check_records = &check;
    const struct ks_hsm_ask ask = {&request, checking->about + checking->done, checking->flying};
    ks_hsm_link_ask(call->env->hsm, &ask, checked, call);
}

void ks_check_records(struct ks_call *call, void (*then)(struct ks_call *call, ks_result result))
{
    size_t count = call->target_count + call->confirmed_count + call->other_count;
    struct ks_checking *checking = ks_call_alloc(call, 1, sizeof(*checking));
    checking->then = then;
    checking->about = ks_call_pointers(call, count + 1);
    for (size_t i = 0; i < call->target_count; i++) {
        add(call, checking, call->targets[i].about);
    }
    for (size_t i = 0; i < call->confirmed_count; i++) {
        add(call, checking, call->confirmed[i]);
    }
    for (size_t i = 0; i < call->other_count; i++) {
        add(call, checking, call->others[i]);
    }
    call->checking = checking;
    ks_call_close_view(call);
    if (call->is_full) {
        then(call, KS_RES(LIMIT_EXCEEDED));
        return;
    }
    ask_next(call);
}
