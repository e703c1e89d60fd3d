/* Any bytes as a frame that a keystore sends: answered, or refused whole. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/mem.h"
#include "pkg/frame/frame.h"
#include "services/hsm/fixture/hsm_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hsm_root root;
    static struct hsm_node node;
    if (!node.hsm) {
        hsm_root_init(&root, FIXTURE_NOW_S);
        hsm_node_init(&node, &root, "ap-seoul-1", "ap-seoul-1a");
    }
    KS_BUFFER_AUTO out = {.len_max = KS_FRAME_MAX};
    ks_bytes frame;
    if (ks_failed(ks_hsm_answer(node.hsm, (ks_bytes){data, size}, &out))) {
        return 0;
    }
    ks_result r = ks_frame_next(ks_buffer_bytes(&out), &frame);
    assert(!ks_failed(r) && frame.len + KS_FRAME_HEAD_LEN == out.len);
    return 0;
}
