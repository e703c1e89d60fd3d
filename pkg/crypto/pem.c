#include "pkg/crypto/pem.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "pkg/crypto/openssl.h"

#define LINE_CHARS 64U
#define LINE_BYTES 48U /* in base64: LINE_CHARS */
#define MARK_MAX   64U /* bytes of a line that begins or ends a block */

static ks_result append_text(struct ks_buffer *out, const char *text)
{
    return ks_buffer_append(out, ks_bytes_of(text));
}

static ks_bytes mark(const char *kind, const char *label, char place[static MARK_MAX])
{
    int len = snprintf(place, MARK_MAX, "-----%s %s-----", kind, label);
    assert(len > 0 && (size_t)len < MARK_MAX);
    return (ks_bytes){(const uint8_t *)place, (size_t)len};
}

static ks_result append_lines(struct ks_buffer *out, ks_bytes der)
{
    for (size_t at = 0; at < der.len; at += LINE_BYTES) {
        size_t len = der.len - at < LINE_BYTES ? der.len - at : LINE_BYTES;
        uint8_t line[LINE_CHARS + 1];
        int chars = EVP_EncodeBlock(line, der.ptr + at, (int)len);
        ks_result appended = ks_buffer_append(out, (ks_bytes){line, (size_t)chars});
        ks_wipe(line, sizeof(line));
        KS_TRY(appended);
        KS_TRY(append_text(out, "\n"));
    }
    return KS_RES(OK);
}

ks_result ks_pem_encode(const char *label, ks_bytes der, struct ks_buffer *out)
{
    assert(label && out);
    assert(der.len > 0 && der.len <= KS_PEM_LEN_MAX);

    char place[MARK_MAX];
    KS_TRY(ks_buffer_append(out, mark("BEGIN", label, place)));
    KS_TRY(append_text(out, "\n"));
    KS_TRY(append_lines(out, der));
    KS_TRY(ks_buffer_append(out, mark("END", label, place)));
    return append_text(out, "\n");
}

/* Finds the text between the two marks. Fails: VALIDATION (not exactly one block). */
static ks_result find_block(const char *label, ks_bytes text, ks_bytes *ret_body)
{
    char begin_place[MARK_MAX];
    char end_place[MARK_MAX];
    ks_bytes begin = mark("BEGIN", label, begin_place);
    ks_bytes end = mark("END", label, end_place);

    const uint8_t *at = memmem(text.ptr, text.len, begin.ptr, begin.len);
    if (!at) {
        return KS_RES(VALIDATION);
    }
    const uint8_t *body = at + begin.len;
    size_t rest = text.len - (size_t)(body - text.ptr);
    const uint8_t *stop = memmem(body, rest, end.ptr, end.len);
    if (!stop || memmem(body, rest, begin.ptr, begin.len)) {
        return KS_RES(VALIDATION);
    }
    *ret_body = (ks_bytes){body, (size_t)(stop - body)};
    return KS_RES(OK);
}

/* Appends body without its line ends and blanks. */
static ks_result append_packed(ks_bytes body, struct ks_buffer *packed)
{
    for (size_t i = 0; i < body.len; i++) {
        if (memchr(" \t\r\n", body.ptr[i], 4)) {
            continue;
        }
        KS_TRY(ks_buffer_append(packed, (ks_bytes){body.ptr + i, 1}));
    }
    return KS_RES(OK);
}

/* Returns how many bytes of the last block are padding: as many as there are '=' at the end. */
static size_t padding(ks_bytes packed)
{
    size_t count = 0;
    while (count < packed.len && packed.ptr[packed.len - 1 - count] == '=') {
        count++;
    }
    return count;
}

ks_result ks_pem_decode(const char *label, ks_bytes text, struct ks_buffer *out)
{
    assert(label && out);

    ks_bytes body = {0};
    if (text.len == 0 || text.len > KS_PEM_LEN_MAX) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(find_block(label, text, &body));
    KS_BUFFER_AUTO packed = {.len_max = KS_PEM_LEN_MAX};
    KS_TRY(append_packed(body, &packed));
    size_t padded = padding(ks_buffer_bytes(&packed));
    bool whole = packed.len > 0 && packed.len % 4 == 0 && padded <= 2 &&
                 !memchr(packed.ptr, '=', packed.len - padded);
    if (!whole) {
        return KS_RES(VALIDATION);
    }

    KS_BUFFER_AUTO der = {.len_max = KS_PEM_LEN_MAX};
    uint8_t *place;
    KS_TRY(ks_buffer_extend(&der, packed.len / 4 * 3, &place));
    if (EVP_DecodeBlock(place, packed.ptr, (int)packed.len) < 0) {
        return ks_openssl_fail(KS_VALIDATION);
    }
    return ks_buffer_append(out, (ks_bytes){place, der.len - padded});
}
