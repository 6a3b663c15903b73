/* SPDX-License-Identifier: BSD-3-Clause */
/* scweave fit --cv: the model and the simple baselines on the same fixed folds. Baselines read what
 * linear_inputs.h makes of the modalities side by side, fitted on the training cells of the fold. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "metric/baseline.h"
#include "metric/classification.h"
#include "metric/clustering.h"
#include "metric/kmeans.h"
#include "metric/reliability.h"
#include "task/linear_inputs.h"
#include "task/matilda.h"
#include "task/splits.h"
#include "train/fit.h"

#define BASELINE_NEIGHBOURS 15
#define KMEANS_STARTS 10
#define COVERAGE_ASKED 0.95 /* of the label sets that are measured */

enum { MODEL = 0, LOGISTIC, NEIGHBOURS, MAJORITY, N_METHODS };
enum { ACCURACY = 0, MACRO_F1, ARI, NMI, EXPLAINED, ECE_RAW, ECE, COVERAGE, SET_SIZE, N_FIGURES };

static const char *const figure_names[N_FIGURES] = {
    "accuracy", "macro_f1", "ari", "nmi", "explained_variance", "ece_uncalibrated", "ece",
    "coverage_95", "set_size_95"};

typedef struct fold {
    const reference *ref;
    int64_t *train, *test; /* rows of the reference */
    int64_t n_train, n_test;
    int32_t *truth;                      /* [n_test] reference classes */
    int32_t *predicted;                  /* [n_test] */
    double *confidence[2];               /* [n_test] of the model's answer, at T = 1 and calibrated */
    uint8_t *right;                      /* [n_test] */
    double figure[N_METHODS][N_FIGURES]; /* NaN: not measured */
} fold;

static void fold_clear(fold *f)
{
    mem_free(f->train);
    mem_free(f->test);
    mem_free(f->truth);
    mem_free(f->predicted);
    mem_free(f->confidence[0]);
    mem_free(f->confidence[1]);
    mem_free(f->right);
    *f = (fold){0};
}

static scw_status fold_init(fold *f, const reference *ref, const splits *s, int32_t k)
{
    scw_status st = SCW_OK;

    *f = (fold){.ref = ref};
    for (int m = 0; m < N_METHODS; m++)
        for (int q = 0; q < N_FIGURES; q++)
            f->figure[m][q] = NAN;
    TRY(mem_new(&f->train, ref->n));
    TRY(mem_new(&f->test, ref->n));
    TRY(mem_new(&f->truth, ref->n));
    TRY(mem_new(&f->predicted, ref->n));
    TRY(mem_new(&f->confidence[0], ref->n));
    TRY(mem_new(&f->confidence[1], ref->n));
    TRY(mem_new(&f->right, ref->n));
    for (int64_t i = 0; i < ref->n; i++) {
        int32_t at = s->fold[ref->obs[i]];
        if (at == k) {
            f->truth[f->n_test] = ref->labels[i];
            f->test[f->n_test++] = i;
        } else if (at >= 0) {
            f->train[f->n_train++] = i;
        }
    }
    if (f->n_test == 0 || f->n_train == 0)
        FAIL(SCW_EDATA, "fold '%s' has no labelled cells to %s", s->names.at[k],
             f->n_test == 0 ? "test" : "train on");
done:
    if (st != SCW_OK) fold_clear(f);
    return st;
}

static scw_status measure(fold *f, int method)
{
    scw_status st = SCW_OK;
    classification c = {0};

    TRY(classification_measure(&c, f->truth, f->predicted, f->n_test, (int32_t)f->ref->classes.n));
    f->figure[method][ACCURACY] = c.accuracy;
    f->figure[method][MACRO_F1] = c.macro_f1;
done:
    classification_clear(&c);
    return st;
}

/* -------------------------------------------------------------------------------- the model */

static scw_status cluster_latent(fold *f, const float *latent, int64_t width, uint64_t seed)
{
    scw_status st = SCW_OK;
    kmeans fit = {0};
    uint8_t *seen = NULL;
    int64_t k = 0;
    clustering c;

    TRY(mem_new(&seen, f->ref->classes.n));
    for (int64_t i = 0; i < f->n_test; i++) {
        k += !seen[f->truth[i]];
        seen[f->truth[i]] = 1;
    }
    kmeans_options options = {.k = k, .n_starts = KMEANS_STARTS, .seed = seed};
    TRY(kmeans_fit(&fit, latent, f->n_test, width, &options));
    TRY(clustering_measure(&c, f->truth, fit.clusters, f->n_test));
    f->figure[MODEL][ARI] = c.ari;
    f->figure[MODEL][NMI] = c.nmi;
done:
    kmeans_clear(&fit);
    mem_free(seen);
    return st;
}

/* What becomes of the promises: confidence of the answers, and how often label sets hold the truth.
 * A cell whose class the training cells lack cannot be in a set. Logits become probabilities. */
static scw_status measure_confidence(fold *f, float *logits, const matilda_model *m,
                                     const cells *test)
{
    scw_status st = SCW_OK;
    const int64_t n_classes = m->base.classes.n;
    int64_t hits = 0, members = 0;
    float *plain = NULL;
    name_index index = {0};

    TRY(mem_new(&plain, f->n_test * n_classes));
    memcpy(plain, logits, (size_t)(f->n_test * n_classes) * sizeof *plain);
    calibration_softmax(plain, f->n_test, n_classes, 1.0);
    TRY(name_index_build(&index, (const char *const *)m->base.classes.at, n_classes, NULL));
    for (int64_t i = 0; i < f->n_test; i++) {
        const calibration *k = matilda_calibration(m, matilda_path_of(m, test, i));
        const double least = calibration_set_floor(k, COVERAGE_ASKED);
        float *p = logits + i * n_classes;
        calibration_softmax(p, 1, n_classes, k->temperature);
        int64_t best = model_best_class(p, n_classes);
        int64_t truth = name_index_find(&index, f->ref->classes.at[f->truth[i]]);
        f->confidence[0][i] = (double)plain[i * n_classes + best];
        f->confidence[1][i] = (double)p[best];
        f->right[i] = best == truth;
        for (int64_t c = 0; c < n_classes; c++) {
            bool member = c == best || (double)p[c] >= least;
            members += member;
            hits += member && c == truth;
        }
    }
    f->figure[MODEL][ECE_RAW] = reliability_ece(f->confidence[0], f->right, f->n_test);
    if (m->calibration.n == 0) goto done;
    f->figure[MODEL][ECE] = reliability_ece(f->confidence[1], f->right, f->n_test);
    f->figure[MODEL][COVERAGE] = (double)hits / (double)f->n_test;
    f->figure[MODEL][SET_SIZE] = (double)members / (double)f->n_test;
done:
    mem_free(plain);
    name_index_clear(&index);
    return st;
}

static scw_status predict(fold *f, const matilda_model *m, const cells *c)
{
    scw_status st = SCW_OK;
    const int64_t n_classes = m->base.classes.n;
    float *p = NULL, *latent = NULL;
    double explained[MODEL_MAX_MODALITIES];
    name_index index = {0};

    TRY(mem_new(&p, f->n_test * n_classes));
    TRY(mem_new(&latent, f->n_test * m->options.z_dim));
    TRY(matilda_infer(m, &m->net.p, c, NULL, f->n_test, p, latent));
    TRY(name_index_build(&index, (const char *const *)f->ref->classes.at, f->ref->classes.n, NULL));
    for (int64_t i = 0; i < f->n_test; i++) {
        int64_t best = model_best_class(p + i * n_classes, n_classes);
        f->predicted[i] = (int32_t)name_index_find(&index, m->base.classes.at[best]);
    }
    TRY(measure(f, MODEL));
    TRY(measure_confidence(f, p, m, c));
    TRY(cluster_latent(f, latent, m->options.z_dim, 0));
    TRY(matilda_explained_variance(m, c, explained));
    f->figure[MODEL][EXPLAINED] = explained[0];
done:
    mem_free(p);
    mem_free(latent);
    name_index_clear(&index);
    return st;
}

static scw_status run_model(fold *f, const scw_model_kind *kind, const matilda_options *options,
                            uint64_t seed, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    matilda_model *m = NULL;
    cells c = {0};
    matilda_options judged = *options;

    judged.likelihood = LIKELIHOOD_GAUSSIAN; /* count decoders change none of the figures */
    TRY(fit_model(&m, kind, f->ref, f->train, f->n_train, &judged, seed, NULL, hooks));
    TRY(fit_prepare(&c, m, f->ref, f->test, f->n_test));
    TRY(predict(f, m, &c));
done:
    cells_clear(&c);
    matilda_free(m);
    return st;
}

/* -------------------------------------------------------------------------------- baselines */

/* Features of all cells side by side, fitted on the training rows. */
typedef struct features {
    int64_t n, width;
    float *train, *test; /* [n_train, width], [n_test, width] */
} features;

static int64_t baseline_width(const fold *f, int k)
{
    const reference_modality *m = &f->ref->modality[k];

    return linear_inputs_width(m->kind, m->features->n, f->n_train);
}

static scw_status add_features(features *x, int64_t at, const fold *f, int k)
{
    scw_status st = SCW_OK;
    const reference_modality *from = &f->ref->modality[k];
    linear_inputs inputs = {0};
    matrix train = {0}, test = {0};
    const row_list listed = reference_rows(from, f->train, f->n_train);
    const row_list asked = reference_rows(from, f->test, f->n_test);

    TRY(row_list_take(&train, &listed));
    TRY(row_list_take(&test, &asked));
    TRY(linear_inputs_fit(&inputs, from->kind, &train, 1e4));
    TRY(linear_inputs_apply(x->train, x->width, at, &inputs, &train));
    TRY(linear_inputs_apply(x->test, x->width, at, &inputs, &test));
done:
    linear_inputs_clear(&inputs);
    matrix_clear(&train);
    matrix_clear(&test);
    return st;
}

static scw_status run_baselines(fold *f)
{
    scw_status st = SCW_OK;
    features x = {0};
    logistic fit = {0};
    int32_t *y = NULL;
    const int32_t n_classes = (int32_t)f->ref->classes.n;
    logistic_options options = logistic_defaults();

    for (int k = 0; k < f->ref->n_modalities; k++)
        x.width += baseline_width(f, k);
    TRY(mem_new(&x.train, f->n_train * x.width));
    TRY(mem_new(&x.test, f->n_test * x.width));
    TRY(mem_new(&y, f->n_train));
    for (int64_t i = 0; i < f->n_train; i++)
        y[i] = f->ref->labels[f->train[i]];
    for (int64_t k = 0, at = 0; k < f->ref->n_modalities; at += baseline_width(f, (int)k), k++)
        TRY(add_features(&x, at, f, (int)k));
    TRY(logistic_fit(&fit, x.train, f->n_train, x.width, y, n_classes, &options));
    TRY(logistic_predict(f->predicted, &fit, x.test, f->n_test));
    TRY(measure(f, LOGISTIC));
    TRY(knn_predict(f->predicted, x.train, y, f->n_train, x.test, f->n_test, x.width, n_classes,
                    BASELINE_NEIGHBOURS));
    TRY(measure(f, NEIGHBOURS));
    int32_t most = majority_class(y, f->n_train, n_classes);
    for (int64_t i = 0; i < f->n_test; i++)
        f->predicted[i] = most;
    TRY(measure(f, MAJORITY));
done:
    mem_free(x.train);
    mem_free(x.test);
    mem_free(y);
    logistic_clear(&fit);
    return st;
}

/* ----------------------------------------------------------------------------------- report */

static const char *method_name(const scw_model_kind *kind, int method)
{
    static const char *const names[] = {NULL, "logistic_regression", "knn", "majority"};
    return method == MODEL ? kind->name : names[method];
}

static json_t *fold_json(const fold *f, const char *name, const scw_model_kind *kind)
{
    json_t *methods = json_object();

    for (int m = 0; m < N_METHODS; m++) {
        json_t *figures = json_object();
        for (int q = 0; q < N_FIGURES; q++)
            if (!isnan(f->figure[m][q]))
                json_object_set_new(figures, figure_names[q], json_real(f->figure[m][q]));
        json_object_set_new(methods, method_name(kind, m), figures);
    }
    return json_pack("{s:s, s:I, s:I, s:o}", "fold", name, "n_train", (json_int_t)f->n_train,
                     "n_test", (json_int_t)f->n_test, "methods", methods);
}

/* Mean and sample standard deviation over folds. */
static json_t *summary_json(const fold *folds, int64_t n, const scw_model_kind *kind)
{
    json_t *summary = json_object();
    char key[64];

    for (int m = 0; m < N_METHODS; m++) {
        json_t *figures = json_object();
        for (int q = 0; q < N_FIGURES; q++) {
            double sum = 0.0, squares = 0.0;
            for (int64_t k = 0; k < n; k++)
                sum += folds[k].figure[m][q];
            double mean = sum / (double)n;
            if (isnan(mean)) continue;
            for (int64_t k = 0; k < n; k++)
                squares += pow(folds[k].figure[m][q] - mean, 2.0);
            (void)snprintf(key, sizeof key, "%s_mean", figure_names[q]);
            json_object_set_new(figures, key, json_real(mean));
            (void)snprintf(key, sizeof key, "%s_sd", figure_names[q]);
            json_object_set_new(figures, key, json_real(sqrt(squares / (double)(n - 1))));
        }
        json_object_set_new(summary, method_name(kind, m), figures);
    }
    return summary;
}

/* Calibration error over the cells of all folds: in a fold of a few hundred cells, chance alone makes
 * an error of some hundredths. */
static scw_status add_pooled(json_t *summary, const fold *folds, int64_t n,
                             const scw_model_kind *kind)
{
    static const char *const names[] = {"ece_uncalibrated_pooled", "ece_pooled"};
    scw_status st = SCW_OK;
    json_t *figures = json_object_get(summary, kind->name);
    double *confidence = NULL;
    uint8_t *right = NULL;
    int64_t total = 0;

    for (int64_t k = 0; k < n; k++)
        total += folds[k].n_test;
    TRY(mem_new(&confidence, total));
    TRY(mem_new(&right, total));
    for (int q = 0; q < 2; q++) {
        for (int64_t k = 0, at = 0; k < n; at += folds[k].n_test, k++) {
            size_t size = (size_t)folds[k].n_test;
            memcpy(confidence + at, folds[k].confidence[q], size * sizeof *confidence);
            memcpy(right + at, folds[k].right, size * sizeof *right);
        }
        if (q == 1 && isnan(folds[0].figure[MODEL][ECE])) break;
        json_object_set_new(figures, names[q], json_real(reliability_ece(confidence, right, total)));
    }
done:
    mem_free(confidence);
    mem_free(right);
    return st;
}

static scw_status report(char **out, const fold *folds, const splits *s, const scw_model_kind *kind,
                         uint64_t seed)
{
    scw_status st = SCW_OK;
    json_t *list = json_array(), *all = NULL, *summary = summary_json(folds, s->names.n, kind);
    char *dumped = NULL;

    TRY(add_pooled(summary, folds, s->names.n, kind));
    for (int64_t k = 0; k < s->names.n; k++)
        json_array_append_new(list, fold_json(&folds[k], s->names.at[k], kind));
    all = json_pack("{s:I, s:O, s:O}", "seed", (json_int_t)seed, "folds", list, "summary", summary);
    dumped =
        all ? json_dumps(all, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)) : NULL;
    if (!dumped) FAIL(SCW_ENOMEM, "out of memory in the report of the folds");
    TRY(mem_strdup(out, dumped));
done:
    free(dumped);
    json_decref(all);
    json_decref(list);
    json_decref(summary);
    return st;
}

scw_status matilda_cross_validate(char **out_json, const scw_model_kind *kind,
                                  const scw_dataset *data, const char *splits_path,
                                  const scw_fit_request *request, const void *options,
                                  const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    reference ref = {0};
    splits s = {0};
    fold *folds = NULL;
    const matilda_options *o = options;

    TRY(reference_build(&ref, data, request->label_key, request->modalities, o->fractional, hooks));
    matilda_report_precision(o, hooks);
    if (request->batch_key) TRY(reference_set_batches(&ref, data, request->batch_key));
    TRY(splits_read(&s, splits_path, data));
    TRY(mem_new(&folds, s.names.n));
    for (int32_t k = 0; k < s.names.n; k++) {
        TRY(fold_init(&folds[k], &ref, &s, k));
        TRY(run_model(&folds[k], kind, o, request->seed, hooks));
        TRY(run_baselines(&folds[k]));
        log_info(hooks, "fold %s: %s accuracy %.3f, macro-F1 %.3f; logistic regression %.3f, %.3f",
                 s.names.at[k], kind->name, folds[k].figure[MODEL][ACCURACY],
                 folds[k].figure[MODEL][MACRO_F1], folds[k].figure[LOGISTIC][ACCURACY],
                 folds[k].figure[LOGISTIC][MACRO_F1]);
    }
    TRY(report(out_json, folds, &s, kind, request->seed));
done:
    for (int64_t k = 0; folds && k < s.names.n; k++)
        fold_clear(&folds[k]);
    mem_free(folds);
    splits_clear(&s);
    reference_clear(&ref);
    return st;
}
