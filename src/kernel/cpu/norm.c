/* SPDX-License-Identifier: BSD-3-Clause */
/* Fast batch norm: strips of columns, each wholly one thread's. A strip of a training batch stays in
 * the first-level cache over the passes for the mean, the variance and the result. */
#include "kernel/cpu/cpu.h"

#define STRIP 64

/* total[j] = sum over rows of x_ij - center_j, or of its square. */
static void strip_sums(int64_t rows, int64_t cols, int64_t width, const real *x,
                       const float *center, bool squares, double *total)
{
    for (int64_t j = 0; j < STRIP; j++) total[j] = 0.0;
    for (int64_t base = 0; base < rows; base += CPU_GROUP) {
        int64_t end = smaller(base + CPU_GROUP, rows);
        float group[STRIP] = {0};
        for (int64_t i = base; i < end; i++) {
            const real *row = x + i * cols;
            if (squares) {
                CPU_SIMD
                for (int64_t j = 0; j < width; j++)
                    group[j] += (row[j] - center[j]) * (row[j] - center[j]);
            } else {
                CPU_SIMD
                for (int64_t j = 0; j < width; j++) group[j] += row[j] - center[j];
            }
        }
        for (int64_t j = 0; j < width; j++) total[j] += (double)group[j];
    }
}

static void strip_apply(int64_t rows, int64_t cols, int64_t width, const real *x,
                        const float *center, const float *scale, const real *shift, real *y)
{
    for (int64_t i = 0; i < rows; i++) {
        const real *from = x + i * cols;
        real *to = y + i * cols;
        CPU_SIMD
        for (int64_t j = 0; j < width; j++) to[j] = (from[j] - center[j]) * scale[j] + shift[j];
    }
}

static void batch_norm_train(int64_t rows, int64_t cols, const real *x, const real *gamma,
                             const real *beta, real eps, real momentum, real *running_mean,
                             real *running_var, real *mean, real *inv_std, real *y)
{
    double n = (double)rows, keep = 1.0 - (double)momentum;

    if (rows <= 0) return;
    PARALLEL_FOR_IF(rows * cols > CPU_PARALLEL_MIN)
    for (int64_t from = 0; from < cols; from += STRIP) {
        int64_t width = smaller(STRIP, cols - from);
        float center[STRIP] = {0}, scale[STRIP];
        double total[STRIP];
        strip_sums(rows, cols, width, x + from, center, false, total);
        for (int64_t j = 0; j < width; j++) center[j] = (float)(total[j] / n);
        strip_sums(rows, cols, width, x + from, center, true, total);
        for (int64_t j = 0; j < width; j++) {
            int64_t c = from + j;
            double unbiased = rows > 1 ? total[j] / (n - 1.0) : 0.0;
            mean[c] = center[j];
            inv_std[c] = (real)(1.0 / sqrt(total[j] / n + (double)eps));
            scale[j] = gamma[c] * inv_std[c];
            running_mean[c] =
                (real)(keep * (double)running_mean[c] + (double)momentum * (double)center[j]);
            running_var[c] =
                (real)(keep * (double)running_var[c] + (double)momentum * unbiased);
        }
        strip_apply(rows, cols, width, x + from, center, scale, beta + from, y + from);
    }
}

static void batch_norm_eval(int64_t rows, int64_t cols, const real *x, const real *gamma,
                            const real *beta, real eps, const real *running_mean,
                            const real *running_var, real *y)
{
    PARALLEL_FOR_IF(rows * cols > CPU_PARALLEL_MIN)
    for (int64_t from = 0; from < cols; from += STRIP) {
        int64_t width = smaller(STRIP, cols - from);
        float scale[STRIP];
        for (int64_t j = 0; j < width; j++)
            scale[j] = gamma[from + j] / sqrtf(running_var[from + j] + eps);
        strip_apply(rows, cols, width, x + from, running_mean + from, scale, beta + from, y + from);
    }
}

/* Column sums of g and of g (x - mean), in double over groups of rows. */
static void strip_moments(int64_t rows, int64_t cols, int64_t width, const real *x, const real *g,
                          const real *mean, double *sum_g, double *sum_gx)
{
    for (int64_t j = 0; j < STRIP; j++) sum_g[j] = sum_gx[j] = 0.0;
    for (int64_t base = 0; base < rows; base += CPU_GROUP) {
        int64_t end = smaller(base + CPU_GROUP, rows);
        float group_g[STRIP] = {0}, group_gx[STRIP] = {0};
        for (int64_t i = base; i < end; i++) {
            const real *xi = x + i * cols, *gi = g + i * cols;
            CPU_SIMD
            for (int64_t j = 0; j < width; j++) {
                group_g[j] += gi[j];
                group_gx[j] += gi[j] * (xi[j] - mean[j]);
            }
        }
        for (int64_t j = 0; j < width; j++) {
            sum_g[j] += (double)group_g[j];
            sum_gx[j] += (double)group_gx[j];
        }
    }
}

/* d_x = s g - s/n sum_g - (x - mean) s r^2/n sum_gx with s = gamma r: three factors a column. */
static void batch_norm_backward(int64_t rows, int64_t cols, const real *x, const real *gamma,
                                const real *mean, const real *inv_std, const real *g, real *d_x,
                                real *d_gamma, real *d_beta)
{
    double n = (double)rows;

    if (rows <= 0) return;
    PARALLEL_FOR_IF(rows * cols > CPU_PARALLEL_MIN)
    for (int64_t from = 0; from < cols; from += STRIP) {
        int64_t width = smaller(STRIP, cols - from);
        double sum_g[STRIP], sum_gx[STRIP];
        float scale[STRIP], shift[STRIP], slope[STRIP];
        strip_moments(rows, cols, width, x + from, g + from, mean + from, sum_g, sum_gx);
        for (int64_t j = 0; j < width; j++) {
            double r = (double)inv_std[from + j], s = (double)gamma[from + j] * r;
            d_gamma[from + j] += (real)(sum_gx[j] * r);
            d_beta[from + j] += (real)sum_g[j];
            scale[j] = (float)s;
            shift[j] = (float)(s / n * sum_g[j]);
            slope[j] = (float)(s * r * r / n * sum_gx[j]);
        }
        if (!d_x) continue;
        for (int64_t i = 0; i < rows; i++) {
            const real *xi = x + i * cols + from, *gi = g + i * cols + from;
            const real *center = mean + from;
            real *di = d_x + i * cols + from;
            CPU_SIMD
            for (int64_t j = 0; j < width; j++)
                di[j] += scale[j] * gi[j] - shift[j] - (xi[j] - center[j]) * slope[j];
        }
    }
}

void CPU_NAME(cpu_fill_norm)(kernel_table *t)
{
    t->batch_norm_train = batch_norm_train;
    t->batch_norm_eval = batch_norm_eval;
    t->batch_norm_backward = batch_norm_backward;
}
