#include "tests/speed/tls.h"

#include <stdio.h>
#include <stdlib.h>

#include "pkg/base/mem.h"

#define FILE_LEN_MAX (1U << 20)

__attribute__((noreturn)) static void give_up(const char *path)
{
    fprintf(stderr, "%s: can't be read, or is longer than %u bytes\n", path, FILE_LEN_MAX);
    exit(EXIT_FAILURE);
}

/* ret_len may be NULL; the text has a NUL behind it. */
static char *read_all(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        give_up(path);
    }
    char *text = ks_alloc(FILE_LEN_MAX + 1, 1);
    size_t len = fread(text, 1, FILE_LEN_MAX + 1, file);
    if (ferror(file) || len > FILE_LEN_MAX) {
        give_up(path);
    }
    (void)fclose(file);
    text[len] = '\0';
    if (ret_len) {
        *ret_len = len;
    }
    return text;
}

grpc_slice tls_read_file(const char *path)
{
    size_t len = 0;
    KS_AUTO_FREE char *text = read_all(path, &len);
    return grpc_slice_from_copied_buffer(text, len);
}

grpc_channel_credentials *tls_client(const struct tls_files *files)
{
    KS_AUTO_FREE char *ca = read_all(files->ca, NULL);
    KS_AUTO_FREE char *cert = read_all(files->cert, NULL);
    KS_AUTO_FREE char *key = read_all(files->key, NULL);
    grpc_ssl_pem_key_cert_pair pair = {.private_key = key, .cert_chain = cert};
    return grpc_ssl_credentials_create(ca, &pair, NULL, NULL);
}

grpc_server_credentials *tls_server(const struct tls_files *files)
{
    KS_AUTO_FREE char *ca = read_all(files->ca, NULL);
    KS_AUTO_FREE char *cert = read_all(files->cert, NULL);
    KS_AUTO_FREE char *key = read_all(files->key, NULL);
    grpc_ssl_pem_key_cert_pair pair = {.private_key = key, .cert_chain = cert};
    return grpc_ssl_server_credentials_create_ex(
        ca, &pair, 1, GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, NULL);
}
