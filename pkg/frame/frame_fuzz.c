/* Any bytes as a stream: frames are taken off it until it wants more or is refused. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/mem.h"
#include "pkg/frame/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ks_bytes rest = {data, size};
    KS_BUFFER_AUTO again = {.len_max = KS_FRAME_MAX + 1};
    ks_bytes frame;
    while (!ks_failed(ks_frame_next(rest, &frame)) && frame.ptr) {
        size_t len = KS_FRAME_HEAD_LEN + frame.len;
        assert(len <= rest.len && frame.len > 0);
        ks_result r = ks_frame_append(&again, frame);
        assert(!ks_failed(r));
        assert(ks_bytes_equal(ks_buffer_bytes(&again), (ks_bytes){rest.ptr, len}));
        ks_buffer_consume(&again, again.len);
        rest = (ks_bytes){rest.ptr + len, rest.len - len};
    }
    return 0;
}
