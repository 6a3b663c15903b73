/* SPDX-License-Identifier: BSD-3-Clause */
/* What simple methods read of a modality: 50 principal components of log1p of counts scaled to one library size (RNA) or
 * of TF-IDF (chromatin), CLR of protein (whole up to 300 features), fitted on training cells. */
#ifndef TASK_LINEAR_INPUTS_H
#define TASK_LINEAR_INPUTS_H

#include "models/model.h"
#include "prep/pca.h"
#include "prep/transform.h"

typedef struct linear_inputs {
    transform prep;
    bool whole;    /* no components: the transformed features themselves */
    pca components;
    int64_t width; /* columns */
} linear_inputs;

/* How many columns there will be of n_vars features and n_train cells. */
int64_t linear_inputs_width(modality_kind kind, int64_t n_vars, int64_t n_train);

/* counts: CSR training cells. library: that RNA counts are scaled to. */
SCW_CHECKED scw_status linear_inputs_fit(linear_inputs *out, modality_kind kind,
                                         const matrix *counts, double library);
void linear_inputs_clear(linear_inputs *l);

/* Columns at .. at + width of the rows of `to`, which are ld numbers apart, from any cells' counts. */
SCW_CHECKED scw_status linear_inputs_apply(float *to, int64_t ld, int64_t at,
                                           const linear_inputs *l, const matrix *counts);

#endif
