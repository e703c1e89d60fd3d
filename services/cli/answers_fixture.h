/*
 * answers_fixture: what the fake service answers, and the state that it answers from. Shared by the
 * fixtures only.
 *
 * Threads: handlers run on the fixture's loop; the test reads what it set.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/transit/roster.h"

#define FAKE_METHODS_MAX 128U
#define FAKE_ROWS        14U

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;
struct ks_ec_key;
struct ks_rpc_call;
struct ks_rpc_loop;
struct ks_rpc_server;

/* Calls of one method. */
struct counted {
    const char *method;
    unsigned calls;
    bool differed;
    struct ks_buffer first; /* the first call's request */
};

/* The service. */
struct fake {
    struct ks_rpc_loop *loop;
    struct ks_rpc_server *frontend;
    struct ks_rpc_server *control;
    struct ks_rpc_server *keystore;
    struct ks_ec_key *process_root;
    struct ks_ec_key *hsm_root;
    struct ks_buffer process_ca;
    struct ks_buffer hsm_ca;
    char endpoint[32];

    pthread_mutex_t lock; /* guards what follows */
    struct counted counted[FAKE_METHODS_MAX];
    const char *failing;
    ks_code fail_code;
    unsigned fail_count;
    bool window_open;
    struct ks_roster roster;
    ks_bytes backup;
    ks_code backup_code;
};
extern struct fake fake;

/* A call that is being answered. */
struct fake_answer {
    struct ks_rpc_call *call;
    struct ks_arena arena;
    struct ProtobufCMessage *request;
};

/* How a method is answered. */
struct fake_row {
    const char *path;
    const struct ProtobufCMessageDescriptor *request;
    void (*handle)(struct fake_answer *answer);
};
extern const struct fake_row fake_rows[FAKE_ROWS];

/* Answers a failure; region goes into the error's metadata unless it is NULL. */
void fake_refuse(const struct fake_answer *answer, ks_code code, const char *region);
