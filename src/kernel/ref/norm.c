/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference batch norm (Ioffe & Szegedy 2015). With n rows, mean m and biased variance v of a column:
 *     y = gamma (x - m) / sqrt(v + eps) + beta
 *     run_m <- (1 - momentum) run_m + momentum m,   run_v likewise with v n / (n - 1)
 * One row has no unbiased variance: the running one then takes v = 0 as it is. * x is max(x, 0) where asked for, and y is multiplied by `keep` at the end. */
#include "kernel/table.h"

static double input(const kernel_norm *b, int64_t e)
{
    return b->relu && b->x[e] < 0 ? 0.0 : (double)b->x[e]; /* NaN stays NaN */
}

static double kept(const kernel_norm *b, int64_t e)
{
    return b->keep ? (double)b->keep[e] : 1.0;
}

static void batch_norm_train(const kernel_norm *b, real momentum, real *running_mean,
                             real *running_var, real *y)
{
    int64_t rows = b->rows, cols = b->cols;
    double n = (double)rows, keep = 1.0 - (double)momentum;

    for (int64_t j = 0; j < cols && rows > 0; j++) {
        double m = 0.0, v = 0.0;
        for (int64_t i = 0; i < rows; i++) m += input(b, i * cols + j);
        m /= n;
        for (int64_t i = 0; i < rows; i++) {
            double d = input(b, i * cols + j) - m;
            v += d * d;
        }
        double unbiased = rows > 1 ? v / (n - 1.0) : 0.0;
        v /= n;
        double r = 1.0 / sqrt(v + (double)b->eps);
        b->mean[j] = (real)m;
        b->inv_std[j] = (real)r;
        running_mean[j] = (real)(keep * (double)running_mean[j] + (double)momentum * m);
        running_var[j] = (real)(keep * (double)running_var[j] + (double)momentum * unbiased);
        for (int64_t i = 0; i < rows; i++) {
            int64_t e = i * cols + j;
            y[e] = (real)(((double)b->gamma[j] * (input(b, e) - m) * r + (double)b->beta[j]) *
                          kept(b, e));
        }
    }
}

static void batch_norm_eval(const kernel_norm *b, const real *running_mean, const real *running_var,
                            real *y)
{
    for (int64_t i = 0; i < b->rows; i++)
        for (int64_t j = 0; j < b->cols; j++) {
            int64_t e = i * b->cols + j;
            real r = 1 / real_sqrt(running_var[j] + b->eps);
            y[e] = (b->gamma[j] * ((real)input(b, e) - running_mean[j]) * r + b->beta[j]) *
                   (real)kept(b, e);
        }
}

/* With xh = (x - m) r and g already multiplied by keep:  d_gamma = sum g xh,  d_beta = sum g,
 * d_x = gamma r (g - d_beta / n - xh d_gamma / n), and nothing where relu cut x off. */
static void batch_norm_backward(const kernel_norm *b, const real *g, bool fresh, real *d_x,
                                real *d_gamma, real *d_beta)
{
    int64_t rows = b->rows, cols = b->cols;
    double n = (double)rows;

    for (int64_t j = 0; j < cols && rows > 0; j++) {
        double m = (double)b->mean[j], r = (double)b->inv_std[j], sum_g = 0.0, sum_gx = 0.0;
        for (int64_t i = 0; i < rows; i++) {
            int64_t e = i * cols + j;
            double gi = (double)g[e] * kept(b, e);
            sum_g += gi;
            sum_gx += gi * (input(b, e) - m) * r;
        }
        d_gamma[j] += (real)sum_gx;
        d_beta[j] += (real)sum_g;
        for (int64_t i = 0; i < rows && d_x; i++) {
            int64_t e = i * cols + j;
            double xh = (input(b, e) - m) * r, gi = (double)g[e] * kept(b, e);
            double d = (double)b->gamma[j] * r * (gi - sum_g / n - xh * sum_gx / n);
            if (b->relu && b->x[e] <= 0) d = 0.0;
            d_x[e] = (real)d + (fresh ? 0 : d_x[e]);
        }
    }
}

void ref_fill_norm(kernel_table *t)
{
    t->batch_norm_train = batch_norm_train;
    t->batch_norm_eval = batch_norm_eval;
    t->batch_norm_backward = batch_norm_backward;
}
