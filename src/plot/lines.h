/* SPDX-License-Identifier: BSD-3-Clause */
/* Training: one panel a named figure, over the epochs, with the phases told apart. */
#ifndef PLOT_LINES_H
#define PLOT_LINES_H

#include "plot/axes.h"

typedef struct training {
    int64_t n;             /* epochs, over all phases */
    const strings *series; /* names of the figures */
    const double *values;  /* [series->n, n]; NaN: not measured in that epoch */
    const strings *phases;
    const int32_t *phase; /* [n] */
    int64_t best;         /* epoch (from 0) whose weights were kept, -1: the last */
} training;

SCW_CHECKED scw_status training_draw(canvas *c, const figure *f, const training *t);

#endif
