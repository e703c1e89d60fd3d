/*
 * form: reads and writes the binary forms of proto/formats: big-endian integers, runs of bytes,
 * runs with their length before them.
 *
 * A reader that meets the end too early goes bad and stays so; what it gives from then on is 0 or
 * empty. So a parser reads all its fields in a row and looks once, at the end. A writer does the
 * same when its memory is full.
 *
 * Threads: values; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"

struct ks_reader {
    ks_bytes rest; /* borrowed */
    bool bad;
};

uint8_t ks_read_u8(struct ks_reader *reader);
uint16_t ks_read_u16(struct ks_reader *reader);
uint32_t ks_read_u32(struct ks_reader *reader);
uint64_t ks_read_u64(struct ks_reader *reader);

/* The next len bytes, borrowed from what is read. */
ks_bytes ks_read_bytes(struct ks_reader *reader, size_t len);

/* A run behind its length of one byte, or of two. */
ks_bytes ks_read_short(struct ks_reader *reader);
ks_bytes ks_read_long(struct ks_reader *reader);

/* Whether everything was there, and nothing more. */
bool ks_read_all(const struct ks_reader *reader);

/* {.ptr = place, .capacity = bytes there} */
struct ks_writer {
    uint8_t *ptr; /* borrowed */
    size_t capacity;
    size_t len;
    bool full; /* something did not fit; nothing was written since */
};

void ks_write_u8(struct ks_writer *writer, uint8_t value);
void ks_write_u16(struct ks_writer *writer, uint16_t value);
void ks_write_u32(struct ks_writer *writer, uint32_t value);
void ks_write_u64(struct ks_writer *writer, uint64_t value);
void ks_write_bytes(struct ks_writer *writer, ks_bytes bytes);

/* A run behind its length; one that is longer than its length can say makes the writer full. */
void ks_write_short(struct ks_writer *writer, ks_bytes bytes);
void ks_write_long(struct ks_writer *writer, ks_bytes bytes);

/* What was written so far, borrowed. */
ks_bytes ks_written(const struct ks_writer *writer);

/* Room for len bytes that the caller fills; NULL if it is not there. */
uint8_t *ks_write_place(struct ks_writer *writer, size_t len);
