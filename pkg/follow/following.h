/*
 * following: one stream of WatchIdentities as its follower sees it, without the network. It says
 * what to ask for, what a message means, and how long to wait before the stream is opened again.
 *
 *                 ┌────────── the last message of a transfer ─────────┐
 *                 ▼                                                   │
 *     opened ── BETWEEN ── the first message of a transfer ──► TRANSFER ◄┐
 *                                                                 └──────┘ another message of it, or
 *                                                                          the first of a new one
 *
 * What a transfer brings, and whether its head is control's, is the owner's to judge: this only sees
 * to it that messages make sense one after the other.
 *
 * Threads: pure over the arguments; one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/follow/position.h"

#define KS_FOLLOWING_REOPEN_FIRST_MS 50
#define KS_FOLLOWING_REOPEN_MAX_MS   2000
#define KS_FOLLOWING_REQUEST_MAX     256U                 /* bytes of a request */
#define KS_FOLLOWING_MESSAGE_MAX     (2U * 1024U * 1024U) /* bytes of a message */

enum ks_following_state {
    KS_FOLLOWING_CLOSED, /* no stream */
    KS_FOLLOWING_BETWEEN,
    KS_FOLLOWING_TRANSFER,
};

/* {0} is a stream that was never opened. */
struct ks_following {
    enum ks_following_state state;
    bool snapshot;     /* of the transfer under way */
    int64_t reopen_ms; /* that the next wait takes; 0: the first one */
};

struct ks_follow_record {
    ks_bytes key;
    ks_bytes value;   /* {NULL, 0}: the record was deleted */
    int64_t revision; /* of its last change: above 0 */
};

/* What one message says. */
struct ks_follow_part {
    bool begin;    /* a transfer begins: what had come of another one is void */
    bool snapshot; /* the transfer's records replace all others; else they are changes */
    bool whole;    /* the last part of a transfer */
    ks_bytes head; /* with the last part: its head, as it was signed */
    const struct ks_follow_record *records;
    size_t record_count;
};

/*
 * Notes that a stream is being opened by a copy whose position is had, and appends the
 * WatchIdentitiesRequest to request, which needs room for KS_FOLLOWING_REQUEST_MAX bytes.
 */
void ks_following_open(struct ks_following *following, const struct ks_follow_position *had,
                       struct ks_buffer *request);

/*
 * Reads a message, a WatchIdentitiesResponse.
 *
 * arena     gets the records; the keys and values in it, and the head, last as long as the arena.
 * ret_part  what the message says. Written on success only.
 *
 * Fails: VALIDATION (it is malformed or makes no sense after what has come before),
 * LIMIT_EXCEEDED (the arena is full). Close the stream then: following reads nothing more.
 */
KS_MUST_USE ks_result ks_following_read(struct ks_following *following, ks_bytes message,
                                        struct ks_arena *arena, struct ks_follow_part *ret_part);

/* Notes that a transfer was applied, so that the next wait is as short as the first. */
void ks_following_applied(struct ks_following *following);

/*
 * Notes that the stream has ended; the parts of a transfer that isn't whole are void. Returns how
 * many milliseconds to wait before the next stream is opened: twice as long each time, up to
 * KS_FOLLOWING_REOPEN_MAX_MS.
 */
int64_t ks_following_close(struct ks_following *following);
