#include "pkg/store/log/history.h"

#include <string.h>

bool ks_history_same_source(const struct ks_copy_source *a, const struct ks_copy_source *b)
{
    return a->cluster_id == b->cluster_id && a->epoch_revision == b->epoch_revision &&
           strcmp(a->epoch, b->epoch) == 0;
}

enum ks_history_verdict ks_history_judge(const struct ks_anchor *anchor,
                                         const struct ks_history_found *found)
{
    if (found->source.epoch[0] == '\0') {
        return KS_HISTORY_EMPTY;
    }
    if (!ks_history_same_source(&found->source, &anchor->source)) {
        return KS_HISTORY_OTHER;
    }
    if (found->revision < anchor->revision || found->rev_revision < anchor->revision) {
        return KS_HISTORY_LOST;
    }
    if (!found->has_nonce) {
        return KS_HISTORY_FORM;
    }
    if (found->rev_revision > anchor->revision) {
        return KS_HISTORY_ASK;
    }
    return ks_history_judge_then(anchor, found->rev_revision,
                                 (ks_bytes){found->nonce.bytes, KS_NONCE_LEN});
}

enum ks_history_verdict ks_history_judge_then(const struct ks_anchor *anchor, int64_t rev_revision,
                                              ks_bytes value)
{
    bool is_same = rev_revision == anchor->revision &&
                   ks_bytes_equal(value, (ks_bytes){anchor->nonce.bytes, KS_NONCE_LEN});
    return is_same ? KS_HISTORY_SAME : KS_HISTORY_LOST;
}
