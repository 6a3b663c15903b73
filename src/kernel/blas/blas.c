/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel/blas/blas.h"

#include <cblas.h>
#include <limits.h>

#include "base/threads.h"

void blas_follow_threads(void)
{
    int wanted = threads_get();
    if (openblas_get_num_threads() != wanted) openblas_set_num_threads(wanted);
}

bool blas_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
               const real *b, real beta, real *c)
{
    if (m > INT_MAX || n > INT_MAX || k > INT_MAX) return false;
    blas_follow_threads();
    cblas_sgemm(CblasRowMajor, trans_a ? CblasTrans : CblasNoTrans,
                trans_b ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, 1.0f, a,
                (int)(trans_a ? m : k), b, (int)(trans_b ? k : n), beta, c, (int)n);
    return true;
}
