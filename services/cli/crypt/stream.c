#include "services/cli/crypt/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/codec/utf8.h"
#include "services/cli/output/emit.h"

#define PROGRESS_AFTER_NS (KS_NS_PER_S / 2) /* what is done sooner needs no line */
#define PROGRESS_EVERY_NS (KS_NS_PER_S / 5)
#define MIB               (1024.0 * 1024.0)

/* ---- In ---- */

/* Reads until len bytes are there, or the input has ended. */
static ks_result fill(struct ks_source *source, size_t len, struct ks_failure *failure)
{
    assert(len <= KS_SOURCE_LEN_MAX);

    if (source->end - source->begin < len) {
        memmove(source->bytes, source->bytes + source->begin, source->end - source->begin);
        source->end -= source->begin;
        source->begin = 0;
    }
    while (!source->ended && source->end - source->begin < len) {
        ssize_t count =
            read(source->file, source->bytes + source->end, KS_SOURCE_LEN_MAX - source->end);
        if (count < 0 && errno != EINTR) {
            return ks_fail(failure, KS_INTERNAL, "cannot read the input: %s", strerror(errno));
        }
        source->ended = count == 0;
        source->end += count > 0 ? (size_t)count : 0;
    }
    return KS_RES(OK);
}

ks_result ks_source_peek(struct ks_source *source, size_t len, ks_bytes *ret_bytes,
                         struct ks_failure *failure)
{
    KS_TRY(fill(source, len, failure));
    size_t there = source->end - source->begin;
    *ret_bytes = (ks_bytes){source->bytes + source->begin, there < len ? there : len};
    return KS_RES(OK);
}

ks_result ks_source_take(struct ks_source *source, size_t len_max, ks_bytes *ret_bytes,
                         bool *ret_is_last, struct ks_failure *failure)
{
    KS_TRY(fill(source, len_max + 1, failure));
    KS_TRY(ks_source_peek(source, len_max, ret_bytes, failure));
    source->begin += ret_bytes->len;
    *ret_is_last = source->begin == source->end;
    return KS_RES(OK);
}

void ks_source_done(struct ks_source *source)
{
    ks_wipe(source->bytes, sizeof(source->bytes));
    source->begin = 0;
    source->end = 0;
}

uint64_t ks_source_size(const struct ks_source *source)
{
    struct stat about;
    bool is_file = fstat(source->file, &about) == 0 && S_ISREG(about.st_mode);
    return is_file && about.st_size > 0 ? (uint64_t)about.st_size : 0;
}

/* ---- Out ---- */

struct ks_sink ks_sink_of(int file, bool force)
{
    return (struct ks_sink){.file = file, .guarded = !force && isatty(file)};
}

ks_result ks_sink_check_binary(const struct ks_sink *sink, struct ks_failure *failure)
{
    if (sink->guarded) {
        return ks_fail(failure, KS_VALIDATION,
                       "the output is binary and would go to a terminal; redirect it with > FILE, "
                       "or say --force");
    }
    return KS_RES(OK);
}

/* Leaves out a character that is cut at either end: up to three bytes each. */
static ks_bytes without_cut_ends(ks_bytes bytes)
{
    size_t begin = 0;
    while (begin < 3 && begin < bytes.len && (bytes.ptr[begin] & 0xc0U) == 0x80U) {
        begin++;
    }
    size_t end = bytes.len;
    for (size_t back = 1; back <= 3 && back <= bytes.len - begin; back++) {
        uint8_t byte = bytes.ptr[bytes.len - back];
        if (byte >= 0xc2U && byte <= 0xf4U) { /* what may begin a character (RFC 3629) */
            size_t needs = byte >= 0xf0U ? 4 : byte >= 0xe0U ? 3 : 2;
            end = needs > back ? bytes.len - back : bytes.len;
            break;
        }
    }
    return (ks_bytes){bytes.ptr + begin, end - begin};
}

bool ks_is_printable(ks_bytes bytes)
{
    ks_bytes text = without_cut_ends(bytes);
    if (text.len > 0 && !ks_utf8_is_text(text)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.ptr[i];
        bool is_space = byte == '\n' || byte == '\r' || byte == '\t';
        /* U+0080 to U+009F, C2 80 to C2 9F, are control characters, too. */
        bool is_c1 = byte == 0xc2 && i + 1 < text.len && text.ptr[i + 1] < 0xa0;
        if ((byte < 0x20 && !is_space) || byte == 0x7f || is_c1) {
            return false;
        }
    }
    return true;
}

ks_result ks_sink_write(const struct ks_sink *sink, ks_bytes bytes, struct ks_failure *failure)
{
    if (!ks_is_printable(bytes)) {
        KS_TRY(ks_sink_check_binary(sink, failure));
    }
    return ks_emit(sink->file, bytes, failure);
}

/* ---- How far ---- */

void ks_progress_begin(struct ks_progress *progress, const char *what, uint64_t total)
{
    *progress = (struct ks_progress){.what = isatty(STDERR_FILENO) ? what : NULL,
                                     .total = total,
                                     .begun_ns = ks_clock_boot_ns(&ks_clock_system)};
}

static void show(const struct ks_progress *progress, int64_t now_ns)
{
    double seconds = (double)(now_ns - progress->begun_ns) / (double)KS_NS_PER_S;
    double mib = (double)progress->done / MIB;
    fprintf(stderr, "\r%s %.0f MiB", progress->what, mib);
    if (progress->total > 0) {
        double part = (double)progress->done / (double)progress->total;
        fprintf(stderr, " of %.0f (%.0f %%)", (double)progress->total / MIB,
                100 * (part < 1 ? part : 1));
    }
    fprintf(stderr, ", %.0f MiB/s\033[K", mib / seconds);
    fflush(stderr);
}

void ks_progress_add(struct ks_progress *progress, size_t len)
{
    progress->done += len;
    if (!progress->what) {
        return;
    }
    int64_t now_ns = ks_clock_boot_ns(&ks_clock_system);
    if (now_ns - progress->begun_ns >= PROGRESS_AFTER_NS &&
        now_ns - progress->shown_ns >= PROGRESS_EVERY_NS) {
        show(progress, now_ns);
        progress->shown_ns = now_ns;
    }
}

void ks_progress_end(struct ks_progress *progress)
{
    if (progress->what && progress->shown_ns != 0) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
    }
}
