/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels, element by element and along rows and columns. */
#include <string.h>

#include "kernel/table.h"

/* The two neighbours of x differ by one in the upper half of its bits. Of equally near ones the even is taken;
 * the carry out of the largest mantissa is right: it is the next exponent, or infinity. */
static uint16_t bf16_of(real x)
{
    const float value = (float)x;
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    const uint32_t below = bits >> 16, rest = bits & 0xFFFFu;
    if (isnan(value)) return (uint16_t)(below | 0x40u); /* its upper half alone may be infinity's */
    return (uint16_t)(rest > 0x8000u || (rest == 0x8000u && below % 2 == 1) ? below + 1 : below);
}

static void to_bf16(int64_t n, const real *x, uint16_t *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = bf16_of(x[i]);
}

static void round_bf16(int64_t n, const real *x, real *out)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)bf16_of(x[i]) << 16;
        float value;
        memcpy(&value, &bits, sizeof value);
        out[i] = (real)value;
    }
}

static void relu(int64_t n, const real *x, real *y)
{
    for (int64_t i = 0; i < n; i++) y[i] = x[i] < 0 ? 0 : x[i]; /* NaN stays NaN */
}

static void relu_backward(int64_t n, const real *y, const real *g, real *d_x)
{
    for (int64_t i = 0; i < n; i++)
        if (y[i] > 0) d_x[i] += g[i];
}

static void add(int64_t n, const real *x, const real *y, real *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = x[i] + y[i];
}

static void accumulate(int64_t n, real scale, const real *x, real *y)
{
    for (int64_t i = 0; i < n; i++) y[i] += scale * x[i];
}

static void scale_values(int64_t n, real scale, const real *x, real *y)
{
    for (int64_t i = 0; i < n; i++) y[i] = scale * x[i];
}

static void multiply(int64_t n, const real *x, const real *y, real *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = x[i] * y[i];
}

static void multiply_accumulate(int64_t n, const real *x, const real *y, real *out)
{
    for (int64_t i = 0; i < n; i++) out[i] += x[i] * y[i];
}

static void exponential(int64_t n, const real *x, real *y)
{
    for (int64_t i = 0; i < n; i++) y[i] = real_exp(x[i]);
}

static double sum(int64_t n, const real *x)
{
    double total = 0.0;
    for (int64_t i = 0; i < n; i++) total += (double)x[i];
    return total;
}

static double sum_squares(int64_t n, const real *x)
{
    double total = 0.0;
    for (int64_t i = 0; i < n; i++) total += (double)x[i] * (double)x[i];
    return total;
}

static void add_bias(int64_t rows, int64_t cols, const real *x, const real *bias, real *y)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) y[i * cols + j] = x[i * cols + j] + bias[j];
}

static void column_sums(int64_t rows, int64_t cols, const real *g, real *d_bias)
{
    for (int64_t j = 0; j < cols; j++) {
        double total = 0.0;
        for (int64_t i = 0; i < rows; i++) total += (double)g[i * cols + j];
        d_bias[j] += (real)total;
    }
}

/* log sum_j exp(x_j) of one row, with the largest value taken out first. */
static double log_sum_exp(int64_t cols, const real *x)
{
    double most = (double)x[0], total = 0.0;

    for (int64_t j = 1; j < cols; j++)
        if ((double)x[j] > most) most = (double)x[j];
    for (int64_t j = 0; j < cols; j++) total += exp((double)x[j] - most);
    return most + log(total);
}

static void softmax(int64_t rows, int64_t cols, const real *x, real *y)
{
    for (int64_t i = 0; i < rows && cols > 0; i++) {
        double lse = log_sum_exp(cols, x + i * cols);
        for (int64_t j = 0; j < cols; j++)
            y[i * cols + j] = (real)exp((double)x[i * cols + j] - lse);
    }
}

static void log_softmax(int64_t rows, int64_t cols, const real *x, real *y)
{
    for (int64_t i = 0; i < rows && cols > 0; i++) {
        double lse = log_sum_exp(cols, x + i * cols);
        for (int64_t j = 0; j < cols; j++)
            y[i * cols + j] = (real)((double)x[i * cols + j] - lse);
    }
}

void ref_fill_elementwise(kernel_table *t)
{
    t->to_bf16 = to_bf16;
    t->round_bf16 = round_bf16;
    t->relu = relu;
    t->relu_backward = relu_backward;
    t->add = add;
    t->accumulate = accumulate;
    t->scale = scale_values;
    t->multiply = multiply;
    t->multiply_accumulate = multiply_accumulate;
    t->exp = exponential;
    t->sum = sum;
    t->sum_squares = sum_squares;
    t->add_bias = add_bias;
    t->column_sums = column_sums;
    t->softmax = softmax;
    t->log_softmax = log_softmax;
}
