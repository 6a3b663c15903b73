/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "metric/reliability.h"

static scw_status answer_init(held_answer *a, int as, int64_t n, int64_t n_classes)
{
    scw_status st = SCW_OK;

    *a = (held_answer){.as = as};
    TRY(mem_new(&a->logits, n * n_classes));
    TRY(mem_new(&a->truth, n));
    TRY(mem_new(&a->log_distance, n));
done:
    return st;
}

scw_status held_out_init(held_out *h, const matilda_model *m, int64_t n)
{
    scw_status st = SCW_OK;

    *h = (held_out){.n_classes = m->base.classes.n};
    for (int k = -1; k < m->subsets.n; k++)
        TRY(answer_init(&h->answer[h->n_answers++], k < 0 ? MATILDA_AS_NETWORK : k, n,
                        h->n_classes));
done:
    if (st != SCW_OK) held_out_clear(h);
    return st;
}

void held_out_clear(held_out *h)
{
    for (int k = 0; k < h->n_answers; k++) {
        mem_free(h->answer[k].logits);
        mem_free(h->answer[k].truth);
        mem_free(h->answer[k].log_distance);
    }
    *h = (held_out){0};
}

/* Class centres of the training cells in the latent space of an answer. */
static scw_status set_classes(calibration *k, const matilda_model *m, int as, const cells *c,
                              const int64_t *train, int64_t n)
{
    scw_status st = SCW_OK;
    float *latent = NULL;
    int32_t *labels = NULL;

    TRY(mem_new(&latent, n * m->options.z_dim));
    TRY(mem_new(&labels, n));
    for (int64_t i = 0; i < n; i++)
        labels[i] = c->labels[train[i]];
    TRY(matilda_infer_as(m, as, c, train, n, NULL, latent));
    TRY(calibration_set_classes(k, latent, labels, n));
done:
    mem_free(latent);
    mem_free(labels);
    return st;
}

static scw_status add_answer(held_answer *a, const matilda_model *m, const cells *c,
                             const int64_t *rows, int64_t n, const int64_t *train, int64_t n_train)
{
    scw_status st = SCW_OK;
    calibration centres = {0};
    float *latent = NULL;

    if (n == 0 || n_train == 0) return SCW_OK;
    TRY(calibration_init(&centres, 0, m->base.classes.n, m->options.z_dim));
    TRY(set_classes(&centres, m, a->as, c, train, n_train));
    TRY(mem_new(&latent, n * m->options.z_dim));
    TRY(matilda_infer_as(m, a->as, c, rows, n, a->logits + a->n * m->base.classes.n, latent));
    TRY(calibration_log_distances(a->log_distance + a->n, &centres, latent, n));
    for (int64_t i = 0; i < n; i++)
        a->truth[a->n + i] = c->labels[rows[i]];
    a->n += n;
done:
    calibration_clear(&centres);
    mem_free(latent);
    return st;
}

/* The modalities that a cell must have for an answer to be learnt from it: none for the network's. */
static uint32_t needed(const matilda_model *m, int as)
{
    return as < 0 ? 0 : m->subsets.at[as].mask;
}

scw_status held_out_add(held_out *h, const matilda_model *m, const cells *c, const int64_t *rows,
                        int64_t n, const int64_t *train, int64_t n_train)
{
    scw_status st = SCW_OK;
    int64_t *held = NULL, *fitted = NULL, n_held, n_fitted;

    for (int k = 0; k < h->n_answers; k++) {
        held_answer *a = &h->answer[k];
        TRY(cells_with(&held, &n_held, needed(m, a->as), c, rows, n));
        TRY(cells_with(&fitted, &n_fitted, needed(m, a->as), c, train, n_train));
        TRY(add_answer(a, m, c, held, n_held, fitted, n_fitted));
        mem_free(held);
        mem_free(fitted);
        held = fitted = NULL;
    }
done:
    mem_free(held);
    mem_free(fitted);
    return st;
}

/* ------------------------------------------------------------------------------------- fit */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts v [n] and takes `take` of it evenly, the largest included. */
static void quantiles(float *out, int64_t take, double *v, int64_t n)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    for (int64_t k = 0; k < take; k++)
        out[k] = (float)v[(k + 1) * n / take - 1];
}

/* Mean and standard deviation, which is one where there is no spread. */
static void moments(double *location, double *spread, const double *v, int64_t n)
{
    double sum = 0.0, squares = 0.0;

    for (int64_t i = 0; i < n; i++)
        sum += v[i];
    *location = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (v[i] - *location) * (v[i] - *location);
    *spread = sqrt(squares / (double)n);
    if (!(*spread > 1e-9)) *spread = 1.0;
}

/* Accuracy, expected calibration error at a temperature, and 1 - p of the true class. */
static scw_status score(double *accuracy, double *ece, double *conformity, const held_answer *h,
                        int64_t n_classes, double temperature)
{
    scw_status st = SCW_OK;
    float *p = NULL;
    double *top = NULL, hits = 0.0;
    uint8_t *right = NULL;

    TRY(mem_new(&p, h->n * n_classes));
    TRY(mem_new(&top, h->n));
    TRY(mem_new(&right, h->n));
    memcpy(p, h->logits, (size_t)(h->n * n_classes) * sizeof *p);
    calibration_softmax(p, h->n, n_classes, temperature);
    for (int64_t i = 0; i < h->n; i++) {
        const float *row = p + i * n_classes;
        int64_t best = model_best_class(row, n_classes);
        right[i] = best == h->truth[i];
        hits += right[i];
        top[i] = (double)row[best];
        conformity[i] = 1.0 - (double)row[h->truth[i]];
    }
    *accuracy = hits / (double)h->n;
    *ece = reliability_ece(top, right, h->n);
done:
    mem_free(p);
    mem_free(top);
    mem_free(right);
    return st;
}

static scw_status calibrate_answer(calibration *k, const matilda_model *m, const held_answer *h,
                                   const cells *c, const int64_t *train, int64_t n_train)
{
    scw_status st = SCW_OK;
    const int64_t n_classes = m->base.classes.n;
    const reliability_set set = {h->logits, h->truth, h->n, n_classes};
    const int64_t take = h->n < CALIBRATION_MAX_SCORES ? h->n : CALIBRATION_MAX_SCORES;
    double *scores = NULL;
    int64_t *fitted = NULL, n_fitted;

    calibration_clear(k);
    if (h->n == 0) return SCW_OK;
    TRY(calibration_init(k, take, n_classes, m->options.z_dim));
    TRY(mem_new(&scores, h->n));
    k->temperature = reliability_temperature(&set);
    k->log_loss[0] = reliability_log_loss(&set, 1.0);
    k->log_loss[1] = reliability_log_loss(&set, k->temperature);
    TRY(score(&k->accuracy, &k->ece[0], scores, h, n_classes, 1.0));
    TRY(score(&k->accuracy, &k->ece[1], scores, h, n_classes, k->temperature));
    quantiles(k->conformity, take, scores, h->n);
    moments(&k->location, &k->spread, h->log_distance, h->n);
    for (int64_t i = 0; i < h->n; i++)
        scores[i] = calibration_novelty(k, h->log_distance[i]);
    quantiles(k->novelty, take, scores, h->n);
    TRY(cells_with(&fitted, &n_fitted, needed(m, h->as), c, train, n_train));
    TRY(set_classes(k, m, h->as, c, fitted, n_fitted));
    k->n = h->n;
done:
    mem_free(scores);
    mem_free(fitted);
    if (st != SCW_OK) calibration_clear(k);
    return st;
}

scw_status calibrate(matilda_model *m, const held_out *h, const cells *c, const int64_t *train,
                     int64_t n_train)
{
    scw_status st = SCW_OK;

    for (int k = 0; k < h->n_answers; k++) {
        const held_answer *a = &h->answer[k];
        calibration *to = a->as < 0 ? &m->calibration : &m->subsets.at[a->as].calibration;
        TRY(calibrate_answer(to, m, a, c, train, n_train));
    }
done:
    return st;
}
