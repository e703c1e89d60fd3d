/*
 * control: the whole of keystead-control except its main: its parts, and the order in which they
 * begin and end.
 *
 * Threads: one thread makes and frees it.
 */
#pragma once

#include "pkg/base/result.h"

struct ks_clock;
struct ks_control;
struct ks_control_settings;

/*
 * Opens the store and both listeners, and starts to serve. If something can't be opened, the log
 * says what, and what to look at.
 *
 * settings, clock  borrowed as long as it lives.
 * ret_control      the caller's; free with ks_control_free. Untouched after a failure.
 *
 * Fails: VALIDATION (settings or certificates do not fit), NOT_FOUND (a file can't be read),
 * CONFLICT (an address or the data folder is taken), CORRUPT (the database), INTERNAL.
 */
KS_MUST_USE ks_result ks_control_new(const struct ks_control_settings *settings,
                                     const struct ks_clock *clock, struct ks_control **ret_control);

/* Lets calls end for a few seconds, then stops and frees everything. NULL is fine. */
void ks_control_free(struct ks_control *control);

/* Return the ports that were bound. */
int ks_control_admin_port(const struct ks_control *control);
int ks_control_internal_port(const struct ks_control *control);
