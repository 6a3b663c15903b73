/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference decoder: feature by feature, summed in double. Gradients, with h = max(z W^T, 0), its mean
 * m, r = 1 / sqrt(variance + eps), n rows and G = 2 (p - x) on present rows, 0 on others:
 *
 *     linear       g = G                                              d_bias = sum G
 *     batch norm   g = gamma r (G - sum G / n - (h - m) r^2 sum G (h - m) / n) where h > 0, else 0
 *                  d_gamma = sum G (h - m) r                          d_beta = sum G
 *     d_z = g^T W                                                     d_W = g z */
#include "kernel/table.h"

static double target(const affine_sparse *x, int64_t i, int64_t j)
{
    double v = (x->row_shift ? (double)x->row_shift[i] : 0.0) +
               (x->col_shift ? (double)x->col_shift[j] : 0.0);

    for (int64_t at = x->indptr[i]; at < x->indptr[i + 1]; at++)
        if (x->indices[at] == j)
            v += (x->row_scale ? (double)x->row_scale[i] : 1.0) *
                 (x->col_scale ? (double)x->col_scale[j] : 1.0) * (double)x->values[at];
    return v;
}

static bool present(const affine_sparse *x, int64_t i)
{
    return !x->row_weight || x->row_weight[i] != 0;
}

static double before(const kernel_decoder *d, int64_t i, int64_t j)
{
    double p = 0.0;

    for (int64_t e = 0; e < d->width; e++)
        p += (double)d->z[i * d->width + e] * (double)d->weight[j * d->width + e];
    return p;
}

/* Mean and inverse deviation of a column of h; the running ones follow. */
typedef struct column {
    double mean, inv_std;
} column;

static double relu(real p)
{
    return p < 0 ? 0.0 : (double)p; /* NaN stays NaN */
}

static column statistics(const kernel_decoder *d, int64_t j, const real *p)
{
    const double n = (double)d->x->n_rows, momentum = (double)d->momentum;
    double mean = 0.0, squares = 0.0;

    for (int64_t i = 0; i < d->x->n_rows; i++) mean += relu(p[i]) / n;
    for (int64_t i = 0; i < d->x->n_rows; i++)
        squares += (relu(p[i]) - mean) * (relu(p[i]) - mean);
    d->running_mean[j] =
        (real)((1.0 - momentum) * (double)d->running_mean[j] + momentum * mean);
    d->running_var[j] =
        (real)((1.0 - momentum) * (double)d->running_var[j] + momentum * squares / (n - 1.0));
    return (column){mean, 1.0 / sqrt(squares / n + (double)d->eps)};
}

/* g holds z W^T and receives G (p - x) 2; returns the error. */
static double linear_feature(const kernel_decoder *d, int64_t j, real *g)
{
    double error = 0.0, sum = 0.0;

    for (int64_t i = 0; i < d->x->n_rows; i++) {
        double p = (double)g[i] + (d->bias ? (double)d->bias[j] : 0.0);
        double e = present(d->x, i) ? p - target(d->x, i, j) : 0.0;
        error += e * e;
        sum += 2.0 * e;
        g[i] = (real)(2.0 * e);
    }
    if (d->d_bias) d->d_bias[j] = (real)sum;
    return error;
}

static double norm_feature(const kernel_decoder *d, int64_t j, real *g)
{
    const column c = statistics(d, j, g);
    const double gamma = (double)d->gamma[j], r = c.inv_std, n = (double)d->x->n_rows;
    double error = 0.0, sum = 0.0, sum_h = 0.0;

    for (int64_t way = 0; way < 2; way++) {
        for (int64_t i = 0; i < d->x->n_rows; i++) {
            double h = relu(g[i]) - c.mean, p = gamma * h * r + (double)d->beta[j];
            double e = present(d->x, i) ? p - target(d->x, i, j) : 0.0;
            if (way == 0) {
                error += e * e;
                sum += 2.0 * e;
                sum_h += 2.0 * e * h;
            } else {
                double back = gamma * r * (2.0 * e - sum / n - h * r * r * sum_h / n);
                g[i] = g[i] <= 0 ? 0 : (real)back;
            }
        }
    }
    d->d_gamma[j] = (real)(sum_h * r);
    d->d_beta[j] = (real)sum;
    return error;
}

static double decoder_error(const kernel_decoder *d)
{
    const int64_t rows = d->x->n_rows, stride = kernel_decoder_stride(rows);
    double error = 0.0;

    for (int64_t j = 0; j < d->x->n_cols; j++) {
        real *g = d->g + j * stride;
        for (int64_t i = 0; i < stride; i++) g[i] = i < rows ? (real)before(d, i, j) : 0;
        error += d->gamma ? norm_feature(d, j, g) : linear_feature(d, j, g);
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t e = 0; e < d->width; e++) {
            double sum = 0.0;
            for (int64_t j = 0; j < d->x->n_cols; j++)
                sum += (double)d->g[j * stride + i] * (double)d->weight[j * d->width + e];
            d->d_z[i * d->width + e] = (real)sum;
        }
    return error;
}

static void decoder_weights(const kernel_decoder *d, real scale, bool fresh, real *d_weight,
                            const kernel_taker *taker)
{
    const int64_t stride = kernel_decoder_stride(d->x->n_rows);

    real row[KERNEL_TAKE_WIDTH];

    for (int64_t j = 0; j < d->x->n_cols; j++) {
        for (int64_t e = 0; e < d->width; e++) {
            double sum = 0.0;
            for (int64_t i = 0; i < d->x->n_rows; i++)
                sum += (double)d->g[j * stride + i] * (double)d->z[i * d->width + e];
            real *to = taker ? &row[e] : &d_weight[j * d->width + e];
            *to = (real)((fresh || taker ? 0.0 : (double)*to) + (double)scale * sum);
        }
        if (taker) taker->take(taker, j * d->width, d->width, row);
    }
}

void ref_fill_decoder(kernel_table *t)
{
    t->decoder_error = decoder_error;
    t->decoder_weights = decoder_weights;
}
