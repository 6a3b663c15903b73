/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave evaluate: how good are the labels and the embedding in a file. */
#include <string.h>

#include "cli.h"
#include "print.h"

typedef struct options {
    char *label, *prediction, *embedding, *batch_key, *before, *partner, *partner_file, *splits,
        *fold;
    char *translation, *measured, *measured_file, *source;
    int64_t seed, threads, neighbors;
    int integration, metric, json, scale;
} options;

static const scw_option table[] = {
    {"label", SCW_OPTION_TEXT, offsetof(options, label), NULL, 0, 0, NULL, "KEY", "Evaluation",
     "obs column with the true labels; cells without one are left out"},
    {"prediction", SCW_OPTION_TEXT, offsetof(options, prediction), NULL, 0, 0, NULL, "KEY",
     "Evaluation", "obs column with predicted labels, such as matilda_label"},
    {"embedding", SCW_OPTION_TEXT, offsetof(options, embedding), NULL, 0, 0, NULL, "KEY",
     "Evaluation", "obsm array whose k-means clusters are compared with the labels, such as "
                   "X_matilda"},
    {"integration", SCW_OPTION_BOOL, offsetof(options, integration), "off", 0, 0, NULL, NULL,
     "Evaluation", "also what the embedding keeps of the labels: silhouette, LISI, connectivity and "
                   "others"},
    {"batch-key", SCW_OPTION_TEXT, offsetof(options, batch_key), NULL, 0, 0, NULL, "KEY",
     "Evaluation", "obs column with the batches: also how well they are mixed"},
    {"before", SCW_OPTION_TEXT, offsetof(options, before), NULL, 0, 0, NULL, "KEY", "Evaluation",
     "obsm array before integration, for what batches explained of it"},
    {"partner", SCW_OPTION_TEXT, offsetof(options, partner), NULL, 0, 0, NULL, "KEY", "Evaluation",
     "obsm array of the same cells by another modality: FOSCTTM, matching, label transfer"},
    {"partner-file", SCW_OPTION_TEXT, offsetof(options, partner_file), NULL, 0, 0, NULL, "FILE",
     "Evaluation", "where that array is, cells of the same name being the same; FILE unless said"},
    {"splits", SCW_OPTION_TEXT, offsetof(options, splits), NULL, 0, 0, NULL, "FILE", "Evaluation",
     "table with the columns cell and fold"},
    {"fold", SCW_OPTION_TEXT, offsetof(options, fold), NULL, 0, 0, NULL, "NAME", "Evaluation",
     "judge the cells of this fold only"},
    {"metric", SCW_OPTION_CHOICE, offsetof(options, metric), "euclidean", 0, 0, "euclidean|cosine",
     NULL, "Evaluation", "distance between the partners"},
    {"translation", SCW_OPTION_TEXT, offsetof(options, translation), NULL, 0, 0, NULL, "KEY",
     "Translation", "predicted values of a modality: a modality, a layer (MODALITY:LAYER) or an obsm "
                    "array; compared with --measured, and needs no --label"},
    {"measured", SCW_OPTION_TEXT, offsetof(options, measured), NULL, 0, 0, NULL, "NAME",
     "Translation", "modality with the measured values"},
    {"measured-file", SCW_OPTION_TEXT, offsetof(options, measured_file), NULL, 0, 0, NULL, "FILE",
     "Translation", "where it is, cells of the same name being the same; FILE unless said"},
    {"source", SCW_OPTION_TEXT, offsetof(options, source), NULL, 0, 0, NULL, "NAME", "Translation",
     "modality or obsm array of that file to regress from, for comparison; with --splits and --fold"},
    {"neighbors", SCW_OPTION_INT, offsetof(options, neighbors), "15", 1, 10000, NULL, "N",
     "Translation", "training cells whose mean is the regression"},
    {"scale", SCW_OPTION_CHOICE, offsetof(options, scale), "raw", 0, 0, "raw|log", NULL,
     "Translation", "compare values as they are, or log1p of both sides"},
    {"seed", SCW_OPTION_INT, offsetof(options, seed), "1", 0, 9e15, NULL, "N", "Evaluation",
     "of the k-means starts and of Leiden"},
    {"threads", SCW_OPTION_INT, offsetof(options, threads), "0", 0, 4096, NULL, "N", "Evaluation",
     "0: all cores"},
    {"json", SCW_OPTION_BOOL, offsetof(options, json), "off", 0, 0, NULL, NULL, "Evaluation",
     "print the report as JSON (docs/evaluate.md)"},
    {.type = SCW_OPTION_END},
};

static void print_classes(const json_t *classes)
{
    static const char *const headings[] = {"class", "precision", "recall", "F1", "cells"};
    char count[32];
    const json_t *c;
    size_t k;

    print_table *t = print_table_new(5);
    for (int h = 0; h < 5; h++) print_table_cell(t, "%s", headings[h]);
    json_array_foreach(classes, k, c)
    {
        print_table_cell(t, "%s", print_text(c, "name"));
        print_table_cell(t, "%.3f", print_number(c, "precision"));
        print_table_cell(t, "%.3f", print_number(c, "recall"));
        print_table_cell(t, "%.3f", print_number(c, "f1"));
        print_table_cell(t, "%s", print_count(count, print_number(c, "support")));
    }
    print_table_end(t, 2);
}

static void print_annotation(const json_t *a)
{
    (void)printf("\naccuracy  %.4f   (the largest class alone: %.4f)\n",
                 print_number(a, "accuracy"), print_number(a, "majority_accuracy"));
    (void)printf("macro-F1  %.4f\n\n", print_number(a, "macro_f1"));
    print_classes(json_object_get(a, "classes"));
}

static void print_clustering(const json_t *c, const char *key)
{
    (void)printf("\nk-means on %s, k = %.0f, against the labels\n\n", key, print_number(c, "k"));
    print_table *t = print_table_new(4);
    print_table_cell(t, "ARI");
    print_table_cell(t, "NMI");
    print_table_cell(t, "FM");
    print_table_cell(t, "Jaccard");
    print_table_cell(t, "%.4f", print_number(c, "ari"));
    print_table_cell(t, "%.4f", print_number(c, "nmi"));
    print_table_cell(t, "%.4f", print_number(c, "fm"));
    print_table_cell(t, "%.4f", print_number(c, "jaccard"));
    print_table_end(t, 2);
}

/* Members that are numbers, two columns; what is not defined is left out. */
static void print_numbers(const json_t *part)
{
    static const char *const counts[] = {"n", "n_labels", "n_batches", "n_isolated_labels", "n_pairs"};
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)part, key, value)
    {
        int is_count = 0;
        char count[32];
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
            is_count |= strcmp(key, counts[k]) == 0;
        if (is_count)
            (void)printf("  %-20s %s\n", key, print_count(count, json_number_value(value)));
        else if (json_is_number(value))
            (void)printf("  %-20s %.4f\n", key, json_number_value(value));
    }
}

static void print_pairing(const json_t *p, const options *o)
{
    static const char *const ways[] = {"transfer_to", "transfer_back"};

    (void)printf("\n%s and %s\n\n", o->embedding, o->partner);
    print_numbers(p);
    for (int k = 0; k < 2; k++) {
        const json_t *t = json_object_get(p, ways[k]);
        (void)printf("\nlabels of %s from %s: accuracy %.4f, macro-F1 %.4f\n",
                     k ? o->embedding : o->partner, k ? o->partner : o->embedding,
                     print_number(t, "accuracy"), print_number(t, "macro_f1"));
    }
    (void)printf("\nboth as one set of cells, each of them a batch\n\n");
    print_numbers(json_object_get(p, "mixing"));
}

/* A row for each predictor. */
static int print_translation(const char *text, const options *o)
{
    static const char *const keys[] = {"prediction", "mean", "neighbors"};
    static const char *const figures[] = {"pearson_feature", "pearson_cell", "auroc_feature",
                                          "auroc_cell", "rmse", "mae"};
    char n[32], p[32];
    json_t *root = print_parse(text);

    if (!root) return CLI_FAILURE;
    const json_t *part = json_object_get(root, "translation");
    (void)printf("%s beside %s: %s cells, %s features\n\n", o->translation, o->measured,
                 print_count(n, print_number(part, "n")),
                 print_count(p, print_number(part, "n_features")));
    print_table *t = print_table_new(7);
    print_table_cell(t, " ");
    for (int f = 0; f < 6; f++) print_table_cell(t, "%s", figures[f]);
    for (int k = 0; k < 3; k++) {
        const json_t *row = json_object_get(part, keys[k]);
        if (!json_is_object(row)) continue;
        print_table_cell(t, "%s", keys[k]);
        for (int f = 0; f < 6; f++) {
            if (json_is_number(json_object_get(row, figures[f])))
                print_table_cell(t, "%.4f", print_number(row, figures[f]));
            else
                print_table_cell(t, "-");
        }
    }
    print_table_end(t, 2);
    json_decref(root);
    return CLI_OK;
}

static int run_translation(cli_run *r, const options *o)
{
    char *text = NULL;

    if (o->label || o->prediction || o->embedding || o->partner)
        return cli_misuse(r, "--translation is judged by itself, without --label and what goes with it");
    if (!o->measured) return cli_misuse(r, "--measured is missing: the modality that was measured");
    if (o->source && !o->splits)
        return cli_misuse(r, "--source needs --splits and --fold: cells to learn the regression from");
    const scw_translation_request request = {r->arguments[0], o->translation, o->measured,
                                             o->measured_file, o->source, o->splits, o->fold,
                                             o->neighbors, o->scale, (int)o->threads};
    int result = cli_finish(r, scw_evaluate_translation(&text, &request, r->hooks));
    if (result == CLI_OK && o->json) (void)puts(text);
    if (result == CLI_OK && !o->json) result = print_translation(text, o);
    scw_free(text);
    return result;
}

static int print_figures(const char *text, const char *path, const options *o)
{
    char n_obs[32], n_labelled[32];
    json_t *root = print_parse(text);

    if (!root) return CLI_FAILURE;
    (void)printf("%s: %s cells, %s with a label in %s\n", path,
                 print_count(n_obs, print_number(root, "n_obs")),
                 print_count(n_labelled, print_number(root, "n_labelled")), o->label);
    const json_t *annotation = json_object_get(root, "annotation");
    const json_t *clustering = json_object_get(root, "clustering");
    if (json_is_object(annotation)) print_annotation(annotation);
    if (json_is_object(clustering)) print_clustering(clustering, o->embedding);
    const json_t *integration = json_object_get(root, "integration");
    const json_t *pairing = json_object_get(root, "pairing");
    if (json_is_object(integration)) {
        (void)printf("\nintegration, %s\n\n", o->embedding);
        print_numbers(integration);
    }
    if (json_is_object(pairing)) print_pairing(pairing, o);
    json_decref(root);
    return CLI_OK;
}

static int run(cli_run *r)
{
    const options *o = r->options;
    char *text = NULL;

    if (r->n_arguments != 1) return cli_misuse(r, "name one file with results");
    if (!o->splits != !o->fold) return cli_misuse(r, "--splits and --fold go together");
    if (o->translation) return run_translation(r, o);
    if (o->measured || o->measured_file || o->source)
        return cli_misuse(r, "--translation is missing: the predicted values to compare with");
    if (!o->label) return cli_misuse(r, "--label is missing: the obs column with the true labels");
    if (!o->prediction && !o->embedding)
        return cli_misuse(r, "say what to judge: --prediction KEY, --embedding KEY, or both");
    if (!o->embedding && (o->integration || o->batch_key || o->before || o->partner))
        return cli_misuse(r, "--embedding is missing: the obsm array that is judged");
    if (o->before && !o->batch_key)
        return cli_misuse(r, "--before needs --batch-key: the obs column with the batches");
    if (o->partner_file && !o->partner)
        return cli_misuse(r, "--partner-file needs --partner: the obsm array in it");
    const scw_evaluate_request request = {r->arguments[0], o->label, o->prediction, o->embedding,
                                          (uint64_t)o->seed, (int)o->threads, o->integration,
                                          o->batch_key, o->before, o->partner, o->partner_file,
                                          o->splits, o->fold,
                                          o->metric == SCW_DISTANCE_COSINE};
    int result = cli_finish(r, scw_evaluate(&text, &request, r->hooks));
    if (result == CLI_OK && o->json) (void)puts(text);
    if (result == CLI_OK && !o->json) result = print_figures(text, r->arguments[0], o);
    scw_free(text);
    return result;
}

const cli_command cli_cmd_evaluate = {
    "evaluate",
    run,
    "compare labels, an embedding or predicted values with what is true",
    "FILE {--label KEY | --translation KEY --measured NAME} [options]",
    "Prints accuracy, macro-F1 and each class's precision, recall and size for predicted labels, and "
    "how well k-means clusters of an embedding agree with the labels. With --batch-key how well batches "
    "are mixed and types kept apart (the figures of scIB, BRAS, CiLISI), with --partner whether two "
    "modalities put a cell in the same place (FOSCTTM, match probability, label transfer). "
    "With --translation how well one modality is predicted from another: correlations and areas under "
    "the curve by feature and by cell, beside the mean of training cells and regression on neighbours. "
    "docs/evaluate.md defines every figure.",
    "scweave evaluate annotated.h5mu --label cell_type --prediction matilda_label "
    "--embedding X_matilda\n"
    "scweave evaluate c.h5mu --label cell_type --embedding rna:X_cca --partner adt:X_cca\n"
    "scweave evaluate a.h5ad --label cell_type --embedding X_matilda --batch-key donor\n"
    "scweave evaluate t.h5mu --translation adt_from_rna --measured adt --source rna --splits folds.tsv "
    "--fold 0",
    table,
    sizeof(options),
    0,
};
