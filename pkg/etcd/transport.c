#include "pkg/etcd/transport.h"

#include <assert.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/etcd/files.h"

/* Idle handles kept for the next transfers: making one costs more than a call's own work. */
#define SPARE_MAX 32U

/* Connections are replaced after this long, so that a renewed certificate is used in the end. */
#define CONNECTION_AGE_MAX_S 3600

#define WAIT_MAX_MS 60000

#define HTTP_OK        200
#define TIMEOUT_MS_MAX 86400000

struct ks_etcd_transfer {
    struct ks_etcd_transport *transport;
    struct ks_etcd_post post;
    CURL *easy;
    size_t index; /* its place in the transport's list */
    bool is_added;
    bool is_stopped;
    bool is_sent;       /* or perhaps: curl began to send */
    bool is_other_http; /* the server speaks another HTTP than 2 */
    struct ks_etcd_trailer trailer;
    char timeout[48];          /* a header line: "grpc-timeout: 250m" */
    struct curl_slist headers; /* that line, and the transport's after it */
    char words[CURL_ERROR_SIZE];
};

struct ks_etcd_transport {
    CURLM *multi;
    struct curl_slist *headers;
    struct ks_etcd_files files;
    struct ks_etcd_transfer *transfers[KS_ETCD_TRANSFERS_MAX];
    size_t transfer_count;
    size_t waiting_count; /* started, and not yet handed to curl */
    size_t stopped_count; /* stopped within a callback, where curl allows no removal */
    CURL *spares[SPARE_MAX];
    size_t spare_count;
    bool is_in_curl;
};

static void init_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/*
 * Called by curl when a connection is ready and the request is about to be sent. A second time
 * means that curl wants to repeat it, because an old connection broke before a byte came back;
 * etcd may have applied it by then, so only what reads may be repeated.
 */
static int before_sending(void *user, char *remote_ip, char *local_ip, int remote_port,
                          int local_port)
{
    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    struct ks_etcd_transfer *transfer = user;
    if (transfer->is_sent && !transfer->post.is_repeatable) {
        return CURL_PREREQFUNC_ABORT;
    }
    transfer->is_sent = true;
    return CURL_PREREQFUNC_OK;
}

static size_t on_written(char *bytes, size_t size, size_t count, void *user)
{
    struct ks_etcd_transfer *transfer = user;
    size_t len = size * count;
    if (transfer->is_stopped) {
        return 0;
    }
    long http_status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &http_status);
    ks_bytes all = {(const uint8_t *)bytes, len};
    bool goes_on = http_status != HTTP_OK || transfer->post.on_bytes(transfer->post.user, all);
    return goes_on ? len : 0;
}

/*
 * Called by curl for each line of the headers and trailers. A server that did not agree to HTTP/2
 * in the TLS handshake shows by its first line. curl can't tell it before the request is sent, so
 * that the change may be done for all we know.
 */
static size_t on_header(char *bytes, size_t size, size_t count, void *user)
{
    struct ks_etcd_transfer *transfer = user;
    ks_bytes line = {(const uint8_t *)bytes, size * count};
    if (ks_bytes_starts_with(line, KS_LITERAL("HTTP/"))) {
        transfer->is_other_http = !ks_bytes_starts_with(line, KS_LITERAL("HTTP/2 "));
    }
    if (transfer->is_other_http) {
        return 0;
    }
    ks_etcd_trailer_line(&transfer->trailer, line);
    if (transfer->trailer.has_status) {
        /* It is the last that comes: the connection is free and well. */
        (void)curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, 0L);
    }
    return line.len;
}

/* What every handle of a transport has in common. False: curl cannot do what we rest on. */
static bool set_common(struct ks_etcd_transport *transport, CURL *easy)
{
    const struct ks_etcd_files *files = &transport->files;
    return curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAINFO, files->paths[0]) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLCERT, files->paths[1]) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLKEY, files->paths[2]) == CURLE_OK &&
           /* A resumed session would go on with the certificate of the first one. */
           curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_written) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_sending) == CURLE_OK;
}

static CURL *new_easy(struct ks_etcd_transport *transport)
{
    CURL *easy = curl_easy_init();
    if (easy && !set_common(transport, easy)) {
        curl_easy_cleanup(easy);
        return NULL;
    }
    return easy;
}

static CURL *take_easy(struct ks_etcd_transport *transport)
{
    CURL *easy = transport->spare_count > 0 ? transport->spares[--transport->spare_count]
                                            : new_easy(transport);
    assert(easy); /* ks_etcd_transport_new has seen that curl can make one */
    return easy;
}

static void give_back_easy(struct ks_etcd_transport *transport, CURL *easy)
{
    if (transport->spare_count < SPARE_MAX) {
        transport->spares[transport->spare_count++] = easy;
    } else {
        curl_easy_cleanup(easy);
    }
}

/* The headers of every call; NULL if there is no memory. */
static struct curl_slist *new_headers(void)
{
    static const char *const lines[] = {
        "content-type: application/grpc",
        "te: trailers",
        "Accept:", /* not sent, nor is the next: curl would wait for leave to send a large body */
        "Expect:",
    };
    struct curl_slist *headers = NULL;
    for (size_t i = 0; i < KS_COUNT(lines); i++) {
        struct curl_slist *longer = curl_slist_append(headers, lines[i]);
        if (!longer) {
            curl_slist_free_all(headers);
            return NULL;
        }
        headers = longer;
    }
    return headers;
}

ks_result ks_etcd_transport_new(const struct ks_etcd_options *options,
                                struct ks_etcd_transport **ret_transport)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);

    struct ks_etcd_transport *transport = ks_alloc(1, sizeof(*transport));
    const char *paths[KS_ETCD_FILES_COUNT] = {options->ca_file, options->cert_file,
                                              options->key_file};
    ks_etcd_files_init(&transport->files, paths, options->clock);
    transport->multi = curl_multi_init();
    transport->headers = new_headers();
    CURL *easy = transport->multi && transport->headers ? new_easy(transport) : NULL;
    if (!easy || curl_multi_setopt(transport->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) !=
                     CURLM_OK) {
        curl_easy_cleanup(easy);
        ks_etcd_transport_free(transport);
        return KS_RES(INTERNAL);
    }
    give_back_easy(transport, easy);
    *ret_transport = transport;
    return KS_RES(OK);
}

void ks_etcd_transport_free(struct ks_etcd_transport *transport)
{
    if (!transport) {
        return;
    }
    assert(transport->transfer_count == 0);
    for (size_t i = 0; i < transport->spare_count; i++) {
        curl_easy_cleanup(transport->spares[i]);
    }
    curl_multi_cleanup(transport->multi);
    curl_slist_free_all(transport->headers);
    ks_etcd_files_done(&transport->files);
    ks_free(transport);
}

/* The headers of one call; they last as long as the transfer. */
static struct curl_slist *headers_of(struct ks_etcd_transfer *transfer)
{
    struct curl_slist *common = transfer->transport->headers;
    int64_t total_ms = transfer->post.total_ms;
    if (total_ms == 0) {
        return common;
    }
    /* gRPC over HTTP/2: a time-out has at most eight digits; a longer one than a day is none. */
    int64_t timeout_ms = total_ms < TIMEOUT_MS_MAX ? total_ms : TIMEOUT_MS_MAX;
    snprintf(transfer->timeout, sizeof(transfer->timeout), "grpc-timeout: %" PRId64 "m",
             timeout_ms);
    transfer->headers = (struct curl_slist){.data = transfer->timeout, .next = common};
    return &transfer->headers;
}

/* What differs from transfer to transfer. */
static void set_post(struct ks_etcd_transfer *transfer, const struct ks_etcd_post *post)
{
    CURL *easy = transfer->easy;
    int64_t age_s = ks_etcd_files_age_s(&transfer->transport->files);
    long age_max_s = age_s < CONNECTION_AGE_MAX_S ? (long)age_s : CONNECTION_AGE_MAX_S;
    curl_easy_setopt(easy, CURLOPT_URL, post->url);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)post->body.ptr);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)post->connect_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)post->total_ms);
    /* Connections older than the newest change of a file carry an old certificate. */
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, age_max_s);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_of(transfer));
    /* Until the end of the answer has come (on_header). */
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->words);
}

struct ks_etcd_transfer *ks_etcd_transport_post(struct ks_etcd_transport *transport,
                                                const struct ks_etcd_post *post)
{
    assert(post->url && post->on_bytes && post->on_end);
    assert(post->body.len > 0);

    if (transport->transfer_count == KS_ETCD_TRANSFERS_MAX) {
        return NULL;
    }
    struct ks_etcd_transfer *transfer = ks_alloc(1, sizeof(*transfer));
    transfer->transport = transport;
    transfer->post = *post;
    transfer->easy = take_easy(transport);
    transfer->index = transport->transfer_count;
    set_post(transfer, post);
    transfer->post.url = NULL; /* curl has copied it */
    transport->transfers[transport->transfer_count++] = transfer;
    transport->waiting_count++;
    return transfer;
}

/* Takes it out of the list and of curl, and frees it. Not within curl. */
static void discard(struct ks_etcd_transfer *transfer)
{
    struct ks_etcd_transport *transport = transfer->transport;
    assert(!transport->is_in_curl);
    assert(transport->transfers[transfer->index] == transfer);

    struct ks_etcd_transfer *last = transport->transfers[--transport->transfer_count];
    transport->transfers[transfer->index] = last;
    last->index = transfer->index;
    if (transfer->is_added) {
        curl_multi_remove_handle(transport->multi, transfer->easy);
    } else {
        transport->waiting_count--;
    }
    transport->stopped_count -= transfer->is_stopped ? 1 : 0;
    curl_easy_setopt(transfer->easy, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, NULL);
    give_back_easy(transport, transfer->easy);
    ks_free(transfer);
}

void ks_etcd_transfer_stop(struct ks_etcd_transfer *transfer)
{
    assert(!transfer->is_stopped);

    if (transfer->transport->is_in_curl) {
        transfer->is_stopped = true;
        transfer->transport->stopped_count++;
    } else {
        discard(transfer);
    }
}

static void discard_stopped(struct ks_etcd_transport *transport)
{
    for (size_t i = transport->transfer_count; i > 0 && transport->stopped_count > 0; i--) {
        if (transport->transfers[i - 1]->is_stopped) {
            discard(transport->transfers[i - 1]);
        }
    }
}

static void add_waiting(struct ks_etcd_transport *transport)
{
    for (size_t i = 0; i < transport->transfer_count && transport->waiting_count > 0; i++) {
        struct ks_etcd_transfer *transfer = transport->transfers[i];
        if (!transfer->is_added) {
            CURLMcode added = curl_multi_add_handle(transport->multi, transfer->easy);
            assert(added == CURLM_OK);
            transfer->is_added = true;
            transport->waiting_count--;
        }
    }
}

/*
 * Errors of curl that say that one side's certificate is not accepted.
 *
 * We look at the server's before we send anything. If something was sent all the same, that was on
 * an earlier connection, and who answers on this one says nothing of it.
 *
 * With TLS 1.3 the server looks at ours after we have begun to send: then its alert comes instead
 * of the answer, and the server's HTTP layer has never seen the request.
 */
static bool is_refusal(const struct ks_etcd_transfer *transfer, CURLcode code)
{
    const char *words = transfer->words;
    bool is_ours = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM ||
                   code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_ISSUER_ERROR;
    bool is_alert = strstr(words, "alert") != NULL &&
                    (strstr(words, "certificate") != NULL || strstr(words, "unknown ca") != NULL);
    return (is_ours && !transfer->is_sent) || is_alert;
}

static enum ks_etcd_fate fate_of(const struct ks_etcd_transfer *transfer, CURLcode code)
{
    if (code == CURLE_OK) {
        return KS_ETCD_FATE_ANSWERED;
    }
    if (is_refusal(transfer, code)) {
        return KS_ETCD_FATE_REFUSED;
    }
    return transfer->is_sent ? KS_ETCD_FATE_BROKEN : KS_ETCD_FATE_UNSENT;
}

/* For logs: what curl says, or what we know better. */
static const char *detail_of(const struct ks_etcd_transfer *transfer, CURLcode code)
{
    curl_off_t shaken_hands_us = 0;
    if (transfer->is_other_http) {
        return "the member does not speak HTTP/2";
    }
    curl_easy_getinfo(transfer->easy, CURLINFO_APPCONNECT_TIME_T, &shaken_hands_us);
    if (fate_of(transfer, code) == KS_ETCD_FATE_UNSENT && shaken_hands_us > 0) {
        /* A server of TLS 1.3 looks at our certificate when we believe that we are connected. */
        return "closed right after the TLS handshake: perhaps our certificate is not accepted";
    }
    return transfer->words[0] != '\0' ? transfer->words : curl_easy_strerror(code);
}

static void end_transfer(struct ks_etcd_transfer *transfer, CURLcode code)
{
    struct ks_etcd_post post = transfer->post;
    bool is_stopped = transfer->is_stopped;
    char words[CURL_ERROR_SIZE];
    struct ks_etcd_trailer trailer = transfer->trailer;
    snprintf(words, sizeof(words), "%s", detail_of(transfer, code));
    struct ks_etcd_transfer_end end = {
        .fate = fate_of(transfer, code),
        .trailer = &trailer,
        .detail = words,
    };
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &end.http_status);
    discard(transfer);
    if (!is_stopped) {
        post.on_end(post.user, &end);
    }
}

static void end_all_done(struct ks_etcd_transport *transport)
{
    for (size_t i = 0; i < KS_ETCD_TRANSFERS_MAX; i++) {
        int left;
        CURLMsg *message = curl_multi_info_read(transport->multi, &left);
        if (!message) {
            return;
        }
        char *user = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
        assert(message->msg == CURLMSG_DONE && user);
        end_transfer((struct ks_etcd_transfer *)(void *)user, code);
    }
}

static void perform(struct ks_etcd_transport *transport)
{
    int running;
    add_waiting(transport);
    transport->is_in_curl = true;
    CURLMcode performed = curl_multi_perform(transport->multi, &running);
    transport->is_in_curl = false;
    assert(performed == CURLM_OK);
    discard_stopped(transport);
    end_all_done(transport);
}

void ks_etcd_transport_run(struct ks_etcd_transport *transport, int64_t timeout_ms)
{
    assert(!transport->is_in_curl);

    int wait_ms = timeout_ms < 0 ? 0 : timeout_ms > WAIT_MAX_MS ? WAIT_MAX_MS : (int)timeout_ms;
    add_waiting(transport);
    CURLMcode polled = curl_multi_poll(transport->multi, NULL, 0, wait_ms, NULL);
    assert(polled == CURLM_OK);
    perform(transport);
    /* What callbacks have started goes out before anybody waits again. */
    if (transport->waiting_count > 0) {
        perform(transport);
    }
}

void ks_etcd_transport_wake(struct ks_etcd_transport *transport)
{
    (void)curl_multi_wakeup(transport->multi);
}
