/* SPDX-License-Identifier: BSD-3-Clause */
#include "prep/cca.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"
#include "prep/eigen.h"
#include "prep/symmetric.h"

#define SMALL 1e-10 /* a correlation below this has no direction of its own */

void cca_clear(cca *c)
{
    mem_free(c->a);
    mem_free(c->b);
    mem_free(c->mean_x);
    mem_free(c->mean_y);
    mem_free(c->correlations);
    *c = (cca){0};
}

/* *out [n, p] = x minus its column means. */
static scw_status centre(double **out, double *mean, const float *x, int64_t n, int64_t p)
{
    scw_status st = SCW_OK;

    TRY(mem_new(out, n * p));
    for (int64_t e = 0; e < n * p; e++) {
        if (!isfinite(x[e]))
            FAIL(SCW_EDATA, "canonical correlation: row %lld holds a value that is not finite",
                 (long long)(e / p));
        mean[e % p] += (double)x[e] / (double)n;
    }
    for (int64_t e = 0; e < n * p; e++) (*out)[e] = (double)x[e] - mean[e % p];
done:
    return st;
}

/* out [p, q] = x^T y / n. */
static void cross(double *out, const double *x, int64_t p, const double *y, int64_t q, int64_t n)
{
    dense_shape shape = {.trans_a = true, .m = p, .n = q, .k = n, .ld_a = p, .ld_b = q,
                         .ld_c = q, .alpha = 1.0 / (double)n};

    dense_product(&shape, x, y, out);
}

/* *out [p, p] = (x^T x / n + ridge)^(-1/2). */
static scw_status whitener(double **out, const double *x, int64_t n, int64_t p, double ridge)
{
    scw_status st = SCW_OK;
    double trace = 0.0;

    TRY(mem_new(out, p * p));
    cross(*out, x, p, x, p, n);
    for (int64_t j = 0; j < p; j++) trace += (*out)[j * p + j];
    for (int64_t j = 0; j < p; j++) (*out)[j * p + j] += ridge * trace / (double)p;
    TRY(symmetric_power(*out, p, -0.5));
done:
    return st;
}

static void multiply(double *out, const double *a, const double *b, int64_t m, int64_t k, int64_t n)
{
    dense_shape shape = {.m = m, .n = n, .k = k, .ld_a = k, .ld_b = n, .ld_c = n, .alpha = 1.0};

    dense_product(&shape, a, b, out);
}

/* Singular vectors of core [p, q] from the eigenvectors of core^T core: v [q, k], and u = core v / r. */
static scw_status decompose(double *u, double *v, double *r, const double *core, int64_t p,
                            int64_t q, int64_t k)
{
    scw_status st = SCW_OK;
    double *gram = NULL;

    TRY(mem_new(&gram, q * q));
    dense_shape shape = {.trans_a = true, .m = q, .n = q, .k = p, .ld_a = q, .ld_b = q,
                         .ld_c = q, .alpha = 1.0};
    dense_product(&shape, core, core, gram);
    TRY(eigen_top(r, v, gram, q, k));
    multiply(u, core, v, p, q, k);
    for (int64_t c = 0; c < k; c++) {
        r[c] = r[c] > 0.0 ? sqrt(r[c]) : 0.0;
        for (int64_t i = 0; i < p; i++) u[i * k + c] = r[c] > SMALL ? u[i * k + c] / r[c] : 0.0;
    }
done:
    mem_free(gram);
    return st;
}

/* Weight the columns of both by r, and turn them so that the largest entry of a is positive. */
static void finish(cca *c)
{
    for (int64_t col = 0; col < c->k; col++) {
        double largest = 0.0, scale = c->correlations[col];
        for (int64_t i = 0; i < c->p; i++)
            if (fabs(c->a[i * c->k + col]) > fabs(largest)) largest = c->a[i * c->k + col];
        if (largest < 0.0) scale = -scale;
        for (int64_t i = 0; i < c->p; i++) c->a[i * c->k + col] *= scale;
        for (int64_t i = 0; i < c->q; i++) c->b[i * c->k + col] *= scale;
    }
}

scw_status cca_fit(cca *out, const float *x, int64_t p, const float *y, int64_t q, int64_t n,
                   int64_t k, double ridge)
{
    scw_status st = SCW_OK;
    double *cx = NULL, *cy = NULL, *wx = NULL, *wy = NULL, *core = NULL, *half = NULL, *u = NULL,
           *v = NULL;

    *out = (cca){.p = p, .q = q, .k = k};
    if (k < 1 || !(ridge >= 0.0))
        FAIL(SCW_EINVAL, "canonical correlation: %lld components with a ridge of %g", (long long)k,
             ridge);
    if (n < 2 || p < 1 || q < 1)
        FAIL(SCW_EDATA, "canonical correlation needs two cells with both sides, and columns: there are %lld "
             "cells with %lld and %lld columns", (long long)n, (long long)p, (long long)q);
    if (out->k > p) out->k = p;
    if (out->k > q) out->k = q;
    TRY(mem_new(&out->mean_x, p));
    TRY(mem_new(&out->mean_y, q));
    TRY(mem_new(&out->a, p * out->k));
    TRY(mem_new(&out->b, q * out->k));
    TRY(mem_new(&out->correlations, out->k));
    TRY(centre(&cx, out->mean_x, x, n, p));
    TRY(centre(&cy, out->mean_y, y, n, q));
    TRY(whitener(&wx, cx, n, p, ridge));
    TRY(whitener(&wy, cy, n, q, ridge));
    TRY(mem_new(&core, p * q));
    TRY(mem_new(&half, p * q));
    TRY(mem_new(&u, p * out->k));
    TRY(mem_new(&v, q * out->k));
    cross(core, cx, p, cy, q, n);
    multiply(half, wx, core, p, p, q);
    multiply(core, half, wy, p, q, q);
    TRY(decompose(u, v, out->correlations, core, p, q, out->k));
    multiply(out->a, wx, u, p, p, out->k);
    multiply(out->b, wy, v, q, q, out->k);
    finish(out);
done:
    mem_free(cx);
    mem_free(cy);
    mem_free(wx);
    mem_free(wy);
    mem_free(core);
    mem_free(half);
    mem_free(u);
    mem_free(v);
    if (st != SCW_OK) cca_clear(out);
    return st;
}

void cca_scores(float *scores, const cca *c, const float *rows, int64_t n, bool second)
{
    const double *a = second ? c->b : c->a, *mean = second ? c->mean_y : c->mean_x;
    int64_t p = second ? c->q : c->p;

    for (int64_t i = 0; i < n; i++)
        for (int64_t col = 0; col < c->k; col++) {
            double sum = 0.0;
            for (int64_t j = 0; j < p; j++)
                sum += ((double)rows[i * p + j] - mean[j]) * a[j * c->k + col];
            scores[i * c->k + col] = (float)sum;
        }
}
