/* SPDX-License-Identifier: BSD-3-Clause */
/* Scales from values to positions, their ticks, and the frame of a panel. */
#ifndef PLOT_AXES_H
#define PLOT_AXES_H

#include <stddef.h>

#include "plot/canvas.h"

/* Letters, in points. */
#define SIZE_TITLE 10.0
#define SIZE_LABEL 8.5
#define SIZE_TICK 7.0
#define AXES_MAX_TICKS 16

typedef struct axis {
    double low, high; /* low < high */
    bool log;         /* positions follow the logarithm; low > 0 */
} axis;

/* What a figure is asked to be: inches, 0: as large as it needs; title NULL: none. */
typedef struct figure {
    double width, height;
    const char *title;
} figure;

/* Range of the finite values, widened by `pad` of itself on both sides, and by something where all
 * are equal; 0 to 1 when there is none. */
axis axis_fit(const double *values, int64_t n, double pad);
/* Where the value lies: 0 at low, 1 at high, outside where it is outside. */
double axis_place(axis a, double value);

/* Round values within the axis, about `wanted` of them; for a logarithmic axis powers of ten. */
int axis_ticks(double out[AXES_MAX_TICKS], axis a, int wanted);
/* A tick's value with as many digits as the steps between the ticks need. */
void axis_text(char *out, size_t size, axis a, const double *ticks, int n, int k);

/* Lines at the left and below, ticks with their numbers, labels of the axes. NULL labels: none. */
typedef struct axes {
    rect box;
    axis x, y;
    const char *x_label, *y_label;
    bool grid, bare; /* bare: no ticks */
} axes;
void axes_draw(canvas *c, const axes *a);
/* Position of a value on the page. */
double axes_x(const axes *a, double value);
double axes_y(const axes *a, double value);

/* Title at the upper left of the page; the height that it takes, also where there is none. */
double figure_title_height(const figure *f);
SCW_CHECKED scw_status figure_draw_title(canvas *c, const figure *f, double x, double width);

/* `text` in at most `width`, cut with an ellipsis. */
SCW_CHECKED scw_status draw_fitted(canvas *c, double x, double y, text_align align,
                                   const text_style *style, const char *text, double width);

#endif
