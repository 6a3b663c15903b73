/* SPDX-License-Identifier: BSD-3-Clause */
/* Fast kernels, element by element and along rows and columns. */
#include "kernel/cpu/cpu.h"

/* As ref's, without a branch: 0x7FFF carries into the upper half above the tie, 1 more at one that is odd. */
static inline uint32_t bf16_bits(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    const uint32_t nearest = bits + 0x7FFFu + (bits >> 16 & 1u);
    const uint32_t nan = bits | 0x400000u;
    return (bits & 0x7FFFFFFFu) > 0x7F800000u ? nan : nearest;
}

static inline float bf16_value(float x)
{
    const uint32_t bits = bf16_bits(x) & 0xFFFF0000u;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static void to_bf16(int64_t n, const real *x, uint16_t *out)
{
    FLAT_LOOP(n, out[i] = (uint16_t)(bf16_bits(x[i]) >> 16));
}

static void round_bf16(int64_t n, const real *x, real *out)
{
    FLAT_LOOP(n, out[i] = bf16_value(x[i]));
}

static void relu(int64_t n, const real *x, real *y)
{
    FLAT_LOOP(n, y[i] = x[i] < 0 ? 0 : x[i]);
}

static void relu_backward(int64_t n, const real *y, const real *g, real *d_x)
{
    FLAT_LOOP(n, d_x[i] += y[i] > 0 ? g[i] : 0);
}

static void add(int64_t n, const real *x, const real *y, real *out)
{
    FLAT_LOOP(n, out[i] = x[i] + y[i]);
}

static void accumulate(int64_t n, real scale, const real *x, real *y)
{
    FLAT_LOOP(n, y[i] += scale * x[i]);
}

static void scale_values(int64_t n, real scale, const real *x, real *y)
{
    FLAT_LOOP(n, y[i] = scale * x[i]);
}

static void multiply(int64_t n, const real *x, const real *y, real *out)
{
    FLAT_LOOP(n, out[i] = x[i] * y[i]);
}

static void multiply_accumulate(int64_t n, const real *x, const real *y, real *out)
{
    FLAT_LOOP(n, out[i] += x[i] * y[i]);
}

static void exponential(int64_t n, const real *x, real *y)
{
    FLAT_LOOP(n, y[i] = fast_exp(x[i]));
}

/* ------------------------------------------------------------- sums */

#define SUM_ROUND 128 /* blocks whose sums wait on the stack to be added in order */

static double block_sum(const real *x, int64_t n)
{
    double total = 0.0;
    _Pragma("omp simd reduction(+ : total)")
    for (int64_t i = 0; i < n; i++) total += (double)x[i];
    return total;
}

static double block_sum_squares(const real *x, int64_t n)
{
    double total = 0.0;
    _Pragma("omp simd reduction(+ : total)")
    for (int64_t i = 0; i < n; i++) total += (double)x[i] * (double)x[i];
    return total;
}

static double sum_blocks(int64_t n, const real *x, double (*of_block)(const real *, int64_t))
{
    double total = 0.0, part[SUM_ROUND];

    for (int64_t base = 0; base < n; base += (int64_t)SUM_ROUND * CPU_BLOCK) {
        int64_t blocks = smaller(SUM_ROUND, (n - base + CPU_BLOCK - 1) / CPU_BLOCK);
        PARALLEL_FOR_IF(blocks * CPU_BLOCK > CPU_PARALLEL_MIN)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t at = base + b * CPU_BLOCK;
            part[b] = of_block(x + at, block_end(at, n) - at);
        }
        for (int64_t b = 0; b < blocks; b++) total += part[b];
    }
    return total;
}

static double sum(int64_t n, const real *x)
{
    return sum_blocks(n, x, block_sum);
}

static double sum_squares(int64_t n, const real *x)
{
    return sum_blocks(n, x, block_sum_squares);
}

/* ------------------------------------------------------------- rows and columns */

static void add_bias(int64_t rows, int64_t cols, const real *x, const real *bias, real *y)
{
    PARALLEL_FOR_IF(rows * cols > CPU_PARALLEL_MIN)
    for (int64_t i = 0; i < rows; i++) {
        CPU_SIMD
        for (int64_t j = 0; j < cols; j++) y[i * cols + j] = x[i * cols + j] + bias[j];
    }
}

#define STRIP 64 /* columns summed side by side */

static void column_sums(int64_t rows, int64_t cols, const real *g, real *d_bias)
{
    PARALLEL_FOR_IF(rows * cols > CPU_PARALLEL_MIN)
    for (int64_t from = 0; from < cols; from += STRIP) {
        int64_t width = smaller(STRIP, cols - from);
        double total[STRIP] = {0};
        for (int64_t base = 0; base < rows; base += CPU_GROUP) {
            int64_t end = smaller(base + CPU_GROUP, rows);
            float group[STRIP] = {0};
            for (int64_t i = base; i < end; i++) {
                const real *row = g + i * cols + from;
                CPU_SIMD
                for (int64_t j = 0; j < width; j++) group[j] += row[j];
            }
            for (int64_t j = 0; j < width; j++) total[j] += (double)group[j];
        }
        for (int64_t j = 0; j < width; j++) d_bias[from + j] += (real)total[j];
    }
}

static float row_max(const real *x, int64_t n)
{
    float most = x[0];
    _Pragma("omp simd reduction(max : most)")
    for (int64_t j = 1; j < n; j++) most = x[j] > most ? x[j] : most;
    return most;
}

static void softmax(int64_t rows, int64_t cols, const real *x, real *y)
{
    PARALLEL_FOR_IF(rows * cols > CPU_PARALLEL_MIN)
    for (int64_t i = 0; i < rows; i++) {
        const real *from = x + i * cols;
        real *to = y + i * cols;
        float most = cols > 0 ? row_max(from, cols) : 0;
        CPU_SIMD
        for (int64_t j = 0; j < cols; j++) to[j] = fast_exp(from[j] - most);
        float over = (float)(1.0 / block_sum(to, cols));
        CPU_SIMD
        for (int64_t j = 0; j < cols; j++) to[j] *= over;
    }
}

static void log_softmax(int64_t rows, int64_t cols, const real *x, real *y)
{
    PARALLEL_FOR_IF(rows * cols > CPU_PARALLEL_MIN)
    for (int64_t i = 0; i < rows; i++) {
        const real *from = x + i * cols;
        real *to = y + i * cols;
        float most = cols > 0 ? row_max(from, cols) : 0;
        double total = 0.0;
        _Pragma("omp simd reduction(+ : total)")
        for (int64_t j = 0; j < cols; j++) total += (double)fast_exp(from[j] - most);
        float log_total = (float)log(total);
        CPU_SIMD
        for (int64_t j = 0; j < cols; j++) to[j] = (from[j] - most) - log_total;
    }
}

void CPU_NAME(cpu_fill_elementwise)(kernel_table *t)
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
