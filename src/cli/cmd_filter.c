/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave filter: the file without the cells and features that fail. */
#include "cli.h"
#include "print.h"

typedef struct options {
    char *output;
    int64_t threads;
    int json;
} options;

static const scw_option table[] = {
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",
     "the file to write"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Task",
     "0: all cores"},
    {"json", SCW_OPTION_BOOL, offsetof(options, json), "off", 0, 0, NULL, NULL, "Task",
     "print what was dropped as JSON"},
    {.type = SCW_OPTION_END},
};

static void print_axis(const json_t *axis, const char *name)
{
    char before[32], after[32], dropped[32];
    const char *reason;
    json_t *n;

    (void)printf("%s: %s of %s stay\n", name, print_count(after, print_number(axis, "after")),
                 print_count(before, print_number(axis, "before")));
    json_object_foreach(json_object_get(axis, "dropped"), reason, n)(void)
        printf("  %-34s fails %s\n", reason, print_count(dropped, json_number_value(n)));
}

static void print_bounds(const json_t *bounds)
{
    static const char *const headings[] = {"figure", "batch", "low", "high"};
    size_t k;
    const json_t *b;

    if (json_array_size(bounds) == 0) return;
    (void)puts("\noutliers lie outside");
    print_table *t = print_table_new(4);
    for (int h = 0; h < 4; h++)
        print_table_cell(t, "%s", headings[h]);
    json_array_foreach(bounds, k, b)
    {
        print_table_cell(t, "%s", print_text(b, "figure"));
        print_table_cell(t, "%s", print_text(b, "batch"));
        if (json_is_number(json_object_get(b, "low")))
            print_table_cell(t, "%.6g", print_number(b, "low"));
        else
            print_table_cell(t, "-");
        print_table_cell(t, "%.6g", print_number(b, "high"));
    }
    print_table_end(t, 2);
}

static void print_dropped(const json_t *root)
{
    print_axis(json_object_get(root, "cells"), "cells");
    (void)printf("%s ", print_text(root, "modality"));
    print_axis(json_object_get(root, "features"), "features");
    print_bounds(json_object_get(root, "outlier_bounds"));
}

static int run(cli_run *r)
{
    const options *o = r->options;
    const scw_prep_request request = {(int)o->threads, r->record};
    scw_dataset *data = NULL;
    char *report = NULL;

    if (cli_input_count(r) == 0) return cli_misuse(r, "name the data to filter");
    if (!o->output) return cli_misuse(r, "--output is missing: the file to write");
    int result = cli_finish(r, scw_output_check(o->output));
    if (result != CLI_OK) return result;
    scw_status st = cli_open(&data, r);
    if (st == SCW_OK)
        st = scw_dataset_filter(&report, data, &request, r->settings, o->output, r->hooks);
    result = cli_finish(r, st);
    if (result == CLI_OK) result = print_either(report, o->json, print_dropped);
    scw_free(report);
    scw_dataset_free(data);
    return result;
}

const cli_command cli_cmd_filter = {
    "filter",
    run,
    "drop cells and features by counts, genes, mitochondrial share or as outliers",
    "FILE... -o OUT --min-genes N [options]",
    "Writes the file without the cells and features that fail, and says how many failed what. "
    "Everything that belongs to them is cut in step: obs, var, X, layers, obsm, varm, obsp, varp, "
    "raw, and all modalities of an .h5mu; what stays is stored as it was. Features are judged by "
    "the "
    "cells that stay. docs/preprocess.md defines the figures.",
    "scweave filter pbmc.h5mu -o good.h5mu --min-genes 200 --max-pct-mt 20 --min-cells 3\n"
    "scweave filter pbmc.h5ad -o good.h5ad --mads 5 --batch-key sample\n"
    "scweave filter ready.h5ad -o small.h5ad --keep-var highly_variable",
    table,
    sizeof(options),
    CLI_TAKES_INPUT | CLI_TAKES_FILTER,
};
