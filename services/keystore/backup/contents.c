#include "services/keystore/backup/contents.h"

#include <stddef.h>

#include "services/keystore/records/name.h"

/*
 * The first row whose prefix fits decides; a key that none fits is kept. Not here, because the copy
 * does not have them among its records: keystores' heartbeats, the cell's revision record and its
 * epoch, which a restore makes anew; and the control plane's records, which are control's.
 */
bool ks_backup_keeps(ks_bytes key)
{
    const struct {
        ks_bytes prefix;
        bool keeps;
    } rows[] = {
        /* A restored cell goes on from these numbers: a generation is never made twice. */
        {KS_NAME_DOMAIN_CURRENT, true},
        {KS_NAME_DOMAIN_NEWEST, true},
        /*
         * Copies of domain keys, each under the node key of an hsm: the key block has the keys
         * themselves. And a wish to rotate, which the restore's own new generation fulfils.
         */
        {KS_NAME_DOMAIN, false},
        /* Envelopes between two hsms of the time, which open once, and not after a restart. */
        {KS_NAME_TRANSIT, false},
        /* Only the revision of a gate counts, and that is of this store. */
        {KS_NAME_GATES, false},
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        if (ks_bytes_starts_with(key, rows[i].prefix)) {
            return rows[i].keeps;
        }
    }
    return true;
}
