/* SPDX-License-Identifier: BSD-3-Clause */
#include "metric/evaluate.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "metric/classification.h"
#include "metric/clustering.h"
#include "metric/kmeans.h"

#define KMEANS_STARTS 10

scw_status evaluate_put(json_t *object, const char *key, json_t *value)
{
    if (value && json_object_set_new(object, key, value) == 0) return SCW_OK;
    return status_fail(SCW_ENOMEM, "out of memory in the report");
}

scw_status evaluate_put_real(json_t *object, const char *key, double value)
{
    return evaluate_put(object, key, isnan(value) ? json_null() : json_real(value));
}

scw_status evaluate_put_int(json_t *object, const char *key, int64_t value)
{
    return evaluate_put(object, key, json_integer(value));
}

static scw_status add_class(json_t *list, const char *name, const classification *c, int64_t k)
{
    scw_status st = SCW_OK;
    json_t *entry = json_object();

    if (!entry || json_array_append(list, entry) != 0)
        FAIL(SCW_ENOMEM, "out of memory in the report");
    json_t *text = json_string(name);
    if (!text) FAIL(SCW_EDATA, "class name '%s' is not valid UTF-8", name);
    TRY(evaluate_put(entry, "name", text));
    TRY(evaluate_put_real(entry, "precision", c->precision[k]));
    TRY(evaluate_put_real(entry, "recall", c->recall[k]));
    TRY(evaluate_put_real(entry, "f1", c->f1[k]));
    TRY(evaluate_put_int(entry, "support", c->support[k]));
    TRY(evaluate_put_int(entry, "predicted", c->predicted[k]));
done:
    json_decref(entry);
    return st;
}

static scw_status add_annotation(json_t *root, const evaluate_input *in)
{
    scw_status st = SCW_OK;
    classification c = {0};
    json_t *part = json_object(), *list = json_array();

    if (!part || !list) FAIL(SCW_ENOMEM, "out of memory in the report");
    TRY(classification_measure(&c, in->truth, in->prediction, in->n, (int32_t)in->classes->n));
    TRY(evaluate_put_int(part, "n_predicted", c.n_predicted));
    TRY(evaluate_put_real(part, "accuracy", c.accuracy));
    TRY(evaluate_put_real(part, "macro_f1", c.macro_f1));
    TRY(evaluate_put_real(part, "balanced_accuracy", c.balanced_accuracy));
    TRY(evaluate_put_real(part, "majority_accuracy", c.majority_accuracy));
    for (int64_t k = 0; k < in->classes->n; k++)
        if (c.support[k] > 0 || c.predicted[k] > 0)
            TRY(add_class(list, in->classes->at[k], &c, k));
    TRY(evaluate_put(part, "classes", json_incref(list)));
    TRY(evaluate_put(root, "annotation", json_incref(part)));
done:
    classification_clear(&c);
    json_decref(list);
    json_decref(part);
    return st;
}

bool evaluate_row_is_finite(const float *row, int64_t d)
{
    for (int64_t j = 0; j < d; j++)
        if (!isfinite(row[j])) return false;
    return true;
}

/* The labelled rows that have an embedding. Returns their number; *n_classes: distinct labels. */
static int64_t gather(float *rows, int32_t *truth, int32_t *seen, const evaluate_input *in,
                      int64_t *n_classes)
{
    int64_t n = 0;

    *n_classes = 0;
    for (int64_t i = 0; i < in->n; i++) {
        const float *row = in->embedding + i * in->d;
        if (in->truth[i] < 0 || !evaluate_row_is_finite(row, in->d)) continue;
        if (!seen[in->truth[i]]++) ++*n_classes;
        if (in->d > 0) memcpy(rows + n * in->d, row, (size_t)in->d * sizeof *rows);
        truth[n++] = in->truth[i];
    }
    return n;
}

static scw_status add_clustering(json_t *root, const evaluate_input *in)
{
    scw_status st = SCW_OK;
    float *rows = NULL;
    int32_t *truth = NULL, *seen = NULL;
    kmeans groups = {0};
    clustering agreement;
    json_t *part = json_object();
    kmeans_options how = {.n_starts = KMEANS_STARTS, .seed = in->seed};

    if (!part) FAIL(SCW_ENOMEM, "out of memory in the report");
    TRY(mem_new(&rows, in->n * in->d));
    TRY(mem_new(&truth, in->n));
    TRY(mem_new(&seen, in->classes->n));
    int64_t n = gather(rows, truth, seen, in, &how.k);
    if (n == 0) FAIL(SCW_EDATA, "no labelled cell has an embedding: nothing to cluster");
    TRY(kmeans_fit(&groups, rows, n, in->d, &how));
    TRY(clustering_measure(&agreement, truth, groups.clusters, n));
    TRY(evaluate_put_int(part, "n", n));
    TRY(evaluate_put_int(part, "dimensions", in->d));
    TRY(evaluate_put_int(part, "k", groups.k));
    TRY(evaluate_put_int(part, "starts", KMEANS_STARTS));
    TRY(evaluate_put_int(part, "seed", (int64_t)in->seed));
    TRY(evaluate_put_real(part, "inertia", groups.inertia));
    TRY(evaluate_put_real(part, "ari", agreement.ari));
    TRY(evaluate_put_real(part, "nmi", agreement.nmi));
    TRY(evaluate_put_real(part, "fm", agreement.fm));
    TRY(evaluate_put_real(part, "jaccard", agreement.jaccard));
    TRY(evaluate_put_real(part, "rand", agreement.rand));
    TRY(evaluate_put(root, "clustering", json_incref(part)));
done:
    mem_free(rows);
    mem_free(truth);
    mem_free(seen);
    kmeans_clear(&groups);
    json_decref(part);
    return st;
}

scw_status evaluate_json(char **out, const evaluate_input *in, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    int64_t n_labelled = 0;
    json_t *root = json_object();
    char *dumped = NULL;

    *out = NULL;
    if (!root) FAIL(SCW_ENOMEM, "out of memory in the report");
    for (int64_t i = 0; i < in->n; i++) n_labelled += in->truth[i] >= 0;
    TRY(evaluate_put_int(root, "n_obs", in->n));
    TRY(evaluate_put_int(root, "n_labelled", n_labelled));
    if (n_labelled == 0) FAIL(SCW_EDATA, "no cell has a label: nothing to compare with");
    if (in->prediction) TRY(add_annotation(root, in));
    if (in->embedding) TRY(add_clustering(root, in));
    if (in->integration) TRY(evaluate_add_integration(root, in, hooks));
    if (in->other) TRY(evaluate_add_pairing(root, in, hooks));
    dumped = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    if (!dumped) FAIL(SCW_ENOMEM, "out of memory in the report");
    TRY(mem_strdup(out, dumped)); /* jansson's memory is not ours to hand out */
done:
    free(dumped);
    json_decref(root);
    return st;
}
