/* SPDX-License-Identifier: BSD-3-Clause */
/* Fast batch norm with the relu before it and the dropout after it: strips of columns, each wholly one
 * thread's. A strip of a training batch stays in the nearest caches over the passes for the mean, the
 * variance and the result. Without relu x is compared with minus infinity instead of zero. */
#include "kernel/cpu/cpu.h"

#define STRIP 64

static inline float lowest(const kernel_norm *b)
{
    return b->relu ? 0.0f : -INFINITY;
}

static inline float at_least(float x, float low)
{
    return x < low ? low : x; /* NaN stays NaN */
}

/* total[j] = sum over rows of x_ij - center_j, or of its square. */
static void strip_sums(const kernel_norm *b, int64_t from, int64_t width, const float *center,
                       bool squares, double *total)
{
    float low = lowest(b);

    for (int64_t j = 0; j < STRIP; j++) total[j] = 0.0;
    for (int64_t base = 0; base < b->rows; base += CPU_GROUP) {
        int64_t end = smaller(base + CPU_GROUP, b->rows);
        float group[STRIP] = {0};
        for (int64_t i = base; i < end; i++) {
            const real *row = b->x + i * b->cols + from;
            if (squares) {
                CPU_SIMD
                for (int64_t j = 0; j < width; j++) {
                    float d = at_least(row[j], low) - center[j];
                    group[j] += d * d;
                }
            } else {
                CPU_SIMD
                for (int64_t j = 0; j < width; j++) group[j] += at_least(row[j], low) - center[j];
            }
        }
        for (int64_t j = 0; j < width; j++) total[j] += (double)group[j];
    }
}

static void strip_apply(const kernel_norm *b, int64_t from, int64_t width, const float *center,
                        const float *scale, real *y)
{
    float low = lowest(b);
    const real *shift = b->beta + from;

    for (int64_t i = 0; i < b->rows; i++) {
        int64_t cell = i * b->cols + from;
        const real *x = b->x + cell, *keep = b->keep ? b->keep + cell : NULL;
        real *to = y + cell;
        if (b->keep) {
            CPU_SIMD
            for (int64_t j = 0; j < width; j++)
                to[j] = ((at_least(x[j], low) - center[j]) * scale[j] + shift[j]) * keep[j];
        } else {
            CPU_SIMD
            for (int64_t j = 0; j < width; j++)
                to[j] = (at_least(x[j], low) - center[j]) * scale[j] + shift[j];
        }
    }
}

static void batch_norm_train(const kernel_norm *b, real momentum, real *running_mean,
                             real *running_var, real *y)
{
    double n = (double)b->rows, keep = 1.0 - (double)momentum;

    if (b->rows <= 0) return;
    PARALLEL_FOR_IF(b->rows * b->cols > CPU_PARALLEL_MIN)
    for (int64_t from = 0; from < b->cols; from += STRIP) {
        int64_t width = smaller(STRIP, b->cols - from);
        float center[STRIP] = {0}, scale[STRIP];
        double total[STRIP];
        strip_sums(b, from, width, center, false, total);
        for (int64_t j = 0; j < width; j++) center[j] = (float)(total[j] / n);
        strip_sums(b, from, width, center, true, total);
        for (int64_t j = 0; j < width; j++) {
            int64_t c = from + j;
            double unbiased = b->rows > 1 ? total[j] / (n - 1.0) : 0.0;
            b->mean[c] = center[j];
            b->inv_std[c] = (real)(1.0 / sqrt(total[j] / n + (double)b->eps));
            scale[j] = b->gamma[c] * b->inv_std[c];
            running_mean[c] =
                (real)(keep * (double)running_mean[c] + (double)momentum * (double)center[j]);
            running_var[c] =
                (real)(keep * (double)running_var[c] + (double)momentum * unbiased);
        }
        strip_apply(b, from, width, center, scale, y);
    }
}

static void batch_norm_eval(const kernel_norm *b, const real *running_mean, const real *running_var,
                            real *y)
{
    PARALLEL_FOR_IF(b->rows * b->cols > CPU_PARALLEL_MIN)
    for (int64_t from = 0; from < b->cols; from += STRIP) {
        int64_t width = smaller(STRIP, b->cols - from);
        float scale[STRIP];
        for (int64_t j = 0; j < width; j++)
            scale[j] = b->gamma[from + j] / sqrtf(running_var[from + j] + b->eps);
        strip_apply(b, from, width, running_mean + from, scale, y);
    }
}

/* out = g, or g times keep. */
static inline void kept_row(const kernel_norm *b, int64_t cell, int64_t width, const real *g,
                            float *out)
{
    if (b->keep) {
        CPU_SIMD
        for (int64_t j = 0; j < width; j++) out[j] = g[cell + j] * b->keep[cell + j];
    } else {
        memcpy(out, g + cell, (size_t)width * sizeof *out);
    }
}

/* Column sums of g and of g (x - mean), in double over groups of rows. */
static void strip_moments(const kernel_norm *b, int64_t from, int64_t width, const real *g,
                          double *sum_g, double *sum_gx)
{
    float low = lowest(b);
    const real *mean = b->mean + from;

    for (int64_t j = 0; j < STRIP; j++) sum_g[j] = sum_gx[j] = 0.0;
    for (int64_t base = 0; base < b->rows; base += CPU_GROUP) {
        int64_t end = smaller(base + CPU_GROUP, b->rows);
        float group_g[STRIP] = {0}, group_gx[STRIP] = {0}, kept[STRIP];
        for (int64_t i = base; i < end; i++) {
            const real *x = b->x + i * b->cols + from;
            kept_row(b, i * b->cols + from, width, g, kept);
            CPU_SIMD
            for (int64_t j = 0; j < width; j++) {
                group_g[j] += kept[j];
                group_gx[j] += kept[j] * (at_least(x[j], low) - mean[j]);
            }
        }
        for (int64_t j = 0; j < width; j++) {
            sum_g[j] += (double)group_g[j];
            sum_gx[j] += (double)group_gx[j];
        }
    }
}

/* The three factors of a column: d_x = scale g - shift - (x - mean) slope. */
typedef struct strip_factors {
    float scale[STRIP], shift[STRIP], slope[STRIP];
} strip_factors;

static void strip_gradient(const kernel_norm *b, int64_t from, int64_t width, const real *g,
                           const strip_factors *f, bool fresh, real *d_x)
{
    float low = lowest(b), kept[STRIP];
    const real *mean = b->mean + from;

    for (int64_t i = 0; i < b->rows; i++) {
        int64_t cell = i * b->cols + from;
        const real *x = b->x + cell;
        real *to = d_x + cell;
        kept_row(b, cell, width, g, kept);
        CPU_SIMD
        for (int64_t j = 0; j < width; j++) {
            float d = f->scale[j] * kept[j] - f->shift[j] - (x[j] - mean[j]) * f->slope[j];
            kept[j] = x[j] <= low ? 0.0f : d;
        }
        if (fresh) {
            memcpy(to, kept, (size_t)width * sizeof *to);
        } else {
            CPU_SIMD
            for (int64_t j = 0; j < width; j++) to[j] += kept[j];
        }
    }
}

/* d_x = s g - s/n sum_g - (x - mean) s r^2/n sum_gx with s = gamma r, and 0 where relu cut x off. */
static void batch_norm_backward(const kernel_norm *b, const real *g, bool fresh, real *d_x,
                                real *d_gamma, real *d_beta)
{
    double n = (double)b->rows;

    if (b->rows <= 0) return;
    PARALLEL_FOR_IF(b->rows * b->cols > CPU_PARALLEL_MIN)
    for (int64_t from = 0; from < b->cols; from += STRIP) {
        int64_t width = smaller(STRIP, b->cols - from);
        double sum_g[STRIP], sum_gx[STRIP];
        strip_factors f;
        strip_moments(b, from, width, g, sum_g, sum_gx);
        for (int64_t j = 0; j < width; j++) {
            double r = (double)b->inv_std[from + j], s = (double)b->gamma[from + j] * r;
            d_gamma[from + j] += (real)(sum_gx[j] * r);
            d_beta[from + j] += (real)sum_g[j];
            f.scale[j] = (float)s;
            f.shift[j] = (float)(s / n * sum_g[j]);
            f.slope[j] = (float)(s * r * r / n * sum_gx[j]);
        }
        if (d_x) strip_gradient(b, from, width, g, &f, fresh, d_x);
    }
}

void CPU_NAME(cpu_fill_norm)(kernel_table *t)
{
    t->batch_norm_train = batch_norm_train;
    t->batch_norm_eval = batch_norm_eval;
    t->batch_norm_backward = batch_norm_backward;
}
