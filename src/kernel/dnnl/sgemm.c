/* SPDX-License-Identifier: BSD-3-Clause */
/* Single precision: dnnl_sgemm is row-major, keeps no state and, inside a parallel loop, runs on one
 * thread. */
#include <dnnl.h>

#include "kernel/dnnl/dnnl.h"
#include "kernel/split.h"

static void serial(const gemm_part *p)
{
    if (dnnl_sgemm(p->trans_a ? 'T' : 'N', p->trans_b ? 'T' : 'N', p->m, p->n, p->k, 1.0f, p->a,
                   p->lda, p->b, p->ldb, p->beta, p->c, p->ldc) != dnnl_success)
        gemm_plain(p); /* it had no memory for its copies */
}

bool onednn_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                 const real *b, real beta, real *c)
{
    gemm_part whole = gemm_whole(trans_a, trans_b, m, n, k, a, b, beta, c);

#ifdef HAVE_CBLAS
    /* Measured on the forward products of training: OpenBLAS needs two thirds of the time. */
    if (trans_b) return false;
#endif
    gemm_split(serial, &whole);
    return true;
}
