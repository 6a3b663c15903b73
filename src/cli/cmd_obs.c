/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave obs: columns of a text table become columns of obs. */
#include "cli.h"

typedef struct options {
    char *table, *key, *by, *output;
} options;

static const scw_option obs_table[] = {
    {"table", SCW_OPTION_TEXT, offsetof(options, table), NULL, 0, 0, NULL, "FILE", "Task",
     "text file with a header, separated by tabs or commas"},
    {"key", SCW_OPTION_TEXT, offsetof(options, key), NULL, 0, 0, NULL, "COLUMN", "Task",
     "column of the table that says which cells a row is for; the first unless said"},
    {"by", SCW_OPTION_TEXT, offsetof(options, by), NULL, 0, 0, NULL, "KEY", "Task",
     "obs column that the rows are matched with, such as leiden; the cells' names unless said"},
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",
     "where the copy of the data with the columns goes"},
    {.type = SCW_OPTION_END},
};

static int run(cli_run *r)
{
    const options *o = r->options;
    const scw_obs_request request = {o->table, o->key, o->by};
    scw_dataset *data = NULL;
    scw_results *results = NULL;

    if (cli_input_count(r) == 0) return cli_misuse(r, "name the file with the cells");
    if (!o->table) return cli_misuse(r, "--table is missing: the text file with the columns");
    if (!o->output) return cli_misuse(r, "--output is missing: the file to write");
    if (cli_same_file(o->output, o->table))
        return cli_misuse(r, "--output %s is the table", o->output);
    int result = cli_finish(r, scw_output_check(o->output));
    if (result != CLI_OK) return result;
    scw_status st = cli_open(&data, r);
    if (st == SCW_OK) st = scw_obs_from_table(&results, data, &request, r->hooks);
    if (st == SCW_OK) st = scw_results_write(results, data, o->output, r->hooks);
    result = cli_finish(r, st);
    scw_results_free(results);
    scw_dataset_free(data);
    return result;
}

const cli_command cli_cmd_obs = {
    "obs",
    run,
    "add columns of a text table to obs: labels from a CSV, names for clusters",
    "FILE --table TABLE -o OUT [options]",
    "Writes a copy of the file with the columns of a table (.csv, .tsv) in obs. Rows belong to cells "
    "by name or, with --by, to all cells with that value of an obs column. A column becomes whole "
    "numbers, numbers or categories, as all its values allow; empty cells and NA are missing, as are "
    "the values of cells without a row. The output may be the input itself.",
    "scweave obs cells.h5mu --table labels.csv -o labelled.h5mu\n"
    "scweave obs cells.h5mu --by leiden --table names.tsv -o labelled.h5mu",
    obs_table,
    sizeof(options),
    CLI_TAKES_INPUT | CLI_LEAVES_MATRICES,
};
