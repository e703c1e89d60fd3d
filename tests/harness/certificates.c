#include "tests/harness/certificates.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define PATH_LEN_MAX 1024U
#define SERIAL_BYTES (CERTIFICATE_SERIAL_LEN / 2)
#define DAY_S        86400
#define LIFE_S       (30 * DAY_S)

/* A failure here says nothing of what is tested. */
static void need(bool done, const char *what, const char *name)
{
    if (!done) {
        fprintf(stderr, "certificates: can't %s %s\n", what, name);
        abort();
    }
}

static FILE *open_file(const char *folder, const char *name, const char *ending, const char *mode)
{
    char path[PATH_LEN_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s.%s", folder, name, ending);
    need(len > 0 && (size_t)len < sizeof(path), "name the file of", name);
    FILE *file = fopen(path, mode);
    need(file, "open the file of", name);
    return file;
}

static void write_pair(const char *folder, const char *name, X509 *certificate, EVP_PKEY *key)
{
    FILE *file = open_file(folder, name, "pem", "we");
    need(PEM_write_X509(file, certificate) == 1 && fclose(file) == 0, "write", name);
    file = open_file(folder, name, "key", "we");
    need(fchmod(fileno(file), 0600) == 0, "keep to its owner the key of", name);
    need(PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0,
         "write the key of", name);
}

static void set_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    need(extension && X509_add_ext(certificate, extension, -1) == 1, "add", value);
    X509_EXTENSION_free(extension);
}

static void set_serial(X509 *certificate, char *ret_serial)
{
    unsigned char serial[SERIAL_BYTES];
    need(RAND_bytes(serial, sizeof(serial)) == 1, "draw", "a serial");
    serial[0] = (unsigned char)((serial[0] & 0x3fU) | 0x40U); /* positive, and of full length */
    ASN1_STRING_set(X509_get_serialNumber(certificate), serial, sizeof(serial));
    for (size_t i = 0; ret_serial && i < sizeof(serial); i++) {
        snprintf(ret_serial + 2 * i, 3, "%02x", serial[i]);
    }
}

static void set_times(X509 *certificate, int64_t not_after_s)
{
    time_t now_s = time(NULL);
    time_t from_s = now_s - DAY_S;
    time_t to_s = not_after_s ? (time_t)not_after_s : now_s + LIFE_S;
    need(ASN1_TIME_set(X509_getm_notBefore(certificate), from_s) &&
             ASN1_TIME_set(X509_getm_notAfter(certificate), to_s),
         "set", "its times");
}

/* A certificate without extensions, of a new key; both are the caller's. */
static X509 *begin(const char *name, const char *curve, EVP_PKEY **ret_key, char *ret_serial)
{
    EVP_PKEY *key = EVP_EC_gen(curve);
    X509 *certificate = X509_new();
    need(key && certificate && X509_set_version(certificate, X509_VERSION_3) == 1 &&
             X509_set_pubkey(certificate, key) == 1 &&
             X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                        (const unsigned char *)name, -1, -1, 0) == 1,
         "begin", name);
    set_serial(certificate, ret_serial);
    *ret_key = key;
    return certificate;
}

void certificates_root(const char *folder, const struct certificate_root *root)
{
    EVP_PKEY *key = NULL;
    X509 *made = begin(root->name, root->curve ? root->curve : "P-256", &key, NULL);
    set_times(made, root->life_days ? time(NULL) + (int64_t)root->life_days * DAY_S : 0);
    need(X509_set_issuer_name(made, X509_get_subject_name(made)) == 1, "name the issuer of",
         root->name);
    set_extension(made, made, NID_basic_constraints, "critical,CA:TRUE");
    set_extension(made, made, NID_key_usage, "critical,keyCertSign,cRLSign");
    set_extension(made, made, NID_subject_key_identifier, "hash");
    need(X509_sign(made, key, EVP_sha256()) > 0, "sign", root->name);
    write_pair(folder, root->name, made, key);
    X509_free(made);
    EVP_PKEY_free(key);
}

static X509 *read_root(const char *folder, const char *name, EVP_PKEY **ret_key)
{
    FILE *file = open_file(folder, name, "pem", "re");
    X509 *root = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    file = open_file(folder, name, "key", "re");
    *ret_key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    need(root && *ret_key, "read", name);
    return root;
}

void certificates_leaf(const char *folder, const struct certificate_leaf *leaf, char *ret_serial)
{
    EVP_PKEY *root_key = NULL;
    EVP_PKEY *key = NULL;
    X509 *root = read_root(folder, leaf->root, &root_key);
    X509 *certificate = begin(leaf->name, "P-256", &key, ret_serial);
    set_times(certificate, leaf->not_after_s);
    need(X509_set_issuer_name(certificate, X509_get_subject_name(root)) == 1, "name the issuer of",
         leaf->name);
    set_extension(certificate, root, NID_basic_constraints, "critical,CA:FALSE");
    set_extension(certificate, root, NID_key_usage, "critical,digitalSignature");
    set_extension(certificate, root, NID_ext_key_usage, "serverAuth,clientAuth");
    set_extension(certificate, root, NID_authority_key_identifier, "keyid");
    set_extension(certificate, root, NID_subject_alt_name, leaf->alternative_names);
    need(X509_sign(certificate, root_key, EVP_sha256()) > 0, "sign", leaf->name);
    write_pair(folder, leaf->name, certificate, key);
    X509_free(certificate);
    X509_free(root);
    EVP_PKEY_free(key);
    EVP_PKEY_free(root_key);
}
