/* Lists: page after page, printed as one. */

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "google/protobuf/timestamp.pb-c.h"
#include "pkg/json/json.h"
#include "pkg/message/members.h"
#include "pkg/message/names.h"
#include "pkg/message/value.h"
#include "services/cli/output/emit.h"
#include "services/cli/output/table.h"
#include "services/cli/service/call.h"
#include "services/cli/service/request.h"

#define PAGES_MAX 100000U
#define INDENT    2U

/* How a page names the next one: by AWS's members, or by those of the AIPs. */
struct paging {
    const char *wanted; /* of the request */
    const char *next;   /* of the response; empty: there are no more */
};

static const struct paging pagings[] = {{"marker", "next_marker"},
                                        {"page_token", "next_page_token"}};

/* What is being made of the elements. */
struct listing {
    const struct ks_method *method;
    struct ks_table table;
    struct ks_json_writer json;
    bool is_json;
};

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessage *message, const char *name)
{
    return protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
}

static void add_page(struct listing *listing, const ProtobufCMessage *response)
{
    const ProtobufCFieldDescriptor *list = field_of(response, listing->method->list);
    assert(list && list->label == PROTOBUF_C_LABEL_REPEATED);

    for (size_t i = 0; i < ks_value_count(response, list); i++) {
        const ProtobufCMessage *element = ks_value_message(ks_value_at(response, list, i));
        if (listing->is_json) {
            ks_json_object(&listing->json, NULL);
            ks_members_write(&listing->json, element);
            ks_json_close(&listing->json);
        } else {
            ks_table_row(&listing->table, element, listing->method->columns);
        }
    }
}

/* Returns the mark of the next page; NULL if this was the last one. */
static const char *next_page(const ProtobufCMessage *response, const struct paging **ret_paging)
{
    for (size_t i = 0; i < KS_COUNT(pagings); i++) {
        const ProtobufCFieldDescriptor *field = field_of(response, pagings[i].next);
        if (field) {
            const char *next = *(const char *const *)ks_value_at(response, field, 0);
            *ret_paging = &pagings[i];
            return next[0] ? next : NULL;
        }
    }
    return NULL;
}

static ks_result take_pages(struct ks_cli *cli, struct listing *listing)
{
    ProtobufCMessage *request;
    KS_TRY(ks_call_request(cli, listing->method, &request));
    for (unsigned page = 0; page < PAGES_MAX; page++) {
        ProtobufCMessage *response;
        const struct paging *paging;
        KS_TRY(ks_call(cli, listing->method, request, &response));
        add_page(listing, response);
        const char *next = next_page(response, &paging);
        if (!next) {
            return KS_RES(OK);
        }
        KS_TRY(ks_request_set(request, paging->wanted, next, &cli->failure));
    }
    return ks_fail(&cli->failure, KS_LIMIT_EXCEEDED, "the list does not end");
}

static void begin(struct listing *listing)
{
    const struct ks_method *method = listing->method;
    if (listing->is_json) {
        ks_json_object(&listing->json, NULL);
        ks_json_array(&listing->json,
                      ks_member_name_of(ks_method_signature(method).response->name, method->list));
        return;
    }
    while (method->columns[listing->table.column_count]) {
        listing->table.column_count++;
    }
    ks_table_titles(&listing->table, method->columns);
}

static ks_result end(struct listing *listing, struct ks_buffer *out)
{
    if (!listing->is_json) {
        return ks_table_print(&listing->table, out);
    }
    ks_json_close(&listing->json);
    ks_json_close(&listing->json);
    KS_TRY(ks_json_end(&listing->json));
    return ks_buffer_append(out, KS_LITERAL("\n"));
}

static void listing_done(struct listing *listing)
{
    ks_table_done(&listing->table);
}

ks_result ks_call_run_list(struct ks_cli *cli)
{
    KS_BUFFER_AUTO out = {.len_max = KS_CLI_OUTPUT_LEN_MAX};
    KS_CLEANUP(listing_done)
    struct listing listing = {.method = cli->arguments.command->method,
                              .table = {.text = {.len_max = KS_CLI_OUTPUT_LEN_MAX}},
                              .json = {.buffer = &out, .indent = INDENT},
                              .is_json = cli->output == KS_OUTPUT_JSON};
    begin(&listing);
    KS_TRY(take_pages(cli, &listing));
    KS_TRY(end(&listing, &out));
    return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
}
