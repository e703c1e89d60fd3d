#include "services/keystore/operations/table.h"

#include "pkg/operation/bounds.h"
#include "services/keystore/operations/handlers.h"

#define RUN(number, Name, name) [number] = ks_run_##name,

static const ks_run_fn runs[KS_OPERATION_NUMBER_MAX + 1] = {KS_OPERATIONS(RUN)};

ks_run_fn ks_run_of(uint32_t number)
{
    return number <= KS_OPERATION_NUMBER_MAX ? runs[number] : NULL;
}
