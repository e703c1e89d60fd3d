/* What both engines promise, on a real etcd of one member; each test has a prefix of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "pkg/store/engine/engine_suite.h"
#include "tests/harness/etcd_fixture.h"

static struct etcd_fixture *cell;

static void prepare(struct ks_store_options *options, const char *test_name)
{
    static char prefix[64];
    struct ks_etcd_options client = etcd_fixture_client(cell, 0);
    snprintf(prefix, sizeof(prefix), "/test/%s/", test_name);
    options->engine = KS_STORE_REPLICATED;
    options->prefix = prefix;
    options->endpoints = client.endpoints;
    options->endpoint_count = client.endpoint_count;
    options->ca_file = client.ca_file;
    options->cert_file = client.cert_file;
    options->key_file = client.key_file;
    options->name = "keystore-1";
    options->zone = "zone-1";
    options->address = "127.0.0.1:1";
}

int main(void)
{
    const struct etcd_fixture_options options = {.member_count = 1};
    const struct engine_suite suite = {"replicated", prepare};
    cell = etcd_fixture_start(&options);
    int failed = engine_suite_run(&suite);
    etcd_fixture_stop(cell);
    return failed;
}
