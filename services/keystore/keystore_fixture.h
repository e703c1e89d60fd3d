/*
 * keystore_fixture: the whole process in one piece: real listener and certificates, the embedded store,
 * a fake hsm, a control of the test's own.
 *
 * Threads: the test's; what callbacks have seen is guarded by the lock.
 */
#pragma once

#include <pthread.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/codec/codec.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "pkg/signedset/signedset_fixture.h"
#include "services/keystore/keystore.h"
#include "services/keystore/records/message.h"
#include "tests/fakes/hsm.h"
#include "tests/harness/gauge.h"

#define REGION    "ap-seoul-1"
#define ZONE      "ap-seoul-1a"
#define SERVICE   "/keystead.internal.v1.KeystoreService/"
#define PATH_LEN  256U
#define ARENA_MAX (1024U * 1024U)

struct keystore_world {
    char certs[PATH_LEN];
    char *folder;
    char socket_path[64];
    char address[64];
    char control_address[64];
    struct ks_fake_hsm *hsm;
    struct ks_keystore_settings settings;
    struct ks_keystore *keystore;
    struct ks_rpc_loop *loop;
    struct ks_rpc_server *control;
    struct fixture_signer *signer; /* control's */
    struct fixture_set plane;      /* what control has signed last */
    uint64_t head_number;
    pthread_mutex_t lock; /* guards the rest */
    unsigned result_count;
    unsigned message_count;
    ks_code codes[64];
    char seen_key[128];
    int64_t seen_revision;
    unsigned seen_count;
    unsigned closed_count;
    ks_code closed_code;
    struct ks_rpc_stream *follower; /* the stream on which the keystore follows control */
    char asked_epoch[64];           /* what it has asked for last, and how often it has asked */
    char asked_history[64];
    unsigned asked_count;
};

extern struct keystore_world world;

/* Of a group and of a test. */
int world_group_set_up(void **state);
int world_group_tear_down(void **state);
int world_set_up(void **state);
int world_tear_down(void **state);

/* Start and stop the keystore, on the same folder. */
void world_start(void);
void world_stop(void);
void world_start_control(const char *at);

/* Returns the path of a certificate's file; the caller's to free. */
char *world_file_of(const char *name, const char *end);
/* Returns the files of a certificate; static memory, which the tenth call after this reuses. */
struct ks_rpc_tls world_tls_of(const char *name);
struct ks_rpc_channel *world_channel_of(const char *certificate);

/* Opens a stream; a ref. */
struct ks_rpc_stream *world_open_stream(struct ks_rpc_channel *channel, const char *method,
                                        const struct ks_rpc_stream_callbacks *callbacks);
/* An on_close that counts. */
void world_stream_closed(void *user, struct ks_rpc_stream *stream,
                         const struct ks_rpc_error *error);
/* Reads a count under the lock. */
unsigned world_count(const unsigned *counter);

/* As control: a whole transfer with one record, under the head of a set; NULL: of what is not so. */
void world_send_identities(struct ks_rpc_stream *stream, const char *key, int64_t revision,
                           bool snapshot, const struct fixture_set *set);
/* Returns the stream on which the keystore follows; a ref, or NULL. */
struct ks_rpc_stream *world_stream_of_keystore(void);
