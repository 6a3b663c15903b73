/* SPDX-License-Identifier: BSD-3-Clause */
/* Of the page about a run: scores beside those of simple methods. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "scweave/evaluate.h"
#include "task/report.h"

enum { MAX_FIGURES = 12 };

/* Name of a figure or method as people write it. */
static const char *title_of(const char *key)
{
    static const char *const titles[][2] = {
        {"macro_f1", "macro-F1"},
        {"ari", "ARI"},
        {"nmi", "NMI"},
        {"fm", "FM"},
        {"jaccard", "Jaccard"},
        {"explained_variance", "explained variance"},
        {"logistic_regression", "logistic regression"},
        {"knn", "k nearest neighbours"},
        {"majority", "largest class"},
        {"balanced_accuracy", "balanced accuracy"},
        {"majority_accuracy", "accuracy of the largest class alone"},
    };
    for (size_t k = 0; k < sizeof titles / sizeof *titles; k++)
        if (strcmp(key, titles[k][0]) == 0) return titles[k][1];
    return key;
}

static void number_text(char *out, size_t size, const json_t *v)
{
    *out = '\0';
    if (json_is_integer(v)) (void)snprintf(out, size, "%lld", (long long)json_integer_value(v));
    if (json_is_real(v)) (void)snprintf(out, size, "%.3f", json_real_value(v));
}

/* "accuracy" of "accuracy_mean"; false for other keys. */
static bool figure_name(char *out, size_t size, const char *key)
{
    size_t n = strlen(key);

    if (n <= 5 || n - 5 >= size || strcmp(key + n - 5, "_mean") != 0) return false;
    memcpy(out, key, n - 5);
    out[n - 5] = '\0';
    return true;
}

/* The figures of the first method are the columns. */
static int list_figures(char names[MAX_FIGURES][64], const json_t *summary)
{
    json_t *methods = (json_t *)(uintptr_t)summary, *v;
    const char *key;
    int n = 0;

    json_t *first = json_object_iter_value(json_object_iter(methods));
    json_object_foreach(first, key,
                        v) if (n < MAX_FIGURES && figure_name(names[n], sizeof names[n], key)) n++;
    return n;
}

static void spread_text(char *out, size_t size, const json_t *figures, const char *name)
{
    char key[80];

    (void)snprintf(key, sizeof key, "%.63s_mean", name);
    const json_t *mean = json_object_get(figures, key);
    (void)snprintf(key, sizeof key, "%.63s_sd", name);
    const json_t *sd = json_object_get(figures, key);
    *out = '\0';
    if (json_is_number(mean) && json_is_number(sd))
        (void)snprintf(out, size, "%.3f \xc2\xb1 %.3f", json_number_value(mean),
                       json_number_value(sd));
    else if (json_is_number(mean))
        (void)snprintf(out, size, "%.3f", json_number_value(mean));
}

static scw_status write_folds(report *r)
{
    scw_status st = SCW_OK;
    json_t *summary = json_object_get(r->files.folds_json, "summary"), *figures;
    char names[MAX_FIGURES][64], texts[MAX_FIGURES][64];
    const char *row[MAX_FIGURES + 1], *method;
    int n = list_figures(names, summary);
    char align[MAX_FIGURES + 2] = "l";

    memset(align + 1, 'r', (size_t)n);
    TRY(html_note(&r->page,
                  "Cross-validation, %zu folds: mean and standard deviation on cells that "
                  "the model had not seen, beside simple methods on the same folds (%s).",
                  json_array_size(json_object_get(r->files.folds_json, "folds")),
                  strrchr(r->files.folds, '/') + 1));
    row[0] = "method";
    for (int k = 0; k < n; k++)
        row[k + 1] = title_of(names[k]);
    TRY(html_table(&r->page, align, row));
    json_object_foreach(summary, method, figures)
    {
        row[0] = title_of(method);
        for (int k = 0; k < n; k++) {
            spread_text(texts[k], sizeof texts[k], figures, names[k]);
            row[k + 1] = texts[k];
        }
        TRY(html_row(&r->page, align, row));
    }
    TRY(html_table_end(&r->page));
done:
    return st;
}

static scw_status write_classes(report *r, const json_t *classes)
{
    scw_status st = SCW_OK;
    static const char *const keys[] = {"precision", "recall", "f1", "support", "predicted"};
    static const char *const headings[] = {"class", "precision", "recall",
                                           "F1",    "cells",     "predicted"};
    char texts[5][32];
    const char *row[6];
    size_t i;
    json_t *c;

    TRY(html_table(&r->page, "lrrrrr", headings));
    json_array_foreach((json_t *)(uintptr_t)classes, i, c)
    {
        const char *name = json_string_value(json_object_get(c, "name"));
        row[0] = name ? name : "?";
        for (int k = 0; k < 5; k++) {
            number_text(texts[k], sizeof texts[k], json_object_get(c, keys[k]));
            row[k + 1] = texts[k];
        }
        TRY(html_row(&r->page, "lrrrrr", row));
    }
    TRY(html_table_end(&r->page));
done:
    return st;
}

/* Plain figures of a part of the evaluation, a row each. */
static scw_status write_figures(report *r, const json_t *part, const char *heading)
{
    scw_status st = SCW_OK;
    char value[64];
    const char *key;
    json_t *v;

    if (!json_is_object(part)) return SCW_OK;
    TRY(html_table(&r->page, "lr", (const char *[]){heading, ""}));
    json_object_foreach((json_t *)(uintptr_t)part, key, v)
    {
        number_text(value, sizeof value, v);
        if (*value) TRY(html_row(&r->page, "lr", (const char *[]){title_of(key), value}));
    }
    TRY(html_table_end(&r->page));
done:
    return st;
}

static scw_status write_evaluation(report *r, const json_t *evaluation, const char *from)
{
    scw_status st = SCW_OK;
    const json_t *annotation = json_object_get(evaluation, "annotation");

    TRY(html_note(&r->page,
                  "Labels against predictions in one file of cells (%s). If the model was "
                  "trained on these cells, the figures flatter it; cross-validation does not.",
                  from));
    TRY(write_figures(r, annotation, "annotation"));
    TRY(write_figures(r, json_object_get(evaluation, "clustering"), "clusters of the embedding"));
    if (json_is_array(json_object_get(annotation, "classes")))
        TRY(write_classes(r, json_object_get(annotation, "classes")));
done:
    return st;
}

/* Without a file of figures they are computed, when the cells have both columns. */
static scw_status compute_evaluation(json_t **out, report *r)
{
    scw_status st = SCW_OK;
    char *text = NULL;
    const scw_evaluate_request request = {
        .path = r->files.cells, .label_key = r->label, .prediction_key = r->prediction, .seed = 1};

    *out = NULL;
    st = scw_evaluate(&text, &request, r->hooks);
    if (st == SCW_ENOMEM || st == SCW_ECANCELLED) goto done;
    if (st != SCW_OK) log_warning(r->hooks, "%s", scw_error_message());
    st = SCW_OK;
    *out = text ? json_loads(text, 0, NULL) : NULL;
done:
    scw_free(text);
    return st;
}

scw_status report_scores(report *r)
{
    scw_status st = SCW_OK;
    json_t *computed = NULL;

    TRY(html_section(&r->page, "Scores"));
    if (r->files.folds)
        TRY(write_folds(r));
    else
        TRY(html_missing(
            &r->page, "There is no cross-validation beside simple methods.",
            "scweave fit matilda REF.h5mu --label KEY --cv SPLITS.tsv --json > cv.json"));
    if (!r->files.evaluation && r->label && r->prediction) TRY(compute_evaluation(&computed, r));
    if (r->files.evaluation)
        TRY(write_evaluation(r, r->files.evaluation_json, strrchr(r->files.evaluation, '/') + 1));
    else if (computed)
        TRY(write_evaluation(r, computed, strrchr(r->files.cells, '/') + 1));
    else
        TRY(html_missing(&r->page, "There are no figures of predicted against true labels.",
                         "scweave evaluate annotated.h5mu --label KEY --prediction matilda_label "
                         "--json > evaluation.json"));
    TRY(html_section_end(&r->page));
done:
    json_decref(computed);
    return st;
}
