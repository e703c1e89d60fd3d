#include "services/frontend/serve/service.h"

#include <assert.h>

#include "services/frontend/serve/call.h"

/*
 * The largest request of each kind: ten grant tokens of 8,192 characters of up to four bytes each,
 * beside all other members at their limits; a batch has the whole message to itself.
 */
#define REQUEST_BYTES_MAX (512U * 1024U)
#define BATCH_BYTES_MAX   (4U * 1024U * 1024U)

size_t ks_service_methods(struct ks_service *service, struct ks_rpc_method *ret_methods)
{
    assert(ks_operation_count <= KS_SERVICE_METHODS_MAX);

    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        service->endpoints[i] = (struct ks_endpoint){service, operation};
        ret_methods[i] = (struct ks_rpc_method){
            .path = operation->path,
            .unary = operation->entry ? ks_batch_handle : ks_unary_handle,
            .user = &service->endpoints[i],
            .request_bytes_max = operation->entry ? BATCH_BYTES_MAX : REQUEST_BYTES_MAX,
        };
    }
    return ks_operation_count;
}
