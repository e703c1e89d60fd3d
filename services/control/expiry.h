/*
 * expiry: removes what has outlived its use: certificates a day after they ended, request records
 * after 24 hours. It looks at once and then every ten minutes, and removes a bounded number at a
 * time, sooner again if there is more. It goes by the store's destruction time, and removes nothing
 * while there is none: this machine's clock may be wrong.
 *
 * Threads: the loop's; made and freed from elsewhere.
 */
#pragma once

struct ks_expiry;
struct ks_rpc_loop;
struct ks_store;

/*
 * Starts to look. All arguments are borrowed. Never NULL; free with ks_expiry_free, before the loop
 * and the store. What fails is tried again the next time.
 */
struct ks_expiry *ks_expiry_new(struct ks_store *store, struct ks_rpc_loop *loop);

/* Stops and frees it. Not to be called on the loop's thread. NULL is fine. */
void ks_expiry_free(struct ks_expiry *expiry);
