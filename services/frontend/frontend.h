/*
 * frontend: all of the process but its signals: lanes, identities, listener.
 *
 * Threads: made, drained and freed by main.
 */
#pragma once

#include "pkg/base/result.h"
#include "services/frontend/settings.h"

struct ks_frontend;

/*
 * Starts to listen; says NOT_SERVING until identities are known. ks_rpc_init and ks_crypto_init came
 * before. What fails is logged with what to do about it.
 *
 * settings, places  borrowed as long as the frontend.
 * ret_frontend      free with ks_frontend_free.
 *
 * Fails: what the part failed with that could not be opened.
 */
KS_MUST_USE ks_result ks_frontend_new(const struct ks_frontend_settings *settings,
                                      const struct ks_keystore_places *places,
                                      struct ks_frontend **ret_frontend);

/* The port that was bound. */
int ks_frontend_port(const struct ks_frontend *frontend);

/* Drains, then closes and frees everything. NULL is fine. */
void ks_frontend_free(struct ks_frontend *frontend);
