#include "pkg/rpc/abseil.h"

#include <absl/synchronization/mutex.h>

void ks_rpc_abseil_init(void)
{
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}
