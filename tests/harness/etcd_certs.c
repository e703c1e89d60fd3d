#include "tests/harness/etcd_certs.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/certificates.h"

#define PATH_MAX_LEN 512U

static void make_leaf(const char *folder, const char *name, const char *root)
{
    const struct certificate_leaf leaf = {
        .root = root, .name = name, .alternative_names = "IP:127.0.0.1,DNS:localhost"};
    certificates_leaf(folder, &leaf, NULL);
}

void etcd_certs_make(const char *folder)
{
    certificates_root(folder, &(struct certificate_root){.name = "ca"});
    make_leaf(folder, "member", "ca");
    make_leaf(folder, "client", "ca");
    certificates_root(folder, &(struct certificate_root){.name = "foreign-ca"});
    make_leaf(folder, "foreign", "foreign-ca");
}

void etcd_certs_renew_client(const char *folder)
{
    static const char *const endings[] = {"key", "pem"};
    make_leaf(folder, "renewed", "ca");
    for (size_t i = 0; i < 2; i++) {
        char from[PATH_MAX_LEN];
        char to[PATH_MAX_LEN];
        snprintf(from, sizeof(from), "%s/renewed.%s", folder, endings[i]);
        snprintf(to, sizeof(to), "%s/client.%s", folder, endings[i]);
        if (rename(from, to) != 0) {
            perror("etcd_certs: rename");
            abort();
        }
    }
}
