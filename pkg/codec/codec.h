/*
 * codec: protocol buffers in and out, for bytes that nobody has looked at yet.
 *
 * protobuf-c accepts what it should refuse: strings that are not UTF-8 or hold a NUL (C code then
 * sees a shorter string), messages of any depth, any number of fields. Therefore every message is
 * first checked on the wire against its descriptor, and only then unpacked, into memory with a cap.
 *
 * The check is stricter than the protobuf format in one point: a field that is not repeated may
 * occur only once, and so may the members of a oneof together. The format would merge what occurs
 * twice. No client needs that, and two readers of the same bytes could disagree about the result.
 *
 * A descriptor is the one that protoc-c generates: &keystead__kms__v1__encrypt_request__descriptor.
 *
 * Threads: pure over the arguments; any thread.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_CODEC_DEPTH_MAX     8U    /* messages within messages, the outermost one counted */
#define KS_CODEC_FIELDS_MAX    64U   /* fields that a message of ours may have */
#define KS_CODEC_FIELD_COUNT   4096U /* default of field_count_max */
#define KS_CODEC_UNKNOWN_COUNT 32U   /* default of unknown_count_max */
#define KS_CODEC_MESSAGE_LEN   (4U * 1024U * 1024U) /* default of len_max: bytes */

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;
struct ks_wire_field;

/* 0 in a field means its default. */
struct ks_codec_limits {
    size_t len_max;         /* bytes of the whole message */
    size_t field_count_max; /* fields in it and all messages within, unknown ones too */
    size_t
        unknown_count_max; /* fields that the descriptor does not know; their bytes are not read */
    size_t depth_max;      /* at most KS_CODEC_DEPTH_MAX, which is the default */
};

/* What is wrong with a message, for people. Both strings are static. */
struct ks_codec_fault {
    const char *field; /* its name in the proto file; "" if no one field is to blame */
    const char *what;  /* "must be valid UTF-8" */
};

/*
 * Checks that the bytes are a message of this type: wire types fit, lengths and varints end where
 * they should, strings are UTF-8 without a NUL, there are no groups, nothing occurs twice, and the
 * limits hold.
 *
 * limits        NULL: the defaults.
 * reterr_fault  the first fault found; written on failure only. May be NULL.
 *
 * Fails: VALIDATION (any of these is not so).
 */
KS_MUST_USE ks_result ks_codec_check(const struct ProtobufCMessageDescriptor *type,
                                     ks_bytes message, const struct ks_codec_limits *limits,
                                     struct ks_codec_fault *reterr_fault);

/*
 * Is told of each field of the outermost message that its descriptor knows, in their order, when
 * the field itself was found good; what is within it is looked at afterwards.
 * raw  the whole field, its tag included; borrowed from the message.
 */
typedef void (*ks_codec_visit_fn)(void *user, const struct ks_wire_field *field, ks_bytes raw);

/*
 * Checks as ks_codec_check does and also tells visit of the fields, so that a caller that looks for
 * some of them needs no scan of its own. What visit was told means nothing if the check fails.
 * reterr_fault  the first fault found; written on failure only. May be NULL.
 * Fails: as ks_codec_check.
 */
KS_MUST_USE ks_result ks_codec_scan(const struct ProtobufCMessageDescriptor *type, ks_bytes message,
                                    const struct ks_codec_limits *limits, ks_codec_visit_fn visit,
                                    void *user, struct ks_codec_fault *reterr_fault);

/*
 * Checks a message as ks_codec_check does, then unpacks it into arena. The message is not freed by
 * itself: it is wiped and freed with the arena. Its first member is its struct ProtobufCMessage, so
 * that a cast gives the real type.
 *
 * limits       NULL: the defaults.
 * ret_message  lasts as long as arena and points to nothing in `message`. Written on success only.
 *
 * Fails: VALIDATION (as ks_codec_check), LIMIT_EXCEEDED (the arena is full).
 */
KS_MUST_USE ks_result ks_codec_unpack(const struct ProtobufCMessageDescriptor *type,
                                      ks_bytes message, const struct ks_codec_limits *limits,
                                      struct ks_arena *arena,
                                      struct ProtobufCMessage **ret_message);

/*
 * Unpacks what ks_codec_check or ks_codec_scan has found good before; otherwise like
 * ks_codec_unpack. Bytes that were not checked may be taken for another message than they are.
 *
 * Fails: LIMIT_EXCEEDED (the arena is full; ret_message is unchanged).
 */
KS_MUST_USE ks_result ks_codec_unpack_checked(const struct ProtobufCMessageDescriptor *type,
                                              ks_bytes message, struct ks_arena *arena,
                                              struct ProtobufCMessage **ret_message);

/*
 * Appends the bytes of a message, which the caller passes as `&item.base`.
 * Fails: LIMIT_EXCEEDED (the buffer's cap; the buffer is unchanged).
 */
KS_MUST_USE ks_result ks_codec_pack(const struct ProtobufCMessage *message,
                                    struct ks_buffer *buffer);

/*
 * Appends a message as field `number` of the message that encloses it. In this way an element is
 * added to a repeated field without building the array.
 * Fails: LIMIT_EXCEEDED (the buffer's cap; the buffer is unchanged).
 */
KS_MUST_USE ks_result ks_codec_pack_field(unsigned number, const struct ProtobufCMessage *message,
                                          struct ks_buffer *buffer);

/* Returns how many bytes ks_codec_pack appends. */
size_t ks_codec_packed_len(const struct ProtobufCMessage *message);

/* Writes the bytes of a message to place. len is what ks_codec_packed_len has just returned. */
void ks_codec_write(const struct ProtobufCMessage *message, size_t len, uint8_t *place);
