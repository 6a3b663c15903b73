/* SPDX-License-Identifier: BSD-3-Clause */
/* Products by OpenBLAS through CBLAS. */
#ifndef KERNEL_BLAS_BLAS_H
#define KERNEL_BLAS_BLAS_H

#include "kernel/table.h"

bool blas_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
               const real *b, real beta, real *c);

#endif
