/* SPDX-License-Identifier: BSD-3-Clause */
/* Products for builds with neither oneDNN nor CBLAS: plain loops that vectorise, cut into strips of
 * columns of C, each wholly one thread's. */
#include "kernel/cpu/cpu.h"

#define STRIP 256 /* columns: a strip of a row of B and of C stays in the nearest cache */

/* B as it is: rows of B, scaled, add up to a row of C. */
static void strip_rows(bool trans_a, int64_t m, int64_t n, int64_t k, const real *a, const real *b,
                       real *c, int64_t from, int64_t width)
{
    for (int64_t i = 0; i < m; i++) {
        real *to = c + i * n + from;
        for (int64_t p = 0; p < k; p++) {
            const real *row = b + p * n + from;
            float v = trans_a ? a[p * m + i] : a[i * k + p];
            CPU_SIMD
            for (int64_t j = 0; j < width; j++) to[j] += v * row[j];
        }
    }
}

/* B transposed: an element of C is the dot product of two rows. */
static void strip_dots(bool trans_a, int64_t m, int64_t n, int64_t k, const real *a, const real *b,
                       real *c, int64_t from, int64_t width)
{
    int64_t stride = trans_a ? m : 1;

    for (int64_t j = from; j < from + width; j++)
        for (int64_t i = 0; i < m; i++) {
            const real *row = b + j * k, *other = trans_a ? a + i : a + i * k;
            float sum = 0;
            if (stride == 1) {
                _Pragma("omp simd reduction(+ : sum)")
                for (int64_t p = 0; p < k; p++) sum += other[p] * row[p];
            } else {
                for (int64_t p = 0; p < k; p++) sum += other[p * stride] * row[p];
            }
            c[i * n + j] += sum;
        }
}

static void gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                 const real *b, real beta, real *c)
{
    PARALLEL_FOR_IF(m * n > CPU_PARALLEL_MIN / (k > 0 ? k : 1))
    for (int64_t from = 0; from < n; from += STRIP) {
        int64_t width = smaller(STRIP, n - from);
        for (int64_t i = 0; i < m && beta == 0; i++)
            memset(c + i * n + from, 0, (size_t)width * sizeof *c);
        if (trans_b) {
            strip_dots(trans_a, m, n, k, a, b, c, from, width);
        } else {
            strip_rows(trans_a, m, n, k, a, b, c, from, width);
        }
    }
}

void CPU_NAME(cpu_fill_gemm)(kernel_table *t)
{
    t->gemm = gemm;
}
