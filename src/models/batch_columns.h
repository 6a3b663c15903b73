/* SPDX-License-Identifier: BSD-3-Clause */
/* The batch of a cell as a decoder sees it: a column a batch beside the latent, 1 in that of the cell
 * and 0 in the others, as conditional autoencoders have it (Sohn et al., NeurIPS 2015; Lopez et al.,
 * Nature Methods 2018). A cell whose batch is not known is decoded for the mean of the batches: 1/B in
 * each. Encoders never see a batch. */
#ifndef MODELS_BATCH_COLUMNS_H
#define MODELS_BATCH_COLUMNS_H

#include <stdint.h>

#include "base/real.h"

/* Writes n rows of n_batches values, the rows `stride` apart. batch [n], -1: not known; NULL: none is. */
void batch_columns(real *to, int64_t stride, const int32_t *batch, int64_t n, int64_t n_batches);

#endif
