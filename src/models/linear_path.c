/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/linear_path.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "prep/eigen.h"
#include "prep/symmetric.h"

typedef struct problem {
    linear_path *out;
    const linear_path_cells *cells;
    const linear_path_options *options;
    int64_t from[MODEL_MAX_MODALITIES + 1]; /* first row of set k in A */
    double *whitener[MODEL_MAX_MODALITIES]; /* [width, width] C_k^(-1/2) */
    double *a;                              /* [P, P] */
    double *values, *vectors;               /* [d], [P, d] */
} problem;

static void clear(problem *q)
{
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) mem_free(q->whitener[k]);
    mem_free(q->a);
    mem_free(q->values);
    mem_free(q->vectors);
}

static int64_t row_of(const linear_path_cells *c, int64_t i)
{
    return c->rows ? c->rows[i] : i;
}

bool linear_path_has(const linear_path_cells *c, int k, int64_t i)
{
    return !c->present[k] || c->present[k][row_of(c, i)];
}

/* Rows of set k of the cells that have k and l, minus their mean: *out [*n, width]. */
static scw_status centred(double **out, int64_t *n, double *mean, const problem *q, int k, int l)
{
    scw_status st = SCW_OK;
    const linear_path_cells *c = q->cells;
    const int64_t p = q->cells->width[k];

    *n = 0;
    for (int64_t i = 0; i < c->n; i++) *n += linear_path_has(c, k, i) && linear_path_has(c, l, i);
    TRY(mem_new(out, *n * p));
    int64_t at = 0;
    for (int64_t i = 0; i < c->n; i++) {
        const float *x = c->input[k] + row_of(c, i) * p;
        if (!linear_path_has(c, k, i) || !linear_path_has(c, l, i)) continue;
        for (int64_t j = 0; j < p; j++) {
            (*out)[at * p + j] = (double)x[j];
            mean[j] += (double)x[j] / (double)*n;
        }
        at++;
    }
    for (int64_t e = 0; e < *n * p; e++) (*out)[e] -= mean[e % p];
done:
    return st;
}

/* out [p, r] = x^T y / n */
static void cross(double *out, const double *x, int64_t p, const double *y, int64_t r, int64_t n)
{
    const dense_shape shape = {.trans_a = true, .m = p, .n = r, .k = n, .ld_a = p, .ld_b = r,
                               .ld_c = r, .alpha = 1.0 / (double)n};

    dense_product(&shape, x, y, out);
}

static void multiply(double *out, const double *a, const double *b, int64_t m, int64_t k, int64_t n)
{
    const dense_shape shape = {.m = m, .n = n, .k = k, .ld_a = k, .ld_b = n, .ld_c = n, .alpha = 1.0};

    dense_product(&shape, a, b, out);
}

static scw_status whiten(problem *q, int k)
{
    scw_status st = SCW_OK;
    const int64_t p = q->cells->width[k];
    double *x = NULL, trace = 0.0;
    int64_t n;

    TRY(mem_new(&q->out->mean[k], p));
    TRY(mem_new(&q->whitener[k], p * p));
    TRY(centred(&x, &n, q->out->mean[k], q, k, k));
    double *c = q->whitener[k];
    cross(c, x, p, x, p, n);
    for (int64_t j = 0; j < p; j++) trace += c[j * p + j];
    for (int64_t j = 0; j < p; j++) c[j * p + j] += q->options->ridge * trace / (double)p;
    TRY(symmetric_power(c, p, -0.5));
done:
    mem_free(x);
    return st;
}

/* Both places of a pair in A. Without two cells that have both they stay 0; *tied: there are some. */
static scw_status set_pair(problem *q, int k, int l, bool *tied)
{
    scw_status st = SCW_OK;
    const int64_t p = q->cells->width[k], r = q->cells->width[l], all = q->from[q->cells->n_sets];
    double *x = NULL, *y = NULL, *mean_x = NULL, *mean_y = NULL, *c = NULL, *left = NULL;
    int64_t n;

    TRY(mem_new(&mean_x, p));
    TRY(mem_new(&mean_y, r));
    TRY(mem_new(&c, p * r));
    TRY(mem_new(&left, p * r));
    TRY(centred(&x, &n, mean_x, q, k, l));
    *tied = n >= 2;
    if (!*tied) goto done;
    TRY(centred(&y, &n, mean_y, q, l, k));
    cross(c, x, p, y, r, n);
    multiply(left, q->whitener[k], c, p, p, r);
    multiply(c, left, q->whitener[l], p, r, r);
    for (int64_t a = 0; a < p; a++)
        for (int64_t b = 0; b < r; b++)
            q->a[(q->from[k] + a) * all + q->from[l] + b] =
                q->a[(q->from[l] + b) * all + q->from[k] + a] = c[a * r + b];
done:
    mem_free(x);
    mem_free(y);
    mem_free(mean_x);
    mem_free(mean_y);
    mem_free(c);
    mem_free(left);
    return st;
}

/* A, with K - 1 on its diagonal so that no eigenvalue is negative. Every set must be tied to the
 * first, through others if need be. */
static scw_status build(problem *q)
{
    scw_status st = SCW_OK;
    const int n = q->cells->n_sets;
    int group[MODEL_MAX_MODALITIES];

    for (int k = 0; k < n; k++) {
        q->from[k + 1] = q->from[k] + q->cells->width[k];
        group[k] = k;
        TRY(whiten(q, k));
    }
    TRY(mem_new(&q->a, q->from[n] * q->from[n]));
    for (int64_t j = 0; j < q->from[n]; j++) q->a[j * q->from[n] + j] = n - 1;
    for (int k = 0; k < n; k++)
        for (int l = k + 1; l < n; l++) {
            bool tied = false;
            TRY(set_pair(q, k, l, &tied));
            const int old = group[l];
            for (int m = 0; tied && m < n; m++)
                if (group[m] == old) group[m] = group[k];
        }
    for (int k = 1; k < n; k++)
        if (group[k] != group[0])
            FAIL(SCW_EDATA,
                 "no two cells have '%s' together with what ties it to '%s': nothing says which of "
                 "their cells are alike. Add cells measured in both, as a bridge",
                 q->cells->name[k], q->cells->name[0]);
done:
    return st;
}

/* The map of set k: its part of the vectors, unwhitened and weighted. */
static scw_status set_map(problem *q, int k)
{
    scw_status st = SCW_OK;
    const int64_t p = q->cells->width[k], d = q->out->k;
    double *v = NULL;

    TRY(mem_new(&v, p * d));
    TRY(mem_new(&q->out->map[k], p * d));
    for (int64_t j = 0; j < p; j++)
        for (int64_t e = 0; e < d; e++) v[j * d + e] = q->vectors[(q->from[k] + j) * d + e];
    multiply(q->out->map[k], q->whitener[k], v, p, p, d);
    for (int64_t e = 0; e < p * d; e++) q->out->map[k][e] *= q->out->weight[e % d];
done:
    mem_free(v);
    return st;
}

void linear_path_clear(linear_path *path)
{
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) {
        mem_free(path->map[k]);
        mem_free(path->mean[k]);
    }
    mem_free(path->correlation);
    mem_free(path->weight);
    *path = (linear_path){0};
}

scw_status linear_path_fit(linear_path *out, const linear_path_cells *c,
                           const linear_path_options *options)
{
    scw_status st = SCW_OK;
    problem q = {.out = out, .cells = c, .options = options};
    const double n = (double)c->n_sets;

    *out = (linear_path){.n_sets = c->n_sets};
    TRY(build(&q));
    const int64_t all = q.from[c->n_sets];
    out->k = options->components < all ? options->components : all;
    TRY(mem_new(&q.values, out->k));
    TRY(mem_new(&q.vectors, all * out->k));
    TRY(mem_new(&out->correlation, out->k));
    TRY(mem_new(&out->weight, out->k));
    TRY(eigen_top(q.values, q.vectors, q.a, all, out->k));
    for (int64_t e = 0; e < out->k; e++) {
        const double r = fmax(0.0, q.values[e] / (n - 1.0) - 1.0);
        out->correlation[e] = r;
        out->weight[e] = r > 1e-6 ? pow(r, options->power) * sqrt(n) : 0.0;
    }
    for (int k = 0; k < c->n_sets; k++) TRY(set_map(&q, k));
done:
    clear(&q);
    if (st != SCW_OK) linear_path_clear(out);
    return st;
}

void linear_path_apply(float *out, const linear_path *path, const linear_path_cells *c, int k)
{
    const int64_t p = c->width[k], d = path->k;

    for (int64_t i = 0; i < c->n; i++)
        for (int64_t e = 0; e < d; e++) {
            const float *x = c->input[k] + row_of(c, i) * p;
            double sum = linear_path_has(c, k, i) ? 0.0 : NAN;
            for (int64_t j = 0; j < p; j++)
                sum += ((double)x[j] - path->mean[k][j]) * path->map[k][j * d + e];
            out[i * d + e] = (float)sum;
        }
}
