/*
 * control_fixture: keystead-control in the test's process: its real listeners over TLS, the embedded
 * store in a folder of its own, and a wall clock that the test steps.
 *
 * Threads: the test's.
 */
#pragma once

#include <stdatomic.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/clock.h"
#include "pkg/crypto/ec.h"
#include "pkg/rpc/rpc_fixture.h"
#include "pkg/store/store_fixture.h"
#include "services/control/control.h"
#include "services/control/settings.h"

#define CONTROL_OPERATOR       "spiffe://keystead/operator/alice"
#define CONTROL_ROOT_LIFE_DAYS 730 /* of the client root, from when the test began */

struct control_fixture {
    char *folder;
    _Atomic int64_t wall_ms; /* the boot clock goes along with its steps */
    int64_t began_ms;        /* its first value */
    struct ks_clock clock;
    struct ks_control_settings settings;
    struct ks_control *control;              /* NULL: not running */
    struct ks_rpc_channel *operator_channel; /* of CONTROL_OPERATOR */
    struct ks_arena arena;                   /* of the responses, until the end */
    struct ks_rpc_error error; /* of the last call; its code is KS_OK after a success */
};

extern struct control_fixture control_fixture;

/* Group setup and teardown: the library, certificates, and a control that runs. */
int control_setup(void **state);
int control_teardown(void **state);

/* Only what control needs, for a group that starts it by itself. */
int control_prepare(void **state);
void control_start(struct control_fixture *fixture);
void control_stop(struct control_fixture *fixture);

/* A root, valid from a day ago; fixture_tls and fixture_path know it by its name. */
void control_make_root(const char *name);

/* A certificate of a root, for whoever holds spiffe. Files as of fixture_tls. */
struct ks_rpc_tls control_identity(const char *root, const char *name, const char *spiffe);

/*
 * One call of admin.v1, by its name: "CreateUser". Answers the response's message, which lasts as
 * long as the fixture, or NULL with fixture->error set.
 */
const void *control_ask(struct control_fixture *fixture, const char *method,
                        const ProtobufCMessage *request);
const void *control_ask_on(struct control_fixture *fixture, struct ks_rpc_channel *channel,
                           const char *method, const ProtobufCMessage *request);

/* Short forms; each answers fixture->error.code. */
ks_code control_create_account(struct control_fixture *fixture, const char *account);
ks_code control_create_user(struct control_fixture *fixture, const char *account, const char *name);
ks_code control_delete_user(struct control_fixture *fixture, const char *account, const char *name);

/* A request for a new P-256 key, PEM; lasts as long as the fixture. */
char *control_csr(struct control_fixture *fixture);

/* An issued certificate; must succeed. */
const Keystead__Admin__V1__IssueCertificateResponse *
control_issue(struct control_fixture *fixture, const char *account, const char *name);

/* The last call was refused for this field. */
void control_assert_violated(const struct control_fixture *fixture, const char *field);

/* A request message with its members set: REQUEST(CreateUser, create_user, .user_name = "a") */
#define ADMIN_REQUEST(Type, type, ...)                                                             \
    (&((Keystead__Admin__V1__##Type##Request){                                                     \
           .base = PROTOBUF_C_MESSAGE_INIT(&keystead__admin__v1__##type##_request__descriptor),    \
           __VA_ARGS__})                                                                           \
          .base)

/* Stops control, gives its store to look, and starts control again. */
void control_look(struct control_fixture *fixture,
                  void (*look)(struct control_fixture *fixture, struct ks_store *store));
