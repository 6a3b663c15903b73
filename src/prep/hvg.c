/* SPDX-License-Identifier: BSD-3-Clause */
/* Moments and the choice from counts; the dispersions are in hvg_dispersion.c. All tables are a
 * batch after the other, [n_batches, p]. */
#include "prep/hvg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "prep/hvg_moments.h"
#include "prep/loess.h"
#include "prep/pass.h"
#include "prep/select.h"

void hvg_clear(hvg *h)
{
    mem_free(h->selected);
    mem_free(h->mean);
    mem_free(h->spread);
    mem_free(h->norm);
    mem_free(h->rank);
    mem_free(h->n_batches);
    *h = (hvg){0};
}

void hvg_moments_clear(hvg_moments *m)
{
    mem_free(m->cells);
    mem_free(m->sum);
    mem_free(m->squares);
    mem_free(m->detected);
    *m = (hvg_moments){0};
}

/* ------------------------------------------------------------------ moments */

typedef struct moment_pass {
    hvg_moments *m;
    const hvg_options *o;
} moment_pass;

static scw_status visit_moments(void *state, const row_block *b)
{
    scw_status st = SCW_OK;
    const moment_pass *pass = state;
    hvg_moments *m = pass->m;
    const matrix *x = &b->x;
    const bool counts = pass->o->flavor <= HVG_SEURAT_V3_PAPER;
    const bool undo = pass->o->flavor == HVG_SEURAT;

    for (int64_t i = 0; i < x->n_rows; i++) {
        int64_t batch = pass->o->batch ? pass->o->batch[b->from + i] : 0;
        m->cells[batch]++;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            double v = (double)x->values[e];
            if (!isfinite(v) || v < 0.0 || (counts && v != floor(v)))
                FAIL(SCW_EDATA, "highly variable features: found the value %g in cell %lld; %s", v,
                     (long long)(b->from + i) + 1,
                     counts ? "this flavor starts from raw counts"
                            : "values below zero have no place "
                              "in logarithms of counts");
            if (undo) v = expm1(v);
            int64_t at = batch * m->p + x->indices[e];
            m->sum[at] += v;
            m->squares[at] += v * v;
            m->detected[at] += v != 0.0;
        }
    }
done:
    return st;
}

static scw_status compute_moments(hvg_moments *m, block_reader *rows, const hvg_options *o,
                                  const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    int64_t n = (int64_t)m->n_batches * m->p;
    moment_pass pass = {m, o};

    TRY(mem_new(&m->cells, m->n_batches));
    TRY(mem_new(&m->sum, n));
    TRY(mem_new(&m->squares, n));
    TRY(mem_new(&m->detected, n));
    TRY(blocks_each(rows, "variable features", hooks, visit_moments, &pass));
    for (int32_t b = 0; b < m->n_batches; b++)
        if (m->cells[b] < 2)
            FAIL(SCW_EDATA,
                 "highly variable features: batch %d of %d has %lld cells; variances need "
                 "two or more",
                 (int)b + 1, (int)m->n_batches, (long long)m->cells[b]);
done:
    return st;
}

void hvg_mean_variance(double *mean, double *variance, const hvg_moments *m, int32_t batch)
{
    double n = (double)m->cells[batch];

    for (int64_t j = 0; j < m->p; j++) {
        int64_t at = batch * m->p + j;
        mean[j] = m->sum[at] / n;
        variance[j] = fmax(m->squares[at] - n * mean[j] * mean[j], 0.0) / (n - 1.0);
        /* Equal values may leave a rounding error. */
        if (variance[j] < 1e-14 * mean[j] * mean[j]) variance[j] = 0.0;
    }
}

/* ------------------------------------------------------------------ seurat_v3 */

/* expected [p]: standard deviation that features of such a mean have; 1 where nothing varies. */
static scw_status expected_deviation(double *expected, const double *mean, const double *variance,
                                     int64_t p, double span)
{
    scw_status st = SCW_OK;
    double *x = NULL, *y = NULL, *fitted = NULL;
    int64_t n = 0;

    TRY(mem_new(&x, p));
    TRY(mem_new(&y, p));
    TRY(mem_new(&fitted, p));
    for (int64_t j = 0; j < p; j++) {
        if (!(variance[j] > 0.0)) continue;
        x[n] = log10(mean[j]);
        y[n++] = log10(variance[j]);
    }
    st = loess_fit(fitted, x, y, n, span);
    if (st != SCW_OK) {
        status_prefix(st, "highly variable features: %lld of %lld features vary", (long long)n,
                      (long long)p);
        goto done;
    }
    n = 0;
    for (int64_t j = 0; j < p; j++)
        expected[j] = variance[j] > 0.0 ? sqrt(pow(10.0, fitted[n++])) : 1.0;
done:
    mem_free(x);
    mem_free(y);
    mem_free(fitted);
    return st;
}

typedef struct clip_pass {
    const int32_t *batch;
    int64_t p;
    const double *limit;   /* [n_batches, p] */
    double *sum, *squares; /* [n_batches, p] of the clipped values */
} clip_pass;

static scw_status visit_clipped(void *state, const row_block *b)
{
    const clip_pass *c = state;
    const matrix *x = &b->x;

    for (int64_t i = 0; i < x->n_rows; i++) {
        int64_t base = c->batch ? c->batch[b->from + i] * c->p : 0;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            int64_t at = base + x->indices[e];
            double v = fmin((double)x->values[e], c->limit[at]);
            c->sum[at] += v;
            c->squares[at] += v * v;
        }
    }
    return SCW_OK;
}

typedef struct scored {
    double key, second; /* ascending */
    int64_t at;
} scored;

/* Ascending, NaN last; equal ones in the order of the features. */
static int compare_scored(const void *a, const void *b)
{
    const scored *x = a, *y = b;

    if (isnan(x->key) != isnan(y->key)) return isnan(x->key) ? 1 : -1;
    if (!isnan(x->key) && x->key != y->key) return x->key < y->key ? -1 : 1;
    if (isnan(x->second) != isnan(y->second)) return isnan(x->second) ? 1 : -1;
    if (!isnan(x->second) && x->second != y->second) return x->second < y->second ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

void hvg_choose(hvg *h, const double *first, const double *second, int64_t n_top, void *room)
{
    scored *order = room;

    for (int64_t j = 0; j < h->p; j++)
        order[j] = (scored){first ? first[j] : 0.0, second ? second[j] : 0.0, j};
    qsort(order, (size_t)h->p, sizeof *order, compare_scored);
    for (int64_t k = 0; k < h->p; k++)
        h->selected[order[k].at] = k < n_top;
}

size_t hvg_choose_room(void)
{
    return sizeof(scored);
}

/* To ten digits: features with the same counts in other cells have sums that differ by their
 * rounding, and must stay in order. */
static double ten_digits(double x)
{
    int exponent;
    double mantissa = frexp(x, &exponent);

    return ldexp(nearbyint(ldexp(mantissa, 34)), exponent - 34);
}

/* Rank within each batch by falling norm [n_batches, p]; how often a feature is among the first
 * n_top, and the median of those ranks. */
static scw_status rank_batches(hvg *h, const double *norm, int32_t n_batches, int64_t n_top)
{
    scw_status st = SCW_OK;
    scored *order = NULL;
    double *ranks = NULL; /* [p, n_batches] those below n_top */

    TRY(mem_new(&order, h->p));
    TRY(mem_new(&ranks, h->p * n_batches));
    for (int32_t b = 0; b < n_batches; b++) {
        for (int64_t j = 0; j < h->p; j++)
            order[j] = (scored){-ten_digits(norm[b * h->p + j]), 0.0, j};
        qsort(order, (size_t)h->p, sizeof *order, compare_scored);
        for (int64_t k = 0; k < h->p && k < n_top; k++) {
            int64_t j = order[k].at;
            ranks[j * n_batches + h->n_batches[j]++] = (double)k;
        }
    }
    for (int64_t j = 0; j < h->p; j++)
        h->rank[j] =
            h->n_batches[j] ? select_median(ranks + j * n_batches, h->n_batches[j]) : (double)NAN;
done:
    mem_free(order);
    mem_free(ranks);
    return st;
}

static scw_status normalised_variances(double *norm, block_reader *rows, const hvg_moments *m,
                                       const hvg_options *o, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    double *mean = NULL, *variance = NULL, *expected = NULL, *limit = NULL, *sum = NULL,
           *squares = NULL;
    int64_t p = m->p, n = m->n_batches * p;

    TRY(mem_new(&mean, n));
    TRY(mem_new(&variance, p));
    TRY(mem_new(&expected, n));
    TRY(mem_new(&limit, n));
    TRY(mem_new(&sum, n));
    TRY(mem_new(&squares, n));
    for (int32_t b = 0; b < m->n_batches; b++) {
        hvg_mean_variance(mean + b * p, variance, m, b);
        TRY(expected_deviation(expected + b * p, mean + b * p, variance, p, o->span));
        for (int64_t j = b * p; j < (b + 1) * p; j++)
            limit[j] = expected[j] * sqrt((double)m->cells[b]) + mean[j];
    }
    clip_pass pass = {o->batch, p, limit, sum, squares};
    TRY(blocks_each(rows, "variable features", hooks, visit_clipped, &pass));
    for (int64_t at = 0; at < n; at++) {
        double cells = (double)m->cells[at / p];
        norm[at] = (cells * mean[at] * mean[at] + squares[at] - 2.0 * sum[at] * mean[at]) /
                   ((cells - 1.0) * expected[at] * expected[at]);
    }
done:
    mem_free(mean);
    mem_free(variance);
    mem_free(expected);
    mem_free(limit);
    mem_free(sum);
    mem_free(squares);
    return st;
}

/* Mean and variance over all cells. */
static void pooled_moments(hvg *h, const hvg_moments *m)
{
    double cells = 0.0;

    for (int32_t b = 0; b < m->n_batches; b++)
        cells += (double)m->cells[b];
    for (int64_t j = 0; j < h->p; j++) {
        double sum = 0.0, squares = 0.0;
        for (int32_t b = 0; b < m->n_batches; b++) {
            sum += m->sum[b * h->p + j];
            squares += m->squares[b * h->p + j];
        }
        h->mean[j] = sum / cells;
        h->spread[j] = fmax(squares - cells * h->mean[j] * h->mean[j], 0.0) / (cells - 1.0);
    }
}

static scw_status choose_from_counts(hvg *h, block_reader *rows, const hvg_moments *m,
                                     const hvg_options *o, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    double *norm = NULL, *fewest = NULL;
    void *room = NULL;

    TRY(mem_new(&norm, m->n_batches * h->p));
    TRY(mem_new(&fewest, h->p));
    TRY(mem_new_raw(&room, h->p, hvg_choose_room()));
    TRY(normalised_variances(norm, rows, m, o, hooks));
    TRY(rank_batches(h, norm, m->n_batches, o->n_top));
    for (int64_t j = 0; j < h->p; j++) {
        for (int32_t b = 0; b < m->n_batches; b++)
            h->norm[j] += norm[b * h->p + j];
        h->norm[j] /= (double)m->n_batches;
        fewest[j] = -(double)h->n_batches[j];
    }
    pooled_moments(h, m);
    if (o->flavor == HVG_SEURAT_V3)
        hvg_choose(h, h->rank, fewest, o->n_top, room);
    else
        hvg_choose(h, fewest, h->rank, o->n_top, room);
done:
    mem_free(norm);
    mem_free(fewest);
    mem_free(room);
    return st;
}

scw_status hvg_fit(hvg *out, block_reader *rows, const hvg_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hvg h = {.p = rows->n_cols};
    hvg_options o = *options;
    hvg_moments m = {.p = rows->n_cols, .n_batches = options->batch ? options->n_batches : 1};
    const bool counts = o.flavor <= HVG_SEURAT_V3_PAPER;

    *out = (hvg){0};
    if (counts && o.n_top < 1)
        FAIL(SCW_EINVAL,
             "highly variable features: from counts, the number to choose must be given");
    if (o.n_top > h.p) o.n_top = h.p;
    TRY(mem_new(&h.selected, h.p));
    TRY(mem_new(&h.mean, h.p));
    TRY(mem_new(&h.spread, h.p));
    TRY(mem_new(&h.norm, h.p));
    TRY(mem_new(&h.rank, h.p));
    TRY(mem_new(&h.n_batches, h.p));
    TRY(compute_moments(&m, rows, &o, hooks));
    TRY(counts ? choose_from_counts(&h, rows, &m, &o, hooks)
               : hvg_choose_by_dispersion(&h, &m, &o));
    *out = h;
    h = (hvg){0};
done:
    hvg_clear(&h);
    hvg_moments_clear(&m);
    return st;
}
