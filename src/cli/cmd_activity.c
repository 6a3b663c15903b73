/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave activity: genes from peaks. */
#include "cli.h"
#include "print.h"

typedef struct options {
    char *output;
    int64_t threads;
    int json;
} options;

static const scw_option table[] = {
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",
     "the .h5mu to write: a copy of the data with the new modality"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Task",
     "0: all cores"},
    {"json", SCW_OPTION_BOOL, offsetof(options, json), "off", 0, 0, NULL, NULL, "Task",
     "print the summary as JSON"},
    {.type = SCW_OPTION_END},
};

static void print_summary(const json_t *root)
{
    char genes[32], peaks[32], used[32];

    (void)printf("%s: %s genes from %s of %s peaks of %s\n", print_text(root, "name"),
                 print_count(genes, print_number(root, "n_genes")),
                 print_count(used, print_number(root, "n_peaks_used")),
                 print_count(peaks, print_number(root, "n_peaks")), print_text(root, "modality"));
}

static int run(cli_run *r)
{
    const options *o = r->options;
    const scw_activity_options *how = r->settings;
    const scw_prep_request request = {(int)o->threads, r->record};
    scw_dataset *data = NULL;
    scw_results *results = NULL;
    char *report = NULL;

    if (cli_input_count(r) == 0) return cli_misuse(r, "name the file with the peaks");
    if (!o->output) return cli_misuse(r, "--output is missing: the .h5mu to write");
    if (!how->genes)
        return cli_misuse(r, "--genes is missing: the table that says where genes lie");
    int result = cli_finish(r, scw_output_check(o->output));
    if (result != CLI_OK) return result;
    scw_status st = cli_open(&data, r);
    if (st == SCW_OK)
        st = scw_dataset_gene_activity(&results, &report, data, &request, how, r->hooks);
    if (st == SCW_OK) st = scw_results_write(results, data, o->output, r->hooks);
    result = cli_finish(r, st);
    if (result == CLI_OK) result = print_either(report, o->json, print_summary);
    scw_free(report);
    scw_results_free(results);
    scw_dataset_free(data);
    return result;
}

const cli_command cli_cmd_activity = {
    "activity",
    run,
    "gene activity: a modality of genes from the peaks of chromatin",
    "FILE --genes TABLE -o OUT.h5mu [options]",
    "Sums for each gene the peaks that lie over it or before it, or all peaks around its start "
    "with "
    "less weight at a distance, and writes a copy of the file with these sums as a new modality. "
    "Genes without a peak are left out. docs/preprocess.md has the formulas.",
    "scweave activity multiome.h5mu --genes genes.gtf -o multiome.h5mu\n"
    "scweave activity atac.h5ad --genes tss.tsv --weight decay -o with_genes.h5mu",
    table,
    sizeof(options),
    CLI_TAKES_INPUT | CLI_TAKES_ACTIVITY,
};
