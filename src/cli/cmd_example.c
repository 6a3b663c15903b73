/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave example: a simulated, labelled set to try everything on. */
#include "cli.h"

typedef struct options {
    int64_t cells, seed;
    bool narrow;
} options;

static const scw_option table[] = {
    {"cells", SCW_OPTION_INT, offsetof(options, cells), "3000", 50, 1e6, NULL, "N", "Example",
     "number of cells"},
    {"seed", SCW_OPTION_INT, offsetof(options, seed), "1", 0, 9e15, NULL, "N", "Example",
     "another seed gives other cells of the same types"},
    {"narrow", SCW_OPTION_BOOL, offsetof(options, narrow), "off", 0, 0, NULL, NULL, "Example",
     "a quarter of the features, markers among them, for quick trials"},
    {.type = SCW_OPTION_END},
};

static int run(cli_run *r)
{
    const options *o = r->options;

    if (r->n_arguments != 1) return cli_misuse(r, "name one file to write");
    return cli_finish(r, scw_example_write(r->arguments[0], o->cells, o->narrow, (uint64_t)o->seed,
                                           r->hooks));
}

const cli_command cli_cmd_example = {
    "example",
    run,
    "write a simulated, labelled PBMC-like set with RNA, protein and chromatin",
    "OUT.h5mu [options]",
    "Simulates blood cells of at least ten types and uneven numbers, in two batches, with real gene "
    "and antibody names whose markers are the known ones. A few cells are mislabelled or doublets, "
    "as in life. Equal arguments give equal files.",
    "scweave example pbmc.h5mu --cells 5000 --seed 7",
    table,
    sizeof(options),
    0,
};
