/* SPDX-License-Identifier: BSD-3-Clause */
/* Bars: what groups are composed of, and the leading features of classes. */
#ifndef PLOT_BARS_H
#define PLOT_BARS_H

#include "plot/axes.h"

typedef struct composition {
    const strings *groups, *classes;
    const int64_t *counts; /* [groups->n, classes->n] cells */
    const char *group_name, *class_name;
} composition;

/* A bar a group, divided into the shares of the classes. */
SCW_CHECKED scw_status composition_draw(canvas *c, const figure *f, const composition *m);

/* One row of a table of markers. */
typedef struct marker {
    int32_t class, modality; /* codes */
    const char *feature;     /* borrowed */
    double score, se;        /* se NaN: unknown */
} marker;

typedef struct markers {
    const strings *classes, *modalities;
    int64_t n;
    const marker *at; /* [n] by class, within a class the best first */
    const char *score_name;
} markers;

/* A panel a class: its features with their scores, whiskers of one standard error. */
SCW_CHECKED scw_status markers_draw(canvas *c, const figure *f, const markers *m);

#endif
