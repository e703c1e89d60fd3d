/*
 * control: everything of keystead-control but its main: what it consists of, and the order in which
 * the parts begin and end.
 *
 * Threads: one thread makes and frees it.
 */
#pragma once

#include "pkg/base/result.h"

struct ks_clock;
struct ks_control;
struct ks_control_settings;

/*
 * Opens the store and both listeners, and starts to serve. The log says what can't be opened, and
 * what to look at.
 *
 * settings, clock  borrowed as long as it lives.
 * ret_control      free with ks_control_free.
 *
 * Fails: VALIDATION (settings or certificates do not fit), NOT_FOUND (a file can't be read),
 * CONFLICT (an address or the data folder is taken), CORRUPT (the database), INTERNAL.
 */
KS_MUST_USE ks_result ks_control_new(const struct ks_control_settings *settings,
                                     const struct ks_clock *clock, struct ks_control **ret_control);

/* Lets calls end for a few seconds, then stops. NULL is fine. */
void ks_control_free(struct ks_control *control);

/* The ports that were bound. */
int ks_control_admin_port(const struct ks_control *control);
int ks_control_internal_port(const struct ks_control *control);
