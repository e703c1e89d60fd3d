#include "tests/harness/etcd_certs.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_MAX_LEN 512U

struct path {
    char text[PATH_MAX_LEN];
};

static struct path path_of(const char *folder, const char *name, const char *suffix)
{
    struct path path;
    snprintf(path.text, sizeof(path.text), "%s/%s%s", folder, name, suffix);
    return path;
}

static void run(const char *const *argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDERR_FILENO);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "etcd_certs: %s %s failed\n", argv[0], argv[1]);
        abort();
    }
}

/* A new key and a certificate for it, signed by issuer; by itself, as a root, if that is NULL. */
static void make(const char *folder, const char *name, const char *issuer)
{
    struct path key = path_of(folder, name, ".key");
    struct path cert = path_of(folder, name, ".pem");
    struct path issuer_key = path_of(folder, issuer ? issuer : name, ".key");
    struct path issuer_cert = path_of(folder, issuer ? issuer : name, ".pem");
    const char *root[] = {
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/O=keystead-test",
        "-keyout",
        key.text,
        "-out",
        cert.text,
        "-addext",
        "keyUsage=critical,keyCertSign",
        NULL,
    };
    const char *leaf[] = {
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/O=keystead-test",
        "-keyout",
        key.text,
        "-out",
        cert.text,
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-addext",
        "subjectAltName=IP:127.0.0.1,DNS:localhost",
        "-addext",
        "extendedKeyUsage=serverAuth,clientAuth",
        "-CA",
        issuer_cert.text,
        "-CAkey",
        issuer_key.text,
        NULL,
    };
    run(issuer ? leaf : root);
}

void etcd_certs_make(const char *folder)
{
    make(folder, "ca", NULL);
    make(folder, "member", "ca");
    make(folder, "client", "ca");
    make(folder, "foreign-ca", NULL);
    make(folder, "foreign", "foreign-ca");
}

void etcd_certs_renew_client(const char *folder)
{
    static const char *const suffixes[] = {".key", ".pem"};
    make(folder, "renewed", "ca");
    for (size_t i = 0; i < 2; i++) {
        struct path from = path_of(folder, "renewed", suffixes[i]);
        struct path to = path_of(folder, "client", suffixes[i]);
        if (rename(from.text, to.text) != 0) {
            perror("etcd_certs: rename");
            abort();
        }
    }
}
