/*
 * ledger: reads the records of domain keys into the form that the machine looks at, and writes the
 * one mutation that each of its moves makes.
 *
 * Every mutation compares all records that its move was decided on. If two zones decide on the same
 * records, only one of them succeeds.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/record/change.h"
#include "pkg/store/store.h"
#include "services/keystore/domain_keys/machine.h"
#include "services/keystore/records/name.h"

/*
 * Adds one record whose key starts with "domain/" or "transit/"; a record of any other key is
 * passed over. records are unspecified after a failure.
 * Fails: CORRUPT (the record cannot be read), LIMIT_EXCEEDED (there are more than the machine
 * looks at, which its moves never make).
 */
KS_MUST_USE ks_result ks_ledger_add(struct ks_domain_records *records,
                                    const struct ks_store_record *record);

/*
 * Reads all records of domain keys.
 * ret_records  unspecified after a failure.
 * Fails: as ks_ledger_add and ks_store_scan.
 */
KS_MUST_USE ks_result ks_ledger_read(const struct ks_store_view *view,
                                     struct ks_domain_records *ret_records);

/* What the hsm has made for a move; borrowed. */
struct ks_ledger_material {
    ks_bytes wrapped;   /* MAKE, OPEN */
    ks_bytes challenge; /* ASK; SEAL: the one that was answered */
    ks_bytes envelope;  /* SEAL */
};

/*
 * Adds the mutation of a step to an empty change; a failure is in change->result. DROP, LOAD and
 * WAIT have no mutation and must not be asked for. now_ms is wall time, which the records show to
 * people.
 */
void ks_ledger_write(const struct ks_domain_records *records, const struct ks_domain_self *self,
                     const struct ks_domain_step *step, const struct ks_ledger_material *material,
                     int64_t now_ms, struct ks_change *change);

/* Adds the mutation that deletes our transit record, because its envelope does not open. */
void ks_ledger_forget_transit(const struct ks_domain_records *records,
                              const struct ks_domain_self *self, struct ks_change *change);
