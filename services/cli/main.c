/* keystead: the command line. */

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "pkg/base/log.h"
#include "pkg/crypto/crypto.h"
#include "services/cli/arguments/help.h"
#include "services/cli/commands/commands.h"
#include "services/cli/output/emit.h"
#include "services/cli/service/connections.h"
#include "services/cli/setup/cli.h"
#include "services/cli/setup/duration.h"

#define HELP_LEN_MAX       65536U
#define TIMEOUT_DEFAULT_MS 10000

static ks_result print_help(struct ks_cli *cli)
{
    KS_BUFFER_AUTO out = {.len_max = HELP_LEN_MAX};
    KS_TRY(ks_help(&ks_commands, cli->arguments.noun, cli->arguments.command, &out));
    return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
}

static ks_result read_output(struct ks_cli *cli)
{
    const char *word = ks_argument(&cli->arguments, "output");
    if (!word || strcmp(word, "table") == 0) {
        cli->output = KS_OUTPUT_TABLE;
    } else if (strcmp(word, "json") == 0) {
        cli->output = KS_OUTPUT_JSON;
    } else {
        return ks_fail(&cli->failure, KS_VALIDATION, "--output is table or json, not '%.40s'",
                       word);
    }
    return KS_RES(OK);
}

static ks_result run(int argc, char **argv, struct ks_cli *cli)
{
    char text[KS_USAGE_LEN];
    ks_result r = ks_arguments_parse(&ks_commands, argc, argv, &cli->arguments, text);
    if (ks_failed(r)) {
        return ks_fail(&cli->failure, r.code, "%s", text);
    }
    if (cli->arguments.help) {
        return print_help(cli);
    }
    ks_log_init("keystead",
                ks_argument_given(&cli->arguments, "verbose") ? KS_LOG_INFO : KS_LOG_ERROR);
    KS_TRY(read_output(cli));
    KS_TRY(ks_duration_option(cli, "timeout", TIMEOUT_DEFAULT_MS, &cli->timeout_ms));
    KS_TRY(ks_settings_load(&cli->arguments, &cli->settings, &cli->failure));
    r = ks_crypto_init(&(struct ks_crypto_options){.wipe_allocator = true});
    if (ks_failed(r)) {
        return ks_fail(&cli->failure, r.code, "OpenSSL cannot be used");
    }
    cli->connections = ks_connections_new();
    return cli->arguments.command->run(cli);
}

static void tell(const struct ks_cli *cli, ks_code code)
{
    struct ks_failure ignored = {0};
    KS_BUFFER_AUTO line = {.len_max = KS_FAILURE_LINE_MAX};
    if (ks_failed(ks_failure_line(&cli->failure, code, &line)) ||
        ks_failed(ks_emit(STDERR_FILENO, ks_buffer_bytes(&line), &ignored))) {
        return; /* Nobody listens; the exit code still says it. */
    }
}

int main(int argc, char **argv)
{
    /*
     * Plaintexts and data keys pass through this process: it leaves no core file, and no other
     * process may debug it.
     */
    prctl(PR_SET_DUMPABLE, 0);
    signal(SIGPIPE, SIG_IGN);

    static struct ks_cli cli = {.arena = {.len_max = KS_CLI_ARENA_LEN_MAX}};
    ks_result r = run(argc, argv, &cli);
    if (ks_failed(r)) {
        tell(&cli, r.code);
    }
    ks_connections_free(cli.connections);
    ks_arena_done(&cli.arena);
    ks_settings_done(&cli.settings);
    return (int)ks_exit_of(r.code);
}
