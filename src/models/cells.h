/* SPDX-License-Identifier: BSD-3-Clause */
/* Prepared cells of all modalities, and batches gathered from them. */
#ifndef MODELS_CELLS_H
#define MODELS_CELLS_H

#include "models/network.h"
#include "prep/transform.h"

typedef struct cells {
    int64_t n;
    int n_modalities;
    prepared x[MODEL_MAX_MODALITIES]; /* n rows each */
    int32_t *labels;                  /* [n] class or -1, owned; NULL: none */
    float *weight;                    /* [n] weight in the classification loss, owned; NULL: ones */
    int32_t *known_batch; /* [n] batch of the model's, -1: none of them, owned; NULL: all are -1 */
    /* A query that is lined up with the reference (train/align.h); else NULL. */
    int32_t *batch;                     /* [n], owned */
    float *shift[MODEL_MAX_MODALITIES]; /* [batches, K_m] taken from the projected input, owned */
} cells;

void cells_clear(cells *c);

/* The modalities that cell i has, bit k for modality k. */
uint32_t cells_mask(const cells *c, int64_t i);
/* Those of the listed cells that have all modalities of the mask; *out is new. */
SCW_CHECKED scw_status cells_with(int64_t **out, int64_t *n_out, uint32_t mask, const cells *c,
                                  const int64_t *rows, int64_t n);

/* Copy the listed rows into a batch in the tape's memory. On failure the tape remembers it and
 * batch->n is 0. */
void cells_gather(tape *t, const cells *c, const int64_t *rows, int64_t n, model_batch *batch);

/* The listed rows in the tape's memory, without scales or shifts; false on failure, of which the tape
 * or the status tells. */
bool cells_gather_counts(tape *t, const row_list *l, affine_sparse *x);

/* Smallest and largest input value over the listed rows, all modalities together. */
SCW_CHECKED scw_status cells_range(const cells *c, const int64_t *rows, int64_t n,
                                   double *low, double *high);

#endif
