/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave bench: what this machine can do, and our share of it. */
#include "cli.h"
#include "print.h"

typedef struct options {
    int64_t batch_size, threads;
    char *cells, *features, *csv;
    double density;
    int full, json;
} options;

static const scw_option table[] = {
    {"cells", SCW_OPTION_TEXT, offsetof(options, cells), NULL, 0, 0, NULL, "LIST", "Made sets",
     "their sizes, with commas between them; 10000 unless said"},
    {"features", SCW_OPTION_TEXT, offsetof(options, features), NULL, 0, 0, NULL, "LIST",
     "Made sets", "the number of their genes; 2000,20000 unless said"},
    {"density", SCW_OPTION_REAL, offsetof(options, density), "0.05", 1e-6, 1, NULL, "SHARE",
     "Made sets", "share of the counts that is not zero"},
    {"full", SCW_OPTION_BOOL, offsetof(options, full), "off", 0, 0, NULL, NULL, "Made sets",
     "1000,10000,100000 cells, 2000,20000,100000 features, and up to 1000000 cells in the sweep: "
     "half "
     "an hour"},
    {"batch-size", SCW_OPTION_INT, offsetof(options, batch_size), "0", 0, 100000, NULL, "N",
     "Bench", "cells in a step; 0: 64, and 512"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Bench",
     "0: all cores"},
    {"csv", SCW_OPTION_TEXT, offsetof(options, csv), NULL, 0, 0, NULL, "FILE", "Bench",
     "write all measurements as a table, one a row with the machine before it"},
    {"json", SCW_OPTION_BOOL, offsetof(options, json), "off", 0, 0, NULL, NULL, "Bench",
     "print the figures as JSON"},
    {.type = SCW_OPTION_END},
};

static void print_all(const json_t *report)
{
    print_report(report, 0);
}

static int run(cli_run *r)
{
    const options *o = r->options;
    char *text = NULL;
    const scw_bench_request request = {.paths = (const char *const *)r->arguments,
                                       .n_paths = r->n_arguments,
                                       .cells = o->cells,
                                       .features = o->features,
                                       .density = o->density,
                                       .full = o->full,
                                       .batch_size = o->batch_size,
                                       .threads = (int)o->threads,
                                       .csv_path = o->csv};

    int result = cli_finish(r, scw_bench(&text, &request, r->hooks));
    if (result == CLI_OK) result = print_either(text, o->json, print_all);
    scw_free(text);
    return result;
}

const cli_command cli_cmd_bench = {
    "bench",
    run,
    "measure this machine, and training and inference against it",
    "[FILE...] [options]",
    "Measures what this machine can do: matrix products, memory, decompression. Then training "
    "steps and "
    "inference for each reference file, and for sets of --cells and --features made in memory. "
    "Where "
    "neither is named: for some such sets, for each op by itself, and how the time of a step grows "
    "with "
    "non-zeros, features and cells. Beside every figure stands the time that its arithmetic and "
    "its memory traffic take at least on this machine, "
    "and the share of that limit which is reached.\n"
    "docs/bench.md says what is counted. All of it takes about two minutes; let nothing else "
    "run.",
    "scweave bench\n"
    "scweave bench reference.h5mu --batch-size 64\n"
    "scweave bench --cells 1000,100000 --features 20000 --density 0.03 --csv this_machine.csv",
    table,
    sizeof(options),
    0,
};
