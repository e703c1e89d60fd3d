#include "pkg/rpc/peer.h"

#include <assert.h>
#include <stdatomic.h>

#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>

#include "pkg/base/bytes.h"
#include "pkg/base/clock.h"
#include "pkg/base/mem.h"

#define POINTER_ALIGNMENT_BITS 4U

struct ks_rpc_known_peer {
    struct ks_rpc_peer about; /* its strings are ours */
    atomic_uint refs;
    grpc_auth_context *context; /* the connection's; NULL: plaintext, never remembered */
    ks_result admitted;
    const struct ks_rpc_server_options *options;
};

const struct ks_rpc_peer *ks_rpc_known_peer(const struct ks_rpc_known_peer *peer)
{
    return &peer->about;
}

void ks_rpc_known_peer_unref(struct ks_rpc_known_peer *peer)
{
    if (!peer || atomic_fetch_sub(&peer->refs, 1) != 1) {
        return;
    }
    if (peer->about.session && peer->options->forget) {
        peer->options->forget(peer->options->admit_user, peer->about.session);
    }
    if (peer->context) {
        grpc_auth_context_release(peer->context);
    }
    ks_free((char *)(uintptr_t)peer->about.spiffe);
    ks_free((char *)(uintptr_t)peer->about.certificate_pem);
    ks_free((char *)(uintptr_t)peer->about.address);
    ks_free(peer);
}

/* The value of a property that occurs exactly once; "" otherwise. */
static char *property(const grpc_auth_context *context, const char *name)
{
    if (!context) {
        return ks_strdup("");
    }
    grpc_auth_property_iterator found = grpc_auth_context_find_properties_by_name(context, name);
    const grpc_auth_property *first = grpc_auth_property_iterator_next(&found);
    if (!first || grpc_auth_property_iterator_next(&found)) {
        return ks_strdup("");
    }
    return ks_bytes_dup((ks_bytes){(const uint8_t *)first->value, first->value_length});
}

static char *address_of(grpc_call *call)
{
    char *name = grpc_call_get_peer(call);
    char *copy = ks_strdup(name);
    gpr_free(name);
    return copy;
}

bool ks_rpc_peer_has_ended(const struct ks_rpc_peer *peer)
{
    return peer->not_after_s != 0 && ks_clock_wall_ms(&ks_clock_system) / 1000 >= peer->not_after_s;
}

static struct ks_rpc_known_peer *peer_new(const struct ks_rpc_server_options *options,
                                          grpc_call *call, grpc_auth_context *context)
{
    struct ks_rpc_known_peer *peer = ks_alloc(1, sizeof(*peer));
    atomic_init(&peer->refs, 1);
    peer->options = options;
    peer->context = context;
    peer->about = (struct ks_rpc_peer){
        .spiffe = property(context, GRPC_PEER_SPIFFE_ID_PROPERTY_NAME),
        .certificate_pem = property(context, GRPC_X509_PEM_CERT_PROPERTY_NAME),
        .address = address_of(call),
    };
    if (options->not_after_s && peer->about.certificate_pem[0]) {
        int64_t not_after_s = options->not_after_s(peer->about.certificate_pem);
        peer->about.not_after_s = not_after_s > 0 ? not_after_s : 1; /* unread: it has ended */
    }
    if (!context || !grpc_auth_context_peer_is_authenticated(context)) {
        peer->admitted = KS_RES(UNAUTHENTICATED);
    } else if (options->admit) {
        peer->admitted = options->admit(options->admit_user, &peer->about, &peer->about.session);
    }
    return peer;
}

static size_t place_of(const grpc_auth_context *context)
{
    uintptr_t address = (uintptr_t)context >> POINTER_ALIGNMENT_BITS;
    return (address ^ (address >> 9)) % KS_RPC_PEERS_MAX;
}

ks_result ks_rpc_peers_find(struct ks_rpc_peers *peers, grpc_call *call,
                            struct ks_rpc_known_peer **ret_peer)
{
    grpc_auth_context *context = grpc_call_auth_context(call);
    if (!context) {
        *ret_peer = peer_new(peers->options, call, NULL);
        return (*ret_peer)->admitted;
    }
    struct ks_rpc_known_peer **place = &peers->entries[place_of(context)];
    if (*place && (*place)->context == context) {
        grpc_auth_context_release(context);
    } else {
        ks_rpc_known_peer_unref(*place);
        *place = peer_new(peers->options, call, context);
    }
    atomic_fetch_add(&(*place)->refs, 1);
    *ret_peer = *place;
    return ks_rpc_peer_has_ended(&(*place)->about) ? KS_RES(UNAUTHENTICATED) : (*place)->admitted;
}

void ks_rpc_peers_done(struct ks_rpc_peers *peers)
{
    for (size_t i = 0; i < KS_RPC_PEERS_MAX; i++) {
        ks_rpc_known_peer_unref(peers->entries[i]);
        peers->entries[i] = NULL;
    }
}
