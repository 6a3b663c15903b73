/* SPDX-License-Identifier: BSD-3-Clause */
/* Products by oneDNN. The only place that calls it: its C API 2 is gone from version 3. */
#ifndef KERNEL_DNNL_DNNL_H
#define KERNEL_DNNL_DNNL_H

#include "kernel/table.h"

bool onednn_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                 const real *b, real beta, real *c);

/* bf16 inputs, as matmul primitives, which are made once for each shape. */
typedef struct onednn_bf16 onednn_bf16;
bool onednn_bf16_is_native(void);
SCW_CHECKED scw_status onednn_bf16_new(onednn_bf16 **out);
void onednn_bf16_free(onednn_bf16 *w);
/* *done false: the shape is declined, and C is untouched. After a failure C is undefined. */
SCW_CHECKED scw_status onednn_gemm_bf16(bool *done, onednn_bf16 *w, bool trans_a, bool trans_b,
                                        int64_t m, int64_t n, int64_t k, const uint16_t *a,
                                        const uint16_t *b, real beta, real *c);

#endif
