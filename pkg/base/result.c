#include "pkg/base/result.h"

struct row {
    const char *name;
    int grpc;
    const char *wire;
    int http;
    bool retry;
    const char *text;
};

#define RESULT_ROW(name, grpc, wire, http, retry, text) {#name, grpc, wire, http, retry, text},

static const struct row rows[KS_CODE_COUNT] = {KS_RESULTS(RESULT_ROW)};

static const struct row *row_of(ks_code code)
{
    return &rows[ks_code_from_number((unsigned)code)];
}

ks_code ks_code_from_number(unsigned number)
{
    return number < KS_CODE_COUNT ? (ks_code)number : KS_INTERNAL;
}

int ks_grpc_status(ks_code code)
{
    return row_of(code)->grpc;
}

int ks_http_status(ks_code code)
{
    return row_of(code)->http;
}

const char *ks_wire_name(ks_code code)
{
    return row_of(code)->wire;
}

const char *ks_text(ks_code code)
{
    return row_of(code)->text;
}

bool ks_retryable(ks_code code)
{
    return row_of(code)->retry;
}

const char *ks_code_name(ks_code code)
{
    return row_of(code)->name;
}
