/* SPDX-License-Identifier: BSD-3-Clause */
#include "prep/transform.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "prep/pass.h"

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

scw_status transform_copy(transform *out, const transform *from)
{
    scw_status st = SCW_OK;

    *out = *from;
    out->mean_count = out->idf = out->center = NULL;
    TRY(mem_copy(&out->mean_count, from->mean_count, from->n_vars));
    TRY(mem_copy(&out->idf, from->idf, from->n_vars));
    TRY(mem_copy(&out->center, from->center, from->n_vars));
done:
    if (st != SCW_OK) transform_clear(out);
    return st;
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

/* y of a count, with what is the same for all counts of a cell. */
typedef double formula(double count, double a, double b);

static double log2_scaled(double count, double target, double size)
{
    return log2(count * target / size + 1.0);
}

static double log_scaled(double count, double target, double size)
{
    return log1p(count * target / size);
}

static double log_ratio(double count, double mean, double unused)
{
    (void)unused;
    return log1p(count / mean);
}

#define SMALL 64

/* A cell's counts are small and few: each y is computed once. */
typedef struct memo {
    uint64_t known; /* bit k: y[k] is that of count k */
    double y[SMALL];
} memo;

static double remember(memo *m, formula *f, float count, double a, double b)
{
    int k = count >= 0.0f && count < (float)SMALL ? (int)count : SMALL;

    if (k == SMALL || (float)k != count) return f((double)count, a, b);
    if (!(m->known >> k & 1)) {
        m->y[k] = f((double)count, a, b);
        m->known |= UINT64_C(1) << k;
    }
    return m->y[k];
}

static void map_row(formula *f, float *v, int64_t n, double a, double b)
{
    memo m;

    m.known = 0;
    for (int64_t e = 0; e < n; e++)
        v[e] = (float)remember(&m, f, v[e], a, b);
}

/* log of (1 + count), summed over the n counts */
static double log_sum_of(const float *v, int64_t n)
{
    memo m;
    double sum = 0.0;

    m.known = 0;
    for (int64_t e = 0; e < n; e++)
        sum += remember(&m, log_ratio, v[e], 1.0, 0.0);
    return sum;
}

/* y of one cell, in place of its counts. `s` is its library size, not zero. */
static void transform_row(const transform *t, double target, int64_t n_features, double s,
                          const int32_t *indices, float *v, int64_t n)
{
    switch (t->kind) {
    case TRANSFORM_MATILDA: map_row(log2_scaled, v, n, target, s); break;
    case TRANSFORM_LOG: map_row(log_scaled, v, n, target, s); break;
    case TRANSFORM_CLR:
        map_row(log_ratio, v, n, exp(log_sum_of(v, n) / (double)n_features), 0.0);
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

void transform_values(const transform *t, matrix *counts)
{
    transform_rows(t, t->target, t->n_vars, counts);
}

scw_status transform_map(row_block *b, const void *t)
{
    transform_values(t, &b->x);
    return SCW_OK;
}

/* ------------------------------------------------------------------------------ fit */

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Mean (MATILDA, specs 3.2) or median of the library sizes [n] of cells that have counts; s is
 * sorted. */
static scw_status library_target(double *out, double *s, int64_t n_cells, bool mean)
{
    scw_status st = SCW_OK;
    double total = 0.0;
    int64_t n = 0;

    for (int64_t i = 0; i < n_cells; i++) {
        double v = s[i];
        total += v;
        if (v > 0.0) s[n++] = v;
    }
    if (n == 0) FAIL(SCW_EDATA, "all cells have zero counts");
    qsort(s, (size_t)n, sizeof *s, compare_double);
    *out = mean ? total / (double)n_cells : 0.5 * (s[(n - 1) / 2] + s[n / 2]);
done:
    return st;
}

/* Sums over the cells that have passed; in double and in their order. */
typedef struct moments {
    double *library;       /* [n] of each cell, or NULL */
    double *sum, *squares; /* [p] */
    int64_t *n_cells;      /* [p] with a count, or NULL */
} moments;

static void moments_clear(moments *m)
{
    mem_free(m->library);
    mem_free(m->sum);
    mem_free(m->squares);
    mem_free(m->n_cells);
    *m = (moments){0};
}

static scw_status visit_cells(void *state, const row_block *b)
{
    moments *m = state;
    const matrix *x = &b->x;

    for (int64_t i = 0; m->library && i < x->n_rows; i++) m->library[b->from + i] = row_sum(x, i);
    for (int64_t e = 0; e < x->indptr[x->n_rows]; e++) {
        double v = (double)x->values[e];
        m->sum[x->indices[e]] += v;
        m->squares[x->indices[e]] += v * v;
        if (m->n_cells) m->n_cells[x->indices[e]] += v > 0.0;
    }
    return SCW_OK;
}

/* Column means, and the total variance (sum over columns of the sample variance). */
static void finish_moments(float *mean, double *total_variance, const moments *m, int64_t n_rows,
                           int64_t n_cols)
{
    double n = (double)n_rows;

    *total_variance = 0.0;
    for (int64_t j = 0; j < n_cols; j++) {
        mean[j] = (float)(m->sum[j] / n);
        if (n_rows > 1)
            *total_variance += fmax(0.0, (m->squares[j] - m->sum[j] * m->sum[j] / n) / (n - 1.0));
    }
}

/* What is learnt of the counts themselves. */
static scw_status fit_counts(transform *t, block_reader *counts, const transform_options *options,
                             const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    moments m = {0};
    double variance;

    TRY(mem_new(&m.library, counts->n_rows));
    TRY(mem_new(&m.sum, t->n_vars));
    TRY(mem_new(&m.squares, t->n_vars));
    TRY(mem_new(&m.n_cells, t->n_vars));
    TRY(blocks_each(counts, "library sizes", hooks, visit_cells, &m));
    TRY(library_target(&t->target, m.library, counts->n_rows, t->kind == TRANSFORM_MATILDA));
    if (options->target > 0.0 && t->kind == TRANSFORM_LOG) t->target = options->target;
    TRY(mem_new(&t->mean_count, t->n_vars));
    finish_moments(t->mean_count, &variance, &m, counts->n_rows, t->n_vars);
    if (t->kind != TRANSFORM_TFIDF) goto done;
    TRY(mem_new(&t->idf, t->n_vars));
    for (int64_t j = 0; j < t->n_vars; j++)
        t->idf[j] = (float)((double)counts->n_rows / fmax(1.0, (double)m.n_cells[j]));
done:
    moments_clear(&m);
    return st;
}

scw_status transform_fit_rows(transform *out, block_reader *counts,
                              const transform_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    moments m = {0};
    double variance;
    block_reader *borrowed = NULL, *y = NULL;

    *out = (transform){.kind = options->kind, .n_vars = counts->n_cols, .block_scale = 1.0};
    TRY(fit_counts(out, counts, options, hooks));
    if (out->kind == TRANSFORM_MATILDA) goto done;
    TRY(mem_new(&m.sum, out->n_vars));
    TRY(mem_new(&m.squares, out->n_vars));
    TRY(block_reader_borrowed(&borrowed, counts));
    TRY(block_reader_mapped(&y, borrowed, transform_map, out));
    TRY(blocks_each(y, "scaling", hooks, visit_cells, &m));
    TRY(mem_new(&out->center, out->n_vars));
    finish_moments(out->center, &variance, &m, counts->n_rows, out->n_vars);
    if (options->unit_variance && variance > 0.0) out->block_scale = 1.0 / sqrt(variance);
done:
    block_reader_free(y);
    moments_clear(&m);
    if (st != SCW_OK) transform_clear(out);
    return st;
}

scw_status transform_fit(transform *out, const matrix *counts, const transform_options *options)
{
    scw_status st = SCW_OK;
    block_reader *rows = NULL;

    *out = (transform){0};
    TRY(block_reader_of_matrix(&rows, counts));
    TRY(transform_fit_rows(out, rows, options, NULL));
done:
    block_reader_free(rows);
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

static scw_status mean_library(double *out, const matrix *counts)
{
    scw_status st = SCW_OK;
    double *s = NULL;

    TRY(mem_new(&s, counts->n_rows));
    for (int64_t i = 0; i < counts->n_rows; i++) s[i] = row_sum(counts, i);
    TRY(library_target(out, s, counts->n_rows, true));
done:
    mem_free(s);
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
    if (file_target && t->kind == TRANSFORM_MATILDA) TRY(mean_library(&target, counts));
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
    TRY(transform_check_summary(&s, modality, allow_fractional));
done:
    return st;
}

scw_status transform_check_summary(const matrix_summary *s, const char *modality,
                                   bool allow_fractional)
{
    scw_status st = SCW_OK;

    if (s->n_nan > 0)
        FAIL(SCW_EDATA, "modality '%s': %lld values are NaN; expected raw counts", modality,
             (long long)s->n_nan);
    if (s->n_infinite > 0)
        FAIL(SCW_EDATA, "modality '%s': %lld values are infinite; expected raw counts", modality,
             (long long)s->n_infinite);
    if (s->n_negative > 0)
        FAIL(SCW_EDATA,
             "modality '%s': %lld values are negative (smallest %g); expected raw counts. If the "
             "counts are in a layer or in raw, name it with --layer",
             modality, (long long)s->n_negative, s->minimum);
    if (s->n_fractional > 0 && !allow_fractional)
        FAIL(SCW_EDATA,
             "modality '%s': %lld values are not whole numbers, so these look like normalised "
             "values; expected raw counts. Name the counts with --layer, or accept fractional "
             "counts (ambient-corrected, say) with --fractional on",
             modality, (long long)s->n_fractional);
done:
    return st;
}
