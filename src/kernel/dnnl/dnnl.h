/* SPDX-License-Identifier: BSD-3-Clause */
/* Products by oneDNN. The only place that calls it: its C API 2 is gone from version 3. */
#ifndef KERNEL_DNNL_DNNL_H
#define KERNEL_DNNL_DNNL_H

#include "kernel/table.h"

bool onednn_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                 const real *b, real beta, real *c);

#endif
