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

/* What both kinds of certificate begin with; a new key each. */
#define NEW_CERTIFICATE                                                                            \
    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",   \
        "-days", "2", "-subj", "/O=keystead-test"

static void make_root(const char *folder, const char *name)
{
    struct path key = path_of(folder, name, ".key");
    struct path cert = path_of(folder, name, ".pem");
    const char *argv[] = {NEW_CERTIFICATE,
                          "-keyout",
                          key.text,
                          "-out",
                          cert.text,
                          "-addext",
                          "keyUsage=critical,keyCertSign",
                          NULL};
    run(argv);
}

/* For servers and clients alike, signed by the issuer's root. */
static void make_leaf(const char *folder, const char *name, const char *issuer)
{
    struct path key = path_of(folder, name, ".key");
    struct path cert = path_of(folder, name, ".pem");
    struct path issuer_key = path_of(folder, issuer, ".key");
    struct path issuer_cert = path_of(folder, issuer, ".pem");
    const char *argv[] = {NEW_CERTIFICATE,
                          "-keyout",
                          key.text,
                          "-out",
                          cert.text,
                          "-CA",
                          issuer_cert.text,
                          "-CAkey",
                          issuer_key.text,
                          "-addext",
                          "basicConstraints=critical,CA:FALSE",
                          "-addext",
                          "subjectAltName=IP:127.0.0.1,DNS:localhost",
                          "-addext",
                          "extendedKeyUsage=serverAuth,clientAuth",
                          NULL};
    run(argv);
}

void etcd_certs_make(const char *folder)
{
    make_root(folder, "ca");
    make_leaf(folder, "member", "ca");
    make_leaf(folder, "client", "ca");
    make_root(folder, "foreign-ca");
    make_leaf(folder, "foreign", "foreign-ca");
}

void etcd_certs_renew_client(const char *folder)
{
    static const char *const suffixes[] = {".key", ".pem"};
    make_leaf(folder, "renewed", "ca");
    for (size_t i = 0; i < 2; i++) {
        struct path from = path_of(folder, "renewed", suffixes[i]);
        struct path to = path_of(folder, "client", suffixes[i]);
        if (rename(from.text, to.text) != 0) {
            perror("etcd_certs: rename");
            abort();
        }
    }
}
