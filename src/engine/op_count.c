/* SPDX-License-Identifier: BSD-3-Clause */
/* Likelihoods of counts. The counts stay sparse: a dense pass adds what a zero would cost, a sparse
 * pass corrects the non-zeros. g below is the gradient of the sum. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/threads.h"
#include "engine/ops.h"

#define PRODUCT_LIMIT 16 /* a ratio of gamma functions is a product up to this many factors */

/* log(1 + x), x >= 0. In float without a call, so that the loop over features is vectorised: a series
 * near zero; else 1 + x = 2^e m with m about 1, and log m = 2 atanh((m - 1) / (m + 1)). */
static inline real log_one_plus(real x)
{
#ifdef SCW_REAL_DOUBLE
    return log1p(x);
#else
    const float near = x * (1.0f - x * (0.5f - x * (1.0f / 3 - x * 0.25f)));
    const float y = 1.0f + x;
    int32_t bits;
    memcpy(&bits, &y, sizeof bits);
    const int32_t e = (bits - 0x3f3504f3) >> 23; /* m in [sqrt(1/2), sqrt(2)) */
    bits -= (int32_t)((uint32_t)e << 23);
    float m;
    memcpy(&m, &bits, sizeof m);
    const float s = (m - 1.0f) / (m + 1.0f), q = s * s;
    const float far = 2.0f * s * (1.0f + q * (1.0f / 3 + q * (0.2f + q * (1.0f / 7 + q / 9)))) +
                      0.693147181f * (float)e;
    return x < 0.03f ? near : far;
#endif
}

/* Sum of x_j y_j in eight interleaved parts, in double. */
static double weighted_sum(int64_t n, const real *x, const real *y)
{
    double part[8] = {0};
    int64_t j = 0;

    for (; j + 8 <= n; j += 8)
        for (int q = 0; q < 8; q++) part[q] += (double)(x[j + q] * y[j + q]);
    for (; j < n; j++) part[0] += (double)(x[j] * y[j]);
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

static bool row_counts(const affine_sparse *x, int64_t i)
{
    return !x->row_weight || x->row_weight[i] != 0;
}

static bool counts_fit(const op_record *r, char *why, size_t size)
{
    const affine_sparse *x = r->attr.x;
    const tensor *p = r->in[0];

    if (!x || p->n_dims != 2 || p->dim[0] != x->n_rows || p->dim[1] != x->n_cols) {
        (void)snprintf(why, size, "the prediction does not have the shape of the counts [%lld, %lld]",
                       x ? (long long)x->n_rows : 0LL, x ? (long long)x->n_cols : 0LL);
        return false;
    }
    if (x->row_scale || x->row_shift || x->col_scale || x->col_shift) {
        (void)snprintf(why, size, "counts come without scales and shifts");
        return false;
    }
    return true;
}

/* Sum of n row values in order: the same for any number of threads. */
static double ordered_sum(int64_t n, const double *rows)
{
    double total = 0.0;
    for (int64_t i = 0; i < n; i++) total += rows[i];
    return total;
}

/* ------------------------------------------------------------- negative_binomial
 * With s = exp(log_shape):
 *   -log NB = s log(1 + mu/s) + [ x (log(s + mu) - log mu) - log G(x+s)/(G(s) x!) ]
 *   d/d mu        = (s + x) / (s + mu) - x / mu
 *   d/d log_shape = s (log(1 + mu/s) + (x - mu) / (s + mu) - psi(x+s) + psi(s))
 * The bracket and all that has x in it vanish at x = 0. */

/* log G(x+s) / (G(s) x!) and psi(x+s) - psi(s); for whole x up to the limit as a product and a sum. */
static double gamma_ratio(double s, double x, double *psi)
{
    double product = 1.0;
    int sign;

    *psi = 0.0;
    if (x <= PRODUCT_LIMIT && x == floor(x)) {
        for (double k = 0.0; k < x; k += 1.0) {
            product *= (s + k) / (k + 1.0);
            *psi += 1.0 / (s + k);
        }
        return log(product);
    }
    /* psi(y) = log y - 1/(2y) - 1/(12 y^2) + 1/(120 y^4) - 1/(252 y^6) + ... for y >= 8, after steps of
     * psi(y) = psi(y+1) - 1/y. */
    double ends[2] = {s, x + s}, values[2];
    for (int k = 0; k < 2; k++) {
        double y = ends[k], below = 0.0;
        for (; y < 8.0; y += 1.0) below += 1.0 / y;
        double q = 1.0 / (y * y);
        double series = q * (1.0 / 12.0 - q * (1.0 / 120.0 - q * (1.0 / 252.0 - q * (1.0 / 240.0 - q / 132.0))));
        values[k] = log(y) - 0.5 / y - series - below;
    }
    *psi = values[1] - values[0];
    return lgamma_r(x + s, &sign) - lgamma_r(s, &sign) - lgamma_r(x + 1.0, &sign);
}

static bool negative_binomial_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    if (!counts_fit(r, why, size)) return false;
    const int64_t cols = r->in[0]->dim[1], n_batches = cols ? r->in[1]->size / cols : 1;
    if (r->in[1]->size != cols * n_batches || (n_batches != 1 && !r->attr.labels)) {
        (void)snprintf(why, size, "%lld shapes for %lld features", (long long)r->in[1]->size,
                       (long long)cols);
        return false;
    }
    for (int64_t i = 0; r->attr.labels && i < r->in[0]->dim[0]; i++) {
        if (r->attr.labels[i] >= 0 && r->attr.labels[i] < n_batches) continue;
        (void)snprintf(why, size, "row %lld has batch %d of %lld", (long long)i,
                       (int)r->attr.labels[i], (long long)n_batches);
        return false;
    }
    return op_shape_scalar(r, out, why, size);
}

/* Where the shapes of row i begin. */
static int64_t shapes_of(const op_record *r, int64_t i)
{
    return r->attr.labels ? r->attr.labels[i] * r->in[0]->dim[1] : 0;
}

typedef struct negative_binomial_state {
    real *shape;   /* s, as log_shape */
    real *logs;    /* log(1 + mu/s) [B, F] */
} negative_binomial_state;

static void negative_binomial_forward(tape *t, op_record *r)
{
    const affine_sparse *x = r->attr.x;
    const int64_t cols = x->n_cols;
    double *sums = tape_alloc(t, x->n_rows, sizeof *sums);
    negative_binomial_state *saved = tape_alloc(t, 1, sizeof *saved);
    real *shapes = op_memory(t, r->in[1]->size), *logs = op_memory(t, x->n_rows * cols);

    if (!sums || !saved || !shapes || !logs) return;
    *saved = (negative_binomial_state){shapes, logs};
    r->saved = saved;
    kernel_exp(r->in[1]->size, r->in[1]->value, shapes);
    PARALLEL_FOR
    for (int64_t i = 0; i < x->n_rows; i++) {
        const real *mu = r->in[0]->value + i * cols, *shape = shapes + shapes_of(r, i);
        real *l = logs + i * cols;
        double psi;
        for (int64_t j = 0; j < cols; j++) l[j] = log_one_plus(mu[j] / shape[j]);
        double sum = row_counts(x, i) ? weighted_sum(cols, shape, l) : 0.0;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1] && row_counts(x, i); e++) {
            int64_t j = x->indices[e];
            double s = (double)shape[j], v = (double)x->values[e], m = (double)mu[j];
            sum += v * log((s + m) / m) - gamma_ratio(s, v, &psi);
        }
        sums[i] = sum;
    }
    r->out->value[0] = (real)ordered_sum(x->n_rows, sums);
}

static void negative_binomial_mean_gradient(const op_record *r, real *d_mu)
{
    const affine_sparse *x = r->attr.x;
    const int64_t cols = x->n_cols;
    const negative_binomial_state *saved = r->saved;
    const real g = r->out->grad[0];

    PARALLEL_FOR
    for (int64_t i = 0; i < x->n_rows; i++) {
        const real *mu = r->in[0]->value + i * cols, *shape = saved->shape + shapes_of(r, i);
        real *d = d_mu + i * cols;
        if (!row_counts(x, i)) continue;
        for (int64_t j = 0; j < cols; j++) d[j] += g * shape[j] / (shape[j] + mu[j]);
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
            int64_t j = x->indices[e];
            d[j] += g * x->values[e] * (1 / (shape[j] + mu[j]) - 1 / mu[j]);
        }
    }
}

/* d/d log_shape of one row, added to d, which is as log_shape. */
static void add_shape_gradient(const op_record *r, int64_t i, double *d)
{
    const affine_sparse *x = r->attr.x;
    const negative_binomial_state *saved = r->saved;
    const real *shape = saved->shape + shapes_of(r, i), *mu = r->in[0]->value + i * x->n_cols;
    const real *l = saved->logs + i * x->n_cols;
    double psi;

    if (!row_counts(x, i)) return;
    d += shapes_of(r, i);
    for (int64_t j = 0; j < x->n_cols; j++) {
        real share = mu[j] / (shape[j] + mu[j]);
        d[j] += (double)(shape[j] * (l[j] - share));
    }
    for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
        int64_t j = x->indices[e];
        double s = (double)shape[j], v = (double)x->values[e];
        (void)gamma_ratio(s, v, &psi);
        d[j] += s * (v / (s + (double)mu[j]) - psi);
    }
}

static void negative_binomial_backward(tape *t, op_record *r)
{
    const affine_sparse *x = r->attr.x;
    real *d_shape = r->in[1]->grad;

    if (!r->saved) return;
    if (r->in[0]->grad) negative_binomial_mean_gradient(r, r->in[0]->grad);
    if (!d_shape) return;
    /* Sums over rows in blocks of fixed size, added in order. */
    enum { BLOCK = 16 };
    int64_t n_blocks = (x->n_rows + BLOCK - 1) / BLOCK;
    const int64_t n = r->in[1]->size;
    double *parts = tape_alloc(t, n_blocks * n, sizeof *parts);
    if (!parts) return;
    PARALLEL_FOR
    for (int64_t b = 0; b < n_blocks; b++) {
        double *part = parts + b * n;
        for (int64_t j = 0; j < n; j++) part[j] = 0.0;
        for (int64_t i = b * BLOCK; i < (b + 1) * BLOCK && i < x->n_rows; i++)
            add_shape_gradient(r, i, part);
    }
    for (int64_t b = 0; b < n_blocks; b++)
        for (int64_t j = 0; j < n; j++)
            d_shape[j] += r->out->grad[0] * (real)parts[b * n + j];
}

static tensor *negative_binomial_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;

    if (!sample_shape(variant / 4, &rows, &cols)) return NULL;
    const int64_t n_batches = variant / 2 % 2 ? 3 : 1;
    int32_t *batch = tape_alloc(t, rows, sizeof *batch);
    for (int64_t i = 0; batch && i < rows; i++) batch[i] = (int32_t)(i % n_batches);
    wrt[0] = sample_input(t, rows, cols, 1);
    wrt[1] = sample_input(t, n_batches, cols, 2);
    *n_wrt = 2;
    if (!wrt[0] || !wrt[1]) return NULL;
    /* Means are positive. */
    for (int64_t e = 0; e < wrt[0]->size; e++) {
        real v = wrt[0]->value[e];
        wrt[0]->value[e] = v < 0 ? -v : 5 * v;
    }
    return op_negative_binomial(t, wrt[0], wrt[1], sample_counts(t, rows, cols, variant % 2 == 1, 3),
                                n_batches > 1 ? batch : NULL);
}

const op_spec spec_negative_binomial = {"negative_binomial", 2, negative_binomial_shape,
                                          negative_binomial_forward, negative_binomial_backward,
                                          negative_binomial_sample, false, 0};

tensor *op_negative_binomial(tape *t, tensor *mu, tensor *log_shape, const affine_sparse *x,
                             const int32_t *batch)
{
    return tape_apply(t, &spec_negative_binomial, (tensor *[]){mu, log_shape}, 2,
                      &(op_attributes){.x = x, .labels = batch});
}

/* ------------------------------------------------------------- bernoulli
 * With l = logit + offset: -log p = log(1 + exp(l)) - l [x > 0]; d/d l = 1 / (1 + exp(-l)) - [x > 0].
 * `given` is the offset. */

static bool bernoulli_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    return counts_fit(r, why, size) && op_shape_scalar(r, out, why, size);
}

/* `saved` is exp(-|l|) [B, F]: neither the loss nor the gradient can overflow. */
static void bernoulli_forward(tape *t, op_record *r)
{
    const affine_sparse *x = r->attr.x;
    const int64_t cols = x->n_cols;
    double *sums = tape_alloc(t, x->n_rows, sizeof *sums);
    real *small = op_memory(t, x->n_rows * cols);

    if (!sums || !small) return;
    r->saved = small;
    PARALLEL_FOR
    for (int64_t i = 0; i < x->n_rows; i++) {
        const real *l = r->in[0]->value + i * cols, o = r->attr.given ? r->attr.given[i] : 0;
        real *s = small + i * cols;
        double sum = 0.0;
        for (int64_t j = 0; j < cols; j++) s[j] = l[j] + o > 0 ? -(l[j] + o) : l[j] + o;
        kernel_exp(cols, s, s);
        for (int64_t j = 0; j < cols && row_counts(x, i); j++)
            sum += (l[j] + o > 0 ? (double)(l[j] + o) : 0.0) + log1p((double)s[j]);
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1] && row_counts(x, i); e++)
            if (x->values[e] > 0) sum -= (double)(l[x->indices[e]] + o);
        sums[i] = sum;
    }
    r->out->value[0] = (real)ordered_sum(x->n_rows, sums);
}

static void bernoulli_backward(tape *t, op_record *r)
{
    const affine_sparse *x = r->attr.x;
    const int64_t cols = x->n_cols;
    const real g = r->out->grad[0];

    (void)t;
    if (!r->in[0]->grad || !r->saved) return;
    PARALLEL_FOR
    for (int64_t i = 0; i < x->n_rows; i++) {
        const real *l = r->in[0]->value + i * cols, o = r->attr.given ? r->attr.given[i] : 0;
        const real *s = (const real *)r->saved + i * cols;
        real *d = r->in[0]->grad + i * cols;
        if (!row_counts(x, i)) continue;
        for (int64_t j = 0; j < cols; j++) d[j] += g * (l[j] + o > 0 ? 1 : s[j]) / (1 + s[j]);
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++)
            if (x->values[e] > 0) d[x->indices[e]] -= g;
    }
}

static tensor *bernoulli_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;

    if (!sample_shape(variant / 4, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    *n_wrt = 1;
    real *offset = op_memory(t, rows);
    for (int64_t i = 0; offset && i < rows; i++) offset[i] = (real)0.3 * (real)(i % 5) - (real)0.6;
    return op_bernoulli(t, wrt[0], sample_counts(t, rows, cols, variant % 2 == 1, 2),
                        variant / 2 % 2 ? offset : NULL);
}

const op_spec spec_bernoulli = {"bernoulli", 1, bernoulli_shape, bernoulli_forward,
                                  bernoulli_backward, bernoulli_sample, false, 0};

tensor *op_bernoulli(tape *t, tensor *logits, const affine_sparse *x, const real *offset)
{
    return tape_apply(t, &spec_bernoulli, &logits, 1, &(op_attributes){.x = x, .given = offset});
}
