/* SPDX-License-Identifier: BSD-3-Clause */
/* What the encoders of paired modalities read of one: a few scores a cell instead of its counts.
 *
 *   RNA, ADT    y = log1p of scaled counts (prep/transform.h), centred, or as published
 *               z = (y - mean_j) / sd_j, at most 10; its principal components, or itself where a
 *               protein panel is small
 *   ATAC        y = TF-IDF, centred; its principal components; or as published (unit rows) its truncated
 *               SVD, each cell's scores centred and divided by their deviation, which takes the depth out
 *
 * Both are one affine map of the prepared input x (models/cells.h), whose missing features are at
 * their mean: scores = x L - offset. */
#ifndef MODELS_MODALITY_INPUT_H
#define MODELS_MODALITY_INPUT_H

#include "models/cells.h"
#include "models/model.h"

typedef struct modality_input {
    int64_t n_vars, width;
    bool unit_rows;  /* each cell's scores have mean 0 and deviation 1 */
    float *loadings; /* L [n_vars, width] */
    float *offset;   /* [width] */
    float *ceiling;  /* [n_vars] y above it counts as it; NULL: none */
} modality_input;

typedef struct modality_input_options {
    int64_t components; /* at most */
    int64_t max_dense;  /* protein panels up to this size are read whole */
    bool standardise;   /* RNA, ADT: z as published; else y - mean_j */
    bool unit_rows;     /* ATAC: truncated SVD and rows as published; else components of y - mean_j */
    uint64_t seed;
} modality_input_options;

/* Scores of a cell: the features of a small protein panel, else components, where n cells have as many. */
int64_t modality_input_width(modality_kind kind, int64_t n_vars, int64_t n,
                             const modality_input_options *options);
/* From the listed rows of p, all of which have the modality: two at least. */
SCW_CHECKED scw_status modality_input_fit(modality_input *out, modality_kind kind, const prepared *p,
                                      const transform *prep, const int64_t *rows, int64_t n,
                                      const modality_input_options *options);
/* scores [n, width] of gathered rows, whose values are changed where they are above the ceiling. */
void modality_input_apply(real *scores, const modality_input *in, const affine_sparse *x);
SCW_CHECKED scw_status modality_input_copy(modality_input *out, const modality_input *from);
void modality_input_clear(modality_input *in);

#endif
