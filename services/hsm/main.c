/* keystead-hsm: reads the command line and runs one command. */
#include <stdio.h>
#include <string.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "services/hsm/process/commands.h"

/* Values of the options; NULL: not given. */
struct arguments {
    const char *config;
    const char *certificate;
    const char *root;
    const char *token_label;
    const char *pin_file;
    const char *roster;
};

typedef int (*command_fn)(const struct ks_hsm_settings *settings, const struct arguments *given);

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
    if (!given->certificate || !given->root) {
        fputs("keystead-hsm: enrol needs --certificate and --root\n", stderr);
        return KS_EXIT_USAGE;
    }
    return ks_hsm_command_enrol(settings, given->certificate, given->root);
}

static int run_renew(const struct ks_hsm_settings *settings, const struct arguments *given)
{
    if (!given->token_label || !given->pin_file || !given->roster) {
        fputs("keystead-hsm: renew needs --token-label, --pin-file and --roster\n", stderr);
        return KS_EXIT_USAGE;
    }
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

struct command {
    const char *name;
    command_fn run;
};

static const struct command commands[] = {{"token", run_token}, {"init", run_init},
                                          {"enrol", run_enrol}, {"renew", run_renew},
                                          {"serve", run_serve}, {"status", run_status}};

static const char usage[] =
    "usage: keystead-hsm token  --config FILE\n"
    "       keystead-hsm init   --config FILE\n"
    "       keystead-hsm enrol  --config FILE --certificate FILE --root FILE\n"
    "       keystead-hsm renew  --config FILE --token-label LABEL --pin-file FILE --roster FILE\n"
    "       keystead-hsm serve  --config FILE\n"
    "       keystead-hsm status --config FILE\n"
    "       keystead-hsm --example | --help\n\n"
    "token makes a SoftHSM token with the PIN of pin_file; other tokens are made by their own\n"
    "tools. init makes the keys in the token and writes a certificate request; once the hsm root has\n"
    "signed it, enrol stores the certificate and pins the root; serve then needs nothing else.\n"
    "renew moves a stopped hsm into another token with new root and node keys, and destroys the\n"
    "old ones.\n"
    "--example prints a commented configuration.\n";

static const char **option_of(struct arguments *given, const char *name)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        {"--config", &given->config},     {"--certificate", &given->certificate},
        {"--root", &given->root},         {"--token-label", &given->token_label},
        {"--pin-file", &given->pin_file}, {"--roster", &given->roster},
    };
    for (size_t i = 0; i < KS_COUNT(options); i++) {
        if (strcmp(options[i].name, name) == 0) {
            return options[i].value;
        }
    }
    return NULL;
}

static bool read_arguments(int argc, char **argv, struct arguments *given)
{
    for (int i = 2; i < argc; i += 2) {
        const char **value = option_of(given, argv[i]);
        if (!value || *value || i + 1 == argc) {
            return false;
        }
        *value = argv[i + 1];
    }
    return given->config != NULL;
}

static const struct command *command_of(const char *name)
{
    for (size_t i = 0; i < KS_COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static int run(const struct command *command, const struct arguments *given)
{
    KS_HSM_SETTINGS_AUTO settings = {.region = NULL};
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
    const struct command *command = argc > 1 ? command_of(argv[1]) : NULL;
    if (!command || !read_arguments(argc, argv, &given)) {
        fputs(usage, stderr);
        return KS_EXIT_USAGE;
    }
    return run(command, &given);
}
