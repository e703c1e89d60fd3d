/*
 * frontend: the whole process except its signals: it owns the lanes, the identities and the
 * listener.
 *
 * Threads: main makes, drains and frees it.
 */
#pragma once

#include "pkg/base/result.h"
#include "services/frontend/settings.h"

struct ks_frontend;

/*
 * Starts to listen, and tells health checks NOT_SERVING until identities are known. ks_rpc_init and
 * ks_crypto_init must have been called. A failure is logged, with what to do about it.
 *
 * settings, places  borrowed as long as the frontend.
 * ret_frontend      the caller's; free with ks_frontend_free. Untouched after a failure.
 *
 * Fails: with the failure of the part that could not be opened.
 */
KS_MUST_USE ks_result ks_frontend_new(const struct ks_frontend_settings *settings,
                                      const struct ks_keystore_places *places,
                                      struct ks_frontend **ret_frontend);

/* Returns the port that was bound. */
int ks_frontend_port(const struct ks_frontend *frontend);

/*
 * Tells health checks NOT_SERVING, lets calls end for the time that the settings give, then closes
 * and frees everything. NULL is fine.
 */
void ks_frontend_free(struct ks_frontend *frontend);
