/*
 * document: the one YAML form that a configuration may have, read into names and words.
 *
 * Threads: values; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/config/config.h"

/* One line of the mapping. The document owns the texts. */
struct ks_config_entry {
    char *name;
    unsigned long line; /* from 1 */
    bool is_list;
    char **words; /* one for a scalar */
    size_t word_count;
};

/* {0} is empty. */
struct ks_config_document {
    struct ks_config_entry entries[KS_CONFIG_OPTIONS_MAX];
    size_t count;
};

/*
 * Reads yaml into entries in the order of the text; an option that occurs twice has two entries.
 *
 * ret_document  zeroed by the caller, who also frees it after a failure: it then holds the entries
 *               before the fault.
 * reterr_line   line of the fault, from 1. Written with VALIDATION only.
 * reterr_why    what is wrong, a static string. Written with VALIDATION only.
 *
 * Fails: VALIDATION (the text is not of this form), INTERNAL (the YAML parser can't be made).
 */
KS_MUST_USE ks_result ks_config_document_read(ks_bytes yaml,
                                              struct ks_config_document *ret_document,
                                              unsigned long *reterr_line, const char **reterr_why);

/* Frees the entries. The zero value is allowed. */
void ks_config_document_done(struct ks_config_document *document);
