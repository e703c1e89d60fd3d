/*
 * endpoints: which member the next call goes to. For this folder only.
 *
 * Threads: pure over the arguments.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ks_etcd_endpoints {
    size_t count;
    size_t current;
};

/* The member of a call: the pinned one (counted from 1), else the current. */
size_t ks_etcd_endpoints_choose(const struct ks_etcd_endpoints *endpoints, unsigned pin);

/* The member after this one, in a ring. */
size_t ks_etcd_endpoints_after(const struct ks_etcd_endpoints *endpoints, size_t index);

/*
 * A call to index failed, or worked. Of many calls that fail together at one member, only the
 * first moves on: the others must not drive the client past the next one.
 */
void ks_etcd_endpoints_failed(struct ks_etcd_endpoints *endpoints, size_t index);
void ks_etcd_endpoints_worked(struct ks_etcd_endpoints *endpoints, size_t index);
