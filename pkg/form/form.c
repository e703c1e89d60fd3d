#include "pkg/form/form.h"

#include <assert.h>
#include <string.h>

ks_bytes ks_read_bytes(struct ks_reader *reader, size_t len)
{
    assert(reader);

    if (reader->bad || len > reader->rest.len) {
        reader->bad = true;
        return (ks_bytes){NULL, 0};
    }
    ks_bytes run = {reader->rest.ptr, len};
    if (len > 0) {
        reader->rest.ptr += len;
        reader->rest.len -= len;
    }
    return run;
}

static uint64_t read_number(struct ks_reader *reader, size_t len)
{
    ks_bytes run = ks_read_bytes(reader, len);
    uint64_t value = 0;
    for (size_t i = 0; i < run.len; i++) {
        value = value << 8 | run.ptr[i];
    }
    return value;
}

uint8_t ks_read_u8(struct ks_reader *reader)
{
    return (uint8_t)read_number(reader, 1);
}

uint16_t ks_read_u16(struct ks_reader *reader)
{
    return (uint16_t)read_number(reader, 2);
}

uint32_t ks_read_u32(struct ks_reader *reader)
{
    return (uint32_t)read_number(reader, 4);
}

uint64_t ks_read_u64(struct ks_reader *reader)
{
    return read_number(reader, 8);
}

ks_bytes ks_read_short(struct ks_reader *reader)
{
    return ks_read_bytes(reader, ks_read_u8(reader));
}

ks_bytes ks_read_long(struct ks_reader *reader)
{
    return ks_read_bytes(reader, ks_read_u16(reader));
}

bool ks_read_all(const struct ks_reader *reader)
{
    return !reader->bad && reader->rest.len == 0;
}

uint8_t *ks_write_place(struct ks_writer *writer, size_t len)
{
    assert(writer && writer->len <= writer->capacity);

    if (writer->full || len > writer->capacity - writer->len) {
        writer->full = true;
        return NULL;
    }
    uint8_t *place = writer->ptr + writer->len;
    writer->len += len;
    return place;
}

void ks_write_bytes(struct ks_writer *writer, ks_bytes bytes)
{
    uint8_t *place = ks_write_place(writer, bytes.len);
    if (place && bytes.len > 0) {
        memcpy(place, bytes.ptr, bytes.len);
    }
}

static void write_number(struct ks_writer *writer, uint64_t value, size_t len)
{
    uint8_t *place = ks_write_place(writer, len);
    for (size_t i = 0; place && i < len; i++) {
        place[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
    }
}

void ks_write_u8(struct ks_writer *writer, uint8_t value)
{
    write_number(writer, value, 1);
}

void ks_write_u16(struct ks_writer *writer, uint16_t value)
{
    write_number(writer, value, 2);
}

void ks_write_u32(struct ks_writer *writer, uint32_t value)
{
    write_number(writer, value, 4);
}

void ks_write_u64(struct ks_writer *writer, uint64_t value)
{
    write_number(writer, value, 8);
}

void ks_write_short(struct ks_writer *writer, ks_bytes bytes)
{
    if (bytes.len > UINT8_MAX) {
        writer->full = true;
    }
    ks_write_u8(writer, (uint8_t)bytes.len);
    ks_write_bytes(writer, bytes);
}

void ks_write_long(struct ks_writer *writer, ks_bytes bytes)
{
    if (bytes.len > UINT16_MAX) {
        writer->full = true;
    }
    ks_write_u16(writer, (uint16_t)bytes.len);
    ks_write_bytes(writer, bytes);
}

ks_bytes ks_written(const struct ks_writer *writer)
{
    return (ks_bytes){writer->ptr, writer->len};
}
