/* SPDX-License-Identifier: BSD-3-Clause */
/* Confusion: rows are labels, columns predictions, colour the share of the row. */
#ifndef PLOT_HEATMAP_H
#define PLOT_HEATMAP_H

#include "plot/axes.h"

typedef enum confusion_values {
    CONFUSION_PERCENT = 0,
    CONFUSION_COUNT,
    CONFUSION_NONE
} confusion_values;
#define CONFUSION_CHOICES "percent|count|none"

typedef struct confusion {
    int64_t n;                          /* classes */
    const strings *classes;             /* n names */
    const int64_t *counts;              /* [n, n]: of label, predicted as */
    const int64_t *rest;                /* [n]: of label, without a prediction */
    const char *row_name, *column_name; /* of the obs columns */
    confusion_values values;
} confusion;

SCW_CHECKED scw_status confusion_draw(canvas *c, const figure *f, const confusion *m);

#endif
