/*
 * form: reads and writes the parts of the binary forms of proto/formats: big-endian integers, runs
 * of bytes, and runs with their length before them.
 *
 * No function here returns a failure. A reader that meets the end of its bytes too early becomes
 * bad and stays bad, and every further read returns 0 or an empty run. A parser can therefore read
 * all its fields in a row and call ks_read_all once, at the end. In the same way, a writer whose
 * memory is too small becomes full and writes nothing more; the caller looks at `full` at the end.
 *
 * Threads: values; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"

/* {.rest = bytes}: reads these from their start. */
struct ks_reader {
    ks_bytes rest; /* what was not read yet; borrowed */
    bool bad;      /* a read went past the end */
};

/* Each reads one big-endian integer. Returns 0 when too few bytes are left. */
uint8_t ks_read_u8(struct ks_reader *reader);
uint16_t ks_read_u16(struct ks_reader *reader);
uint32_t ks_read_u32(struct ks_reader *reader);
uint64_t ks_read_u64(struct ks_reader *reader);

/* Returns the next len bytes, borrowed from rest; an empty run when fewer are left. */
ks_bytes ks_read_bytes(struct ks_reader *reader, size_t len);

/*
 * Each reads a length, of one byte (short) or of two (long), and returns the run of that length
 * behind it, borrowed from rest. The run is empty when the reader goes bad.
 */
ks_bytes ks_read_short(struct ks_reader *reader);
ks_bytes ks_read_long(struct ks_reader *reader);

/* Returns whether every read found its bytes and none are left over. */
bool ks_read_all(const struct ks_reader *reader);

/* {.ptr = place, .capacity = bytes there}: writes to place from its start. */
struct ks_writer {
    uint8_t *ptr; /* borrowed */
    size_t capacity;
    size_t len;
    bool full; /* something did not fit; nothing was written from then on */
};

/* Each writes one big-endian integer, or the bytes as they are. */
void ks_write_u8(struct ks_writer *writer, uint8_t value);
void ks_write_u16(struct ks_writer *writer, uint16_t value);
void ks_write_u32(struct ks_writer *writer, uint32_t value);
void ks_write_u64(struct ks_writer *writer, uint64_t value);
void ks_write_bytes(struct ks_writer *writer, ks_bytes bytes);

/*
 * Each writes the length of a run, in one byte (short) or in two (long), and then the run. A run
 * whose length does not fit into those makes the writer full.
 */
void ks_write_short(struct ks_writer *writer, ks_bytes bytes);
void ks_write_long(struct ks_writer *writer, ks_bytes bytes);

/* Returns what was written so far, borrowed from ptr. */
ks_bytes ks_written(const struct ks_writer *writer);

/*
 * Returns the place of the next len bytes, which the caller fills and which count as written.
 * Returns NULL when they do not fit; the writer is then full.
 */
uint8_t *ks_write_place(struct ks_writer *writer, size_t len);
