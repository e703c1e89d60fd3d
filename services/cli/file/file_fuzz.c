/*
 * Any bytes as a file, opened as decrypt does, under a key that the file does not choose: nothing
 * is read or written outside, and what opens is what the writer would have written again.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "services/cli/file/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ks_crypto *crypto(void)
{
    static struct ks_crypto *kept;
    if (!kept) {
        ks_result r = ks_crypto_init(&(struct ks_crypto_options){0});
        assert(!ks_failed(r));
        kept = ks_crypto_new();
    }
    return kept;
}

/* Opens what stands behind the header; then seals it again and compares. */
static void open_segments(ks_bytes header, ks_bytes rest)
{
    static uint8_t content[KS_FILE_SEGMENT_LEN];
    static uint8_t again[KS_FILE_SEALED_LEN];
    ks_secret key = {.len = KS_FILE_DATA_KEY_LEN};
    KS_FILE_AUTO *reader = NULL;
    KS_FILE_AUTO *writer = NULL;
    ks_result r = ks_file_new(crypto(), &key, header, &reader);
    assert(!ks_failed(r));
    r = ks_file_new(crypto(), &key, header, &writer);
    assert(!ks_failed(r));
    for (bool is_last = false; !is_last;) {
        size_t len = rest.len < KS_FILE_SEALED_LEN ? rest.len : KS_FILE_SEALED_LEN;
        is_last = len == rest.len;
        if (ks_failed(ks_file_open(reader, (ks_bytes){rest.ptr, len}, is_last, content))) {
            return;
        }
        r = ks_file_seal(writer, (ks_bytes){content, len - KS_FILE_TAG_LEN}, is_last, again);
        assert(!ks_failed(r));
        assert(ks_bytes_equal((ks_bytes){again, len}, (ks_bytes){rest.ptr, len}));
        rest = (ks_bytes){rest.ptr + len, rest.len - len};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ks_bytes bytes = {data, size};
    size_t header_len;
    ks_bytes blob;
    if (ks_failed(ks_file_header_len(bytes, &header_len)) || header_len > size) {
        return 0;
    }
    ks_bytes header = {data, header_len};
    assert(ks_file_is(bytes));
    ks_result r = ks_file_header_blob(header, &blob);
    assert(!ks_failed(r));
    assert(blob.ptr >= data && blob.ptr + blob.len == data + header_len);
    open_segments(header, (ks_bytes){data + header_len, size - header_len});
    return 0;
}
