/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave qc: quality figures of cells and features. */
#include "cli.h"
#include "print.h"

typedef struct options {
    char *output, *table, *feature_table;
    int64_t threads;
    int json;
} options;

static const scw_option table[] = {
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",
     "a copy of the data with the figures in obs and var; nothing is written unless said"},
    {"table", SCW_OPTION_TEXT, offsetof(options, table), NULL, 0, 0, NULL, "FILE", "Task",
     "the cells' figures as a table (.tsv)"},
    {"feature-table", SCW_OPTION_TEXT, offsetof(options, feature_table), NULL, 0, 0, NULL, "FILE",
     "Task", "the features' figures as a table (.tsv)"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Task",
     "0: all cores"},
    {"json", SCW_OPTION_BOOL, offsetof(options, json), "off", 0, 0, NULL, NULL, "Task",
     "print the summary as JSON"},
    {.type = SCW_OPTION_END},
};

static void print_modality(const json_t *m)
{
    static const char *const headings[] = {"figure", "5 %", "median", "95 %"};
    char cells[32], features[32];
    const char *name;
    json_t *f;

    (void)printf("%s: %s cells, %s features", print_text(m, "name"),
                 print_count(cells, print_number(m, "n_obs")),
                 print_count(features, print_number(m, "n_vars")));
    (void)printf("; without counts: %s cells, %s features\n\n",
                 print_count(cells, print_number(m, "n_empty_cells")),
                 print_count(features, print_number(m, "n_empty_features")));
    print_table *t = print_table_new(4);
    for (int h = 0; h < 4; h++)
        print_table_cell(t, "%s", headings[h]);
    json_object_foreach(json_object_get(m, "figures"), name, f)
    {
        print_table_cell(t, "%s", name);
        print_table_cell(t, "%.6g", print_number(f, "q05"));
        print_table_cell(t, "%.6g", print_number(f, "median"));
        print_table_cell(t, "%.6g", print_number(f, "q95"));
    }
    print_table_end(t, 2);
    (void)putchar('\n');
}

static void print_summary(const json_t *root)
{
    size_t k;
    const json_t *m;

    json_array_foreach(json_object_get(root, "modalities"), k, m) print_modality(m);
}

static int check_table(const cli_run *r, const char *name, const char *path)
{
    if (!path) return CLI_OK;
    if (cli_writes_over_input(r, path))
        return cli_misuse(r, "--%s %s is the data; a table would replace it", name, path);
    return cli_finish(r, scw_output_check(path));
}

static int check(const cli_run *r)
{
    const options *o = r->options;

    if (cli_input_count(r) == 0) return cli_misuse(r, "name the file to look at");
    int result = check_table(r, "table", o->table);
    if (result == CLI_OK) result = check_table(r, "feature-table", o->feature_table);
    if (result == CLI_OK && o->output) result = cli_finish(r, scw_output_check(o->output));
    return result;
}

static int run(cli_run *r)
{
    const options *o = r->options;
    const scw_prep_request request = {(int)o->threads, r->record};
    scw_dataset *data = NULL;
    scw_results *results = NULL;
    char *report = NULL;

    int result = check(r);
    if (result != CLI_OK) return result;
    scw_status st = cli_open(&data, r);
    if (st == SCW_OK) st = scw_dataset_qc(&results, &report, data, &request, r->settings, r->hooks);
    if (st == SCW_OK && o->table) st = scw_results_write_table(results, data, 0, o->table);
    if (st == SCW_OK && o->feature_table)
        st = scw_results_write_table(results, data, 1, o->feature_table);
    if (st == SCW_OK && o->output) st = scw_results_write(results, data, o->output, r->hooks);
    result = cli_finish(r, st);
    if (result == CLI_OK) result = print_either(report, o->json, print_summary);
    scw_free(report);
    scw_results_free(results);
    scw_dataset_free(data);
    return result;
}

const cli_command cli_cmd_qc = {
    "qc",
    run,
    "quality figures of cells and features",
    "FILE [-o OUT] [--table TSV] [options]",
    "Counts, detected genes, the share of the largest counts and of mitochondrial and other sets "
    "for "
    "each cell, and cells, means and dropout for each feature, under the names that scanpy gives "
    "them. Prints a summary; writes a copy of the file with the columns, and tables, where told. "
    "docs/preprocess.md defines each figure.",
    "scweave qc pbmc.h5mu\n"
    "scweave qc pbmc.h5ad -o pbmc.h5ad --table cells.tsv\n"
    "scweave qc brain.h5ad --sets \"mt=mt-;markers=@genes.txt\" -o brain_qc.h5ad",
    table,
    sizeof(options),
    CLI_TAKES_INPUT | CLI_TAKES_QC,
};
