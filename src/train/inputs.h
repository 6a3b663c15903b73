/* SPDX-License-Identifier: BSD-3-Clause */
/* The projected inputs of all modalities side by side, as the fitted linear paths see them. */
#ifndef TRAIN_INPUTS_H
#define TRAIN_INPUTS_H

#include "models/matilda_model.h"

typedef struct inputs {
    int64_t n, p;
    float *u;                           /* [n, p] */
    int64_t from[MODEL_MAX_MODALITIES]; /* first column of a modality, -1: none */
    int64_t width[MODEL_MAX_MODALITIES];
    const int32_t *labels;              /* [n], owned */
    float *weight;                      /* [n] or NULL: ones */
    int32_t *batch;                     /* [n] of the model's, or NULL: batches are not told apart */
} inputs;

/* u = x_m P_m of the listed cells, with their labels (-1 without), weights and
 * batches. */
SCW_CHECKED scw_status inputs_gather(inputs *x, const matilda_model *m, const cells *c,
                                     const int64_t *rows, int64_t n);
void inputs_clear(inputs *x);

/* Replace u by u T, with T [p, p] = scale * S^-power, S = (1 - shrink) S_w + shrink tr(S_w)/p I,
 * S_w the covariance within classes, and the scale such that the total variance stays (*t is new).
 */
SCW_CHECKED scw_status inputs_whiten(double **t, inputs *x, int64_t n_classes, double power,
                                     double shrink);

/* out [n, p] = u T, T symmetric. */
void inputs_multiply(float *out, const float *u, const double *t, int64_t n, int64_t p);

#endif
