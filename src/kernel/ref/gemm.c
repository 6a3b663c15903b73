/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference product: the definition, summed in double. */
#include "kernel/table.h"

static void gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                 const real *b, real beta, real *c)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = beta == 0 ? 0.0 : (double)(beta * c[i * n + j]);
            for (int64_t p = 0; p < k; p++)
                sum += (double)(trans_a ? a[p * m + i] : a[i * k + p]) *
                       (double)(trans_b ? b[j * k + p] : b[p * n + j]);
            c[i * n + j] = (real)sum;
        }
}

void ref_fill_gemm(kernel_table *t)
{
    t->gemm = gemm;
}
