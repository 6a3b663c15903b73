/* SPDX-License-Identifier: BSD-3-Clause */
/* Two modalities in the space of the features they share, for matching without a model. */
#ifndef TASK_SHARED_FEATURES_H
#define TASK_SHARED_FEATURES_H

#include "data/dataset.h"

typedef struct shared_side {
    const scw_dataset *data;
    const char *modality; /* NULL: the only one there is */
} shared_side;

/* x [cells of a, d], y [cells of b, d]: counts normalised over all features of their cell (log1p per
 * 10,000, CLR, TF-IDF), then each shared feature to mean 0 and variance 1 over the cells of its own side;
 * NaN for cells that lack the modality. Shared are features of the same name or, with `map`, the pairs
 * that a table lists: first column features of a, second of b, under a header. A feature that does not
 * vary on one side is left out.
 * SCW_EDATA: fewer than two features are shared. Memory: 4 bytes a cell and shared feature. */
SCW_CHECKED scw_status shared_features_read(float **x, float **y, int64_t *d, const shared_side *a,
                                            const shared_side *b, const char *map);

#endif
