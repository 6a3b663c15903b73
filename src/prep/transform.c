/* SPDX-License-Identifier: BSD-3-Clause */
#include "prep/transform.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"

const char *transform_name(transform_kind kind)
{
    switch (kind) {
    case TRANSFORM_MATILDA:
        return "matilda";
    case TRANSFORM_LOG:
        return "log";
    case TRANSFORM_CLR:
        return "clr";
    case TRANSFORM_TFIDF:
        return "tfidf";
    }
    return "?";
}

void transform_clear(transform *t)
{
    mem_free(t->mean_count);
    mem_free(t->idf);
    mem_free(t->center);
    *t = (transform){0};
}

void prepared_clear(prepared *p)
{
    matrix_clear(&p->y);
    mem_free(p->row_scale);
    mem_free(p->row_shift);
    mem_free(p->col_scale);
    mem_free(p->col_shift);
    mem_free(p->present);
    *p = (prepared){0};
}

/* ------------------------------------------------------------------------- one cell */

static double row_sum(const matrix *m, int64_t i)
{
    double s = 0.0;
    for (int64_t e = m->indptr[i]; e < m->indptr[i + 1]; e++)
        s += (double)m->values[e];
    return s;
}

/* y of one cell, in place of its counts. `s` is its library size, not zero. */
static void transform_row(const transform *t, double target, int64_t n_features, double s,
                          const int32_t *indices, float *v, int64_t n)
{
    double log_sum = 0.0;

    switch (t->kind) {
    case TRANSFORM_MATILDA:
        for (int64_t e = 0; e < n; e++)
            v[e] = (float)log2((double)v[e] * target / s + 1.0);
        break;
    case TRANSFORM_LOG:
        for (int64_t e = 0; e < n; e++)
            v[e] = (float)log1p((double)v[e] * target / s);
        break;
    case TRANSFORM_CLR:
        for (int64_t e = 0; e < n; e++)
            log_sum += log1p((double)v[e]);
        log_sum = exp(log_sum / (double)n_features);
        for (int64_t e = 0; e < n; e++)
            v[e] = (float)log1p((double)v[e] / log_sum);
        break;
    case TRANSFORM_TFIDF:
        for (int64_t e = 0; e < n; e++)
            v[e] = (float)log1p((double)v[e] / s * 1e4 * (double)t->idf[indices[e]]);
        break;
    }
}

static void transform_rows(const transform *t, double target, int64_t n_features, matrix *y)
{
    PARALLEL_FOR
    for (int64_t i = 0; i < y->n_rows; i++) {
        int64_t start = y->indptr[i], n = y->indptr[i + 1] - start;
        double s = row_sum(y, i);
        if (s > 0.0)
            transform_row(t, target, n_features, s, y->indices + start, y->values + start, n);
    }
}

/* ------------------------------------------------------------------------------ fit */

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Mean (MATILDA, specs 3.2) or median of the library sizes of cells that have counts. */
static scw_status library_target(double *out, const matrix *counts, bool mean)
{
    scw_status st = SCW_OK;
    double *s = NULL, total = 0.0;
    int64_t n = 0;

    TRY(mem_new(&s, counts->n_rows));
    for (int64_t i = 0; i < counts->n_rows; i++) {
        double v = row_sum(counts, i);
        total += v;
        if (v > 0.0) s[n++] = v;
    }
    if (n == 0) FAIL(SCW_EDATA, "all cells have zero counts");
    qsort(s, (size_t)n, sizeof *s, compare_double);
    *out = mean ? total / (double)counts->n_rows : 0.5 * (s[(n - 1) / 2] + s[n / 2]);
done:
    mem_free(s);
    return st;
}

/* Column means of m, and the total variance (sum over columns of the sample variance). */
static scw_status column_moments(float *mean, double *total_variance, const matrix *m)
{
    scw_status st = SCW_OK;
    double *sum = NULL, *squares = NULL, n = (double)m->n_rows;

    TRY(mem_new(&sum, m->n_cols));
    TRY(mem_new(&squares, m->n_cols));
    for (int64_t e = 0; e < m->indptr[m->n_rows]; e++) {
        double v = (double)m->values[e];
        sum[m->indices[e]] += v;
        squares[m->indices[e]] += v * v;
    }
    *total_variance = 0.0;
    for (int64_t j = 0; j < m->n_cols; j++) {
        mean[j] = (float)(sum[j] / n);
        if (m->n_rows > 1)
            *total_variance += fmax(0.0, (squares[j] - sum[j] * sum[j] / n) / (n - 1.0));
    }
done:
    mem_free(sum);
    mem_free(squares);
    return st;
}

static scw_status fit_idf(transform *t, const matrix *counts)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&t->idf, t->n_vars));
    for (int64_t e = 0; e < counts->indptr[counts->n_rows]; e++)
        t->idf[counts->indices[e]] += counts->values[e] > 0.0f;
    for (int64_t j = 0; j < t->n_vars; j++)
        t->idf[j] = (float)((double)counts->n_rows / fmax(1.0, (double)t->idf[j]));
done:
    return st;
}

scw_status transform_fit(transform *out, const matrix *counts, const transform_options *options)
{
    scw_status st = SCW_OK;
    matrix y = {0};
    double variance;

    *out = (transform){.kind = options->kind, .n_vars = counts->n_cols, .block_scale = 1.0};
    TRY(library_target(&out->target, counts, out->kind == TRANSFORM_MATILDA));
    if (options->target > 0.0 && out->kind == TRANSFORM_LOG) out->target = options->target;
    TRY(mem_new(&out->mean_count, out->n_vars));
    TRY(column_moments(out->mean_count, &variance, counts));
    if (out->kind == TRANSFORM_MATILDA) goto done;
    if (out->kind == TRANSFORM_TFIDF) TRY(fit_idf(out, counts));
    TRY(matrix_rows_csr(&y, counts, NULL, counts->n_rows));
    transform_rows(out, out->target, out->n_vars, &y);
    TRY(mem_new(&out->center, out->n_vars));
    TRY(column_moments(out->center, &variance, &y));
    if (options->unit_variance && variance > 0.0) out->block_scale = 1.0 / sqrt(variance);
done:
    matrix_clear(&y);
    if (st != SCW_OK) transform_clear(out);
    return st;
}

/* ---------------------------------------------------------------------------- apply */

/* The share of training counts that the features at hand held. */
static double covered_share(const transform *t, const uint8_t *has_feature)
{
    double all = 0.0, here = 0.0;

    for (int64_t j = 0; j < t->n_vars; j++) {
        all += (double)t->mean_count[j];
        if (!has_feature || has_feature[j]) here += (double)t->mean_count[j];
    }
    return all > 0.0 && here > 0.0 ? here / all : 1.0;
}

/* a_i = 1 / sd_i, b_i = -mean_i / sd_i over the F features of the cell (sample sd). A constant or
 * empty cell becomes all zeros. */
static void zscore_row(prepared *p, int64_t i)
{
    double sum = 0.0, squares = 0.0, f = (double)p->y.n_cols;

    for (int64_t e = p->y.indptr[i]; e < p->y.indptr[i + 1]; e++)
        sum += (double)p->y.values[e];
    double mean = sum / f;
    for (int64_t e = p->y.indptr[i]; e < p->y.indptr[i + 1]; e++) {
        double d = (double)p->y.values[e] - mean;
        squares += d * d;
    }
    squares += (f - (double)(p->y.indptr[i + 1] - p->y.indptr[i])) * mean * mean;
    double sd = f > 1.0 ? sqrt(squares / (f - 1.0)) : 0.0;
    bool constant = sd <= 1e-12 * fabs(mean) || sd == 0.0;
    p->row_scale[i] = constant ? 0.0f : (float)(1.0 / sd);
    p->row_shift[i] = constant ? 0.0f : (float)(-mean / sd);
}

static scw_status apply_cell_scaling(prepared *p)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&p->row_scale, p->y.n_rows));
    TRY(mem_new(&p->row_shift, p->y.n_rows));
    PARALLEL_FOR
    for (int64_t i = 0; i < p->y.n_rows; i++)
        zscore_row(p, i);
done:
    return st;
}

/* An empty cell must enter as the training mean (all zeros after centring): its t_j are undone by
 * dropping the row's weight. Presence and emptiness are the same to the network's input. */
static scw_status apply_feature_scaling(prepared *p, const transform *t, const uint8_t *has_feature)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&p->col_scale, t->n_vars));
    TRY(mem_new(&p->col_shift, t->n_vars));
    for (int64_t j = 0; j < t->n_vars; j++) {
        bool here = !has_feature || has_feature[j];
        p->col_scale[j] = (float)t->block_scale;
        p->col_shift[j] = here ? (float)(-t->block_scale * (double)t->center[j]) : 0.0f;
    }
done:
    return st;
}

static scw_status apply_presence(prepared *p, const uint8_t *present)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&p->present, p->y.n_rows));
    for (int64_t i = 0; i < p->y.n_rows; i++) {
        bool here = !present || present[i];
        bool empty = row_sum(&p->y, i) <= 0.0;
        p->present[i] = here && !empty ? 1.0f : 0.0f;
        p->n_empty += here && empty;
    }
done:
    return st;
}

scw_status transform_apply(prepared *out, const transform *t, const matrix *counts,
                           const uint8_t *has_feature, const uint8_t *present, bool file_target)
{
    scw_status st = SCW_OK;
    double target = t->target * covered_share(t, has_feature);
    int64_t n_features = t->n_vars;

    *out = (prepared){0};
    if (counts->n_cols != t->n_vars)
        FAIL(SCW_EINTERNAL, "transform fitted on %lld features, applied to %lld",
             (long long)t->n_vars, (long long)counts->n_cols);
    if (has_feature) {
        n_features = 0;
        for (int64_t j = 0; j < t->n_vars; j++)
            n_features += has_feature[j];
    }
    TRY(matrix_rows_csr(&out->y, counts, NULL, counts->n_rows));
    TRY(apply_presence(out, present));
    if (file_target && t->kind == TRANSFORM_MATILDA) TRY(library_target(&target, counts, true));
    transform_rows(t, target, n_features > 0 ? n_features : 1, &out->y);
    if (t->kind == TRANSFORM_MATILDA)
        TRY(apply_cell_scaling(out));
    else
        TRY(apply_feature_scaling(out, t, has_feature));
done:
    if (st != SCW_OK) prepared_clear(out);
    return st;
}

scw_status transform_check_counts(const matrix *counts, const char *modality, bool allow_fractional)
{
    scw_status st = SCW_OK;
    matrix_summary s;

    TRY(matrix_summarise(&s, counts));
    if (s.n_nan > 0)
        FAIL(SCW_EDATA, "modality '%s': %lld values are NaN; expected raw counts", modality,
             (long long)s.n_nan);
    if (s.n_infinite > 0)
        FAIL(SCW_EDATA, "modality '%s': %lld values are infinite; expected raw counts", modality,
             (long long)s.n_infinite);
    if (s.n_negative > 0)
        FAIL(SCW_EDATA,
             "modality '%s': %lld values are negative (smallest %g); expected raw counts. If the "
             "counts are in a layer or in raw, name it with --layer",
             modality, (long long)s.n_negative, s.minimum);
    if (s.n_fractional > 0 && !allow_fractional)
        FAIL(SCW_EDATA,
             "modality '%s': %lld values are not whole numbers, so these look like normalised "
             "values; expected raw counts. Name the counts with --layer, or accept fractional "
             "counts (ambient-corrected, say) with --fractional on",
             modality, (long long)s.n_fractional);
done:
    return st;
}
