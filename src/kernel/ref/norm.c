/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference batch norm (Ioffe & Szegedy 2015). With n rows, mean m and biased variance v of a column:
 *     y = gamma (x - m) / sqrt(v + eps) + beta
 *     run_m <- (1 - momentum) run_m + momentum m,   run_v likewise with v n / (n - 1)
 * One row has no unbiased variance: the running one then takes v = 0 as it is. */
#include "kernel/table.h"

static void batch_norm_train(int64_t rows, int64_t cols, const real *x, const real *gamma,
                             const real *beta, real eps, real momentum, real *running_mean,
                             real *running_var, real *mean, real *inv_std, real *y)
{
    double n = (double)rows, keep = 1.0 - (double)momentum;

    for (int64_t j = 0; j < cols && rows > 0; j++) {
        double m = 0.0, v = 0.0;
        for (int64_t i = 0; i < rows; i++) m += (double)x[i * cols + j];
        m /= n;
        for (int64_t i = 0; i < rows; i++) {
            double d = (double)x[i * cols + j] - m;
            v += d * d;
        }
        double unbiased = rows > 1 ? v / (n - 1.0) : 0.0;
        v /= n;
        double r = 1.0 / sqrt(v + (double)eps);
        mean[j] = (real)m;
        inv_std[j] = (real)r;
        running_mean[j] = (real)(keep * (double)running_mean[j] + (double)momentum * m);
        running_var[j] = (real)(keep * (double)running_var[j] + (double)momentum * unbiased);
        for (int64_t i = 0; i < rows; i++)
            y[i * cols + j] = (real)((double)gamma[j] * ((double)x[i * cols + j] - m) * r +
                                     (double)beta[j]);
    }
}

static void batch_norm_eval(int64_t rows, int64_t cols, const real *x, const real *gamma,
                            const real *beta, real eps, const real *running_mean,
                            const real *running_var, real *y)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            real r = 1 / real_sqrt(running_var[j] + eps);
            y[i * cols + j] = gamma[j] * (x[i * cols + j] - running_mean[j]) * r + beta[j];
        }
}

/* With xh = (x - m) r:  d_gamma = sum g xh,  d_beta = sum g,
 * d_x = gamma r (g - d_beta / n - xh d_gamma / n). */
static void batch_norm_backward(int64_t rows, int64_t cols, const real *x, const real *gamma,
                                const real *mean, const real *inv_std, const real *g, real *d_x,
                                real *d_gamma, real *d_beta)
{
    double n = (double)rows;

    for (int64_t j = 0; j < cols && rows > 0; j++) {
        double m = (double)mean[j], r = (double)inv_std[j], sum_g = 0.0, sum_gx = 0.0;
        for (int64_t i = 0; i < rows; i++) {
            double gi = (double)g[i * cols + j];
            sum_g += gi;
            sum_gx += gi * ((double)x[i * cols + j] - m) * r;
        }
        d_gamma[j] += (real)sum_gx;
        d_beta[j] += (real)sum_g;
        if (!d_x) continue;
        for (int64_t i = 0; i < rows; i++) {
            double xh = ((double)x[i * cols + j] - m) * r;
            d_x[i * cols + j] += (real)((double)gamma[j] * r *
                                        ((double)g[i * cols + j] - sum_g / n - xh * sum_gx / n));
        }
    }
}

void ref_fill_norm(kernel_table *t)
{
    t->batch_norm_train = batch_norm_train;
    t->batch_norm_eval = batch_norm_eval;
    t->batch_norm_backward = batch_norm_backward;
}
