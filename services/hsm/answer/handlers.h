/*
 * handlers: one function for each operation of hsm.proto, which also says what each failure means.
 * On success a handler has filled members of call->reply. After a failure the reply is unspecified,
 * and the caller initialises it anew.
 *
 * Threads: one.
 */
#pragma once

#include "services/hsm/request/messages.h"

struct ks_hsm;
struct ks_hsm_carried;

/* One request. Everything is borrowed; what the reply points to is in arena. */
struct ks_hsm_call {
    struct ks_hsm *hsm;
    const HsmRequest *request;
    struct ks_hsm_carried *carried; /* the records of its batch; NULL: none */
    struct ks_arena *arena;
    HsmReply *reply;
};

ks_result ks_hsm_status(struct ks_hsm_call *call);
ks_result ks_hsm_install_roster(struct ks_hsm_call *call);
ks_result ks_hsm_make_domain_key(struct ks_hsm_call *call);
ks_result ks_hsm_load_domain_key(struct ks_hsm_call *call);
ks_result ks_hsm_drop_domain_key(struct ks_hsm_call *call);
ks_result ks_hsm_challenge(struct ks_hsm_call *call);
ks_result ks_hsm_seal_domain_key(struct ks_hsm_call *call);
ks_result ks_hsm_open_domain_key(struct ks_hsm_call *call);
ks_result ks_hsm_create_key(struct ks_hsm_call *call);
ks_result ks_hsm_encrypt(struct ks_hsm_call *call);
ks_result ks_hsm_decrypt(struct ks_hsm_call *call);
ks_result ks_hsm_generate_data_key(struct ks_hsm_call *call);
ks_result ks_hsm_re_encrypt(struct ks_hsm_call *call);
ks_result ks_hsm_generate_random(struct ks_hsm_call *call);
ks_result ks_hsm_reseal(struct ks_hsm_call *call);
ks_result ks_hsm_evict(struct ks_hsm_call *call);
ks_result ks_hsm_seal_records(struct ks_hsm_call *call);
ks_result ks_hsm_check_records(struct ks_hsm_call *call);
ks_result ks_hsm_install_kit(struct ks_hsm_call *call);
ks_result ks_hsm_backup_begin(struct ks_hsm_call *call);
ks_result ks_hsm_restore(struct ks_hsm_call *call);
