/*
 * option: how one row of a table is written: its name, its bounds.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include "pkg/config/config.h"

#define KS_CONFIG_NAME_LEN   64U  /* bytes of an option's name, NUL included */
#define KS_CONFIG_BOUNDS_LEN 160U /* bytes of a text of bounds, NUL included */

/* Writes the option's name in the file: the field's name without _ms or _bytes. */
void ks_config_option_name(const struct ks_config_option *option,
                           char ret_name[static KS_CONFIG_NAME_LEN]);

/* Writes what the option accepts, such as "time, 200ms to 60s" or "one of: a, b". */
void ks_config_option_bounds(const struct ks_config_option *option,
                             char ret_bounds[static KS_CONFIG_BOUNDS_LEN]);
