/* SPDX-License-Identifier: BSD-3-Clause */
/* scw_evaluate_translation: predicted values of one modality beside the measured ones, and beside the two
 * predictors that a model must beat. Both files are read; the measured one says which cells and features
 * there are. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "io/read_obsm.h"
#include "metric/evaluate.h"
#include "metric/translation.h"
#include "prep/align.h"
#include "scweave/evaluate.h"
#include "task/embedding.h"
#include "task/linear_inputs.h"
#include "task/splits.h"

/* Where predicted values are: rows of a modality's matrix or of its layer, or of an obsm array. */
typedef struct prediction {
    scw_dataset *data;  /* the file; where a layer is named, read with it */
    const modality *m;  /* NULL: an array */
    float *array;       /* [n_obs, d] */
    int64_t d;
} prediction;

typedef struct job {
    const scw_translation_request *r;
    scw_dataset *other;     /* the measured file, if it is another */
    const scw_dataset *data; /* with the measured values */
    const modality *measured;
    prediction said;
    int64_t n, p;           /* cells and features that are judged */
    int64_t *cells;         /* [n] positions in data's obs */
    int64_t *rows;          /* [n] and in the prediction's */
    int64_t *features;      /* [p] columns of the measured matrix */
    int64_t *columns;       /* [p] and of the predicted values */
    int64_t n_train, *train; /* positions in data's obs */
    matrix truth, taught;   /* CSR [n, p], [n_train, p] on the scale */
    float *values;          /* [n, p] what is judged: prediction or baseline */
} job;

static void job_clear(job *j)
{
    scw_dataset_free(j->said.data);
    scw_dataset_free(j->other);
    mem_free(j->said.array);
    mem_free(j->cells);
    mem_free(j->rows);
    mem_free(j->features);
    mem_free(j->columns);
    mem_free(j->train);
    matrix_clear(&j->truth);
    matrix_clear(&j->taught);
    mem_free(j->values);
}

/* ------------------------------------------------------------------------------- reading */

static scw_status open_frames(scw_dataset **out, const char *path, const char *layer,
                              const scw_hooks *hooks)
{
    scw_source source = {.path = path, .layer = layer};

    return scw_dataset_open(out, &source, 1, &(scw_read_options){.leave_matrices = 1}, hooks);
}

/* MODALITY:LAYER or, in an .h5ad, LAYER: its name, or NULL where `key` names no layer. */
static scw_status find_layer(const char **layer, const modality **m, const scw_dataset *d,
                             const char *key)
{
    scw_status st = SCW_OK;
    const char *colon = strchr(key, ':'), *rest = colon ? colon + 1 : key;
    bool named = d->n_files == 1 && !d->files[0].modality, there = false;
    char *name = NULL;

    *layer = NULL;
    *m = d->n_modalities == 1 ? &d->modalities[0] : NULL;
    if (colon) {
        TRY(mem_strdup(&name, key));
        name[colon - key] = '\0';
        *m = dataset_find_modality(d, name);
    }
    if (!*m || d->n_files != 1 || !d->files[0].native) goto done;
    TRY(io_has_layer(&there, d->files[0].path, named ? (*m)->name : NULL, rest));
    if (there) *layer = rest;
done:
    mem_free(name);
    return st;
}

static scw_status read_prediction(prediction *out, const char *path, const char *key,
                                  const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const modality *m;
    const char *layer;
    scw_dataset *whole = NULL;

    TRY(open_frames(&out->data, path, NULL, hooks));
    out->m = dataset_find_modality(out->data, key);
    if (out->m) goto done;
    TRY(find_layer(&layer, &m, out->data, key));
    if (!layer) {
        TRY(embedding_read(&out->array, &out->d, out->data, key));
        goto done;
    }
    TRY(open_frames(&whole, path, layer, NULL)); /* other modalities may lack it: no word of that */
    out->m = dataset_find_modality(whole, m->name);
    scw_dataset_free(out->data);
    out->data = whole;
    whole = NULL;
    if (!out->m) FAIL(SCW_EINTERNAL, "%s: the modality with layer '%s' is lost", path, layer);
done:
    scw_dataset_free(whole);
    return st;
}

static const char *measured_path(const scw_translation_request *r)
{
    return r->measured_path ? r->measured_path : r->path;
}

static scw_status read_measured(job *j, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const scw_translation_request *r = j->r;

    /* A layer stands in a reading of its own, whose other matrices are not X. */
    TRY(open_frames(&j->other, measured_path(r), NULL, hooks));
    j->data = j->other;
    j->measured = dataset_find_modality(j->data, r->measured);
    if (!j->measured)
        FAIL(SCW_ENOTFOUND, "%s: there is no modality '%s'", measured_path(r), r->measured);
    if (!r->measured_path && j->said.m && !j->said.m->layer &&
        strcmp(j->said.m->name, r->measured) == 0)
        FAIL(SCW_EINVAL, "'%s' was named as predicted and as measured", r->measured);
done:
    return st;
}

/* ------------------------------------------------------------------ cells and features */

/* Features by name; the columns of an array are the measured ones in their order. */
static scw_status choose_features(job *j)
{
    scw_status st = SCW_OK;
    alignment a = {0};
    const int64_t n_vars = j->measured->x.n_cols;

    TRY(mem_new(&j->features, n_vars));
    TRY(mem_new(&j->columns, n_vars));
    if (!j->said.m && j->said.d != n_vars)
        FAIL(SCW_EDATA, "%s: '%s' has %lld columns and '%s' %lld features: an array must have one for each, "
             "in their order", j->r->path, j->r->predicted, (long long)j->said.d, j->r->measured,
             (long long)n_vars);
    if (j->said.m) TRY(alignment_build(&a, &j->measured->var.index, &j->said.m->var.index));
    for (int64_t f = 0; f < n_vars; f++) {
        int64_t from = j->said.m ? a.from[f] : f;
        if (from < 0) continue;
        j->features[j->p] = f;
        j->columns[j->p++] = from;
    }
    if (j->p == 0)
        FAIL(SCW_EDATA, "'%s' has no feature of '%s': names of both begin with '%s' and '%s'",
             j->r->predicted, j->r->measured,
             j->said.m->var.index.n > 0 ? j->said.m->var.index.at[0] : "",
             n_vars > 0 ? j->measured->var.index.at[0] : "");
done:
    alignment_clear(&a);
    return st;
}

static bool has_prediction(const prediction *p, int64_t cell)
{
    if (p->m) return p->m->row_of_obs[cell] >= 0;
    return evaluate_row_is_finite(p->array + cell * p->d, p->d);
}

/* Judged: measured and predicted cells, of the fold if there is one. Taught: measured cells of the other
 * folds. */
static scw_status choose_cells(job *j)
{
    scw_status st = SCW_OK;
    const scw_translation_request *r = j->r;
    splits folds = {0};
    name_index index = {0};
    int32_t wanted = -1;

    if (r->splits) {
        TRY(splits_read(&folds, r->splits, j->data));
        for (int64_t k = 0; k < folds.names.n; k++)
            if (strcmp(folds.names.at[k], r->fold) == 0) wanted = (int32_t)k;
        if (wanted < 0) FAIL(SCW_ENOTFOUND, "%s: there is no fold '%s'", r->splits, r->fold);
    }
    TRY(mem_new(&j->cells, j->data->n_obs));
    TRY(mem_new(&j->rows, j->data->n_obs));
    TRY(mem_new(&j->train, j->data->n_obs));
    TRY(name_index_build(&index, (const char *const *)j->said.data->obs.index.at,
                         j->said.data->n_obs, NULL));
    for (int64_t i = 0; i < j->data->n_obs; i++) {
        if (j->measured->row_of_obs[i] < 0) continue;
        if (r->splits && folds.fold[i] != wanted) {
            if (folds.fold[i] >= 0) j->train[j->n_train++] = i;
            continue;
        }
        int64_t row = name_index_find(&index, j->data->obs.index.at[i]);
        if (row < 0 || !has_prediction(&j->said, row)) continue;
        j->cells[j->n] = i;
        j->rows[j->n++] = row;
    }
    if (j->n == 0)
        FAIL(SCW_EDATA, "no cell%s has both '%s' and a predicted value: cells are the same where their names "
             "are", r->splits ? " of the fold" : "", r->measured);
    if (r->splits && j->n_train == 0)
        FAIL(SCW_EDATA, "no cell outside fold '%s' has '%s' to compare with", r->fold, r->measured);
done:
    splits_clear(&folds);
    name_index_clear(&index);
    return st;
}

/* ------------------------------------------------------------------------------- values */

static scw_status set_scale(float *v, int64_t n, const scw_translation_request *r, const char *what)
{
    for (int64_t e = 0; r->log && e < n; e++) {
        if (v[e] <= -1.0f)
            return status_fail(SCW_EDATA, "'%s' holds %g, which has no log1p: judge it as it is (scale raw)",
                               what, (double)v[e]);
        v[e] = log1pf(v[e]);
    }
    return SCW_OK;
}

/* Measured values of listed cells, the judged features only. */
static scw_status take_measured(matrix *out, const job *j, const int64_t *list, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t *rows = NULL;
    matrix all = {0};

    TRY(mem_new(&rows, n));
    for (int64_t i = 0; i < n; i++) rows[i] = j->measured->row_of_obs[list[i]];
    TRY(modality_take(&all, j->measured, rows, n));
    TRY(matrix_select_columns(out, &all, j->features, j->p));
    TRY(set_scale(out->values, matrix_nnz(out), j->r, j->r->measured));
done:
    mem_free(rows);
    matrix_clear(&all);
    return st;
}

static scw_status take_prediction(job *j)
{
    scw_status st = SCW_OK;
    int64_t *rows = NULL;
    matrix found = {0}, chosen = {0};

    if (!j->said.m) {
        for (int64_t i = 0; i < j->n; i++)
            memcpy(j->values + i * j->p, j->said.array + j->rows[i] * j->p,
                   (size_t)j->p * sizeof *j->values);
    } else {
        TRY(mem_new(&rows, j->n));
        for (int64_t i = 0; i < j->n; i++) rows[i] = j->said.m->row_of_obs[j->rows[i]];
        TRY(modality_take(&found, j->said.m, rows, j->n));
        TRY(matrix_select_columns(&chosen, &found, j->columns, j->p));
        for (int64_t i = 0; i < j->n; i++)
            for (int64_t e = chosen.indptr[i]; e < chosen.indptr[i + 1]; e++)
                j->values[i * j->p + chosen.indices[e]] = chosen.values[e];
    }
    TRY(set_scale(j->values, j->n * j->p, j->r, j->r->predicted));
done:
    mem_free(rows);
    matrix_clear(&found);
    matrix_clear(&chosen);
    return st;
}

/* ------------------------------------------------------------------------------ figures */

static scw_status put_figures(json_t *to, const char *name, const translation *t)
{
    scw_status st = SCW_OK;
    json_t *part = json_object();

    if (!part) FAIL(SCW_ENOMEM, "out of memory in the report");
    TRY(evaluate_put_real(part, "pearson_feature", t->mean_pearson_feature));
    TRY(evaluate_put_real(part, "pearson_cell", t->mean_pearson_cell));
    TRY(evaluate_put_real(part, "auroc_feature", t->mean_auroc_feature));
    TRY(evaluate_put_real(part, "auroc_cell", t->mean_auroc_cell));
    TRY(evaluate_put_int(part, "n_auroc_feature", t->n_auroc_feature));
    TRY(evaluate_put_int(part, "n_auroc_cell", t->n_auroc_cell));
    TRY(evaluate_put_real(part, "rmse", t->rmse));
    TRY(evaluate_put_real(part, "mae", t->mae));
    TRY(evaluate_put(to, name, json_incref(part)));
done:
    json_decref(part);
    return st;
}

static scw_status put_features(json_t *to, const job *j, const translation *t)
{
    scw_status st = SCW_OK;
    json_t *list = json_array(), *entry = NULL;

    if (!list) FAIL(SCW_ENOMEM, "out of memory in the report");
    for (int64_t f = 0; f < j->p; f++) {
        json_decref(entry);
        entry = json_object();
        if (!entry) FAIL(SCW_ENOMEM, "out of memory in the report");
        TRY(evaluate_put(entry, "name", json_string(j->measured->var.index.at[j->features[f]])));
        TRY(evaluate_put_real(entry, "pearson", t->pearson_feature[f]));
        TRY(evaluate_put_real(entry, "auroc", t->auroc_feature[f]));
        if (json_array_append(list, entry) != 0) FAIL(SCW_ENOMEM, "out of memory in the report");
    }
    TRY(evaluate_put(to, "features", json_incref(list)));
done:
    json_decref(entry);
    json_decref(list);
    return st;
}

/* j->values against the truth; `features`: each feature's figures too. */
static scw_status judge(json_t *to, const char *name, const job *j, bool features)
{
    scw_status st = SCW_OK;
    translation t = {0};

    TRY(translation_measure(&t, &j->truth, j->values));
    TRY(put_figures(to, name, &t));
    if (features) TRY(put_features(to, j, &t));
done:
    translation_clear(&t);
    if (st != SCW_OK) status_prefix(st, "%s", name);
    return st;
}

/* What the listed cells' values are predicted from; NaN for those that lack it. With `fitted` not fitted
 * yet, it is fitted on them. */
static scw_status source_inputs(float **out, linear_inputs *fitted, const job *j, const modality *m,
                                const int64_t *list, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t *rows = NULL, *at = NULL, n_there = 0;
    matrix counts = {0};
    float *found = NULL;

    TRY(mem_new(&rows, n));
    TRY(mem_new(&at, n));
    for (int64_t i = 0; i < n; i++) {
        if (m->row_of_obs[list[i]] < 0) continue;
        rows[n_there] = m->row_of_obs[list[i]];
        at[n_there++] = i;
    }
    if (n_there == 0) FAIL(SCW_EDATA, "none of the cells has '%s' to predict from", j->r->source);
    TRY(modality_take(&counts, m, rows, n_there));
    TRY(transform_check_counts(&counts, m->name, true));
    if (fitted->width == 0) TRY(linear_inputs_fit(fitted, modality_guess_kind(m), &counts));
    TRY(mem_new(&found, n_there * fitted->width));
    TRY(linear_inputs_apply(found, fitted->width, 0, fitted, &counts));
    TRY(mem_new(out, n * fitted->width));
    for (int64_t e = 0; e < n * fitted->width; e++) (*out)[e] = NAN;
    for (int64_t i = 0; i < n_there; i++)
        memcpy(*out + at[i] * fitted->width, found + i * fitted->width,
               (size_t)fitted->width * sizeof *found);
done:
    mem_free(rows);
    mem_free(at);
    matrix_clear(&counts);
    mem_free(found);
    return st;
}

static scw_status gather_array(float **out, const float *array, int64_t d, const int64_t *list,
                               int64_t n)
{
    scw_status st = SCW_OK;

    TRY(mem_new(out, n * d));
    for (int64_t i = 0; i < n && d > 0; i++)
        memcpy(*out + i * d, array + list[i] * d, (size_t)d * sizeof **out);
done:
    return st;
}

static scw_status predict_neighbors(job *j)
{
    scw_status st = SCW_OK;
    const modality *m = dataset_find_modality(j->data, j->r->source);
    linear_inputs fitted = {0};
    float *array = NULL, *known = NULL, *asked = NULL;
    int64_t d;

    if (m == j->measured)
        FAIL(SCW_EINVAL, "'%s' cannot be predicted from itself: name another source", m->name);
    if (m) {
        TRY(source_inputs(&known, &fitted, j, m, j->train, j->n_train));
        TRY(source_inputs(&asked, &fitted, j, m, j->cells, j->n));
        d = fitted.width;
    } else {
        TRY(embedding_read(&array, &d, j->data, j->r->source));
        TRY(gather_array(&known, array, d, j->train, j->n_train));
        TRY(gather_array(&asked, array, d, j->cells, j->n));
    }
    translation_regression r = {.train_source = known, .train = &j->taught, .query_source = asked,
                                .n_query = j->n, .d = d, .k = j->r->neighbors};
    TRY(translation_predict_neighbors(j->values, &r));
done:
    linear_inputs_clear(&fitted);
    mem_free(array);
    mem_free(known);
    mem_free(asked);
    return st;
}

static scw_status measure(json_t *root, job *j, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    json_t *part = json_object();

    if (!part) FAIL(SCW_ENOMEM, "out of memory in the report");
    TRY(evaluate_put_int(part, "n", j->n));
    TRY(evaluate_put_int(part, "n_features", j->p));
    TRY(evaluate_put_int(part, "n_features_missing", j->measured->x.n_cols - j->p));
    TRY(evaluate_put_int(part, "n_train", j->n_train));
    TRY(evaluate_put(part, "scale", json_string(j->r->log ? "log" : "raw")));
    TRY(take_measured(&j->truth, j, j->cells, j->n));
    TRY(mem_new(&j->values, j->n * j->p));
    TRY(take_prediction(j));
    TRY(judge(part, "prediction", j, true));
    TRY(log_check_cancel(hooks));
    if (j->n_train > 0) {
        TRY(take_measured(&j->taught, j, j->train, j->n_train));
        TRY(translation_predict_mean(j->values, j->n, &j->taught));
        TRY(judge(part, "mean", j, false));
        TRY(log_check_cancel(hooks));
    }
    if (j->r->source) {
        TRY(predict_neighbors(j));
        TRY(judge(part, "neighbors", j, false));
    }
    TRY(evaluate_put(root, "translation", json_incref(part)));
done:
    json_decref(part);
    return st;
}

static scw_status check_request(const scw_translation_request *r)
{
    if (!r->path || !r->predicted || !r->measured)
        return status_fail(SCW_EINVAL, "a translation is judged with a file, the predicted values in it and "
                                       "the modality that was measured");
    if (!r->splits != !r->fold)
        return status_fail(SCW_EINVAL, "a table of folds and the fold to judge go together");
    if (r->source && !r->splits)
        return status_fail(SCW_EINVAL, "to predict from '%s' there must be training cells: name a table of "
                                       "folds and the fold to judge", r->source);
    if (r->neighbors < 1)
        return status_fail(SCW_EINVAL, "regression on %lld neighbours: 1 or more are needed",
                           (long long)r->neighbors);
    return SCW_OK;
}

scw_status scw_evaluate_translation(char **out_json, const scw_translation_request *request,
                                    const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    job j = {.r = request};
    json_t *root = json_object();
    char *dumped = NULL;

    *out_json = NULL;
    TRY(check_request(request));
    if (!root) FAIL(SCW_ENOMEM, "out of memory in the report");
    threads_set(request->threads);
    TRY(read_prediction(&j.said, request->path, request->predicted, hooks));
    TRY(read_measured(&j, hooks));
    TRY(choose_features(&j));
    TRY(choose_cells(&j));
    TRY(log_check_cancel(hooks));
    TRY(evaluate_put_int(root, "n_obs", j.data->n_obs));
    TRY(measure(root, &j, hooks));
    dumped = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    if (!dumped) FAIL(SCW_ENOMEM, "out of memory in the report");
    TRY(mem_strdup(out_json, dumped));
done:
    free(dumped);
    json_decref(root);
    job_clear(&j);
    return st;
}
