/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave fit: train a model and save it, or judge it by cross-validation. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "print.h"

typedef struct options {
    char *label, *batch_key, *modalities, *output, *cv, *checkpoint, *from;
    int64_t seed, threads, checkpoint_epochs;
    double checkpoint_minutes;
    int json, resume;
    int64_t cells;
} options;

static const scw_option table[] = {
    {"label", SCW_OPTION_TEXT, offsetof(options, label), NULL, 0, 0, NULL, "KEY", "Training",
     "obs column with the type of each cell; a model that needs it leaves out cells without one"},
    {"batch-key", SCW_OPTION_TEXT, offsetof(options, batch_key), NULL, 0, 0, NULL, "KEY", "Training",
     "obs column with the batch of each cell, for a reference of several: the decoders account for it, "
     "and settings are chosen that serve a new batch"},
    {"modalities", SCW_OPTION_TEXT, offsetof(options, modalities), NULL, 0, 0, NULL, "NAMES",
     "Training", "comma-separated modalities to use; all unless said"},
    {"cells", SCW_OPTION_INT, offsetof(options, cells), "0", 0, 1e12, NULL, "N", "Training",
     "train on a sample of about N cells, classes by their share; for files larger than memory; 0: all"},
    {"from", SCW_OPTION_TEXT, offsetof(options, from), NULL, 0, 0, NULL, "MODEL.safetensors", "Training",
     "start from this fitted model of the same kind: its modalities, features, inputs, parameters and, unless "
     "given, its options"},
    {"seed", SCW_OPTION_INT, offsetof(options, seed), "1", 0, 9e15, NULL, "N", "Training",
     "equal seeds give equal models"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Training",
     "0: all cores"},
    {"output", SCW_OPTION_TEXT, offsetof(options, output), NULL, 0, 0, NULL, "FILE", "Output",
     "the model file to write (.safetensors)"},
    {"cv", SCW_OPTION_TEXT, offsetof(options, cv), NULL, 0, 0, NULL, "SPLITS.tsv", "Output",
     "instead: train on all folds but one, judge on that one, for each fold of a table with columns "
     "cell and fold; prints the model beside simple methods"},
    {"json", SCW_OPTION_BOOL, offsetof(options, json), "off", 0, 0, NULL, NULL, "Output",
     "print the report on stdout as JSON"},
    {"resume", SCW_OPTION_BOOL, offsetof(options, resume), "off", 0, 0, NULL, NULL, "Survival",
     "continue an interrupted fit from its checkpoint, if there is one; the model is the same to the "
     "byte"},
    {"checkpoint", SCW_OPTION_TEXT, offsetof(options, checkpoint), NULL, 0, 0, NULL, "FILE",
     "Survival",
     "where the state of the fit is kept while it runs; the output's name with .checkpoint unless said. "
     "Removed when the model is written"},
    {"checkpoint-minutes", SCW_OPTION_REAL, offsetof(options, checkpoint_minutes), "5", 0, 1e6, NULL,
     "N", "Survival", "write it so many minutes after the start, and then again and again; 0: only "
     "when the fit is stopped by Ctrl-C or SIGTERM"},
    {"checkpoint-epochs", SCW_OPTION_INT, offsetof(options, checkpoint_epochs), "0", 0, 1e9, NULL,
     "N", "Survival", "write it after every N epochs; 0: not by epochs"},
    {.type = SCW_OPTION_END},
};

static scw_status describe(const scw_model *model)
{
    char *text = NULL;

    scw_status st = scw_model_describe(&text, model);
    if (st == SCW_OK) (void)puts(text);
    scw_free(text);
    return st;
}

/* Names that people use for the methods of a report. */
static const char *title(const char *method)
{
    static const char *const titles[][2] = {{"logistic_regression", "logistic regression"},
                                            {"knn", "k nearest neighbours"},
                                            {"majority", "largest class"}};

    for (size_t k = 0; k < sizeof titles / sizeof *titles; k++)
        if (strcmp(method, titles[k][0]) == 0) return titles[k][1];
    return method;
}

static void print_spread(print_table *t, const json_t *summary, const char *figure)
{
    char mean[64], sd[64];

    (void)snprintf(mean, sizeof mean, "%s_mean", figure);
    (void)snprintf(sd, sizeof sd, "%s_sd", figure);
    if (json_is_number(json_object_get(summary, mean)))
        print_table_cell(t, "%.3f ± %.3f", print_number(summary, mean), print_number(summary, sd));
    else
        print_table_cell(t, "-");
}

/* One row a method: mean and standard deviation over the folds. */
static int print_folds(const char *text)
{
    static const char *const figures[][2] = {
        {"accuracy", "accuracy"}, {"macro_f1", "macro-F1"}, {"ari", "ARI"}, {"nmi", "NMI"}};
    const int n_figures = sizeof figures / sizeof *figures;
    const char *method;
    json_t *summary, *root = print_parse(text);

    if (!root) return CLI_FAILURE;
    json_t *folds = json_object_get(root, "folds");
    (void)printf("%zu folds, mean ± standard deviation\n\n", json_array_size(folds));
    print_table *t = print_table_new(1 + n_figures);
    print_table_cell(t, "method");
    for (int f = 0; f < n_figures; f++) print_table_cell(t, "%s", figures[f][1]);
    json_object_foreach(json_object_get(root, "summary"), method, summary)
    {
        print_table_cell(t, "%s", title(method));
        for (int f = 0; f < n_figures; f++) print_spread(t, summary, figures[f][0]);
    }
    print_table_end(t, 2);
    json_decref(root);
    return CLI_OK;
}

static int cross_validate(const cli_run *r, const scw_dataset *data, const scw_fit_request *request)
{
    const options *o = r->options;
    char *text = NULL;

    scw_status st = scw_model_cross_validate(&text, scw_model_kind_find(r->kind->name), data, o->cv,
                                             request, r->kind_options, r->hooks);
    int result = cli_finish(r, st);
    if (result == CLI_OK && o->json) (void)puts(text);
    if (result == CLI_OK && !o->json) result = print_folds(text);
    scw_free(text);
    return result;
}

/* The model is on disk: what kept its fit has served. */
static void remove_checkpoint(const char *path)
{
    if (remove(path) != 0 && errno != ENOENT)
        (void)fprintf(stderr, "warning: %s cannot be removed: %s\n", path, strerror(errno));
}

static int train(const cli_run *r, const scw_dataset *data, const scw_fit_request *request)
{
    const options *o = r->options;
    scw_model *model = NULL;

    scw_status st = scw_model_fit(&model, scw_model_kind_find(r->kind->name), data, request,
                                  r->kind_options, r->hooks);
    if (st == SCW_OK) st = scw_model_save(model, o->output);
    if (st == SCW_OK) remove_checkpoint(request->checkpoint);
    if (st == SCW_OK && o->json) st = describe(model);
    scw_model_free(model);
    return cli_finish(r, st);
}

/* The checkpoint's name: as given, or beside the output. Given back with free. */
static char *checkpoint_path(const options *o)
{
    const char *base = o->checkpoint ? o->checkpoint : o->output ? o->output : "";
    size_t size = strlen(base) + sizeof ".checkpoint";
    char *path = cli_new(size, 1);

    (void)snprintf(path, size, "%s%s", base, o->checkpoint ? "" : ".checkpoint");
    return path;
}

static int check_checkpoint(const cli_run *r, const char *path)
{
    const options *o = r->options;

    if (cli_writes_over_input(r, path))
        return cli_misuse(r, "--checkpoint %s is one of the data files", path);
    if (strcmp(path, o->output) == 0 || cli_same_file(path, o->output))
        return cli_misuse(r, "--checkpoint %s is the output too; the two need a file each", path);
    return cli_finish(r, scw_output_check(path));
}

static int check(const cli_run *r, const char *checkpoint)
{
    const options *o = r->options;

    if (!r->kind) return cli_unknown_kind(r, NULL);
    if (cli_input_count(r) == 0) return cli_misuse(r, "name the reference data to train on");
    if (!o->label && r->kind->need == SCW_LABELS_NEEDED)
        return cli_misuse(r, "--label is missing: the obs column with the cell types");
    if (o->label && r->kind->need == SCW_LABELS_NONE)
        return cli_misuse(r, "%s learns no types of cells; leave --label out", r->kind->name);
    if (o->cv) {
        if (o->from) return cli_misuse(r, "--cv fits from the start; leave --from out");
        if (o->output) return cli_misuse(r, "--cv writes no model; leave --output out");
        if (o->cells > 0) return cli_misuse(r, "--cv uses the cells of its table; leave --cells out");
        if (o->resume || o->checkpoint || o->checkpoint_epochs > 0)
            return cli_misuse(r, "--cv keeps no checkpoints; leave --resume and --checkpoint out");
        return CLI_OK;
    }
    if (!o->output) return cli_misuse(r, "--output is missing: the model file to write");
    if (cli_writes_over_input(r, o->output))
        return cli_misuse(r, "--output %s is one of the data files", o->output);
    if (o->from && cli_same_file(o->output, o->from))
        return cli_misuse(r, "--output %s is the model to start from", o->output);
    int result = cli_finish(r, scw_output_check(o->output));
    return result == CLI_OK ? check_checkpoint(r, checkpoint) : result;
}

static int run(cli_run *r)
{
    const options *o = r->options;
    scw_dataset *data = NULL;
    char *checkpoint = checkpoint_path(o);

    int result = check(r, checkpoint);
    const scw_fit_request request = {.label_key = o->label,
                                     .modalities = o->modalities,
                                     .seed = (uint64_t)o->seed,
                                     .threads = (int)o->threads,
                                     .command = r->record,
                                     .checkpoint = o->cv ? NULL : checkpoint,
                                     .checkpoint_minutes = o->checkpoint_minutes,
                                     .checkpoint_epochs = o->checkpoint_epochs,
                                     .resume = o->resume,
                                     .batch_key = o->batch_key,
                                     .n_cells = o->cells,
                                     .from = r->from};
    if (result == CLI_OK) result = cli_finish(r, cli_open(&data, r));
    if (result == CLI_OK)
        result = o->cv ? cross_validate(r, data, &request) : train(r, data, &request);
    scw_dataset_free(data);
    free(checkpoint);
    return result;
}

const cli_command cli_cmd_fit = {
    "fit",
    run,
    "train a model, or judge it by cross-validation",
    "MODEL REF... [--label KEY] -o MODEL.safetensors [options]",
    "Trains a model on a reference: one .h5mu, or one .h5ad a modality, joined by cell name. A file "
    "given as NAME=FILE.h5ad becomes the modality NAME; --rna, --adt and --atac do that for the usual "
    "three. Raw counts are expected; everything learned about them is kept in the model file.\n"
    "Ctrl-C and SIGTERM save a checkpoint and stop; a second one quits at once. The same command with "
    "--resume continues, also after a crash or kill -9, from the last checkpoint.",
    "scweave fit matilda reference.h5mu --label cell_type -o model.safetensors\n"
    "scweave fit matilda --rna rna.h5ad --adt adt.h5ad --label cell_type -o model.safetensors\n"
    "scweave fit matilda reference.h5mu --label cell_type -o model.safetensors --resume\n"
    "scweave fit matilda reference.h5mu --label cell_type --cv splits.tsv\n"
    "scweave fit clue rna=rna.h5ad atac=atac.h5ad bridge.h5mu -o clue.safetensors\n"
    "scweave fit clip paired.h5mu -o clip.safetensors",
    table,
    sizeof(options),
    CLI_TAKES_INPUT | CLI_TAKES_KIND | CLI_TAKES_FROM | CLI_COPIES_MATRICES,
};
