/* The engine of a cell: not there yet. */
#include "pkg/store/engine.h"

static ks_result start(struct ks_store *store)
{
    (void)store;
    return KS_RES(UNSUPPORTED);
}

static void end(struct ks_store *store)
{
    (void)store;
}

const struct ks_engine ks_replicated_engine = {.start = start, .end = end};
