/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes a model's calibration from cells that it, or a twin of it, was not trained on. */
#ifndef TRAIN_CALIBRATE_H
#define TRAIN_CALIBRATE_H

#include "models/matilda_model.h"

/* What was seen of held-out cells under one answer; grows fold by fold. */
typedef struct held_answer {
    int as; /* whose: MATILDA_AS_NETWORK, or a path of the model's subsets */
    int64_t n;
    float *logits;        /* [n, C] */
    int32_t *truth;       /* [n] */
    double *log_distance; /* [n] */
} held_answer;

/* The network's and those of the paths for subsets of the modalities. Zero-initialised: empty. */
typedef struct held_out {
    int64_t n_classes;
    int n_answers;
    held_answer answer[1 + SUBSETS_MAX];
} held_out;

/* Room for n cells in all. */
SCW_CHECKED scw_status held_out_init(held_out *h, const matilda_model *m, int64_t n);
void held_out_clear(held_out *h);

/* Add the listed cells as the model sees them now, and, for the subsets, as it would see what they
 * have of a subset; `train` are the cells it was trained on. */
SCW_CHECKED scw_status held_out_add(held_out *h, const matilda_model *m, const cells *c,
                                    const int64_t *rows, int64_t n, const int64_t *train,
                                    int64_t n_train);

/* Temperature, label sets and novelty from the held-out cells, class centres from the finished
 * model's own training cells; for the network and for each subset. */
SCW_CHECKED scw_status calibrate(matilda_model *m, const held_out *h, const cells *c,
                                 const int64_t *train, int64_t n_train);

#endif
