/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave annotate and scweave embed: apply a fitted model to new cells. One pass can do both. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

typedef struct options {
    char *model, *output;
    int64_t threads;
    int embed, align;
    char *batch_key;
    double coverage, reject;
} options;

#define ALIGN                                                                                      \
    {"align", SCW_OPTION_BOOL, offsetof(options, align), "off", 0, 0, NULL, NULL, "Batches",       \
     "first take out what sets the query as a whole apart from the reference, beyond its mix of "  \
     "types; answers then depend on which cells the query has"},                                   \
    {"batch-key", SCW_OPTION_TEXT, offsetof(options, batch_key), NULL, 0, 0, NULL, "KEY",          \
     "Batches", "with --align: obs column that names the batch of each cell; each is lined up by " \
     "itself"}

static const scw_option annotate_table[] = {
    {"model", SCW_OPTION_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "FILE", "Task",
     "model file written by fit"},
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",
     "where the copy of the query with the results goes"},
    {"embed", SCW_OPTION_BOOL, offsetof(options, embed), "off", 0, 0, NULL, NULL, "Task",
     "write the embedding too"},
    ALIGN,
    {"coverage", SCW_OPTION_REAL, offsetof(options, coverage), "0", 0, 0.9999, NULL, "P",
     "Confidence", "add label sets that hold the true class in a share P of cells, 0.95 say"},
    {"reject", SCW_OPTION_REAL, offsetof(options, reject), "0", 0, 0.9999, NULL, "P", "Confidence",
     "call cells 'unknown' that are less like the reference than all but a share P of its own"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Task",
     "0: all cores"},
    {.type = SCW_OPTION_END},
};

/* The same without --embed. */
static const scw_option embed_table[] = {
    {"model", SCW_OPTION_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "FILE", "Task",
     "model file written by fit"},
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Task",
     "where the copy of the query with the results goes"},
    ALIGN,
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Task",
     "0: all cores"},
    {.type = SCW_OPTION_END},
};

static int check(const cli_run *r)
{
    const options *o = r->options;

    if (!o->model) return cli_misuse(r, "--model is missing: the file that fit wrote");
    if (cli_input_count(r) == 0) return cli_misuse(r, "name the query data");
    if (!o->output) return cli_misuse(r, "--output is missing: the file to write");
    if (cli_same_file(o->output, o->model))
        return cli_misuse(r, "--output %s is the model file", o->output);
    if (o->batch_key && !o->align)
        return cli_misuse(r, "--batch-key says what --align lines up; give both");
    return cli_finish(r, scw_output_check(o->output));
}

static scw_status answer(scw_results **out, const scw_model *model, const scw_dataset *query,
                         const void *request, const scw_hooks *hooks)
{
    return scw_model_apply(out, model, query, request, hooks);
}

static int apply(cli_run *r, int annotate, int embed)
{
    const options *o = r->options;
    const scw_task_request request = {.annotate = annotate,
                                      .embed = embed,
                                      .threads = (int)o->threads,
                                      .command = r->record,
                                      .coverage = o->coverage,
                                      .reject = o->reject,
                                      .align = o->align,
                                      .batch_key = o->batch_key};

    int result = check(r);
    return result == CLI_OK ? cli_answer(r, o->model, o->output, answer, &request) : result;
}

static int run_annotate(cli_run *r)
{
    return apply(r, 1, ((const options *)r->options)->embed);
}

static int run_embed(cli_run *r)
{
    return apply(r, 0, 1);
}

const cli_command cli_cmd_annotate = {
    "annotate",
    run_annotate,
    "label the cells of a query with a fitted model",
    "-m MODEL.safetensors QUERY... -o OUT [options]",
    "Writes a copy of the query with, for each cell, the label (obs <model>_label), how sure the "
    "model is (obs <model>_confidence), how little the cell is like the reference (obs "
    "<model>_novelty) and the probability of each class. Features are matched by name; a "
    "modality or features that the query lacks are reported and worked around. The output may be "
    "the input itself: it is replaced at once, when all is written.",
    "scweave annotate -m model.safetensors query.h5mu -o annotated.h5mu --embed",
    annotate_table,
    sizeof(options),
    CLI_TAKES_INPUT | CLI_LEAVES_MATRICES,
};

const cli_command cli_cmd_embed = {
    "embed",
    run_embed,
    "write the position of a query's cells in the model's latent space",
    "-m MODEL.safetensors QUERY... -o OUT [options]",
    "Writes a copy of the query with the embedding in obsm X_<model>: the mean of the latent "
    "distribution, so no chance is in it.",
    "scweave embed -m model.safetensors query.h5mu -o embedded.h5mu",
    embed_table,
    sizeof(options),
    CLI_TAKES_INPUT | CLI_LEAVES_MATRICES,
};
