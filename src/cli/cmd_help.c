/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave help [COMMAND | --man]. */
#include <stdlib.h>

#include "cli.h"

typedef struct options {
    int man;
} options;

static const scw_option table[] = {
    {"man", SCW_OPTION_BOOL, offsetof(options, man), "off", 0, 0, NULL, NULL, "Help",
     "the manual page, as roff"},
    {.type = SCW_OPTION_END},
};

/* The same as `scweave COMMAND --help`. */
static int help_of(const cli_run *r, const cli_command *command)
{
    cli_run other = {.command = command};
    size_t size;
    const scw_option *settings = cli_settings_table(command, &size);

    if (command->options) {
        other.options = cli_new(1, command->options_size);
        if (scw_options_init(command->options, other.options) != SCW_OK)
            return cli_finish(r, SCW_EINTERNAL);
    }
    if (settings) {
        other.settings = cli_new(1, size);
        if (scw_options_init(settings, other.settings) != SCW_OK)
            return cli_finish(r, SCW_EINTERNAL);
    }
    help_command(stdout, &other);
    if (settings) scw_options_clear(settings, other.settings);
    free(other.settings);
    if (command->options) scw_options_clear(command->options, other.options);
    free(other.options);
    return CLI_OK;
}

static int run(cli_run *r)
{
    const options *o = r->options;

    if (r->n_arguments > 1) return cli_misuse(r, "name one command");
    if (o->man) {
        help_manual(stdout);
        return CLI_OK;
    }
    if (r->n_arguments == 0) {
        help_overview(stdout);
        return CLI_OK;
    }
    const cli_command *command = help_find(r->arguments[0]);
    if (!command) return cli_misuse(r, "there is no command '%s'", r->arguments[0]);
    return help_of(r, command);
}

const cli_command cli_cmd_help = {
    "help", run, "explain a command, or print the manual page", "[COMMAND] [--man]",
    "Without a command, lists the commands.", "scweave help fit", table, sizeof(options), 0,
};
