#include "pkg/etcd/endpoints.h"

#include <assert.h>

size_t ks_etcd_endpoints_choose(const struct ks_etcd_endpoints *endpoints, unsigned pin)
{
    assert(pin <= endpoints->count);

    return pin > 0 ? pin - 1 : endpoints->current;
}

size_t ks_etcd_endpoints_after(const struct ks_etcd_endpoints *endpoints, size_t index)
{
    assert(index < endpoints->count);

    return (index + 1) % endpoints->count;
}

void ks_etcd_endpoints_failed(struct ks_etcd_endpoints *endpoints, size_t index)
{
    if (endpoints->current == index) {
        endpoints->current = ks_etcd_endpoints_after(endpoints, index);
    }
}

void ks_etcd_endpoints_worked(struct ks_etcd_endpoints *endpoints, size_t index)
{
    assert(index < endpoints->count);

    endpoints->current = index;
}
