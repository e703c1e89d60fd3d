/* The command status. */
#include <stdio.h>
#include <unistd.h>

#include "services/hsm/process/commands.h"
#include "services/hsm/socket/client.h"
#include "services/hsm/socket/listener.h"

#define ARENA_MAX 65536U

static void print(const HsmStatus *status)
{
    printf("region      %s\nzone        %s\nnode        %s\nroster      %llu\nfips        %s\n"
           "confined    %s\ngenerations",
           status->region, status->zone, status->node_id, (unsigned long long)status->roster_number,
           status->fips ? "yes" : "no", status->sealed ? "yes" : "no");
    for (size_t i = 0; i < status->n_generations; i++) {
        printf(" %u", status->generations[i]);
    }
    printf("\n");
    if (status->kit_period > 0) {
        printf("custodians  %u of %u, period %u\n", status->custodians_needed,
               status->custodian_count, status->kit_period);
    } else {
        printf("custodians  none yet\n");
    }
}

static ks_result ask(int fd)
{
    Keystead__Internal__V1__HsmStatusRequest status =
        KEYSTEAD__INTERNAL__V1__HSM_STATUS_REQUEST__INIT;
    HsmRequest request = KEYSTEAD__INTERNAL__V1__HSM_REQUEST__INIT;
    HsmRequest *requests[] = {&request};
    HsmBatch batch = KEYSTEAD__INTERNAL__V1__HSM_BATCH__INIT;
    request.operation_case = KEYSTEAD__INTERNAL__V1__HSM_REQUEST__OPERATION_STATUS;
    request.status = &status;
    batch.n_requests = 1;
    batch.requests = requests;

    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    HsmBatchReply *reply = NULL;
    KS_TRY(ks_hsm_exchange(fd, &batch, &arena, &reply));
    if (!reply->replies[0]->status) {
        return KS_RES(UNAVAILABLE);
    }
    print(reply->replies[0]->status);
    return KS_RES(OK);
}

int ks_hsm_command_status(const struct ks_hsm_settings *settings)
{
    int fd = -1;
    ks_result r = ks_hsm_connect(settings->socket, &fd);
    if (!ks_failed(r)) {
        r = ask(fd);
        close(fd);
    }
    if (ks_failed(r)) {
        fprintf(stderr, "keystead-hsm: no answer on %s; does it run, and is this its peer_user?\n",
                settings->socket);
        return KS_EXIT_FAILED;
    }
    return KS_EXIT_OK;
}
