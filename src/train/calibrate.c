/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "metric/reliability.h"

scw_status held_out_init(held_out *h, int64_t n, int64_t n_classes)
{
    scw_status st = SCW_OK;

    *h = (held_out){.n_classes = n_classes};
    TRY(mem_new(&h->logits, n * n_classes));
    TRY(mem_new(&h->truth, n));
    TRY(mem_new(&h->log_distance, n));
done:
    if (st != SCW_OK) held_out_clear(h);
    return st;
}

void held_out_clear(held_out *h)
{
    mem_free(h->logits);
    mem_free(h->truth);
    mem_free(h->log_distance);
    *h = (held_out){0};
}

/* Class centres of the training cells in the model's latent space. */
static scw_status set_classes(calibration *k, const scw_model *m, const cells *c,
                              const int64_t *train, int64_t n)
{
    scw_status st = SCW_OK;
    float *latent = NULL;
    int32_t *labels = NULL;

    TRY(mem_new(&latent, n * m->options.z_dim));
    TRY(mem_new(&labels, n));
    for (int64_t i = 0; i < n; i++)
        labels[i] = c->labels[train[i]];
    TRY(model_infer(m, &m->net.p, c, train, n, NULL, latent));
    TRY(calibration_set_classes(k, latent, labels, n));
done:
    mem_free(latent);
    mem_free(labels);
    return st;
}

scw_status held_out_add(held_out *h, const scw_model *m, const cells *c, const int64_t *rows,
                        int64_t n, const int64_t *train, int64_t n_train)
{
    scw_status st = SCW_OK;
    calibration centres = {0};
    float *latent = NULL;

    TRY(calibration_init(&centres, 0, h->n_classes, m->options.z_dim));
    TRY(set_classes(&centres, m, c, train, n_train));
    TRY(mem_new(&latent, n * m->options.z_dim));
    TRY(model_infer(m, &m->net.p, c, rows, n, h->logits + h->n * h->n_classes, latent));
    TRY(calibration_log_distances(h->log_distance + h->n, &centres, latent, n));
    for (int64_t i = 0; i < n; i++)
        h->truth[h->n + i] = c->labels[rows[i]];
    h->n += n;
done:
    calibration_clear(&centres);
    mem_free(latent);
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
static scw_status score(double *accuracy, double *ece, double *conformity, const held_out *h,
                        double temperature)
{
    scw_status st = SCW_OK;
    float *p = NULL;
    double *top = NULL, hits = 0.0;
    uint8_t *right = NULL;

    TRY(mem_new(&p, h->n * h->n_classes));
    TRY(mem_new(&top, h->n));
    TRY(mem_new(&right, h->n));
    memcpy(p, h->logits, (size_t)(h->n * h->n_classes) * sizeof *p);
    calibration_softmax(p, h->n, h->n_classes, temperature);
    for (int64_t i = 0; i < h->n; i++) {
        const float *row = p + i * h->n_classes;
        int64_t best = model_best_class(row, h->n_classes);
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

scw_status calibrate(scw_model *m, const held_out *h, const cells *c, const int64_t *train,
                     int64_t n_train)
{
    scw_status st = SCW_OK;
    calibration *k = &m->calibration;
    const reliability_set set = {h->logits, h->truth, h->n, h->n_classes};
    const int64_t take = h->n < CALIBRATION_MAX_SCORES ? h->n : CALIBRATION_MAX_SCORES;
    double *scores = NULL;

    calibration_clear(k);
    if (h->n == 0) return SCW_OK;
    TRY(calibration_init(k, take, h->n_classes, m->options.z_dim));
    TRY(mem_new(&scores, h->n));
    k->temperature = reliability_temperature(&set);
    k->log_loss[0] = reliability_log_loss(&set, 1.0);
    k->log_loss[1] = reliability_log_loss(&set, k->temperature);
    TRY(score(&k->accuracy, &k->ece[0], scores, h, 1.0));
    TRY(score(&k->accuracy, &k->ece[1], scores, h, k->temperature));
    quantiles(k->conformity, take, scores, h->n);
    moments(&k->location, &k->spread, h->log_distance, h->n);
    for (int64_t i = 0; i < h->n; i++)
        scores[i] = calibration_novelty(k, h->log_distance[i]);
    quantiles(k->novelty, take, scores, h->n);
    TRY(set_classes(k, m, c, train, n_train));
    k->n = h->n;
done:
    mem_free(scores);
    if (st != SCW_OK) calibration_clear(k);
    return st;
}
