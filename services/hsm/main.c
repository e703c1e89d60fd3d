/* keystead-hsm: reads the command line and runs one command. */
#include <stdio.h>
#include <string.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "services/hsm/process/commands.h"
#include "services/hsm/process/offline.h"

/* Values of the options; NULL: not given. */
struct arguments {
    const char *config;
    const char *certificate;
    const char *token_label;
    const char *pin_file;
    const char *roster;
    struct ks_offline_arguments offline; /* its root is enrol's, too */
};

static int run_token(const struct ks_hsm_settings *settings, const struct arguments *given)
{
    (void)given;
    return ks_hsm_command_token(settings);
}

static int run_init(const struct ks_hsm_settings *settings, const struct arguments *given)
{
    (void)given;
    return ks_hsm_command_init(settings);
}

static int run_enrol(const struct ks_hsm_settings *settings, const struct arguments *given)
{
    return ks_hsm_command_enrol(settings, given->certificate, given->offline.root);
}

static int run_renew(const struct ks_hsm_settings *settings, const struct arguments *given)
{
    return ks_hsm_command_renew(settings, given->token_label, given->pin_file, given->roster);
}

static int run_serve(const struct ks_hsm_settings *settings, const struct arguments *given)
{
    (void)given;
    return ks_hsm_command_serve(settings);
}

static int run_status(const struct ks_hsm_settings *settings, const struct arguments *given)
{
    (void)given;
    return ks_hsm_command_status(settings);
}

#define NEEDED_MAX 5U

/* A command has the one function or the other. */
struct command {
    const char *name;
    const char *verb; /* the second word; NULL: none */
    const char *needed[NEEDED_MAX + 1];
    int (*run)(const struct ks_hsm_settings *settings, const struct arguments *given);
    int (*run_offline)(const struct ks_offline_arguments *given);
};

static const struct command commands[] = {
    {"token", NULL, {"--config"}, run_token, NULL},
    {"init", NULL, {"--config"}, run_init, NULL},
    {"enrol", NULL, {"--config", "--certificate", "--root"}, run_enrol, NULL},
    {"renew", NULL, {"--config", "--token-label", "--pin-file", "--roster"}, run_renew, NULL},
    {"serve", NULL, {"--config"}, run_serve, NULL},
    {"status", NULL, {"--config"}, run_status, NULL},
    {"custodians",
     NULL,
     {"--region", "--period", "--hsm-root", "--out"},
     NULL,
     ks_offline_custodians},
    {"custodian", "box", {"--block", "--custodians", "--out"}, NULL, ks_offline_box},
    {"custodian", "open", {"--key", "--in", "--out"}, NULL, ks_offline_open},
    {"restore-order",
     NULL,
     {"--hsm-root", "--challenge", "--block", "--out"},
     NULL,
     ks_offline_order},
};

static const char usage[] =
    "usage: keystead-hsm token  --config FILE\n"
    "       keystead-hsm init   --config FILE\n"
    "       keystead-hsm enrol  --config FILE --certificate FILE --root FILE\n"
    "       keystead-hsm renew  --config FILE --token-label LABEL --pin-file FILE --roster FILE\n"
    "       keystead-hsm serve  --config FILE\n"
    "       keystead-hsm status --config FILE\n"
    "       keystead-hsm custodians --region REGION --period N [--threshold M] [--count N]\n"
    "                               --hsm-root DIR --out DIR\n"
    "       keystead-hsm custodian box  --block FILE --custodians N,N --out FILE\n"
    "       keystead-hsm custodian open --key FILE --in FILE --out FILE\n"
    "                                   [--challenge FILE --root FILE [--trust-domain NAME]]\n"
    "       keystead-hsm restore-order  --hsm-root DIR --challenge FILE --block FILE --out FILE\n"
    "                                   [--source-root FILE] [--trust-domain NAME]\n"
    "       keystead-hsm --example | --help\n\n"
    "token makes a SoftHSM token with the PIN of pin_file; other tokens are made by their own\n"
    "tools. init makes the keys in the token and writes a certificate request; once the hsm root has\n"
    "signed it, enrol stores the certificate and pins the root; serve then needs nothing else.\n"
    "renew moves a stopped hsm into another token with new root and node keys, and destroys the\n"
    "old ones.\n"
    "\n"
    "The rest is for backups and needs no token. custodians makes a private key for each of N people\n"
    "(3 unless said), any M (2) of whom can open backups together, and their public kit, which the\n"
    "hsm root signs. A new kit has a higher period. To restore a backup, take the box for M of them\n"
    "out of its key block with custodian box. They open it one after the other with custodian open,\n"
    "the lowest number first; the last one seals the backup's key to the challenge of the new hsm,\n"
    "under the hsm root of --root. restore-order signs with the new hsm root that this hsm may take\n"
    "that block over; --source-root is the root of the hsm that made it, if it is another one.\n"
    "No file is ever written over.\n"
    "\n"
    "--example prints a commented configuration.\n";

static const char **option_of(struct arguments *given, const char *name)
{
    struct ks_offline_arguments *offline = &given->offline;
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        {"--config", &given->config},
        {"--certificate", &given->certificate},
        {"--token-label", &given->token_label},
        {"--pin-file", &given->pin_file},
        {"--roster", &given->roster},
        {"--root", &offline->root},
        {"--region", &offline->region},
        {"--period", &offline->period},
        {"--threshold", &offline->threshold},
        {"--count", &offline->count},
        {"--hsm-root", &offline->hsm_root},
        {"--source-root", &offline->source_root},
        {"--trust-domain", &offline->trust_domain},
        {"--out", &offline->out},
        {"--block", &offline->block},
        {"--custodians", &offline->custodians},
        {"--key", &offline->key},
        {"--in", &offline->in},
        {"--challenge", &offline->challenge},
    };
    for (size_t i = 0; i < KS_COUNT(options); i++) {
        if (strcmp(options[i].name, name) == 0) {
            return options[i].value;
        }
    }
    return NULL;
}

static bool read_options(int argc, char **argv, int begin, struct arguments *given)
{
    for (int i = begin; i < argc; i += 2) {
        const char **value = option_of(given, argv[i]);
        if (!value || *value || i + 1 == argc) {
            return false;
        }
        *value = argv[i + 1];
    }
    return true;
}

/* Whether everything that the command needs was given; says on stderr what is not. */
static bool has_all(const struct command *command, struct arguments *given)
{
    for (size_t i = 0; command->needed[i]; i++) {
        const char **value = option_of(given, command->needed[i]);
        if (!*value) {
            fprintf(stderr, "keystead-hsm: %s%s%s needs %s; see keystead-hsm --help\n",
                    command->name, command->verb ? " " : "", command->verb ? command->verb : "",
                    command->needed[i]);
            return false;
        }
    }
    return true;
}

static const struct command *command_of(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < KS_COUNT(commands); i++) {
        const char *verb = commands[i].verb;
        if (strcmp(commands[i].name, argv[1]) == 0 &&
            (!verb || (argc > 2 && strcmp(verb, argv[2]) == 0))) {
            return &commands[i];
        }
    }
    return NULL;
}

static int run(const struct command *command, struct arguments *given)
{
    KS_HSM_SETTINGS_AUTO settings = {.region = NULL};
    if (!has_all(command, given)) {
        return KS_EXIT_USAGE;
    }
    if (command->run_offline) {
        return command->run_offline(&given->offline);
    }
    if (ks_failed(ks_hsm_settings_load(given->config, &settings))) {
        return KS_EXIT_USAGE;
    }
    return command->run(&settings, given);
}

int main(int argc, char **argv)
{
    struct arguments given = {.config = NULL};
    ks_log_init("hsm", KS_LOG_INFO);
    if (argc == 2 && strcmp(argv[1], "--example") == 0) {
        ks_config_example(&ks_hsm_settings_table, stdout);
        return KS_EXIT_OK;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return KS_EXIT_OK;
    }
    const struct command *command = command_of(argc, argv);
    if (!command || !read_options(argc, argv, command->verb ? 3 : 2, &given)) {
        fputs(usage, stderr);
        return KS_EXIT_USAGE;
    }
    return run(command, &given);
}
