/*
 * memscan: which of many 32-byte needles stand in the writable memory of processes, or in files.
 *
 * usage: memscan NEEDLES PLACE...   NEEDLES is a file of 32-byte records, a PLACE a process id or
 *                                   an absolute path. Prints "INDEX PLACE" for each that was
 *                                   found, once. For tests, as root.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEEDLE_LEN  32U
#define NEEDLES_MAX 100000U
#define SLOTS       (1U << 20)
#define PART_LEN    (1U << 22)

static uint8_t needles[NEEDLES_MAX][NEEDLE_LEN];
static bool found[NEEDLES_MAX];
static uint32_t slots[SLOTS]; /* index + 1 of a needle; 0: free */
static bool begins[1U << 16]; /* whether some needle begins with these two bytes */
static size_t needle_count;
static uint8_t part[PART_LEN + NEEDLE_LEN];

static uint32_t slot_of(const uint8_t *bytes)
{
    uint64_t head;
    memcpy(&head, bytes, sizeof(head));
    return (uint32_t)((head * 0x9e3779b97f4a7c15ULL) >> 44);
}

static void add_needle(size_t index)
{
    begins[needles[index][0] << 8 | needles[index][1]] = true;
    uint32_t slot = slot_of(needles[index]);
    while (slots[slot] != 0) {
        slot = (slot + 1) % SLOTS;
    }
    slots[slot] = (uint32_t)index + 1;
}

static void look(const uint8_t *bytes, const char *place)
{
    for (uint32_t slot = slot_of(bytes); slots[slot] != 0; slot = (slot + 1) % SLOTS) {
        size_t index = slots[slot] - 1;
        if (!found[index] && memcmp(needles[index], bytes, NEEDLE_LEN) == 0) {
            found[index] = true;
            printf("%zu %s\n", index, place);
        }
    }
}

static void scan_range(int memory, uint64_t start, uint64_t end, const char *place)
{
    for (uint64_t at = start; at < end; at += PART_LEN) {
        uint64_t wanted = end - at < sizeof(part) ? end - at : sizeof(part);
        ssize_t len = pread(memory, part, wanted, (off_t)at);
        for (ssize_t i = 0; i + (ssize_t)NEEDLE_LEN <= len; i++) {
            if (begins[part[i] << 8 | part[i + 1]]) {
                look(part + i, place);
            }
        }
    }
}

/* Writable mappings that hold anything of the process's own. */
static void scan_process(const char *pid)
{
    char path[64];
    char line[512];
    snprintf(path, sizeof(path), "/proc/%s/mem", pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/%s/smaps", pid);
    FILE *maps = fopen(path, "re");
    if (memory < 0 || !maps) {
        perror(path);
        exit(1);
    }
    uint64_t start = 0;
    uint64_t end = 0;
    bool writable = false;
    uint64_t kib;
    char mode[8];
    while (fgets(line, sizeof(line), maps)) {
        uint64_t
            first; /* "Anonymous" begins with a hex digit, too: nothing is kept of half a match */
        uint64_t last;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &first, &last, mode) == 3) {
            start = first;
            end = last;
            writable = strncmp(mode, "rw", 2) == 0;
        } else if (writable && sscanf(line, "Anonymous: %" SCNu64, &kib) == 1 && kib > 0) {
            scan_range(memory, start, end, pid);
        }
    }
    fclose(maps);
    close(memory);
}

static void scan_file(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    off_t len = file < 0 ? 0 : lseek(file, 0, SEEK_END);
    scan_range(file, 0, (uint64_t)len, path);
    if (file >= 0) { /* a file that went meanwhile holds nothing */
        close(file);
    }
}

int main(int argc, char **argv)
{
    FILE *file = argc > 2 ? fopen(argv[1], "re") : NULL;
    if (!file) {
        fputs("usage: memscan NEEDLES PLACE...\n", stderr);
        return 2;
    }
    while (needle_count < NEEDLES_MAX && fread(needles[needle_count], NEEDLE_LEN, 1, file) == 1) {
        add_needle(needle_count++);
    }
    fclose(file);
    for (int i = 2; i < argc; i++) {
        memset(found, 0, sizeof(found));
        (argv[i][0] == '/' ? scan_file : scan_process)(argv[i]);
    }
    return 0;
}
