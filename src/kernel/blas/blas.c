/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel/blas/blas.h"

#include <cblas.h>
#include <limits.h>

#include "kernel/split.h"

static void use_threads(int n)
{
    if (openblas_get_num_threads() != n) openblas_set_num_threads(n);
}

static void serial(const gemm_part *p)
{
    cblas_sgemm(CblasRowMajor, p->trans_a ? CblasTrans : CblasNoTrans,
                p->trans_b ? CblasTrans : CblasNoTrans, (int)p->m, (int)p->n, (int)p->k, 1.0f,
                p->a, (int)p->lda, p->b, (int)p->ldb, p->beta, p->c, (int)p->ldc);
}

bool blas_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
               const real *b, real beta, real *c)
{
    gemm_part whole = gemm_whole(trans_a, trans_b, m, n, k, a, b, beta, c);

    if (m > INT_MAX || n > INT_MAX || k > INT_MAX) return false;
    use_threads(1);
    gemm_split(serial, &whole);
    return true;
}
