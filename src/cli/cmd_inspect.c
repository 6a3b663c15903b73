/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave inspect: what is in a file and what is wrong with it. */
#include "cli.h"
#include "print.h"

typedef struct options {
    int json;
} options;

static const scw_option table[] = {
    {"json", SCW_OPTION_BOOL, offsetof(options, json), "off", 0, 0, NULL, NULL, "Inspection",
     "print one JSON document a file (docs/formats.md)"},
    {.type = SCW_OPTION_END},
};

static int show(cli_run *r, const char *path)
{
    const options *o = r->options;
    char *text = NULL;

    int result = cli_finish(r, scw_inspect(&text, path, r->hooks));
    if (result == CLI_OK && o->json) (void)puts(text);
    if (result == CLI_OK && !o->json) {
        json_t *root = print_parse(text);
        if (root) print_report(root, 0);
        result = root ? CLI_OK : CLI_FAILURE;
        json_decref(root);
    }
    scw_free(text);
    return result;
}

/* Every file is looked at, also behind one that fails. */
static int run(cli_run *r)
{
    const options *o = r->options;
    int result = CLI_OK;

    if (r->n_arguments == 0) return cli_misuse(r, "name the files to look at");
    for (int k = 0; k < r->n_arguments; k++) {
        if (k && !o->json) (void)putchar('\n');
        int one = show(r, r->arguments[k]);
        if (one != CLI_OK) result = one;
        if (one == CLI_INTERRUPTED) break;
    }
    return result;
}

const cli_command cli_cmd_inspect = {
    "inspect",
    run,
    "say what is in a file: shapes, sparsity, values, labels, problems",
    "FILE... [--json]",
    "Reads no more than is needed, and as far as it can of files that the other commands refuse.",
    "scweave inspect pbmc.h5mu",
    table,
    sizeof(options),
    0,
};
