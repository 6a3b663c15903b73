/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows are judged as they come; columns in blocks, gathered so that each thread has one at a time. */
#include "metric/translation.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "embed/neighbors.h"
#include "metric/roc.h"

/* What one thread works with: one row or column of either side. */
typedef struct desk {
    double *truth, *said; /* [longest] */
    roc_item *items;      /* [longest] */
} desk;

typedef struct vectors {
    const matrix *by_row, *by_column; /* of the truth; by_column NULL: it is dense */
    const float *said;
    int64_t n, p;
} vectors;

void translation_clear(translation *t)
{
    mem_free(t->pearson_feature);
    mem_free(t->auroc_feature);
    mem_free(t->pearson_cell);
    mem_free(t->auroc_cell);
    *t = (translation){0};
}

static double pearson(const double *a, const double *b, int64_t n)
{
    double mean_a = 0.0, mean_b = 0.0, aa = 0.0, bb = 0.0, ab = 0.0;

    for (int64_t i = 0; i < n; i++) {
        mean_a += a[i];
        mean_b += b[i];
    }
    mean_a /= (double)n;
    mean_b /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        aa += (a[i] - mean_a) * (a[i] - mean_a);
        bb += (b[i] - mean_b) * (b[i] - mean_b);
        ab += (a[i] - mean_a) * (b[i] - mean_b);
    }
    /* a constant is seen through the rounding of its mean */
    double least_a = (double)n * 1e-28 * mean_a * mean_a;
    double least_b = (double)n * 1e-28 * mean_b * mean_b;
    return aa > least_a && bb > least_b ? ab / sqrt(aa) / sqrt(bb) : 0.0;
}

static void judge(double *correlation, double *area, desk *w, int64_t n)
{
    roc curve;

    *correlation = pearson(w->truth, w->said, n);
    for (int64_t i = 0; i < n; i++) w->items[i] = (roc_item){w->said[i], w->truth[i] > 0.0};
    roc_measure(&curve, w->items, n, 0, 0);
    *area = curve.auroc;
}

static void fill_sparse(double *out, int64_t n, const matrix *m, int64_t row)
{
    memset(out, 0, (size_t)n * sizeof *out);
    for (int64_t e = m->indptr[row]; e < m->indptr[row + 1]; e++)
        out[m->indices[e]] = matrix_value(m, e);
}

static void judge_cell(translation *t, desk *w, const vectors *v, int64_t i)
{
    if (v->by_row->sparse)
        fill_sparse(w->truth, v->p, v->by_row, i);
    for (int64_t j = 0; j < v->p; j++) {
        if (!v->by_row->sparse) w->truth[j] = matrix_value(v->by_row, i * v->p + j);
        w->said[j] = (double)v->said[i * v->p + j];
    }
    judge(&t->pearson_cell[i], &t->auroc_cell[i], w, v->p);
}

static void judge_feature(translation *t, desk *w, const vectors *v, int64_t j)
{
    if (v->by_column)
        fill_sparse(w->truth, v->n, v->by_column, j);
    for (int64_t i = 0; i < v->n; i++) {
        if (!v->by_column) w->truth[i] = matrix_value(v->by_row, i * v->p + j);
        w->said[i] = (double)v->said[i * v->p + j];
    }
    judge(&t->pearson_feature[j], &t->auroc_feature[j], w, v->n);
}

static scw_status judge_all(translation *t, const vectors *v)
{
    scw_status st = SCW_OK;
    int64_t n_desks = threads_get(), longest = v->n > v->p ? v->n : v->p;
    desk *desks = NULL;

    TRY(mem_new(&desks, n_desks));
    for (int64_t k = 0; k < n_desks; k++) {
        TRY(mem_new(&desks[k].truth, longest));
        TRY(mem_new(&desks[k].said, longest));
        TRY(mem_new(&desks[k].items, longest));
    }
    PARALLEL_FOR
    for (int64_t k = 0; k < n_desks; k++) {
        for (int64_t i = k; i < v->n; i += n_desks) judge_cell(t, &desks[k], v, i);
        for (int64_t j = k; j < v->p; j += n_desks) judge_feature(t, &desks[k], v, j);
    }
done:
    for (int64_t k = 0; desks && k < n_desks; k++) {
        mem_free(desks[k].truth);
        mem_free(desks[k].said);
        mem_free(desks[k].items);
    }
    mem_free(desks);
    return st;
}

/* Errors of all values; SCW_EDATA for a prediction that is none. */
static scw_status measure_errors(translation *t, const vectors *v)
{
    scw_status st = SCW_OK;
    double squares = 0.0, sizes = 0.0, *truth = NULL;

    TRY(mem_new(&truth, v->p));
    for (int64_t i = 0; i < v->n; i++) {
        double square = 0.0, size = 0.0;
        if (v->by_row->sparse) fill_sparse(truth, v->p, v->by_row, i);
        for (int64_t j = 0; j < v->p; j++) {
            double is = v->by_row->sparse ? truth[j] : matrix_value(v->by_row, i * v->p + j);
            double gap = (double)v->said[i * v->p + j] - is;
            square += gap * gap;
            size += fabs(gap);
        }
        if (!isfinite(square))
            FAIL(SCW_EDATA, "row %lld of truth or prediction holds a value that is not finite",
                 (long long)i);
        squares += square;
        sizes += size;
    }
    t->rmse = sqrt(squares / (double)v->n / (double)v->p);
    t->mae = sizes / (double)v->n / (double)v->p;
done:
    mem_free(truth);
    return st;
}

/* Mean of the values that are defined; *n_used: how many. */
static double mean_of(const double *v, int64_t n, int64_t *n_used)
{
    double sum = 0.0;

    *n_used = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(v[i])) continue;
        sum += v[i];
        ++*n_used;
    }
    return *n_used > 0 ? sum / (double)*n_used : NAN;
}

scw_status translation_measure(translation *out, const matrix *truth, const float *prediction)
{
    scw_status st = SCW_OK;
    vectors v = {.by_row = truth, .said = prediction, .n = truth->n_rows, .p = truth->n_cols};
    matrix columns = {0};
    int64_t all;

    *out = (translation){.n = v.n, .p = v.p};
    if (v.n < 1 || v.p < 1)
        FAIL(SCW_EDATA, "a translation of %lld cells and %lld features cannot be judged",
             (long long)v.n, (long long)v.p);
    TRY(measure_errors(out, &v));
    TRY(mem_new(&out->pearson_feature, v.p));
    TRY(mem_new(&out->auroc_feature, v.p));
    TRY(mem_new(&out->pearson_cell, v.n));
    TRY(mem_new(&out->auroc_cell, v.n));
    if (truth->sparse) {
        TRY(matrix_transpose(&columns, truth));
        v.by_column = &columns;
    }
    TRY(judge_all(out, &v));
    out->mean_pearson_feature = mean_of(out->pearson_feature, v.p, &all);
    out->mean_pearson_cell = mean_of(out->pearson_cell, v.n, &all);
    out->mean_auroc_feature = mean_of(out->auroc_feature, v.p, &out->n_auroc_feature);
    out->mean_auroc_cell = mean_of(out->auroc_cell, v.n, &out->n_auroc_cell);
done:
    matrix_clear(&columns);
    if (st != SCW_OK) translation_clear(out);
    return st;
}

/* ---------------------------------------------------------------------------- baselines */

static void add_row(double *to, const matrix *m, int64_t row)
{
    if (m->sparse)
        for (int64_t e = m->indptr[row]; e < m->indptr[row + 1]; e++)
            to[m->indices[e]] += matrix_value(m, e);
    else
        for (int64_t j = 0; j < m->n_cols; j++) to[j] += matrix_value(m, row * m->n_cols + j);
}

static scw_status mean_row(double **out, const matrix *m)
{
    scw_status st = SCW_OK;

    *out = NULL;
    if (m->n_rows < 1) FAIL(SCW_EDATA, "there are no training cells to take the mean of");
    TRY(mem_new(out, m->n_cols));
    for (int64_t i = 0; i < m->n_rows; i++) add_row(*out, m, i);
    for (int64_t j = 0; j < m->n_cols; j++) (*out)[j] /= (double)m->n_rows;
done:
    return st;
}

scw_status translation_predict_mean(float *out, int64_t n_query, const matrix *train)
{
    scw_status st = SCW_OK;
    double *mean = NULL;

    TRY(mean_row(&mean, train));
    for (int64_t i = 0; i < n_query; i++)
        for (int64_t j = 0; j < train->n_cols; j++)
            out[i * train->n_cols + j] = (float)mean[j];
done:
    mem_free(mean);
    return st;
}

scw_status translation_predict_neighbors(float *out, const translation_regression *r)
{
    scw_status st = SCW_OK;
    int64_t p = r->train->n_cols;
    double *mean = NULL, *sum = NULL;
    neighbors nn = {0};
    neighbors_search search = {.rows = r->train_source, .n_rows = r->train->n_rows, .d = r->d,
                               .queries = r->query_source, .n_queries = r->n_query, .k = r->k};

    TRY(mean_row(&mean, r->train));
    TRY(mem_new(&sum, p));
    TRY(neighbors_find(&nn, &search));
    for (int64_t i = 0; i < r->n_query; i++) {
        bool found = nn.k > 0 && nn.row[i * nn.k] >= 0;
        memset(sum, 0, (size_t)p * sizeof *sum);
        for (int64_t e = i * nn.k; e < (i + 1) * nn.k && found; e++)
            add_row(sum, r->train, nn.row[e]);
        for (int64_t j = 0; j < p; j++)
            out[i * p + j] = (float)(found ? sum[j] / (double)nn.k : mean[j]);
    }
done:
    mem_free(mean);
    mem_free(sum);
    neighbors_clear(&nn);
    return st;
}
