#include "services/frontend/serve/service.h"

#include <assert.h>

#include "services/frontend/serve/call.h"

/*
 * What is longer is refused unread. A request that is shorter and still too long is read, so that
 * its caller learns which member is.
 */
#define MESSAGE_BYTES_MAX (4U * 1024U * 1024U)

size_t ks_service_methods(struct ks_service *service, struct ks_rpc_method *ret_methods)
{
    assert(ks_operation_count == KS_OPERATION_COUNT);

    for (size_t i = 0; i < ks_operation_count; i++) {
        const struct ks_operation *operation = ks_operations[i];
        service->endpoints[i] = (struct ks_endpoint){service, operation};
        ret_methods[i] = (struct ks_rpc_method){
            .path = operation->path,
            .unary = operation->entry ? ks_batch_handle : ks_unary_handle,
            .user = &service->endpoints[i],
            .request_bytes_max = MESSAGE_BYTES_MAX,
        };
    }
    return ks_operation_count;
}
