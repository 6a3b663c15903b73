/* SPDX-License-Identifier: BSD-3-Clause */
/* Single precision: dnnl_sgemm is row-major and keeps no state. */
#include <dnnl.h>

#include "kernel/dnnl/dnnl.h"

bool onednn_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
               const real *b, real beta, real *c)
{
    return dnnl_sgemm(trans_a ? 'T' : 'N', trans_b ? 'T' : 'N', m, n, k, 1.0f, a, trans_a ? m : k,
                      b, trans_b ? k : n, beta, c, n) == dnnl_success;
}
