/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave cca: two modalities in one space by canonical correlation. */
#include "cli.h"

typedef struct options {
    char *first, *second, *output, *key, *splits, *fold;
    int64_t threads;
} options;

static const scw_option table[] = {
    {"first", SCW_OPTION_TEXT, offsetof(options, first), NULL, 0, 0, NULL, "NAME", "Task",
     "one modality; with --second; the two there are unless said"},
    {"second", SCW_OPTION_TEXT, offsetof(options, second), NULL, 0, 0, NULL, "NAME", "Task",
     "the other"},
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",
     "where the copy of the data with the result goes"},
    {"key", SCW_OPTION_TEXT, offsetof(options, key), NULL, 0, 0, NULL, "NAME", "Task",
     "name of the result in the obsm of both; X_cca unless said"},
    {"splits", SCW_OPTION_TEXT, offsetof(options, splits), NULL, 0, 0, NULL, "FILE", "Task",
     "table with the columns cell and fold"},
    {"fold", SCW_OPTION_TEXT, offsetof(options, fold), NULL, 0, 0, NULL, "NAME", "Task",
     "cells of this fold are not learned from"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Task",
     "0: all cores"},
    {.type = SCW_OPTION_END},
};

static int check(const cli_run *r)
{
    const options *o = r->options;

    if (cli_input_count(r) == 0) return cli_misuse(r, "name the file with two modalities");
    if (!o->output) return cli_misuse(r, "--output is missing: the file to write");
    if (!o->first != !o->second) return cli_misuse(r, "--first and --second go together");
    if (!o->splits != !o->fold) return cli_misuse(r, "--splits and --fold go together");
    if (o->key && !*o->key) return cli_misuse(r, "--key is empty");
    return cli_finish(r, scw_output_check(o->output));
}

static int run(cli_run *r)
{
    const options *o = r->options;
    const scw_cca_request request = {o->first, o->second, o->key, o->splits,
                                     o->fold, (int)o->threads, r->record};
    scw_dataset *data = NULL;
    scw_results *results = NULL;

    int result = check(r);
    if (result != CLI_OK) return result;
    scw_status st = cli_open(&data, r);
    if (st == SCW_OK) st = scw_dataset_cca(&results, data, &request, r->settings, r->hooks);
    if (st == SCW_OK) st = scw_results_write(results, data, o->output, r->hooks);
    result = cli_finish(r, st);
    scw_results_free(results);
    scw_dataset_free(data);
    return result;
}

const cli_command cli_cmd_cca = {
    "cca",
    run,
    "put two modalities into one space by canonical correlation",
    "FILE -o OUT [--first NAME --second NAME] [options]",
    "Learns from cells that have both modalities, and writes a copy of the file with X_cca in the obsm of "
    "each: for match and evaluate --partner, and as what models of several modalities must beat. With "
    "--splits and --fold the cells of one fold are left out of all that is learned. The output may be the "
    "input itself: it is replaced at once, when all is written.",
    "scweave cca cite.h5mu -o cite.h5mu\n"
    "scweave cca cite.h5mu -o test.h5mu --splits folds.tsv --fold 0 --components 20",
    table,
    sizeof(options),
    CLI_TAKES_INPUT | CLI_TAKES_CCA,
};
