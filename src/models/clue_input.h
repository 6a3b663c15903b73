/* SPDX-License-Identifier: BSD-3-Clause */
/* What CLUE's encoders read of a modality: a few scores a cell instead of its counts.
 *
 *   RNA, ADT    y = log1p of scaled counts (prep/transform.h), centred, or as published
 *               z = (y - mean_j) / sd_j, at most 10; its principal components, or itself where a
 *               protein panel is small
 *   ATAC        y = TF-IDF, centred; its principal components; or as published (unit rows) its truncated
 *               SVD, each cell's scores centred and divided by their deviation, which takes the depth out
 *
 * Both are one affine map of the prepared input x (models/cells.h), whose missing features are at
 * their mean: scores = x L - offset. */
#ifndef MODELS_CLUE_INPUT_H
#define MODELS_CLUE_INPUT_H

#include "models/cells.h"
#include "models/model.h"

typedef struct clue_input {
    int64_t n_vars, width;
    bool unit_rows;  /* each cell's scores have mean 0 and deviation 1 */
    float *loadings; /* L [n_vars, width] */
    float *offset;   /* [width] */
    float *ceiling;  /* [n_vars] y above it counts as it; NULL: none */
} clue_input;

typedef struct clue_input_options {
    int64_t components; /* at most */
    int64_t max_dense;  /* protein panels up to this size are read whole */
    bool standardise;   /* RNA, ADT: z as published; else y - mean_j */
    bool unit_rows;     /* ATAC: truncated SVD and rows as published; else components of y - mean_j */
    uint64_t seed;
} clue_input_options;

/* From the listed rows of p, all of which have the modality: two at least. */
SCW_CHECKED scw_status clue_input_fit(clue_input *out, modality_kind kind, const prepared *p,
                                      const transform *prep, const int64_t *rows, int64_t n,
                                      const clue_input_options *options);
/* scores [n, width] of gathered rows, whose values are changed where they are above the ceiling. */
void clue_input_apply(real *scores, const clue_input *in, const affine_sparse *x);
SCW_CHECKED scw_status clue_input_copy(clue_input *out, const clue_input *from);
void clue_input_clear(clue_input *in);

#endif
