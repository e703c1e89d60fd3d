#include <assert.h>
#include <string.h>

#include "pkg/crypto/certificate.h"

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_dns_char(char c)
{
    return is_alphanumeric(c) || c == '-' || c == '.';
}

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

/* RFC 3986 allows neither blanks nor quotes. Whatever reads the name may be stricter. */
static bool is_uri_char(char c)
{
    return c > ' ' && c <= '~' && !strchr("\"<>\\^`{|}", c);
}

/* Returns the length of text if it is 1 to len_max bytes and all of them are allowed; else 0. */
static size_t checked_len(const char *text, size_t len_max, bool (*allowed)(char))
{
    size_t len = strnlen(text, len_max + 1);
    if (len > len_max) {
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        if (!allowed(text[i])) {
            return 0;
        }
    }
    return len;
}

static ks_result add_part(X509_NAME *name, int nid, const char *text)
{
    if (!text) {
        return KS_RES(OK);
    }
    size_t len = checked_len(text, KS_X509_NAME_MAX, is_printable);
    if (len == 0) {
        return KS_RES(VALIDATION);
    }
    return ks_openssl_check(X509_NAME_add_entry_by_NID(
        name, nid, MBSTRING_UTF8, (const unsigned char *)text, (int)len, -1, 0));
}

ks_result ks_names_set_subject(const struct ks_x509_subject *subject, X509_NAME *name)
{
    assert(subject && name);

    KS_TRY(add_part(name, NID_organizationName, subject->organization));
    return add_part(name, NID_commonName, subject->common_name);
}

bool ks_names_subject_empty(const struct ks_x509_subject *subject)
{
    assert(subject);

    return !subject->common_name && !subject->organization;
}

/* Takes value over. */
static ks_result push(GENERAL_NAMES *names, int type, ASN1_STRING *value)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (!name || !value) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return ks_openssl_fail(KS_INTERNAL);
    }
    GENERAL_NAME_set0_value(name, type, value);
    if (sk_GENERAL_NAME_push(names, name) == 0) {
        GENERAL_NAME_free(name);
        return ks_openssl_fail(KS_INTERNAL);
    }
    return KS_RES(OK);
}

static ks_result push_text(GENERAL_NAMES *names, int type, const char *text, size_t len)
{
    if (len == 0) {
        return KS_RES(VALIDATION);
    }
    ASN1_STRING *value = ASN1_IA5STRING_new();
    if (value && ASN1_STRING_set(value, text, (int)len) != 1) {
        ASN1_STRING_free(value);
        value = NULL;
    }
    return push(names, type, value);
}

static ks_result push_ip(GENERAL_NAMES *names, const char *text)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    return address ? push(names, GEN_IPADD, address) : ks_openssl_fail(KS_VALIDATION);
}

static ks_result push_all(GENERAL_NAMES *out, const struct ks_x509_names *names)
{
    if (names->uri) {
        size_t len = checked_len(names->uri, KS_X509_URI_MAX, is_uri_char);
        KS_TRY(push_text(out, GEN_URI, names->uri, len));
    }
    for (size_t i = 0; i < names->dns_count; i++) {
        size_t len = checked_len(names->dns[i], KS_X509_DNS_MAX, is_dns_char);
        KS_TRY(push_text(out, GEN_DNS, names->dns[i], len));
    }
    for (size_t i = 0; i < names->ip_count; i++) {
        KS_TRY(push_ip(out, names->ip[i]));
    }
    return KS_RES(OK);
}

ks_result ks_names_build(const struct ks_x509_names *names, GENERAL_NAMES **ret_names)
{
    assert(names && ret_names);

    if (names->dns_count > KS_X509_NAMES_MAX || names->ip_count > KS_X509_NAMES_MAX) {
        return KS_RES(VALIDATION);
    }
    KS_OPENSSL_AUTO(GENERAL_NAMES) *built = GENERAL_NAMES_new();
    if (!built) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    KS_TRY(push_all(built, names));
    if (sk_GENERAL_NAME_num(built) > 0) {
        *ret_names = built;
        built = NULL;
    } else {
        *ret_names = NULL;
    }
    return KS_RES(OK);
}

/* A NUL inside the name would hide the rest of it from any code that reads it as a C string. */
static ks_result copy_uri(const ASN1_STRING *value, char *ret_uri)
{
    size_t len = (size_t)ASN1_STRING_length(value);
    if (len == 0 || len > KS_X509_URI_MAX) {
        return KS_RES(VALIDATION);
    }
    char uri[KS_X509_URI_MAX + 1] = "";
    memcpy(uri, ASN1_STRING_get0_data(value), len);
    if (checked_len(uri, KS_X509_URI_MAX, is_uri_char) != len) {
        return KS_RES(VALIDATION);
    }
    memcpy(ret_uri, uri, sizeof(uri));
    return KS_RES(OK);
}

ks_result ks_names_read_uri(const X509 *certificate, char *ret_uri)
{
    assert(certificate && ret_uri);

    int found = 0;
    KS_OPENSSL_AUTO(GENERAL_NAMES) *names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, &found, NULL);
    if (!names && found != -1) {
        return ks_openssl_fail(KS_VALIDATION);
    }
    ret_uri[0] = '\0';
    int uri_count = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type = 0;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type != GEN_URI) {
            continue;
        }
        if (uri_count++ > 0) {
            return KS_RES(VALIDATION);
        }
        KS_TRY(copy_uri(value, ret_uri));
    }
    return KS_RES(OK);
}
