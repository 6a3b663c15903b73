/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave translate: one modality told from another. */
#include <stdlib.h>

#include "cli.h"

typedef struct options {
    char *model, *output, *from, *to, *name, *batch_key;
    double coverage;
    int64_t threads;
} options;

static const scw_option table[] = {
    {"model", SCW_OPTION_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "FILE", "Task",
     "model file written by fit"},
    {"from", SCW_OPTION_TEXT, offsetof(options, from), NULL, 0, 0, NULL, "NAME", "Task",
     "the modality that the query has"},
    {"to", SCW_OPTION_TEXT, offsetof(options, to), NULL, 0, 0, NULL, "NAME", "Task",
     "the modality to predict"},
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",
     "the .h5mu to write: a copy of the query with the predictions as a new modality"},
    {"name", SCW_OPTION_TEXT, offsetof(options, name), NULL, 0, 0, NULL, "NAME", "Task",
     "of the new modality; TO_from_FROM unless said"},
    {"coverage", SCW_OPTION_REAL, offsetof(options, coverage), "0.9", 0, 0.95, NULL, "P", "Task",
     "share of cells whose value an interval shall hold: 0.5, 0.8, 0.9 or 0.95; 0: no intervals"},
    {"batch-key", SCW_OPTION_TEXT, offsetof(options, batch_key), NULL, 0, 0, NULL, "KEY", "Task",
     "obs column with the batch of each cell; batches that are new to the model, and all without a key, "
     "are predicted for the mean of its own"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Task",
     "0: all cores"},
    {.type = SCW_OPTION_END},
};

static int check(const cli_run *r)
{
    const options *o = r->options;

    if (!o->model) return cli_misuse(r, "--model is missing: the file that fit wrote");
    if (cli_input_count(r) == 0) return cli_misuse(r, "name the query data");
    if (!o->from || !o->to) return cli_misuse(r, "--from and --to are missing: two modalities");
    if (!o->output) return cli_misuse(r, "--output is missing: the .h5mu to write");
    if (cli_same_file(o->output, o->model))
        return cli_misuse(r, "--output %s is the model file", o->output);
    return cli_finish(r, scw_output_check(o->output));
}

static scw_status answer(scw_results **out, const scw_model *model, const scw_dataset *query,
                         const void *request, const scw_hooks *hooks)
{
    return scw_model_translate(out, model, query, request, hooks);
}

static int run(cli_run *r)
{
    const options *o = r->options;
    const scw_translate_request request = {.from = o->from,
                                           .to = o->to,
                                           .name = o->name,
                                           .coverage = o->coverage,
                                           .batch_key = o->batch_key,
                                           .threads = (int)o->threads,
                                           .command = r->record};

    int result = check(r);
    return result == CLI_OK ? cli_answer(r, o->model, o->output, answer, &request) : result;
}

const cli_command cli_cmd_translate = {
    "translate",
    run,
    "predict one modality of a query's cells from another",
    "-m MODEL.safetensors QUERY... --from NAME --to NAME -o OUT.h5mu [options]",
    "Writes a copy of the query with a new modality: X holds expected counts (chances of being open for "
    "chromatin), layers lower and upper the ends of prediction intervals that were checked on cells "
    "held out from the fit. A cell's answer does not depend on the other cells. Models: clue.",
    "scweave translate -m clue.safetensors rna.h5ad --from rna --to adt -o with_adt.h5mu",
    table,
    sizeof(options),
    CLI_TAKES_INPUT | CLI_LEAVES_MATRICES,
};
