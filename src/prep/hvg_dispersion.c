/* SPDX-License-Identifier: BSD-3-Clause */
/* Highly variable features by dispersion, variance over mean, among features of similar mean. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "prep/hvg_moments.h"
#include "prep/select.h"

#define NORMAL_QUARTILE 0.67448975019608171 /* the median absolute deviation of a standard normal  \
                                             */
#define FIRST_PERCENTILE 10
#define PERCENTILE_STEP 5
#define PERCENTILES 19 /* 10, 15, ... 100 */

/* One batch: the features that take part, at the front of each array. */
typedef struct dispersion {
    int64_t n;
    double *mean, *value, *norm; /* [p] */
    int64_t *bin;                /* [p] */
    int64_t *column;             /* [p] which feature */
    double *edges;               /* ascending; bin k is (edges[k], edges[k + 1]] */
    int64_t n_edges;
    double *sorted; /* [p] scratch */
} dispersion;

static void dispersion_clear(dispersion *d)
{
    mem_free(d->mean);
    mem_free(d->value);
    mem_free(d->norm);
    mem_free(d->bin);
    mem_free(d->column);
    mem_free(d->edges);
    mem_free(d->sorted);
}

/* ------------------------------------------------------------------ bins of the mean */

/* n equal parts of the range; the lowest edge is moved so that the smallest mean lies inside. */
static void equal_edges(dispersion *d, int64_t n_bins)
{
    double low = d->mean[0], high = d->mean[0];

    for (int64_t i = 1; i < d->n; i++) {
        low = fmin(low, d->mean[i]);
        high = fmax(high, d->mean[i]);
    }
    if (low == high) {
        double wider = low != 0.0 ? 0.001 * fabs(low) : 0.001;
        low -= wider;
        high += wider;
    }
    for (int64_t k = 0; k <= n_bins; k++)
        d->edges[k] = low + (high - low) * (double)k / (double)n_bins;
    d->edges[n_bins] = high;
    d->edges[0] -= 0.001 * (high - low);
    d->n_edges = n_bins + 1;
}

/* Percentiles 10, 15, ..., 100 of the mean between two infinities; equal ones count once. */
static void percentile_edges(dispersion *d)
{
    memcpy(d->sorted, d->mean, (size_t)d->n * sizeof *d->sorted);
    qsort(d->sorted, (size_t)d->n, sizeof *d->sorted, select_compare);
    d->edges[0] = -(double)INFINITY;
    d->n_edges = 1;
    for (int k = 0; k < PERCENTILES; k++) {
        double q = 0.01 * (FIRST_PERCENTILE + PERCENTILE_STEP * k);
        double edge = sorted_quantile(d->sorted, d->n, fmin(q, 1.0));
        if (edge > d->edges[d->n_edges - 1]) d->edges[d->n_edges++] = edge;
    }
    d->edges[d->n_edges++] = (double)INFINITY;
}

static void find_bins(dispersion *d)
{
    for (int64_t i = 0; i < d->n; i++) {
        int64_t low = 0, high = d->n_edges - 1; /* first edge that is not below the mean */
        while (low < high) {
            int64_t middle = low + (high - low) / 2;
            if (d->edges[middle] < d->mean[i])
                low = middle + 1;
            else
                high = middle;
        }
        d->bin[i] = low > 0 ? low - 1 : 0;
    }
}

/* Values of the features in a bin that have one, to `sorted`. */
static int64_t gather(dispersion *d, int64_t bin)
{
    int64_t n = 0;

    for (int64_t i = 0; i < d->n; i++)
        if (d->bin[i] == bin && !isnan(d->value[i])) d->sorted[n++] = d->value[i];
    return n;
}

/* ------------------------------------------------------------------ standardising */

/* A bin of one feature has no deviation: the feature gets 1. */
static void mean_and_deviation(double *centre, double *scale, const double *v, int64_t n)
{
    double sum = 0.0, squares = 0.0;

    for (int64_t i = 0; i < n; i++)
        sum += v[i];
    *centre = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (v[i] - *centre) * (v[i] - *centre);
    *scale = sqrt(squares / (double)(n - 1));
    if (n != 1) return;
    *scale = *centre;
    *centre = 0.0;
}

static void median_and_deviation(double *centre, double *scale, double *v, int64_t n)
{
    *centre = select_median(v, n);
    for (int64_t i = 0; i < n; i++)
        v[i] = fabs(v[i] - *centre);
    *scale = select_median(v, n) / NORMAL_QUARTILE;
}

static void standardise(dispersion *d, bool by_median)
{
    for (int64_t i = 0; i < d->n; i++)
        d->norm[i] = (double)NAN;
    for (int64_t b = 0; b < d->n_edges - 1; b++) {
        double centre, scale;
        int64_t n = gather(d, b);
        if (n == 0) continue;
        if (by_median)
            median_and_deviation(&centre, &scale, d->sorted, n);
        else
            mean_and_deviation(&centre, &scale, d->sorted, n);
        for (int64_t i = 0; i < d->n; i++)
            if (d->bin[i] == b) d->norm[i] = (d->value[i] - centre) / scale;
    }
}

/* ------------------------------------------------------------------ one batch */

/* Features of the batch; with several batches those that are seen in it. */
static void take_features(dispersion *d, const hvg_moments *m, int32_t batch, const double *mean,
                          const double *variance, bool seurat)
{
    d->n = 0;
    for (int64_t j = 0; j < m->p; j++) {
        if (m->n_batches > 1 && m->detected[batch * m->p + j] == 0) continue;
        double centre = mean[j] == 0.0 ? 1e-12 : mean[j], value = variance[j] / centre;
        d->column[d->n] = j;
        d->mean[d->n] = seurat ? log1p(centre) : centre;
        d->value[d->n++] = !seurat ? value : value == 0.0 ? (double)NAN : log(value);
    }
}

static bool within(double mean, double norm, const hvg_options *o)
{
    return mean > o->min_mean && mean < o->max_mean && norm > o->min_disp && norm < o->max_disp;
}

/* Smallest value that is among the n_top largest; infinite ones count. */
static double cut_off(dispersion *d, int64_t n_top)
{
    int64_t n = 0;

    for (int64_t i = 0; i < d->n; i++)
        if (!isnan(d->norm[i])) d->sorted[n++] = d->norm[i];
    if (n == 0) return (double)INFINITY;
    qsort(d->sorted, (size_t)n, sizeof *d->sorted, select_compare);
    return d->sorted[n_top < n ? n - n_top : 0];
}

static void one_batch(hvg *h, dispersion *d, const hvg_options *o)
{
    bool seurat = o->flavor == HVG_SEURAT;

    if (d->n == 0) return;
    if (seurat)
        equal_edges(d, o->n_bins);
    else
        percentile_edges(d);
    find_bins(d);
    standardise(d, !seurat);
    double limit = o->n_top > 0 ? cut_off(d, o->n_top) : 0.0;
    for (int64_t i = 0; i < d->n; i++) {
        double norm = isnan(d->norm[i]) ? 0.0 : d->norm[i];
        bool chosen = o->n_top > 0 ? norm >= limit : within(d->mean[i], norm, o);
        h->n_batches[d->column[i]] += chosen;
        h->selected[d->column[i]] = chosen;
    }
}

/* ------------------------------------------------------------------ over batches */

static scw_status choose_over_batches(hvg *h, const hvg_options *o)
{
    scw_status st = SCW_OK;
    double *fewest = NULL, *falling = NULL;
    void *room = NULL;

    TRY(mem_new(&fewest, h->p));
    TRY(mem_new(&falling, h->p));
    TRY(mem_new_raw(&room, h->p, hvg_choose_room()));
    for (int64_t j = 0; j < h->p; j++) {
        fewest[j] = -(double)h->n_batches[j];
        falling[j] = -h->norm[j];
        h->selected[j] = within(h->mean[j], isnan(h->norm[j]) ? 0.0 : h->norm[j], o);
    }
    if (o->n_top > 0) hvg_choose(h, fewest, falling, o->n_top, room);
done:
    mem_free(fewest);
    mem_free(falling);
    mem_free(room);
    return st;
}

static scw_status dispersion_init(dispersion *d, int64_t p, int64_t n_bins)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&d->mean, p));
    TRY(mem_new(&d->value, p));
    TRY(mem_new(&d->norm, p));
    TRY(mem_new(&d->bin, p));
    TRY(mem_new(&d->column, p));
    TRY(mem_new(&d->sorted, p));
    TRY(mem_new(&d->edges, (n_bins > PERCENTILES ? n_bins : PERCENTILES) + 3));
done:
    return st;
}

/* Means over batches; a batch that does not see the feature gives zeros, a dispersion that is not a
 * number gives nothing. */
scw_status hvg_choose_by_dispersion(hvg *h, const hvg_moments *m, const hvg_options *o)
{
    scw_status st = SCW_OK;
    dispersion d = {0};
    double *mean = NULL, *variance = NULL, *seen = NULL; /* seen [2, p] */

    TRY(dispersion_init(&d, h->p, o->n_bins));
    TRY(mem_new(&mean, h->p));
    TRY(mem_new(&variance, h->p));
    TRY(mem_new(&seen, 2 * h->p));
    for (int64_t j = 0; j < 2 * h->p; j++)
        seen[j] = (double)m->n_batches;
    for (int32_t b = 0; b < m->n_batches; b++) {
        hvg_mean_variance(mean, variance, m, b);
        take_features(&d, m, b, mean, variance, o->flavor == HVG_SEURAT);
        one_batch(h, &d, o);
        for (int64_t i = 0; i < d.n; i++) {
            int64_t j = d.column[i];
            h->mean[j] += d.mean[i] / (double)m->n_batches;
            if (isnan(d.value[i]))
                seen[j] -= 1.0;
            else
                h->spread[j] += d.value[i];
            if (isnan(d.norm[i]))
                seen[h->p + j] -= 1.0;
            else
                h->norm[j] += d.norm[i];
        }
    }
    for (int64_t j = 0; j < h->p; j++) {
        h->spread[j] /= seen[j]; /* 0 / 0: no number anywhere */
        h->norm[j] /= seen[h->p + j];
        h->rank[j] = (double)NAN;
    }
    if (m->n_batches > 1) TRY(choose_over_batches(h, o));
done:
    dispersion_clear(&d);
    mem_free(mean);
    mem_free(variance);
    mem_free(seen);
    return st;
}
