#include "pkg/rpc/identity.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/string_util.h>

#include "pkg/base/bytes.h"
#include "pkg/base/mem.h"

enum { CA, CERT, KEY, FILE_COUNT };

/* Enough to tell two states of a file apart when it is replaced by rename. All 0: never read. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct ks_rpc_identity {
    char *names[FILE_COUNT];
    struct stamp stamps[FILE_COUNT];
};

/* The contents, NUL-terminated; the key among them, so they are wiped. */
struct pems {
    struct ks_buffer files[FILE_COUNT];
};

static void pems_done(struct pems *pems)
{
    for (size_t i = 0; i < FILE_COUNT; i++) {
        ks_buffer_done(&pems->files[i]);
    }
}

#define PEMS_AUTO KS_CLEANUP(pems_done) struct pems

static const char *pem(const struct pems *pems, int file)
{
    return (const char *)pems->files[file].ptr;
}

struct ks_rpc_identity *ks_rpc_identity_new(const struct ks_rpc_tls *tls)
{
    assert(tls->ca_file && tls->cert_file && tls->key_file);

    struct ks_rpc_identity *identity = ks_alloc(1, sizeof(*identity));
    identity->names[CA] = ks_strdup(tls->ca_file);
    identity->names[CERT] = ks_strdup(tls->cert_file);
    identity->names[KEY] = ks_strdup(tls->key_file);
    return identity;
}

void ks_rpc_identity_free(struct ks_rpc_identity *identity)
{
    if (!identity) {
        return;
    }
    for (size_t i = 0; i < FILE_COUNT; i++) {
        ks_free(identity->names[i]);
    }
    ks_free(identity);
}

static struct stamp stamp_of(const struct stat *about)
{
    return (struct stamp){about->st_dev, about->st_ino, about->st_size, about->st_mtim};
}

static bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

bool ks_rpc_identity_changed(const struct ks_rpc_identity *identity)
{
    for (size_t i = 0; i < FILE_COUNT; i++) {
        struct stat about;
        if (stat(identity->names[i], &about) != 0) {
            continue; /* Being replaced, or gone: what we have stays. */
        }
        struct stamp now = stamp_of(&about);
        if (!stamp_equal(&now, &identity->stamps[i])) {
            return true;
        }
    }
    return false;
}

static void close_at(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

/* Reads from one open file, so that stamp and contents belong together. */
static ks_result read_file(const char *name, struct ks_buffer *to, struct stamp *ret_stamp)
{
    KS_CLEANUP(close_at) int fd = open(name, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (fd < 0 || fstat(fd, &about) != 0 || about.st_size <= 0 || about.st_size > KS_RPC_PEM_MAX) {
        return KS_RES(VALIDATION);
    }
    size_t size = (size_t)about.st_size;
    uint8_t *place;
    to->len_max = KS_RPC_PEM_MAX + 1;
    KS_TRY(ks_buffer_extend(to, size + 1, &place));
    if (read(fd, place, size) != (ssize_t)size) {
        return KS_RES(VALIDATION);
    }
    place[size] = '\0';
    *ret_stamp = stamp_of(&about);
    return KS_RES(OK);
}

/* All three or none: the stamps move only when every file was read. */
static ks_result read_all(struct ks_rpc_identity *identity, struct pems *pems)
{
    struct stamp stamps[FILE_COUNT];
    for (size_t i = 0; i < FILE_COUNT; i++) {
        KS_TRY(read_file(identity->names[i], &pems->files[i], &stamps[i]));
    }
    memcpy(identity->stamps, stamps, sizeof(stamps));
    return KS_RES(OK);
}

/*
 * Called by the library for each handshake. If it cannot use what we give (a key that does not
 * fit), it keeps what it had.
 */
static grpc_ssl_certificate_config_reload_status fetch(void *user,
                                                       grpc_ssl_server_certificate_config **config)
{
    struct ks_rpc_identity *identity = user;
    if (!ks_rpc_identity_changed(identity)) {
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    PEMS_AUTO pems = {0};
    if (ks_failed(read_all(identity, &pems))) {
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    grpc_ssl_pem_key_cert_pair pair = {pem(&pems, KEY), pem(&pems, CERT)};
    *config = grpc_ssl_server_certificate_config_create(pem(&pems, CA), &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

ks_result ks_rpc_identity_serve(struct ks_rpc_identity *identity,
                                grpc_server_credentials **ret_credentials)
{
    /* Read once to tell the caller what is missing; the first fetch reads them again. */
    PEMS_AUTO pems = {0};
    KS_TRY(read_all(identity, &pems));
    memset(identity->stamps, 0, sizeof(identity->stamps));

    *ret_credentials = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, fetch, identity));
    return KS_RES(OK);
}

/* Checks the server in the handshake; freed by the library with the credentials. */
struct verifier {
    grpc_tls_certificate_verifier_external hooks;
    char *server_spiffe;
};

static bool is_expected(ks_bytes uri, ks_bytes expected)
{
    bool is_prefix = expected.len > 0 && expected.ptr[expected.len - 1] == '/';
    if (is_prefix) {
        return uri.len > expected.len && ks_bytes_starts_with(uri, expected);
    }
    return ks_bytes_equal(uri, expected);
}

/* SPIFFE X.509-SVID, section 2: a certificate has exactly one URI. */
static int verify(void *user, grpc_tls_custom_verification_check_request *request,
                  grpc_tls_on_custom_verification_check_done_cb callback, void *callback_arg,
                  grpc_status_code *sync_status, char **sync_error_details)
{
    (void)callback;
    (void)callback_arg;
    const struct verifier *verifier = user;
    if (request->peer_info.san_names.uri_names_size == 1 &&
        is_expected(ks_bytes_of(request->peer_info.san_names.uri_names[0]),
                    ks_bytes_of(verifier->server_spiffe))) {
        *sync_status = GRPC_STATUS_OK;
        return 1;
    }
    *sync_status = GRPC_STATUS_UNAUTHENTICATED;
    *sync_error_details = gpr_strdup("the server's SPIFFE URI is not the expected one");
    return 1;
}

static void verify_cancel(void *user, grpc_tls_custom_verification_check_request *request)
{
    (void)user;
    (void)request; /* verify answers at once: nothing is ever under way */
}

static void verifier_free(void *user)
{
    struct verifier *verifier = user;
    ks_free(verifier->server_spiffe);
    ks_free(verifier);
}

static grpc_tls_certificate_verifier *verifier_new(const char *server_spiffe)
{
    struct verifier *verifier = ks_alloc(1, sizeof(*verifier));
    verifier->server_spiffe = ks_strdup(server_spiffe);
    verifier->hooks = (grpc_tls_certificate_verifier_external){
        .user_data = verifier,
        .verify = verify,
        .cancel = verify_cancel,
        .destruct = verifier_free,
    };
    return grpc_tls_certificate_verifier_external_create(&verifier->hooks);
}

static grpc_tls_certificate_provider *provider_new(const struct pems *pems)
{
    grpc_tls_identity_pairs *pairs = grpc_tls_identity_pairs_create();
    grpc_tls_identity_pairs_add_pair(pairs, pem(pems, KEY), pem(pems, CERT));
    return grpc_tls_certificate_provider_static_data_create(pem(pems, CA), pairs);
}

ks_result ks_rpc_identity_connect(struct ks_rpc_identity *identity, const char *server_spiffe,
                                  grpc_channel_credentials **ret_credentials)
{
    assert(server_spiffe && server_spiffe[0]);

    PEMS_AUTO pems = {0};
    KS_TRY(read_all(identity, &pems));

    grpc_tls_credentials_options *options = grpc_tls_credentials_options_create();
    grpc_tls_certificate_provider *provider = provider_new(&pems);
    grpc_tls_credentials_options_set_certificate_provider(options, provider);
    grpc_tls_credentials_options_watch_root_certs(options);
    grpc_tls_credentials_options_watch_identity_key_cert_pairs(options);
    grpc_tls_certificate_provider_release(provider);

    grpc_tls_certificate_verifier *verifier = verifier_new(server_spiffe);
    grpc_tls_credentials_options_set_certificate_verifier(options, verifier);
    grpc_tls_certificate_verifier_release(verifier);
    /* The name we dial is no identity; the URI is, and verify has checked it. */
    grpc_tls_credentials_options_set_check_call_host(options, 0);

    *ret_credentials = grpc_tls_credentials_create(options); /* takes options */
    return KS_RES(OK);
}
