/*
 * hsm_source: the keys of a backup come from the zone's hsm (proto/formats/key-block-v1.md).
 *
 * Threads: a worker's; its functions wait for the hsm.
 */
#pragma once

#include "services/keystore/backup/take.h"

struct ks_hsm_link;

/* Returns a source that asks the hsm behind link, which is borrowed as long as the source. */
struct ks_backup_source ks_backup_hsm_source(struct ks_hsm_link *link);
