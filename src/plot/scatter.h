/* SPDX-License-Identifier: BSD-3-Clause */
/* Cells as points: coloured by class, with a legend, or by a value, with a bar of colours. */
#ifndef PLOT_SCATTER_H
#define PLOT_SCATTER_H

#include "plot/axes.h"

typedef enum legend_place { LEGEND_AUTO = 0, LEGEND_SIDE, LEGEND_DATA, LEGEND_NONE } legend_place;
#define LEGEND_CHOICES "auto|side|data|none"

typedef struct scatter {
    int64_t n;
    const float *x, *y; /* [n * stride]; a point with a NaN is not drawn */
    int64_t stride;
    const char *x_label, *y_label;
    const char *color_name; /* of the column; NULL: none */
    const int32_t *codes;   /* [n] classes, -1: none; or NULL */
    const strings *classes;
    const double *values; /* [n] when codes is NULL; NULL too: all points alike */
    legend_place legend;
    double point_size; /* diameter, 0: by the number of points */
} scatter;

/* The whole picture. *n_left_out: points without a position. */
SCW_CHECKED scw_status scatter_draw(canvas *c, const figure *f, const scatter *s,
                                    int64_t *n_left_out);
/* Points only, into a box with these axes; in an order that hides no class behind another. */
SCW_CHECKED scw_status scatter_points(canvas *c, const axes *a, const scatter *s);

#endif
