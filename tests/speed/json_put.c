#include "tests/speed/json_put.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/json/base64.h"

#define CALL_MS  5000L /* a queue of 256 on a busy machine takes longer than the usual 250 ms */
#define BODY_MAX (1U << 20)
#define URL_MAX  256U
#define HTTP_OK  200

struct put {
    CURL *easy;
    struct ks_buffer body;
    json_put_done *done;
    void *user;
    bool is_under_way;
};

struct json_puts {
    CURLM *multi;
    struct curl_slist *headers;
    char *ca_file;
    char *cert_file;
    char *key_file;
    char url[URL_MAX];
    struct put puts[JSON_PUTS_MAX];
    size_t under_way_count;
};

_Noreturn static void give_up(const char *what)
{
    fprintf(stderr, "json_put: %s\n", what);
    exit(EXIT_FAILURE);
}

static size_t drop(char *bytes, size_t size, size_t count, void *user)
{
    (void)bytes;
    (void)user;
    return size * count;
}

struct json_puts *json_puts_new(const char *endpoint, const char *ca_file, const char *cert_file,
                                const char *key_file)
{
    struct json_puts *puts = ks_alloc(1, sizeof(*puts));
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        give_up("libcurl can't be used");
    }
    puts->multi = curl_multi_init();
    puts->headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct curl_slist *headers = curl_slist_append(puts->headers, "Expect:");
    int len = snprintf(puts->url, sizeof(puts->url), "%s/v3/kv/txn", endpoint);
    if (!puts->multi || !headers || len < 0 || (size_t)len >= sizeof(puts->url)) {
        give_up("no memory, or the endpoint is too long");
    }
    puts->ca_file = ks_strdup(ca_file);
    puts->cert_file = ks_strdup(cert_file);
    puts->key_file = ks_strdup(key_file);
    return puts;
}

void json_puts_free(struct json_puts *puts)
{
    for (size_t i = 0; i < JSON_PUTS_MAX; i++) {
        struct put *put = &puts->puts[i];
        if (put->is_under_way) {
            curl_multi_remove_handle(puts->multi, put->easy);
        }
        curl_easy_cleanup(put->easy);
        ks_buffer_done(&put->body);
    }
    curl_multi_cleanup(puts->multi);
    curl_slist_free_all(puts->headers);
    ks_free(puts->ca_file);
    ks_free(puts->cert_file);
    ks_free(puts->key_file);
    ks_free(puts);
}

static CURL *new_easy(const struct json_puts *puts)
{
    CURL *easy = curl_easy_init();
    bool is_set =
        easy && curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_URL, puts->url) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_CAINFO, puts->ca_file) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_SSLCERT, puts->cert_file) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_SSLKEY, puts->key_file) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, puts->headers) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, CALL_MS) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop) == CURLE_OK;
    if (!is_set) {
        give_up("libcurl lacks an option");
    }
    return easy;
}

static struct put *take_put(struct json_puts *puts)
{
    for (size_t i = 0; i < JSON_PUTS_MAX; i++) {
        struct put *put = &puts->puts[i];
        if (!put->is_under_way) {
            put->easy = put->easy ? put->easy : new_easy(puts);
            put->body.len_max = BODY_MAX;
            ks_buffer_consume(&put->body, put->body.len);
            return put;
        }
    }
    give_up("too many puts");
}

/* The transaction that pkg/etcd made of one put, so that figures can be compared with older ones. */
static void write_body(struct ks_buffer *body, ks_bytes key, ks_bytes value)
{
    bool is_written =
        !ks_failed(ks_buffer_append(
            body, KS_LITERAL("{\"compare\":[],\"success\":[{\"request_put\":{\"key\":\""))) &&
        !ks_failed(ks_base64_append(body, key)) &&
        !ks_failed(ks_buffer_append(body, KS_LITERAL("\",\"value\":\""))) &&
        !ks_failed(ks_base64_append(body, value)) &&
        !ks_failed(ks_buffer_append(body, KS_LITERAL("\"}}],\"failure\":[]}")));
    if (!is_written) {
        give_up("the value is too long");
    }
}

void json_put(struct json_puts *puts, ks_bytes key, ks_bytes value, json_put_done *done, void *user)
{
    struct put *put = take_put(puts);
    write_body(&put->body, key, value);
    put->done = done;
    put->user = user;
    put->is_under_way = true;
    puts->under_way_count++;
    curl_easy_setopt(put->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)put->body.len);
    curl_easy_setopt(put->easy, CURLOPT_POSTFIELDS, (const char *)put->body.ptr);
    curl_easy_setopt(put->easy, CURLOPT_PRIVATE, put);
    if (curl_multi_add_handle(puts->multi, put->easy) != CURLM_OK) {
        give_up("libcurl does not take a put");
    }
}

static void end_put(struct json_puts *puts, CURL *easy, CURLcode result)
{
    char *user = NULL;
    long http_status = 0;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &user);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http_status);
    struct put *put = (struct put *)(void *)user;
    curl_multi_remove_handle(puts->multi, easy);
    put->is_under_way = false;
    puts->under_way_count--;
    unsigned refused = http_status == HTTP_OK ? 0 : JSON_PUT_REFUSED;
    put->done(put->user, result == CURLE_OK ? refused : JSON_PUT_BROKEN);
}

void json_puts_run(struct json_puts *puts, int64_t timeout_ms)
{
    int running;
    int left;
    CURLMsg *message;
    if (curl_multi_poll(puts->multi, NULL, 0, (int)timeout_ms, NULL) != CURLM_OK ||
        curl_multi_perform(puts->multi, &running) != CURLM_OK) {
        give_up("libcurl failed");
    }
    for (size_t i = 0; i < JSON_PUTS_MAX; i++) {
        message = curl_multi_info_read(puts->multi, &left);
        if (!message) {
            break;
        }
        end_put(puts, message->easy_handle, message->data.result);
    }
    (void)curl_multi_perform(puts->multi, &running); /* what callbacks have started goes out */
}

size_t json_puts_pending(const struct json_puts *puts)
{
    return puts->under_way_count;
}
