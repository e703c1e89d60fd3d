/*
 * abseil: sets what has to be set in the C++ library below gRPC, which has no C interface.
 *
 * Private to pkg/rpc.
 */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Turns off the detection of deadlocks between mutexes, for the whole process. Debian builds abseil
 * without NDEBUG, so that each lock of gRPC would be entered into a graph; without that a whole
 * Encrypt is 1.09 times as fast. ks_rpc_init calls this before any mutex is taken.
 */
void ks_rpc_abseil_init(void);

#ifdef __cplusplus
}
#endif
