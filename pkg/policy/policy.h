/*
 * policy: decides whether a principal may do something, in one pure function. The answer depends on
 * its arguments alone. Frontends decide with it, and a keystore confirms the facts they decided on.
 *
 * The order of AWS ("Policy evaluation logic"): an explicit deny anywhere; then the guardrails of the
 * organization must allow; then, within the account, the key's policy or, if that lets the account
 * delegate, an identity policy, or a grant; from another account, the key's policy and an identity
 * policy both, or a grant; else denied.
 *
 * What exists so far is the default key policy: the key's account may do everything. So a principal
 * may do everything with what is its own account's, and nothing with anything else.
 *
 * Threads: pure; any thread.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/bytes.h"

enum ks_policy_effect { KS_POLICY_DENY, KS_POLICY_ALLOW };

/* The reason, for the audit record and for tests. A client never learns it. */
enum ks_policy_reason {
    KS_POLICY_DEFAULT_KEY_POLICY, /* allowed: the key's account may do everything */
    KS_POLICY_OWN_ACCOUNT,        /* allowed: no key is concerned, or none that exists */
    KS_POLICY_OTHER_ACCOUNT,      /* denied: nothing lets another account in */
    KS_POLICY_NOT_UNDERSTOOD,     /* denied: a policy that this version cannot read */
    KS_POLICY_REASON_COUNT
};

struct ks_policy_answer {
    enum ks_policy_effect effect;
    enum ks_policy_reason reason;
};

/*
 * A condition key and a value of it. What a policy calls "kms:EncryptionContext:tenant" has the key
 * "kms:EncryptionContext:" and the name "tenant". A key with several values is several facts.
 */
struct ks_policy_fact {
    ks_bytes key;
    ks_bytes name; /* empty: the key is whole */
    ks_bytes value;
};

struct ks_policy_facts {
    const struct ks_policy_fact *items;
    size_t count;
};

/* What an action is asked for. A key comes first: it is what a caller gets that says nothing. */
enum ks_policy_resource {
    KS_POLICY_KEY,     /* a key, which may not exist */
    KS_POLICY_ALIAS,   /* an alias, there or not, which has no policy of its own */
    KS_POLICY_ACCOUNT, /* the caller's account itself */
};

/* A policy document, as stored. */
struct ks_policy_document {
    ks_bytes json;
};

/* A grant as the record has it. */
struct ks_policy_grant {
    ks_bytes grantee;    /* principal ARN */
    ks_bytes operations; /* separated by commas */
};

/* All borrowed for the call. An empty document or list means that there is none. */
struct ks_policy_request {
    ks_bytes action; /* "kms:Decrypt" */

    ks_bytes principal_arn;
    ks_bytes principal_account;

    enum ks_policy_resource resource;
    ks_bytes resource_account; /* of the key or alias, there or not */
    ks_bytes resource_arn;     /* empty: of an account, or of a key that is not there */

    ks_bytes key_policy; /* empty: the default policy */
    const struct ks_policy_document *identity_policies;
    size_t identity_policy_count;
    const struct ks_policy_document *guardrails;
    size_t guardrail_count;
    const struct ks_policy_grant *grants; /* of this key for this principal */
    size_t grant_count;

    struct ks_policy_facts of_resource; /* known of the key */
    struct ks_policy_facts of_request;  /* said by the request, and of its caller */
};

/*
 * Decides. It always returns an answer, and denies whenever it cannot read something. This version
 * stores no policy document and understands none; one that is there is not ignored, but leads to a
 * denial. Grants can only allow, and so far they allow nothing.
 */
struct ks_policy_answer ks_policy_decide(const struct ks_policy_request *request);
