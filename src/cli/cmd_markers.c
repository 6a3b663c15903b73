/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave markers: which features speak for each class. */
#include <string.h>

#include "cli.h"

typedef struct options {
    char *model, *label, *output;
    int method, score, baseline, all;
    int64_t steps, top, cells, seed, threads;
} options;

static const scw_option table[] = {
    {"model", SCW_OPTION_TEXT, offsetof(options, model), NULL, 0, 0, NULL, "FILE", "Markers",
     "model file written by fit"},
    {"label", SCW_OPTION_TEXT, offsetof(options, label), NULL, 0, 0, NULL, "KEY", "Markers",
     "obs column with the type of each cell: cells that the model gets right are explained; "
     "without it, all cells by the model's own answers"},
    {"method", SCW_OPTION_CHOICE, offsetof(options, method), "shared", 0, 0,
     "shared|ig|saliency|ttest|wilcoxon", "HOW", "Markers",
     "how features are ranked: integrated gradients whose credit is shared by features that vary "
     "together, or as they are; size of the gradient; tests of expression, class against rest"},
    {"baseline", SCW_OPTION_CHOICE, offsetof(options, baseline), "mean", 0, 0, "mean|zero", "CELL",
     "Markers", "what cells are compared with: the mean training cell, or one without a count"},
    {"score", SCW_OPTION_CHOICE, offsetof(options, score), "margin", 0, 0, "margin|logit", "WHAT",
     "Markers",
     "what is explained: the class score less the mean of the others', or the class score alone"},
    {"all", SCW_OPTION_BOOL, offsetof(options, all), "off", 0, 0, NULL, NULL, "Markers",
     "rank all features, not only those that are raised in the type"},
    {"steps", SCW_OPTION_INT, offsetof(options, steps), "20", 1, 1000, NULL, "N", "Markers",
     "Gauss-Legendre nodes of the integral"},
    {"top", SCW_OPTION_INT, offsetof(options, top), "20", 0, 1e9, NULL, "K", "Markers",
     "features of each type; 0: all"},
    {"cells", SCW_OPTION_INT, offsetof(options, cells), "1000", 0, 1e9, NULL, "N", "Markers",
     "explain at most N cells of a type, chosen by the seed; 0: all"},
    {"seed", SCW_OPTION_INT, offsetof(options, seed), "1", 0, 9e15, NULL, "N", "Markers",
     "of the choice of cells"},
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Markers",
     "the table (.tsv), or a copy of the data with the ranking in uns (.h5mu, .h5ad); standard "
     "output unless said"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Markers",
     "0: all cores"},
    {.type = SCW_OPTION_END},
};

static int to_stdout(const options *o)
{
    return !o->output || strcmp(o->output, "-") == 0;
}

static int is_data(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".h5mu") == 0 || strcmp(dot, ".h5ad") == 0);
}

static int check(const cli_run *r)
{
    const options *o = r->options;

    if (!o->model) return cli_misuse(r, "--model is missing: the file that fit wrote");
    if (cli_input_count(r) == 0) return cli_misuse(r, "name the data whose cells are explained");
    if (to_stdout(o)) return CLI_OK;
    if (cli_same_file(o->output, o->model))
        return cli_misuse(r, "--output %s is the model file", o->output);
    if (!is_data(o->output) && cli_writes_over_input(r, o->output))
        return cli_misuse(r, "--output %s is the data; a table would replace it", o->output);
    return cli_finish(r, scw_output_check(o->output));
}

static scw_status write_copy(const cli_run *r, const scw_markers *markers, const scw_dataset *data)
{
    const options *o = r->options;
    scw_results *results = NULL;

    scw_status st = scw_markers_results(&results, markers);
    if (st == SCW_OK) st = scw_results_write(results, data, o->output, r->hooks);
    scw_results_free(results);
    return st;
}

static scw_status print_text(const scw_markers *markers)
{
    char *text = NULL;

    scw_status st = scw_markers_text(&text, markers);
    if (st == SCW_OK) (void)fputs(text, stdout);
    scw_free(text);
    return st;
}

static int run(cli_run *r)
{
    const options *o = r->options;
    const scw_markers_request request = {.label_key = o->label,
                                         .method = (scw_markers_method)o->method,
                                         .baseline = (scw_markers_baseline)o->baseline,
                                         .score = (scw_markers_score)o->score,
                                         .all = o->all,
                                         .steps = o->steps,
                                         .top = o->top,
                                         .cells = o->cells,
                                         .seed = (uint64_t)o->seed,
                                         .threads = (int)o->threads,
                                         .command = r->record};
    scw_model *model = NULL;
    scw_dataset *data = NULL;
    scw_markers *markers = NULL;

    int result = check(r);
    if (result != CLI_OK) return result;
    scw_status st = scw_model_load(&model, o->model);
    if (st == SCW_OK) st = cli_open(&data, r);
    if (st == SCW_OK) st = scw_model_markers(&markers, model, data, &request, r->hooks);
    if (st == SCW_OK)
        st = to_stdout(o)         ? print_text(markers)
             : is_data(o->output) ? write_copy(r, markers, data)
                                  : scw_markers_write(markers, o->output);
    result = cli_finish(r, st);
    scw_markers_free(markers);
    scw_dataset_free(data);
    scw_model_free(model);
    return result;
}

const cli_command cli_cmd_markers = {
    "markers",
    run,
    "rank the features that speak for each cell type, over all modalities",
    "-m MODEL.safetensors DATA... [-o OUT] [options]",
    "Explains the model's answers: for each type, how much each gene, protein or peak adds to its "
    "score, averaged over cells, with a standard error; beside it the t-test and the Wilcoxon rank "
    "sum of the type against the rest. The columns are explained in docs/markers.md.",
    "scweave markers -m model.safetensors reference.h5mu --label cell_type -o markers.tsv\n"
    "scweave markers -m model.safetensors reference.h5mu --method ig --top 50 -o explained.h5mu",
    table,
    sizeof(options),
    CLI_TAKES_INPUT,
};
