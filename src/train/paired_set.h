/* SPDX-License-Identifier: BSD-3-Clause */
/* The cells of a fit of paired modalities: scores that encoders read, counts that decoders
 * explain. */
#ifndef TRAIN_PAIRED_SET_H
#define TRAIN_PAIRED_SET_H

#include "data/packed_rows.h"
#include "models/network.h"

typedef struct paired_set {
    int64_t n;
    int n_modalities;
    float *input[MODEL_MAX_MODALITIES]; /* [n, width] */
    int64_t width[MODEL_MAX_MODALITIES];
    uint8_t *present[MODEL_MAX_MODALITIES];  /* [n] has counts of it */
    row_list counts[MODEL_MAX_MODALITIES];   /* a row a cell */
    const int32_t *batch;                    /* [n] or NULL, borrowed */
    const int32_t *labels;                   /* [n] class or -1, or NULL, borrowed */
} paired_set;

void paired_set_clear(paired_set *s);

#endif
