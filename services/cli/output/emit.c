#include "services/cli/output/emit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

ks_result ks_emit(int file, ks_bytes bytes, struct ks_failure *failure)
{
    size_t done = 0;
    while (done < bytes.len) {
        ssize_t count = write(file, bytes.ptr + done, bytes.len - done);
        if (count < 0 && errno != EINTR) {
            return ks_fail(failure, KS_INTERNAL, "cannot write the output: %s", strerror(errno));
        }
        done += count > 0 ? (size_t)count : 0;
    }
    return KS_RES(OK);
}
