/* SPDX-License-Identifier: BSD-3-Clause */
/* Two embeddings as the two sides of a comparison: the same cells, partly or not at all. */
#ifndef TASK_PAIRS_H
#define TASK_PAIRS_H

#include "data/dataset.h"
#include "task/shared_features.h"

typedef struct pair_sides {
    const scw_dataset *a, *b;  /* borrowed; may be the same */
    float *x, *y;              /* [a->n_obs, d], [b->n_obs, d]; NaN for cells without */
    int64_t d;
    int32_t *batch_x, *batch_y; /* codes in `batches`, -1: none; NULL without a key */
    strings batches;
    int64_t *partner; /* [a->n_obs] row of b with the same name, -1: none */
} pair_sides;

/* batch_key NULL: batches are not told apart. SCW_EDATA: the arrays differ in width. */
SCW_CHECKED scw_status pair_sides_read(pair_sides *out, const scw_dataset *a, const char *use_a,
                                       const scw_dataset *b, const char *use_b,
                                       const char *batch_key);
/* The same with what shared_features.h makes of a modality of each. */
SCW_CHECKED scw_status pair_sides_share(pair_sides *out, const shared_side *a,
                                        const shared_side *b, const char *map,
                                        const char *batch_key);
void pair_sides_clear(pair_sides *p);

/* obs column `key` of both sides as codes of one list of names; of one data set read once. */
SCW_CHECKED scw_status pair_sides_classes(int32_t **of_a, int32_t **of_b, strings *names,
                                          const pair_sides *p, const char *key);

#endif
