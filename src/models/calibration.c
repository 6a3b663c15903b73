/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/calibration.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "base/threads.h"

#define BLOCK_ROWS 1024 /* cells whitened at a time, whatever the size of a query */
#define SHRINK 0.1 /* of the covariance towards (trace / d) I */

scw_status calibration_init(calibration *c, int64_t n_scores, int64_t n_classes, int64_t width)
{
    scw_status st = SCW_OK;

    *c = (calibration){.temperature = 1.0, .n_scores = n_scores, .n_classes = n_classes,
                       .width = width};
    TRY(mem_new(&c->conformity, n_scores));
    TRY(mem_new(&c->novelty, n_scores));
    TRY(mem_new(&c->whiten, width * width));
    TRY(mem_new(&c->centre, n_classes * width));
done:
    if (st != SCW_OK) calibration_clear(c);
    return st;
}

void calibration_clear(calibration *c)
{
    mem_free(c->conformity);
    mem_free(c->novelty);
    mem_free(c->whiten);
    mem_free(c->centre);
    *c = (calibration){.temperature = 1.0};
}

/* ---------------------------------------------------------------------------------- classes */

/* means [C, d]; NaN for a class without cells. */
static scw_status class_means(double *means, const calibration *c, const float *latent,
                              const int32_t *labels, int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t d = c->width;
    int64_t *count = NULL;

    TRY(mem_new(&count, c->n_classes));
    for (int64_t i = 0; i < n; i++) {
        count[labels[i]]++;
        for (int64_t a = 0; a < d; a++)
            means[labels[i] * d + a] += (double)latent[i * d + a];
    }
    for (int64_t k = 0; k < c->n_classes; k++)
        for (int64_t a = 0; a < d; a++)
            means[k * d + a] = count[k] > 0 ? means[k * d + a] / (double)count[k] : NAN;
done:
    mem_free(count);
    return st;
}

/* s [d, d]: covariance within classes, shrunk. */
static scw_status within_covariance(double *s, const calibration *c, const float *latent,
                                    const int32_t *labels, int64_t n, const double *means)
{
    scw_status st = SCW_OK;
    const int64_t d = c->width;
    double *residual = NULL, trace = 0.0;

    TRY(mem_new(&residual, n * d));
    for (int64_t i = 0; i < n; i++)
        for (int64_t a = 0; a < d; a++)
            residual[i * d + a] = (double)latent[i * d + a] - means[labels[i] * d + a];
    dense_shape shape = {.trans_a = true, .m = d, .n = d, .k = n, .ld_a = d, .ld_b = d, .ld_c = d,
                         .alpha = 1.0 / (double)n};
    dense_product(&shape, residual, residual, s);
    for (int64_t a = 0; a < d; a++)
        trace += s[a * d + a];
    for (int64_t a = 0; a < d; a++)
        s[a * d + a] += SHRINK * trace / (double)d + 1e-12;
done:
    mem_free(residual);
    return st;
}

scw_status calibration_set_classes(calibration *c, const float *latent, const int32_t *labels,
                                   int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t d = c->width;
    double *means = NULL, *s = NULL;

    TRY(mem_new(&means, c->n_classes * d));
    TRY(mem_new(&s, d * d));
    TRY(class_means(means, c, latent, labels, n));
    TRY(within_covariance(s, c, latent, labels, n, means));
    /* s = L L^T, and the whitening is the inverse of L. */
    int before = dense_enter();
    lapack_int info = LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (lapack_int)d, s, (lapack_int)d);
    if (info == 0)
        info = LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'L', 'N', (lapack_int)d, s, (lapack_int)d);
    dense_leave(before);
    if (info != 0) FAIL(SCW_ENUMERIC, "the covariance of the latent space cannot be inverted");
    for (int64_t a = 0; a < d; a++)
        for (int64_t b = 0; b <= a; b++)
            c->whiten[a * d + b] = (float)s[a * d + b];
    for (int64_t k = 0; k < c->n_classes; k++)
        for (int64_t a = 0; a < d; a++) {
            double sum = 0.0;
            for (int64_t b = 0; b <= a; b++)
                sum += s[a * d + b] * means[k * d + b];
            c->centre[k * d + a] = (float)sum;
        }
done:
    mem_free(means);
    mem_free(s);
    return st;
}

/* ----------------------------------------------------------------------------------- scores */

/* Of one cell; y [d] is scratch. */
static double log_distance(const calibration *c, const float *mu, double *y)
{
    const int64_t d = c->width;
    double nearest = INFINITY;

    for (int64_t a = 0; a < d; a++) {
        y[a] = 0.0;
        for (int64_t b = 0; b <= a; b++)
            y[a] += (double)c->whiten[a * d + b] * (double)mu[b];
    }
    for (int64_t k = 0; k < c->n_classes; k++) {
        const float *centre = c->centre + k * d;
        double sum = 0.0;
        for (int64_t a = 0; a < d; a++)
            sum += (y[a] - (double)centre[a]) * (y[a] - (double)centre[a]);
        if (sum < nearest) nearest = sum; /* never for a class without a centre: NaN */
    }
    return 0.5 * log(fmax(nearest, 1e-12));
}

scw_status calibration_log_distances(double *out, const calibration *c, const float *latent,
                                     int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t d = c->width;
    double *white = NULL;

    TRY(mem_new(&white, (n < BLOCK_ROWS ? n : BLOCK_ROWS) * d));
    for (int64_t from = 0; from < n; from += BLOCK_ROWS) {
        int64_t size = n - from < BLOCK_ROWS ? n - from : BLOCK_ROWS;
        PARALLEL_FOR_IF(size * d > 2000)
        for (int64_t i = 0; i < size; i++)
            out[from + i] = log_distance(c, latent + (from + i) * d, white + i * d);
    }
done:
    mem_free(white);
    return st;
}

double calibration_novelty(const calibration *c, double log_distance)
{
    return (log_distance - c->location) / c->spread;
}

void calibration_softmax(float *logits, int64_t n, int64_t n_classes, double temperature)
{
    PARALLEL_FOR_IF(n * n_classes > 20000)
    for (int64_t i = 0; i < n; i++) {
        float *row = logits + i * n_classes;
        double top = -INFINITY, sum = 0.0;
        for (int64_t k = 0; k < n_classes; k++)
            top = fmax(top, (double)row[k]);
        for (int64_t k = 0; k < n_classes; k++)
            sum += exp(((double)row[k] - top) / temperature);
        for (int64_t k = 0; k < n_classes; k++)
            row[k] = (float)(exp(((double)row[k] - top) / temperature) / sum);
    }
}

/* ------------------------------------------------------------------------------- thresholds */

double calibration_set_floor(const calibration *c, double coverage)
{
    /* The rank among all n held-out cells, then its place in the thinned list, rounded up so that
     * the set is rather too large. */
    double rank = ceil((double)(c->n + 1) * coverage);

    if (c->n == 0 || rank > (double)c->n) return 0.0;
    int64_t at = (int64_t)ceil(rank / (double)c->n * (double)c->n_scores) - 1;
    return 1.0 - (double)c->conformity[at < 0 ? 0 : at];
}

double calibration_novelty_limit(const calibration *c, double share)
{
    int64_t at = (int64_t)ceil((1.0 - share) * (double)c->n_scores) - 1;

    if (c->n_scores == 0) return INFINITY;
    return (double)c->novelty[at < 0 ? 0 : at];
}
