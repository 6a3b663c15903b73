/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/clue_path.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "prep/eigen.h"
#include "prep/symmetric.h"

typedef struct problem {
    const clue_net *net;
    const clue_path_cells *cells;
    const clue_path_options *options;
    int64_t from[MODEL_MAX_MODALITIES + 1]; /* first row of modality k in A */
    double *mean[MODEL_MAX_MODALITIES];     /* [n_in] over the cells that have it */
    double *whitener[MODEL_MAX_MODALITIES]; /* [n_in, n_in] C_k^(-1/2) */
    double *a;                              /* [P, P] */
    double *values, *vectors;               /* [d], [P, d] */
} problem;

static void clear(problem *q)
{
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) {
        mem_free(q->mean[k]);
        mem_free(q->whitener[k]);
    }
    mem_free(q->a);
    mem_free(q->values);
    mem_free(q->vectors);
}

static int64_t width(const problem *q, int k)
{
    return q->net->config.modality[k].n_in;
}

/* Rows of modality k of the cells that have k and l, minus their mean: *out [*n, n_in]. */
static scw_status centred(double **out, int64_t *n, double *mean, const problem *q, int k, int l)
{
    scw_status st = SCW_OK;
    const clue_path_cells *c = q->cells;
    const int64_t p = width(q, k);

    *n = 0;
    for (int64_t i = 0; i < c->n; i++) *n += c->present[k][i] && c->present[l][i];
    TRY(mem_new(out, *n * p));
    int64_t at = 0;
    for (int64_t i = 0; i < c->n; i++) {
        if (!c->present[k][i] || !c->present[l][i]) continue;
        for (int64_t j = 0; j < p; j++) {
            (*out)[at * p + j] = (double)c->input[k][i * p + j];
            mean[j] += (double)c->input[k][i * p + j] / (double)*n;
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
    const int64_t p = width(q, k);
    double *x = NULL, trace = 0.0;
    int64_t n;

    TRY(mem_new(&q->mean[k], p));
    TRY(mem_new(&q->whitener[k], p * p));
    TRY(centred(&x, &n, q->mean[k], q, k, k));
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
    const int64_t p = width(q, k), r = width(q, l), all = q->from[q->net->config.n_modalities];
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

/* A, with K - 1 on its diagonal so that no eigenvalue is negative. Every modality must be tied to
 * the first, through others if need be. */
static scw_status build(problem *q)
{
    scw_status st = SCW_OK;
    const int n = q->net->config.n_modalities;
    int group[MODEL_MAX_MODALITIES];

    for (int k = 0; k < n; k++) {
        q->from[k + 1] = q->from[k] + width(q, k);
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
                 q->net->config.modality[k].name, q->net->config.modality[0].name);
done:
    return st;
}

/* The path of modality k and the biases that centre it; *size adds up its mean square length. */
static scw_status set_path(clue_net *net, const problem *q, int k, double *size)
{
    scw_status st = SCW_OK;
    const clue_config *c = &net->config;
    const int64_t p = width(q, k), d = c->z_dim, n = c->n_modalities;
    const int64_t kept = d < q->from[n] ? d : q->from[n];
    real *s = params_value(&net->p, net->path[k]); /* [K d, p] */
    double *v = NULL, *map = NULL;

    TRY(mem_new(&v, p * kept));
    TRY(mem_new(&map, p * kept));
    for (int64_t j = 0; j < p; j++)
        for (int64_t e = 0; e < kept; e++)
            v[j * kept + e] = q->vectors[(q->from[k] + j) * kept + e];
    multiply(map, q->whitener[k], v, p, p, kept);
    for (int64_t e = 0; e < kept; e++) {
        const double r = fmax(0.0, q->values[e] / (double)(n - 1) - 1.0);
        const double scale = r > 1e-6 ? pow(r, q->options->power) * sqrt((double)n) : 0.0;
        *size += scale * scale;
        for (int64_t m = 0; m < n; m++)
            for (int64_t j = 0; j < p; j++)
                s[(m * d + e) * p + j] = (real)(scale * map[j * kept + e]);
    }
done:
    mem_free(v);
    mem_free(map);
    return st;
}

/* Paths of the wanted length; heads that say nothing yet but what centres the path. */
static void set_heads(clue_net *net, const problem *q, double size)
{
    const clue_config *c = &net->config;
    const double gain = size > 0.0 ? q->options->gain / sqrt(size) : 0.0;

    for (int k = 0; k < c->n_modalities; k++) {
        const int64_t p = width(q, k), d = c->z_dim;
        real *s = params_value(&net->p, net->path[k]);
        for (int64_t e = 0; e < c->n_modalities * d * p; e++) s[e] *= (real)gain;
        for (int64_t row = 0; row < c->n_modalities * d; row++) {
            const clue_encoder *e = &net->encoder[k][c->share_encoders ? 0 : row / d];
            const int64_t at = c->share_encoders ? row : row % d;
            double shift = 0.0;
            for (int64_t j = 0; j < p; j++) shift -= (double)s[row * p + j] * q->mean[k][j];
            params_value(&net->p, e->loc.bias)[at] = (real)shift;
            params_value(&net->p, e->std.bias)[at] = (real)log(expm1(q->options->start));
        }
        for (int t = 0; t < (c->share_encoders ? 1 : c->n_modalities); t++) {
            const clue_encoder *e = &net->encoder[k][t];
            const int64_t rows = c->share_encoders ? c->n_modalities * d : d;
            const int64_t cols = c->encoder_depth > 0 ? c->encoder_width : p;
            memset(params_value(&net->p, e->loc.weight), 0, (size_t)(rows * cols) * sizeof(real));
            memset(params_value(&net->p, e->std.weight), 0, (size_t)(rows * cols) * sizeof(real));
        }
    }
}

scw_status clue_path_fit(double *correlation, clue_net *net, const clue_path_cells *c,
                         const clue_path_options *options)
{
    scw_status st = SCW_OK;
    problem q = {.net = net, .cells = c, .options = options};
    const int n = net->config.n_modalities;
    double size = 0.0;

    TRY(build(&q));
    const int64_t all = q.from[n], kept = net->config.z_dim < all ? net->config.z_dim : all;
    TRY(mem_new(&q.values, kept));
    TRY(mem_new(&q.vectors, all * kept));
    TRY(eigen_top(q.values, q.vectors, q.a, all, kept));
    for (int k = 0; k < n; k++) TRY(set_path(net, &q, k, &size));
    /* size: a sum over the K modalities of sum_e (r^power)^2 K; a variate has a variance of about
     * 1 / K before the factor, and stands in K blocks. */
    set_heads(net, &q, size / (double)n);
    *correlation = q.values[0] / (double)(n - 1) - 1.0;
done:
    clear(&q);
    return st;
}
