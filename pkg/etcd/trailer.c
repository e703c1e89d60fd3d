#include "pkg/etcd/trailer.h"

#include <string.h>
#include <strings.h>

#define STATUS_MAX           999U
#define HTTP_OK              200
#define HTTP_UNAUTHENTICATED 401
#define HTTP_FORBIDDEN       403

/* The value of the line, if it is of this header; an empty one otherwise, and false. */
static bool value_of(ks_bytes line, const char *name, ks_bytes *ret_value)
{
    size_t len = strlen(name);
    if (line.len <= len || line.ptr[len] != ':' ||
        strncasecmp((const char *)line.ptr, name, len) != 0) {
        return false;
    }
    ks_bytes value = {line.ptr + len + 1, line.len - len - 1};
    while (value.len > 0 && value.ptr[0] == ' ') {
        value = (ks_bytes){value.ptr + 1, value.len - 1};
    }
    while (value.len > 0 && strchr(" \r\n", value.ptr[value.len - 1])) {
        value.len--;
    }
    *ret_value = value;
    return true;
}

static bool read_number(ks_bytes text, unsigned *ret_number)
{
    unsigned number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || number > STATUS_MAX / 10) {
            return false;
        }
        number = number * 10 + (text.ptr[i] - (unsigned)'0');
    }
    *ret_number = number;
    return text.len > 0;
}

static void take_status(struct ks_etcd_trailer *trailer, ks_bytes text)
{
    unsigned status = 0;
    bool is_number = read_number(text, &status);
    bool differs = trailer->has_status && trailer->status != status;
    trailer->is_bad = trailer->is_bad || !is_number || differs;
    trailer->has_status = true;
    trailer->status = status;
}

static int hex_digit(uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t low = c >= 'A' && c <= 'F' ? (uint8_t)(c - 'A' + 'a') : c;
    const char *place = c != 0 ? strchr(digits, low) : NULL;
    return place ? (int)(place - digits) : -1;
}

/* Percent-encoded, by gRPC's rule; what is encoded wrongly stands for itself. */
static void take_words(struct ks_etcd_trailer *trailer, ks_bytes text)
{
    trailer->words_len = 0;
    for (size_t i = 0; i < text.len && trailer->words_len < sizeof(trailer->words); i++) {
        uint8_t byte = text.ptr[i];
        if (byte == '%' && text.len - i > 2) {
            int high = hex_digit(text.ptr[i + 1]);
            int low = hex_digit(text.ptr[i + 2]);
            if (high >= 0 && low >= 0) {
                byte = (uint8_t)(high * 16 + low);
                i += 2;
            }
        }
        trailer->words[trailer->words_len++] = (char)byte;
    }
}

void ks_etcd_trailer_line(struct ks_etcd_trailer *trailer, ks_bytes line)
{
    ks_bytes value;
    if (value_of(line, "grpc-status", &value)) {
        take_status(trailer, value);
    } else if (value_of(line, "grpc-message", &value)) {
        take_words(trailer, value);
    }
}

/* By etcd's words (rpctypes/error.go of 3.4), since several errors share one gRPC code. */
static const struct {
    const char *words;
    enum ks_etcd_cause cause;
} by_words[] = {
    {"database space exceeded", KS_ETCD_NO_SPACE},
    {"required revision has been compacted", KS_ETCD_COMPACTED},
    {"required revision is a future revision", KS_ETCD_FUTURE},
    {"too many requests", KS_ETCD_TOO_MANY},
    {"request is too large", KS_ETCD_TOO_LARGE},
    {"too many operations in txn request", KS_ETCD_TOO_LARGE},
    /* Of the request: "trying to send message larger than max" is about an answer, which comes
       after the change. */
    {"received message larger than max", KS_ETCD_TOO_LARGE},
    {"corrupt cluster", KS_ETCD_DAMAGED},
};

/* By gRPC code, for the rest; what has no row is unknown. */
static const struct {
    unsigned code;
    enum ks_etcd_cause cause;
} by_code[] = {
    {3, KS_ETCD_INVALID},    /* INVALID_ARGUMENT */
    {7, KS_ETCD_REFUSED},    /* PERMISSION_DENIED */
    {9, KS_ETCD_INVALID},    /* FAILED_PRECONDITION: authentication or version of the cluster */
    {12, KS_ETCD_INVALID},   /* UNIMPLEMENTED */
    {14, KS_ETCD_NO_LEADER}, /* UNAVAILABLE: no leader, leader changed, timed out, stopping */
    {15, KS_ETCD_DAMAGED},   /* DATA_LOSS */
    {16, KS_ETCD_REFUSED},   /* UNAUTHENTICATED */
};

static enum ks_etcd_cause cause_of_status(unsigned status, ks_bytes words)
{
    for (size_t i = 0; i < KS_COUNT(by_words); i++) {
        const char *known = by_words[i].words;
        if (words.len > 0 && memmem(words.ptr, words.len, known, strlen(known))) {
            return by_words[i].cause;
        }
    }
    for (size_t i = 0; i < KS_COUNT(by_code); i++) {
        if (by_code[i].code == status) {
            return by_code[i].cause;
        }
    }
    return KS_ETCD_UNKNOWN;
}

enum ks_etcd_cause ks_etcd_trailer_cause(const struct ks_etcd_trailer *trailer, long http_status)
{
    if (http_status == HTTP_UNAUTHENTICATED || http_status == HTTP_FORBIDDEN) {
        return KS_ETCD_REFUSED;
    }
    if (http_status != HTTP_OK || !trailer->has_status || trailer->is_bad) {
        return KS_ETCD_UNKNOWN;
    }
    return trailer->status == 0 ? KS_ETCD_DONE
                                : cause_of_status(trailer->status, ks_etcd_trailer_words(trailer));
}

ks_bytes ks_etcd_trailer_words(const struct ks_etcd_trailer *trailer)
{
    return (ks_bytes){(const uint8_t *)trailer->words, trailer->words_len};
}
