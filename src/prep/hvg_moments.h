/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two families of highly variable features share. */
#ifndef PREP_HVG_MOMENTS_H
#define PREP_HVG_MOMENTS_H

#include <stddef.h>

#include "prep/hvg.h"

typedef struct hvg_moments {
    int64_t p;
    int32_t n_batches;
    int64_t *cells;        /* [n_batches] */
    double *sum, *squares; /* [n_batches, p] */
    int64_t *detected;     /* [n_batches, p] cells where the feature is not zero */
} hvg_moments;

void hvg_moments_clear(hvg_moments *m);

/* mean, variance [p] of one batch; the variance over n - 1. */
void hvg_mean_variance(double *mean, double *variance, const hvg_moments *m, int32_t batch);

/* Select the first n_top features in ascending order of `first`, then `second` ([p], NaN last;
 * NULL: all equal). room: [p] elements of hvg_choose_room() bytes. */
void hvg_choose(hvg *h, const double *first, const double *second, int64_t n_top, void *room);
size_t hvg_choose_room(void);

/* Flavours cell_ranger and seurat (hvg_dispersion.c). */
SCW_CHECKED scw_status hvg_choose_by_dispersion(hvg *h, const hvg_moments *m, const hvg_options *o);

#endif
