/* SPDX-License-Identifier: BSD-3-Clause */
/* Products by oneDNN. The only place that calls it: its C API 2 is gone from version 3. */
#ifndef KERNEL_DNNL_DNNL_H
#define KERNEL_DNNL_DNNL_H

#include "kernel/table.h"

bool onednn_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
               const real *b, real beta, real *c);

/* True when this CPU multiplies bf16 numbers in hardware (AVX512-BF16 or AMX). */
bool onednn_has_bf16(void);
/* As onednn_gemm with the inputs rounded to bf16, sums in single precision. */
bool onednn_gemm_bf16(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                    const real *b, real beta, real *c);

#endif
