/* SPDX-License-Identifier: BSD-3-Clause */
/* Simulated cells against real ones: a row a modality, with the features' means, the shares of
 * cells in which they are zero, and both kinds of cells on the real ones' principal components. */
#ifndef PLOT_COMPARE_H
#define PLOT_COMPARE_H

#include "plot/axes.h"

typedef struct comparison {
    const char *name; /* of the modality */
    int64_t n_features;
    const double *mean[2], *zeros[2]; /* [n_features] of the real and of the simulated cells */
    int64_t n_cells[2];
    const float *components; /* [n_cells[0] + n_cells[1], 2] real cells first; NULL: none */
} comparison;

SCW_CHECKED scw_status comparison_draw(canvas *c, const figure *f, const comparison *m, int64_t n);

#endif
