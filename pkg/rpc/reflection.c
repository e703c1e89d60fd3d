#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/builtin.h"
#include "pkg/rpc/descriptors.h"
#include "pkg/rpc/server.h"
#include "pkg/rpc/server_core.h"
#include "pkg/rpc/wire.h"

/* grpc/reflection/v1/reflection.proto; v1alpha's messages look the same on the wire. */
enum {
    REQUEST_FILE_BY_NAME = 3,
    REQUEST_FILE_BY_SYMBOL = 4,
    REQUEST_FILE_BY_EXTENSION = 5,
    REQUEST_EXTENSIONS_OF_TYPE = 6,
    REQUEST_LIST_SERVICES = 7,
};
enum {
    RESPONSE_ORIGINAL_REQUEST = 2,
    RESPONSE_FILES = 4,
    RESPONSE_EXTENSIONS = 5,
    RESPONSE_SERVICES = 6,
    RESPONSE_ERROR = 7,
};
enum { FILES_FILE = 1, EXTENSIONS_TYPE = 1, SERVICES_SERVICE = 1, SERVICE_NAME = 1 };
enum { ERROR_CODE = 1, ERROR_MESSAGE = 2 };

#define SYMBOL_LEN_MAX   255U                 /* of a method */
#define RESPONSE_LEN_MAX (3U * 1024U * 1024U) /* below what clients accept by default, 4 MiB */

struct ks_rpc_reflection {
    const struct ks_rpc_server *server; /* its rows are the services */
    struct ks_rpc_descriptors descriptors;
};

/* What is built into the program is never damaged. */
static void add(struct ks_rpc_reflection *reflection, ks_bytes set)
{
    ks_result r = ks_rpc_descriptors_add(&reflection->descriptors, set);
    assert(!ks_failed(r));
}

struct ks_rpc_reflection *ks_rpc_reflection_new(const struct ks_rpc_server *server)
{
    struct ks_rpc_reflection *reflection = ks_alloc(1, sizeof(*reflection));
    reflection->server = server;
    add(reflection, server->options.descriptors);
    add(reflection, (ks_bytes){ks_rpc_builtin_descriptors, ks_rpc_builtin_descriptors_len});
    return reflection;
}

bool ks_rpc_reflection_describes(const struct ks_rpc_reflection *reflection, const char *path)
{
    char symbol[SYMBOL_LEN_MAX + 1];
    size_t len = strlen(path + 1);
    assert(len <= SYMBOL_LEN_MAX);

    memcpy(symbol, path + 1, len + 1);
    char *slash = strchr(symbol, '/');
    assert(slash);
    *slash = '.';
    size_t index;
    return ks_rpc_descriptors_by_symbol(&reflection->descriptors,
                                        (ks_bytes){(uint8_t *)symbol, len}, &index);
}

void ks_rpc_reflection_free(struct ks_rpc_reflection *reflection)
{
    ks_free(reflection);
}

static void put_error(struct ks_buffer *to, ks_code code, const char *text, bool *full)
{
    KS_BUFFER_AUTO error = {.len_max = RESPONSE_LEN_MAX};
    ks_rpc_wire_put_value(&error, ERROR_CODE, (uint64_t)ks_grpc_status(code), full);
    ks_rpc_wire_put_bytes(&error, ERROR_MESSAGE, ks_bytes_of(text), full);
    ks_rpc_wire_put_bytes(to, RESPONSE_ERROR, ks_buffer_bytes(&error), full);
}

static void put_files(const struct ks_rpc_reflection *reflection, size_t index,
                      struct ks_buffer *to, bool *full)
{
    size_t indexes[KS_RPC_DESCRIPTOR_FILES_MAX];
    size_t count;
    ks_rpc_descriptors_closure(&reflection->descriptors, index, indexes, &count);
    KS_BUFFER_AUTO files = {.len_max = RESPONSE_LEN_MAX};
    for (size_t i = 0; i < count; i++) {
        ks_rpc_wire_put_bytes(&files, FILES_FILE, reflection->descriptors.files[indexes[i]], full);
    }
    ks_rpc_wire_put_bytes(to, RESPONSE_FILES, ks_buffer_bytes(&files), full);
}

static void file_by_name(const struct ks_rpc_reflection *reflection, ks_bytes name,
                         struct ks_buffer *to, bool *full)
{
    size_t index;
    if (!ks_rpc_descriptors_by_name(&reflection->descriptors, name, &index)) {
        put_error(to, KS_NOT_FOUND, "no such file", full);
        return;
    }
    put_files(reflection, index, to, full);
}

static void file_by_symbol(const struct ks_rpc_reflection *reflection, ks_bytes symbol,
                           struct ks_buffer *to, bool *full)
{
    size_t index;
    if (!ks_rpc_descriptors_by_symbol(&reflection->descriptors, symbol, &index)) {
        put_error(to, KS_NOT_FOUND, "no such symbol", full);
        return;
    }
    put_files(reflection, index, to, full);
}

/* Our files declare no extension. */
static void file_by_extension(const struct ks_rpc_reflection *reflection, ks_bytes extension,
                              struct ks_buffer *to, bool *full)
{
    (void)reflection;
    (void)extension;
    put_error(to, KS_NOT_FOUND, "no such extension", full);
}

static void extensions_of_type(const struct ks_rpc_reflection *reflection, ks_bytes type,
                               struct ks_buffer *to, bool *full)
{
    size_t index;
    if (!ks_rpc_descriptors_by_symbol(&reflection->descriptors, type, &index)) {
        put_error(to, KS_NOT_FOUND, "no such type", full);
        return;
    }
    KS_BUFFER_AUTO extensions = {.len_max = RESPONSE_LEN_MAX};
    ks_rpc_wire_put_bytes(&extensions, EXTENSIONS_TYPE, type, full);
    ks_rpc_wire_put_bytes(to, RESPONSE_EXTENSIONS, ks_buffer_bytes(&extensions), full);
}

/* "/package.Service/Method": what stands between the slashes. */
static ks_bytes service_of(const struct ks_rpc_method *row)
{
    const char *slash = strchr(row->path + 1, '/');
    assert(slash);
    return (ks_bytes){(const uint8_t *)row->path + 1, (size_t)(slash - row->path - 1)};
}

static bool is_first_of_service(const struct ks_rpc_server *server, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (ks_bytes_equal(service_of(&server->rows[i]), service_of(&server->rows[index]))) {
            return false;
        }
    }
    return true;
}

static void list_services(const struct ks_rpc_reflection *reflection, ks_bytes ignored,
                          struct ks_buffer *to, bool *full)
{
    (void)ignored;
    KS_BUFFER_AUTO services = {.len_max = RESPONSE_LEN_MAX};
    for (size_t i = 0; i < reflection->server->row_count; i++) {
        if (!is_first_of_service(reflection->server, i)) {
            continue;
        }
        KS_BUFFER_AUTO service = {.len_max = RESPONSE_LEN_MAX};
        ks_rpc_wire_put_bytes(&service, SERVICE_NAME, service_of(&reflection->server->rows[i]),
                              full);
        ks_rpc_wire_put_bytes(&services, SERVICES_SERVICE, ks_buffer_bytes(&service), full);
    }
    ks_rpc_wire_put_bytes(to, RESPONSE_SERVICES, ks_buffer_bytes(&services), full);
}

static const struct question {
    uint32_t number;
    void (*answer)(const struct ks_rpc_reflection *reflection, ks_bytes argument,
                   struct ks_buffer *to, bool *full);
} questions[] = {
    {REQUEST_FILE_BY_NAME, file_by_name},
    {REQUEST_FILE_BY_SYMBOL, file_by_symbol},
    {REQUEST_FILE_BY_EXTENSION, file_by_extension},
    {REQUEST_EXTENSIONS_OF_TYPE, extensions_of_type},
    {REQUEST_LIST_SERVICES, list_services},
};

static const struct question *question_of(uint32_t number)
{
    for (size_t i = 0; i < KS_COUNT(questions); i++) {
        if (questions[i].number == number) {
            return &questions[i];
        }
    }
    return NULL;
}

/* The members are a oneof: the last one counts. */
static void answer(const struct ks_rpc_reflection *reflection, ks_bytes request,
                   struct ks_buffer *to, bool *full)
{
    const struct question *asked = NULL;
    ks_bytes argument = {0};
    ks_bytes rest = request;
    struct ks_rpc_wire_field field;
    bool damaged = false;
    while (ks_rpc_wire_next(&rest, &field, &damaged)) {
        const struct question *question = question_of(field.number);
        if (question && field.type == KS_RPC_WIRE_BYTES) {
            asked = question;
            argument = field.bytes;
        }
    }
    ks_rpc_wire_put_bytes(to, RESPONSE_ORIGINAL_REQUEST, request, full);
    if (damaged || !asked) {
        put_error(to, KS_VALIDATION, "not a question that this server knows", full);
        return;
    }
    asked->answer(reflection, argument, to, full);
}

static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    const struct ks_rpc_reflection *reflection = user;
    KS_BUFFER_AUTO response = {.len_max = RESPONSE_LEN_MAX};
    bool full = false;
    answer(reflection, message, &response, &full);
    if (full || ks_failed(ks_rpc_stream_send_buffer(stream, &response))) {
        ks_rpc_stream_finish(stream, &(struct ks_rpc_status){.code = KS_LIMIT_EXCEEDED});
    }
}

const struct ks_rpc_stream_callbacks ks_rpc_reflect = {.on_message = on_message};
