#include "services/hsm/specs/spec.h"

#include <assert.h>

#define DECLARATION(NAME, name) extern const struct ks_hsm_spec ks_hsm_##name;
#define ROW(NAME, name)         [KS_KEYSPEC_##NAME] = &ks_hsm_##name,

KS_KEYSPEC_KINDS(DECLARATION)

const struct ks_hsm_spec *ks_hsm_spec_of(const struct ks_keyspec *spec)
{
    static const struct ks_hsm_spec *const specs[] = {KS_KEYSPEC_KINDS(ROW)};
    assert(spec && spec->kind < KS_KEYSPEC_KIND_COUNT);

    return specs[spec->kind];
}
