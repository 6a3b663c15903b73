/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave simulate: new cells of known types. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

typedef struct options {
    char *model, *output, *type, *label, *library, *batch;
    int64_t n, all_types, seed, threads;
    int from, with_real;
} options;

static const scw_option table[] = {
    {"model", SCW_OPTION_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "FILE", "Task",
     "model file written by fit"},
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",
     "the .h5mu to write"},
    {"type", SCW_OPTION_TEXT, offsetof(options, type), NULL, 0, 0, NULL, "NAME", "Task",
     "the type to simulate, with --n"},
    {"n", SCW_OPTION_INT, offsetof(options, n), "0", 0, 1e8, NULL, "N", "Task",
     "number of cells; without --type of all types together, in the proportions of the reference"},
    {"all-types", SCW_OPTION_INT, offsetof(options, all_types), "0", 0, 1e8, NULL, "N", "Task",
     "instead: N cells of each type"},
    {"from", SCW_OPTION_CHOICE, offsetof(options, from), "class", 0, 0, "class|posterior|prior",
     "WHERE", "Task",
     "class: the type's distribution over the latent; posterior: around the latent of single real "
     "cells, as published; prior: no type, labels by the model's classifier"},
    {"library", SCW_OPTION_TEXT, offsetof(options, library), "real", 0, 0, NULL, "real|median|N",
     "Task", "counts in a cell: as the real cells of the type, their median, or N RNA counts"},
    {"batch", SCW_OPTION_TEXT, offsetof(options, batch), NULL, 0, 0, NULL, "NAME|observed|mean", "Task",
     "of a model fitted with --batch-key: the batch to simulate; observed (unless said): in the "
     "proportions of the real cells; mean: none in particular"},
    {"with-real", SCW_OPTION_BOOL, offsetof(options, with_real), "off", 0, 0, NULL, NULL, "Task",
     "write the labelled real cells too (obs simulated: False)"},
    {"label", SCW_OPTION_TEXT, offsetof(options, label), NULL, 0, 0, NULL, "KEY", "Task",
     "obs column with the types; the one of the training unless said"},
    {"seed", SCW_OPTION_INT, offsetof(options, seed), "1", 0, 9e15, NULL, "N", "Task",
     "equal seeds give equal cells"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Task",
     "0: all cores"},
    {.type = SCW_OPTION_END},
};

/* real: 0, median: -1, else a number above zero; false for anything else. */
static int read_library(double *out, const char *text)
{
    char *end = NULL;

    *out = strcmp(text, "median") == 0 ? -1.0 : 0.0;
    if (strcmp(text, "median") == 0 || strcmp(text, "real") == 0) return 1;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= 1.0 && *out <= 1e9;
}

static int check(const cli_run *r, double *library)
{
    const options *o = r->options;

    if (!o->model) return cli_misuse(r, "--model is missing: the file that fit wrote");
    if (cli_input_count(r) == 0) return cli_misuse(r, "name the reference data: real, labelled cells");
    if (!o->output) return cli_misuse(r, "--output is missing: the file to write");
    if (o->n == 0 && o->all_types == 0)
        return cli_misuse(r, "how many cells? --n N, or --all-types N");
    if (o->all_types > 0 && (o->n > 0 || o->type))
        return cli_misuse(r, "--all-types N stands without --n and --type");
    if (o->from == SCW_SIMULATE_PRIOR && (o->type || o->all_types > 0))
        return cli_misuse(r, "--from prior knows no types: give --n alone");
    if (!read_library(library, o->library))
        return cli_misuse(r, "--library %s: expected real, median, or a number from 1 to 1e9",
                          o->library);
    if (cli_same_file(o->output, o->model))
        return cli_misuse(r, "--output %s is the model file", o->output);
    if (cli_writes_over_input(r, o->output))
        return cli_misuse(r, "--output %s is one of the data files", o->output);
    return cli_finish(r, scw_output_check(o->output));
}

static int run(cli_run *r)
{
    const options *o = r->options;
    scw_model *model = NULL;
    scw_dataset *reference = NULL;
    double library = 0.0;

    int result = check(r, &library);
    if (result != CLI_OK) return result;
    const scw_simulate_request request = {.type = o->type,
                                          .n = o->n,
                                          .n_each = o->all_types,
                                          .from = (scw_simulate_from)o->from,
                                          .library = library,
                                          .with_real = o->with_real,
                                          .label_key = o->label,
                                          .seed = (uint64_t)o->seed,
                                          .threads = (int)o->threads,
                                          .command = r->record,
                                          .batch = o->batch};
    scw_status st = scw_model_load(&model, o->model);
    if (st == SCW_OK) st = cli_open(&reference, r);
    if (st == SCW_OK) st = scw_model_simulate(model, reference, &request, o->output, r->hooks);
    result = cli_finish(r, st);
    scw_dataset_free(reference);
    scw_model_free(model);
    return result;
}

const cli_command cli_cmd_simulate = {
    "simulate",
    run,
    "draw new cells of known types with a fitted model",
    "-m MODEL.safetensors REF... --type NAME --n N -o OUT.h5mu [options]",
    "Writes a new .h5mu with simulated cells: whole counts of the model's features in every modality, "
    "obs with their type and simulated. The reference is labelled real cells: they give each type its "
    "depth, its spread over the latent and what the latent leaves. A model without count decoders "
    "gives expected transformed values, and says so.",
    "scweave simulate -m model.safetensors reference.h5mu --type \"B naive\" --n 500 -o b.h5mu\n"
    "scweave simulate -m model.safetensors reference.h5mu --all-types 200 --with-real -o more.h5mu",
    table,
    sizeof(options),
    CLI_TAKES_INPUT,
};
