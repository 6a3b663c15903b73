/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes a model's calibration from cells that it, or a twin of it, was not trained on. */
#ifndef TRAIN_CALIBRATE_H
#define TRAIN_CALIBRATE_H

#include "models/model.h"

/* What was seen of held-out cells; grows fold by fold. Zero-initialised: empty. */
typedef struct held_out {
    int64_t n, n_classes;
    float *logits;                /* [n, C] */
    int32_t *truth;               /* [n] */
    double *log_distance;         /* [n] */
} held_out;

/* Room for n cells in all. */
SCW_CHECKED scw_status held_out_init(held_out *h, int64_t n, int64_t n_classes);
void held_out_clear(held_out *h);

/* Add the listed cells as the model sees them now; `train` are the cells it was trained on. */
SCW_CHECKED scw_status held_out_add(held_out *h, const scw_model *m, const cells *c,
                                    const int64_t *rows, int64_t n, const int64_t *train,
                                    int64_t n_train);

/* Temperature, label sets and novelty from the held-out cells, class centres from the finished
 * model's own training cells. */
SCW_CHECKED scw_status calibrate(scw_model *m, const held_out *h, const cells *c,
                                 const int64_t *train, int64_t n_train);

#endif
