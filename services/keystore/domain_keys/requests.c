#include "services/keystore/domain_keys/requests.h"

static ks_result take(ProtobufCBinaryData data, ks_bytes *ret_bytes)
{
    if (data.len == 0) {
        return KS_RES(INTERNAL);
    }
    *ret_bytes = ks_bytes_in(data);
    return KS_RES(OK);
}

ks_result ks_request_status(struct ks_hsm_link *link, struct ks_arena *arena,
                            const INTERNAL(HsmReply) * *ret_reply)
{
    INTERNAL(HsmStatusRequest) status = INTERNAL_NEW(HSM_STATUS_REQUEST);
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_STATUS);
    request.status = &status;
    return ks_sync_hsm(link, &request, arena, ret_reply);
}

ks_result ks_request_roster(struct ks_hsm_link *link, ks_bytes roster, struct ks_arena *arena)
{
    INTERNAL(HsmInstallRoster) install = INTERNAL_NEW(HSM_INSTALL_ROSTER);
    install.roster = ks_lend_bytes(roster);
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_INSTALL_ROSTER);
    request.install_roster = &install;
    const INTERNAL(HsmReply) *reply = NULL;
    return ks_sync_hsm(link, &request, arena, &reply);
}

ks_result ks_request_kit(struct ks_hsm_link *link, ks_bytes kit, struct ks_arena *arena)
{
    INTERNAL(HsmInstallKit) install = INTERNAL_NEW(HSM_INSTALL_KIT);
    install.kit = ks_lend_bytes(kit);
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_INSTALL_KIT);
    request.install_kit = &install;
    const INTERNAL(HsmReply) *reply = NULL;
    return ks_sync_hsm(link, &request, arena, &reply);
}

ks_result ks_request_backup(struct ks_hsm_link *link, ks_bytes header, uint32_t period,
                            struct ks_arena *arena, struct ks_backup_keys *ret_keys)
{
    INTERNAL(HsmBackupBegin) begin = INTERNAL_NEW(HSM_BACKUP_BEGIN);
    begin.header = ks_lend_bytes(header);
    begin.period = period;
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_BACKUP_BEGIN);
    request.backup_begin = &begin;
    const INTERNAL(HsmReply) *reply = NULL;
    struct ks_backup_keys keys = {.stream_key = {NULL, 0}};
    KS_TRY(ks_sync_hsm(link, &request, arena, &reply));
    KS_TRY(take(reply->stream_key, &keys.stream_key));
    KS_TRY(take(reply->key_block, &keys.key_block));
    *ret_keys = keys;
    return KS_RES(OK);
}

ks_result ks_request_make(struct ks_hsm_link *link, uint32_t generation, struct ks_arena *arena,
                          ks_bytes *ret_wrapped)
{
    INTERNAL(HsmMakeDomainKey) make = INTERNAL_NEW(HSM_MAKE_DOMAIN_KEY);
    make.generation = generation;
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_MAKE_DOMAIN_KEY);
    request.make_domain_key = &make;
    const INTERNAL(HsmReply) *reply = NULL;
    KS_TRY(ks_sync_hsm(link, &request, arena, &reply));
    return take(reply->wrapped, ret_wrapped);
}

ks_result ks_request_load(struct ks_hsm_link *link, uint32_t generation, ks_bytes wrapped,
                          struct ks_arena *arena)
{
    INTERNAL(HsmLoadDomainKey) load = INTERNAL_NEW(HSM_LOAD_DOMAIN_KEY);
    load.generation = generation;
    load.wrapped = ks_lend_bytes(wrapped);
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_LOAD_DOMAIN_KEY);
    request.load_domain_key = &load;
    const INTERNAL(HsmReply) *reply = NULL;
    return ks_sync_hsm(link, &request, arena, &reply);
}

ks_result ks_request_drop(struct ks_hsm_link *link, uint32_t generation, struct ks_arena *arena)
{
    INTERNAL(HsmDropDomainKey) drop = INTERNAL_NEW(HSM_DROP_DOMAIN_KEY);
    drop.generation = generation;
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_DROP_DOMAIN_KEY);
    request.drop_domain_key = &drop;
    const INTERNAL(HsmReply) *reply = NULL;
    return ks_sync_hsm(link, &request, arena, &reply);
}

ks_result ks_request_challenge(struct ks_hsm_link *link, uint32_t generation,
                               struct ks_arena *arena, ks_bytes *ret_challenge)
{
    INTERNAL(HsmChallengeRequest) challenge = INTERNAL_NEW(HSM_CHALLENGE_REQUEST);
    challenge.generation = generation;
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_CHALLENGE);
    request.challenge = &challenge;
    const INTERNAL(HsmReply) *reply = NULL;
    KS_TRY(ks_sync_hsm(link, &request, arena, &reply));
    return take(reply->challenge, ret_challenge);
}

ks_result ks_request_seal(struct ks_hsm_link *link, uint32_t generation, ks_bytes challenge,
                          struct ks_arena *arena, ks_bytes *ret_envelope)
{
    INTERNAL(HsmSealDomainKey) seal = INTERNAL_NEW(HSM_SEAL_DOMAIN_KEY);
    seal.generation = generation;
    seal.challenge = ks_lend_bytes(challenge);
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_SEAL_DOMAIN_KEY);
    request.seal_domain_key = &seal;
    const INTERNAL(HsmReply) *reply = NULL;
    KS_TRY(ks_sync_hsm(link, &request, arena, &reply));
    return take(reply->envelope, ret_envelope);
}

ks_result ks_request_open(struct ks_hsm_link *link, uint32_t generation, ks_bytes envelope,
                          struct ks_arena *arena, ks_bytes *ret_wrapped)
{
    INTERNAL(HsmOpenDomainKey) open = INTERNAL_NEW(HSM_OPEN_DOMAIN_KEY);
    open.envelope = ks_lend_bytes(envelope);
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_OPEN_DOMAIN_KEY);
    request.open_domain_key = &open;
    const INTERNAL(HsmReply) *reply = NULL;
    KS_TRY(ks_sync_hsm(link, &request, arena, &reply));
    if (reply->generation != generation) {
        KS_TRY(ks_request_drop(link, reply->generation, arena));
        return KS_RES(CONFLICT);
    }
    return take(reply->wrapped, ret_wrapped);
}
