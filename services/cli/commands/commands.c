#include "services/cli/commands/commands.h"

#include <assert.h>

#include "pkg/base/mem.h"
#include "pkg/operation/bounds.h"
#include "services/cli/backup/backup.h"
#include "services/cli/cluster/status.h"
#include "services/cli/cluster/zone.h"
#include "services/cli/crypt/crypt.h"
#include "services/cli/service/call.h"
#include "services/cli/setup/settings.h"

/* What the help below says of the API. */
static_assert(KS_PLAINTEXT_MAX == 4096, "encrypt: up to 4096 bytes become one ciphertext blob");
static_assert(KS_DEFAULT_SCHEDULE_KEY_DELETION_PENDING_WINDOW_IN_DAYS == 30,
              "key delete: 30 days unless said");

#define REQUIRED KS_OPTION_REQUIRED
#define REPEATED KS_OPTION_REPEATED
#define BARE     KS_OPTION_BARE
#define SETTING  KS_OPTION_SETTING

/* Options that several commands have: name, value, help, field of the request, flags. */
#define KEY_HELP "key id, key ARN, alias/name or alias ARN"
#define USED_KEY                                                                                   \
    {                                                                                              \
        "key", "KEY", KEY_HELP "; the setting 'key' if left out", "key_id", BARE | SETTING         \
    }
#define CHANGED_KEY                                                                                \
    {                                                                                              \
        "key", "KEY", KEY_HELP, "key_id", BARE | REQUIRED                                          \
    }
#define CONTEXT                                                                                    \
    {                                                                                              \
        "context", "KEY=VALUE", "pair of the encryption context; decrypt needs the same ones",     \
            "encryption_context", REPEATED                                                         \
    }
#define FORCE                                                                                      \
    {                                                                                              \
        "force", NULL, "write to a terminal, whatever it is", NULL, 0                              \
    }
#define ALIAS                                                                                      \
    {                                                                                              \
        "alias", "ALIAS", "its name, alias/...", "alias_name", BARE | REQUIRED                     \
    }
#define OF_ACCOUNT                                                                                 \
    {                                                                                              \
        "account", "ACCOUNT", "12 digits; the setting 'account' if left out", "account_id",        \
            SETTING                                                                                \
    }
#define USER_NAME                                                                                  \
    {                                                                                              \
        "name", "NAME", "of the user: 1 to 64 of A-Z a-z 0-9 + = , . @ _ -", "user_name",          \
            BARE | REQUIRED                                                                        \
    }

static const struct ks_option key_create_options[] = {
    {"spec", "SPEC", "SYMMETRIC_DEFAULT unless said", "key_spec", 0},
    {"usage", "USAGE", "ENCRYPT_DECRYPT unless said", "key_usage", 0},
    {"description", "TEXT", "what it is for", "description", 0},
    {"alias", "ALIAS", "a name that it gets, too: alias/...", NULL, 0},
    {"tag", "KEY=VALUE", "a label", "tags", REPEATED},
};
static const struct ks_option used_key_options[] = {USED_KEY};
static const struct ks_option changed_key_options[] = {CHANGED_KEY};
static const struct ks_option key_update_options[] = {
    CHANGED_KEY,
    {"description", "TEXT", "what it is for", "description", REQUIRED},
};
static const struct ks_option key_delete_options[] = {
    CHANGED_KEY,
    {"days", "N", "until it is destroyed; 30 unless said", "pending_window_in_days", 0},
};
static const struct ks_option key_tag_options[] = {
    CHANGED_KEY,
    {"tag", "KEY=VALUE", "a label; one that is there already gets the new value", "tags",
     REPEATED | REQUIRED},
};
static const struct ks_option key_untag_options[] = {
    CHANGED_KEY,
    {"tag", "KEY", "the key of a tag", "tag_keys", REPEATED | REQUIRED},
};
static const struct ks_option alias_options[] = {
    ALIAS,
    {"key", "KEY", "key that it names: " KEY_HELP, "target_key_id", REQUIRED},
};
static const struct ks_option alias_delete_options[] = {ALIAS};
static const struct ks_option alias_list_options[] = {
    {"key", "KEY", "only those of this key: " KEY_HELP, "key_id", BARE},
};
static const struct ks_option encrypt_options[] = {USED_KEY, CONTEXT, FORCE};
static const struct ks_option decrypt_options[] = {
    {"key", "KEY", "refuse what another key encrypted", "key_id", 0}, CONTEXT, FORCE};
static const struct ks_option re_encrypt_options[] = {
    {"key", "KEY", "key that encrypts anew: " KEY_HELP "; the setting 'key' if left out",
     "destination_key_id", BARE | SETTING},
    {"context", "KEY=VALUE", "pair of the new encryption context", "destination_encryption_context",
     REPEATED},
    {"source-key", "KEY", "refuse what another key encrypted", "source_key_id", 0},
    {"source-context", "KEY=VALUE", "pair of the encryption context so far",
     "source_encryption_context", REPEATED},
    FORCE,
};
static const struct ks_option data_key_options[] = {
    USED_KEY,
    CONTEXT,
    {"bytes", "N", "its length", "number_of_bytes", 0},
    {"spec", "SPEC", "AES_256 if there is no --bytes either", "key_spec", 0},
    {"without-plaintext", NULL, "only the encrypted form, for later", NULL, 0},
};
static const struct ks_option random_options[] = {
    {"bytes", "N", "how many", "number_of_bytes", BARE | REQUIRED},
    {"raw", NULL, "as they are, not in base64", NULL, 0},
    FORCE,
};
static const struct ks_option account_create_options[] = {
    {"name", "NAME", "what people call it", "display_name", BARE | REQUIRED},
    {"id", "DIGITS", "its number, 12 digits; drawn at random if left out", "account_id", 0},
};
static const struct ks_option user_options[] = {OF_ACCOUNT, USER_NAME};
static const struct ks_option user_list_options[] = {OF_ACCOUNT};
static const struct ks_option user_certificate_options[] = {
    OF_ACCOUNT,
    USER_NAME,
    {"out", "DIR", "folder for NAME.key (made if it is not there) and NAME.pem", NULL, REQUIRED},
    {"lifetime", "TIME", "such as 12h or 30d; 30 days unless said", NULL, 0},
};
static const struct ks_option certificate_revoke_options[] = {
    {"serial", "HEX", "of the certificate, as 'user certificate' printed it", "serial",
     BARE | REQUIRED},
};
static const struct ks_option cluster_status_options[] = {
    {"wait", "TIME", "look again until all is well, at most so long", NULL, 0},
};
static const struct ks_option cluster_rotate_options[] = {
    {"wait", "TIME", "how long to try; 60s unless said", NULL, 0},
};
static const struct ks_option cluster_custodians_options[] = {
    {"kit", "FILE", "the kit, as keystead-hsm custodians makes it", NULL, BARE | REQUIRED},
    {"wait", "TIME", "how long to try; 60s unless said", NULL, 0},
};
static const struct ks_option backup_create_options[] = {
    {"out", "FILE", "file to make; one that is there is not replaced", NULL, BARE | REQUIRED},
};
static const struct ks_option backup_verify_options[] = {
    {"file", "FILE", "the backup", NULL, BARE | REQUIRED},
};
static const struct ks_option backup_list_options[] = {
    {"dir", "DIR", "folder with backups", NULL, BARE | REQUIRED},
};
static const struct ks_option zone_options[] = {
    {"hsm-root", "DIR", "folder with ca.key and ca.pem of the hsm root", NULL, REQUIRED},
    {"roster", "FILE", "the operator's newest roster of the region; written anew", NULL, REQUIRED},
    {"wait", "TIME", "how long to try; 60s unless said", NULL, 0},
    {"hsm", "ZONE=CERTIFICATE", "a zone and the PEM file of its hsm", NULL,
     BARE | REPEATED | REQUIRED},
};
static const struct ks_option completion_options[] = {
    {"shell", "SHELL", "bash", NULL, BARE | REQUIRED},
};

#define KMS(Name)           (&(const struct ks_method)KS_KMS_METHOD(Name))
#define KMS_LIST(Name, ...) (&(const struct ks_method)KS_KMS_LIST(Name, __VA_ARGS__))
#define ADMIN(Name, name)   (&(const struct ks_method)KS_ADMIN_METHOD(Name, name))
#define ADMIN_LIST(Name, name, ...)                                                                \
    (&(const struct ks_method)KS_ADMIN_LIST(Name, name, __VA_ARGS__))

static const char *const key_columns[] = {"key_id", "key_arn", NULL};
static const char *const alias_columns[] = {"alias_name", "target_key_id", "last_updated_date",
                                            NULL};
static const char *const tag_columns[] = {"tag_key", "tag_value", NULL};
static const char *const account_columns[] = {"account_id", "display_name", "create_time", NULL};
static const char *const user_columns[] = {"user_name", "arn", "create_time", NULL};

#define ROW(noun, verb, summary, details, options, run, method)                                    \
    {                                                                                              \
        noun, verb, summary, details, options, KS_COUNT(options), run, method                      \
    }
#define ROW_WITHOUT_OPTIONS(noun, verb, summary, run, method)                                      \
    {                                                                                              \
        noun, verb, summary, NULL, NULL, 0, run, method                                            \
    }

/* A command that calls one method and prints its answer. */
#define CALL(noun, verb, summary, details, options, method)                                        \
    ROW(noun, verb, summary, details, options, ks_call_run, method)
/* A command that prints all pages of a method that lists. */
#define LIST(noun, summary, options, method)                                                       \
    ROW(noun, "list", summary, NULL, options, ks_call_run_list, method)
#define LIST_WITHOUT_OPTIONS(noun, summary, method)                                                \
    ROW_WITHOUT_OPTIONS(noun, "list", summary, ks_call_run_list, method)

static const struct ks_command rows[] = {
    ROW("key", "create", "Make a key.", NULL, key_create_options, ks_run_key_create,
        KMS(CreateKey)),
    LIST_WITHOUT_OPTIONS("key", "List the account's keys in the region.",
                         KMS_LIST(ListKeys, "keys", key_columns)),
    CALL("key", "describe", "Show all about a key.", NULL, used_key_options, KMS(DescribeKey)),
    CALL("key", "update", "Change the description of a key.", NULL, key_update_options,
         KMS(UpdateKeyDescription)),
    CALL("key", "enable", "Let a disabled key be used again.", NULL, changed_key_options,
         KMS(EnableKey)),
    CALL("key", "disable", "Let nobody use a key: at once, in the whole region.", NULL,
         changed_key_options, KMS(DisableKey)),
    CALL("key", "delete", "Disable a key now and destroy it after some days.",
         "What was encrypted under it is lost then. 'key undelete' takes it back until that day.",
         key_delete_options, KMS(ScheduleKeyDeletion)),
    CALL("key", "undelete", "Take back 'key delete'. The key is disabled then, not enabled.", NULL,
         changed_key_options, KMS(CancelKeyDeletion)),
    CALL("key", "rotation", "Show whether a key's material is rotated.", NULL, changed_key_options,
         KMS(GetKeyRotationStatus)),
    ROW("key", "tags", "List the tags of a key.", NULL, changed_key_options, ks_call_run_list,
        KMS_LIST(ListResourceTags, "tags", tag_columns)),
    CALL("key", "tag", "Put tags on a key.", NULL, key_tag_options, KMS(TagResource)),
    CALL("key", "untag", "Take tags off a key.", NULL, key_untag_options, KMS(UntagResource)),
    CALL("alias", "create", "Give a key a name.", NULL, alias_options, KMS(CreateAlias)),
    CALL("alias", "update", "Let a name stand for another key.", NULL, alias_options,
         KMS(UpdateAlias)),
    CALL("alias", "delete", "Take a name away. The key stays.", NULL, alias_delete_options,
         KMS(DeleteAlias)),
    LIST("alias", "List names.", alias_list_options,
         KMS_LIST(ListAliases, "aliases", alias_columns)),
    ROW("encrypt", NULL, "Encrypt what comes on stdin.",
        "Up to 4096 bytes become one ciphertext blob, which any client of the API can decrypt. More\n"
        "is encrypted here, in segments, under a data key that the key protects\n"
        "(proto/formats/file-v1.md).",
        encrypt_options, ks_run_encrypt, KMS(Encrypt)),
    ROW("decrypt", NULL, "Decrypt what encrypt made.",
        "The input says which key. What is written was authenticated; if a later part is damaged\n"
        "or missing, exit code 5 says that the output so far is incomplete.",
        decrypt_options, ks_run_decrypt, KMS(Decrypt)),
    ROW("re-encrypt", NULL, "Encrypt a ciphertext blob anew, without showing what is in it.", NULL,
        re_encrypt_options, ks_run_re_encrypt, KMS(ReEncrypt)),
    ROW("data-key", NULL, "Make a data key: in the clear and encrypted.", NULL, data_key_options,
        ks_run_data_key, KMS(GenerateDataKey)),
    ROW("random", NULL, "Draw random bytes in an hsm.", NULL, random_options, ks_run_random,
        KMS(GenerateRandom)),
    CALL("account", "create", "Make an account.", NULL, account_create_options,
         ADMIN(CreateAccount, create_account)),
    LIST_WITHOUT_OPTIONS("account", "List accounts.",
                         ADMIN_LIST(ListAccounts, list_accounts, "accounts", account_columns)),
    CALL("user", "create", "Make a user.", NULL, user_options, ADMIN(CreateUser, create_user)),
    LIST("user", "List the users of an account.", user_list_options,
         ADMIN_LIST(ListUsers, list_users, "users", user_columns)),
    CALL("user", "delete", "Delete a user, and end all certificates of it.", NULL, user_options,
         ADMIN(DeleteUser, delete_user)),
    ROW("user", "certificate", "Make a key on this machine and get a certificate for it.",
        "A key that stands in the folder already is used again: that is how to renew.",
        user_certificate_options, ks_run_user_certificate,
        ADMIN(IssueCertificate, issue_certificate)),
    CALL("certificate", "revoke", "End a certificate.", NULL, certificate_revoke_options,
         ADMIN(RevokeCertificate, revoke_certificate)),
    ROW("cluster", "status", "Show what serves, who leads, and what is wrong.",
        "Exit code 0 says that all is well, 1 that something is not.", cluster_status_options,
        ks_run_cluster_status, NULL),
    ROW("cluster", "rotate", "Rotate a region's domain key.",
        "Every key is then re-sealed in the background: 'cluster status' says how far that is.",
        cluster_rotate_options, ks_run_cluster_rotate, NULL),
    ROW("cluster", "custodians", "Give a region the custodians of its backups.",
        "The region is that of --region. Each kit has a higher period than the one before it.",
        cluster_custodians_options, ks_run_cluster_custodians, NULL),
    ROW("zone", "add", "Enrol hsms: sign the next roster and give it to the region.",
        "The region is that of --region. The hsm root's key is used on this machine only.",
        zone_options, ks_run_zone_add, NULL),
    ROW("zone", "replace", "Put a new hsm in the place of a zone's old one.",
        "Strikes the zone's old certificate from the roster and rotates the domain key.",
        zone_options, ks_run_zone_replace, NULL),
    ROW("backup", "create", "Take a backup of a region's cell, while everything goes on.",
        "Holds all keys of the region, sealed to its custodians: only as many of them as the kit says\n"
        "can open it together. The control plane's accounts and users are not in it.\n"
        "docs/operations/backup.md says how to keep backups and custodians' keys.",
        backup_create_options, ks_run_backup_create, NULL),
    ROW("backup", "verify", "Say whether every byte of a backup is as it was written.",
        "Needs no key and no custodian, and finds damage. Whether the keys in the backup open it, and\n"
        "whether somebody has made it up, shows only when custodians open it.",
        backup_verify_options, ks_run_backup_verify, NULL),
    ROW("backup", "list", "List the backups in a folder, the oldest first.",
        "PERIOD is that of the custodians' kit that opens a backup.", backup_list_options,
        ks_run_backup_list, NULL),
    ROW_WITHOUT_OPTIONS("profile", "list", "List the profiles of this user.", ks_run_profile_list,
                        NULL),
    ROW("completion", NULL, "Print a script that completes words in a shell.",
        "source <(keystead completion bash)", completion_options, ks_run_completion, NULL),
    ROW_WITHOUT_OPTIONS("version", NULL, "Print the version.", ks_run_version, NULL),
};

const struct ks_command_table ks_commands = {
    .program = "keystead",
    .about = "keystead: keys, and the data under them, in a Keystead key management service.",
    .epilogue =
        "Settings come from options, then the environment (in brackets), then the profile:\n"
        "$XDG_CONFIG_HOME/keystead/<profile>.yaml, such as 'endpoint: \"127.0.0.1:21050\"'.\n"
        "\n"
        "Exit codes:\n"
        "  0  done\n"
        "  1  failed\n"
        "  2  the command line, or a value in it, is not valid\n"
        "  3  no such key, alias, account or user\n"
        "  4  not allowed, or the certificate is not accepted\n"
        "  5  the ciphertext is damaged, or belongs elsewhere\n"
        "  6  no answer in time: try again\n"
        "  7  a conflict, a limit, or the state of the key forbids it",
    .commands = rows,
    .command_count = KS_COUNT(rows),
    .globals = ks_global_options,
    .global_count = KS_GLOBAL_OPTION_COUNT,
    .limits = ks_method_limits,
};
