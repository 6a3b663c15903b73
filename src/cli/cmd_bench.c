/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave bench: what this machine can do, and our share of it. */
#include "cli.h"
#include "print.h"

typedef struct options {
    int64_t batch_size, threads;
    int json;
} options;

static const scw_option table[] = {
    {"batch-size", SCW_OPTION_INT, offsetof(options, batch_size), "0", 0, 100000, NULL, "N", "Bench",
     "cells in a step; 0: as the settings have it"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Bench",
     "0: all cores"},
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

    scw_status st = scw_bench(&text, (const char *const *)r->arguments, r->n_arguments,
                              o->batch_size, (int)o->threads, r->hooks);
    int result = cli_finish(r, st);
    if (result == CLI_OK) result = print_either(text, o->json, print_all);
    scw_free(text);
    return result;
}

const cli_command cli_cmd_bench = {
    "bench",
    run,
    "measure this machine and the training step on given data against it",
    "[FILE...] [options]",
    "Prints the peak of matrix products and of memory traffic, and, for each reference file, the time "
    "of a training step (the median, and the quickest tenth) beside the time its arithmetic and its "
    "traffic would take at those peaks.",
    "scweave bench reference.h5mu",
    table,
    sizeof(options),
    0,
};
