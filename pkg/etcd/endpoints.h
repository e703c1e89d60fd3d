/*
 * endpoints: decides to which member the next call goes. For this folder only.
 *
 * Threads: pure over the arguments.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ks_etcd_endpoints {
    size_t count;   /* of members, at least 1 */
    size_t current; /* the index of the member that is used */
};

/* Returns the member of a call: the pinned one (counted from 1), or for pin 0 the current one. */
size_t ks_etcd_endpoints_choose(const struct ks_etcd_endpoints *endpoints, unsigned pin);

/* Returns the member after this one; the first follows the last. */
size_t ks_etcd_endpoints_after(const struct ks_etcd_endpoints *endpoints, size_t index);

/*
 * Note that a call to the member `index` failed, or worked. A failure of the current member makes
 * the next one current; a success makes `index` current. Of many calls that fail together at one
 * member, only the first moves on: the others must not drive the client past the next one.
 */
void ks_etcd_endpoints_failed(struct ks_etcd_endpoints *endpoints, size_t index);
void ks_etcd_endpoints_worked(struct ks_etcd_endpoints *endpoints, size_t index);
