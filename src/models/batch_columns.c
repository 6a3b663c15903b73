/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/batch_columns.h"

void batch_columns(real *to, int64_t stride, const int32_t *batch, int64_t n, int64_t n_batches)
{
    for (int64_t i = 0; i < n; i++, to += stride)
        for (int64_t b = 0; b < n_batches; b++) {
            if (batch && batch[i] >= 0)
                to[b] = batch[i] == b;
            else
                to[b] = (real)(1.0 / (double)n_batches);
        }
}
