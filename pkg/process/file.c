#include "pkg/process/file.h"

#include <fcntl.h>
#include <unistd.h>

#include "pkg/base/mem.h"

static void close_at(int *descriptor)
{
    if (*descriptor >= 0) {
        close(*descriptor);
    }
}

ks_result ks_file_read(const char *path, struct ks_buffer *out)
{
    KS_CLEANUP(close_at) int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return KS_RES(NOT_FOUND);
    }
    for (;;) {
        uint8_t part[4096];
        ssize_t count = read(file, part, sizeof(part));
        if (count < 0) {
            return KS_RES(NOT_FOUND);
        }
        if (count == 0) {
            return KS_RES(OK);
        }
        if (ks_failed(ks_buffer_append(out, (ks_bytes){part, (size_t)count}))) {
            return KS_RES(VALIDATION);
        }
    }
}
