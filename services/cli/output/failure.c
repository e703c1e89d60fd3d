#include "services/cli/output/failure.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pkg/rpc/status.h"
#include "services/cli/arguments/lines.h"

struct row {
    enum ks_exit code;
    const char *hint;
};

#define NO_HINT     ""
#define HINT_FORM   "the command's --help says what is accepted"
#define HINT_RETRY  "try again, after a look at whether it was done"
#define HINT_REPORT "look into the logs of the service"

static const struct row rows[KS_CODE_COUNT] = {
    [KS_OK] = {KS_EXIT_OK, NO_HINT},
    [KS_VALIDATION] = {KS_EXIT_USAGE, HINT_FORM},
    [KS_NOT_FOUND] = {KS_EXIT_NOT_FOUND,
                      "'keystead key list', 'alias list', 'account list' and 'user list' show "
                      "what there is"},
    [KS_ALREADY_EXISTS] = {KS_EXIT_STATE, "choose another name, or change what stands"},
    [KS_ACCESS_DENIED] = {KS_EXIT_DENIED,
                          "check key, region, account and the certificate that is used"},
    [KS_DISABLED] = {KS_EXIT_STATE, "'keystead key enable' makes it usable"},
    [KS_INVALID_STATE] = {KS_EXIT_STATE, "'keystead key describe' shows its state"},
    [KS_INVALID_CIPHERTEXT] = {KS_EXIT_CIPHERTEXT,
                               "check that region, --context and the input are those of encrypt"},
    [KS_INCORRECT_KEY] = {KS_EXIT_CIPHERTEXT, "without --key the right one is found"},
    [KS_INVALID_ARN] = {KS_EXIT_USAGE, HINT_FORM},
    [KS_INVALID_ALIAS_NAME] = {KS_EXIT_USAGE, "an alias begins with alias/"},
    [KS_INVALID_MARKER] = {KS_EXIT_USAGE, NO_HINT},
    [KS_INVALID_KEY_USAGE] = {KS_EXIT_STATE, "'keystead key describe' shows its usage"},
    [KS_TAG] = {KS_EXIT_USAGE, "a tag is KEY=VALUE, and each key stands once"},
    [KS_LIMIT_EXCEEDED] = {KS_EXIT_STATE, NO_HINT},
    [KS_THROTTLED] = {KS_EXIT_UNAVAILABLE, "try again, more slowly"},
    [KS_CONFLICT] = {KS_EXIT_STATE, "look at what stands now, and decide anew"},
    [KS_UNSUPPORTED] = {KS_EXIT_FAILURE, NO_HINT},
    [KS_UNAUTHENTICATED] = {KS_EXIT_DENIED,
                            "check the certificate: 'keystead user certificate' makes a new one"},
    [KS_UNAVAILABLE] = {KS_EXIT_UNAVAILABLE, "check endpoint and region, or try again later"},
    [KS_DEADLINE] = {KS_EXIT_UNAVAILABLE, HINT_RETRY},
    [KS_CANCELLED] = {KS_EXIT_UNAVAILABLE, HINT_RETRY},
    [KS_INTERNAL] = {KS_EXIT_FAILURE, HINT_REPORT},
    [KS_STALE_VIEW] = {KS_EXIT_FAILURE, HINT_REPORT},
    [KS_CORRUPT] = {KS_EXIT_FAILURE, HINT_REPORT},
};

static const char *const exit_texts[KS_EXIT_COUNT] = {
    [KS_EXIT_OK] = "done",
    [KS_EXIT_FAILURE] = "failed",
    [KS_EXIT_USAGE] = "the command line, or a value in it, is not valid",
    [KS_EXIT_NOT_FOUND] = "no such key, alias, account or user",
    [KS_EXIT_DENIED] = "not allowed, or the certificate is not accepted",
    [KS_EXIT_CIPHERTEXT] = "the ciphertext is damaged, or belongs elsewhere",
    [KS_EXIT_UNAVAILABLE] = "no answer in time: try again",
    [KS_EXIT_STATE] = "a conflict, a limit, or the state of the key forbids it",
};

enum ks_exit ks_exit_of(ks_code code)
{
    assert(code < KS_CODE_COUNT);

    return rows[code].code;
}

const char *ks_hint_of(ks_code code)
{
    assert(code < KS_CODE_COUNT);

    return rows[code].hint;
}

const char *ks_exit_text(enum ks_exit code)
{
    assert(code < KS_EXIT_COUNT);

    return exit_texts[code];
}

ks_result ks_fail(struct ks_failure *failure, ks_code code, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(failure->text, sizeof(failure->text), format, values);
    va_end(values);
    failure->named = false;
    failure->hinted = false;
    return (ks_result){code};
}

ks_result ks_fail_call(struct ks_failure *failure, const struct ks_rpc_error *error)
{
    assert(error->code != KS_OK);

    const char *region = ks_rpc_error_entry(error, "region");
    snprintf(failure->text, sizeof(failure->text), "%s%s%s", error->text,
             region ? "; it belongs to region " : "", region ? region : "");
    failure->named = error->reason[0] != '\0';
    failure->hinted = failure->named || error->code != KS_VALIDATION;
    return (ks_result){error->code};
}

/* The text of a server is written to a terminal: no byte of it may be a command to the terminal. */
static void clean(struct ks_buffer *line, size_t from)
{
    for (size_t i = from; i < line->len; i++) {
        if (line->ptr[i] < 0x20 || line->ptr[i] == 0x7f) {
            line->ptr[i] = '?';
        }
    }
}

/* AWS's texts end with a full stop, which is left out when a hint follows. */
static size_t len_without_stop(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && text[len - 1] == '.' ? len - 1 : len;
}

ks_result ks_failure_line(const struct ks_failure *failure, ks_code code, struct ks_buffer *out)
{
    struct ks_lines lines = {.out = out};
    size_t from = out->len;
    const char *text = failure->text[0] ? failure->text : ks_text(code);
    ks_line(&lines, "keystead: ");
    if (failure->named) {
        ks_line(&lines, "%s: ", ks_wire_name(code));
    }
    bool hinted = failure->hinted && ks_hint_of(code)[0];
    ks_line(&lines, "%.*s", hinted ? (int)len_without_stop(text) : (int)strlen(text), text);
    if (hinted) {
        ks_line(&lines, "; %s", ks_hint_of(code));
    }
    clean(out, from);
    ks_line(&lines, "\n");
    return lines.result;
}
