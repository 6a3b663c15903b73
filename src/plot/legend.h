/* SPDX-License-Identifier: BSD-3-Clause */
/* Which colour is which: a legend in columns that never overlap, a bar of colours for values, and
 * labels that keep out of each other's way. */
#ifndef PLOT_LEGEND_H
#define PLOT_LEGEND_H

#include <stddef.h>

#include "plot/canvas.h"

typedef struct legend_entry {
    const char *name; /* borrowed */
    char detail[24];  /* behind the name, soft; "": none */
    rgb color;
    int number; /* stands in front of the name; 0: none */
} legend_entry;

typedef struct legend {
    const char *title; /* NULL: none */
    int64_t n;
    const legend_entry *entries;
} legend;

/* Where everything stands, relative to the upper left corner of the legend. */
typedef struct legend_layout {
    double size;                        /* of the letters */
    double width, height;               /* of the whole */
    int64_t n_columns, n_rows, n_shown; /* n_shown < n: a last line says how many are left out */
    rect *boxes;         /* [n_shown] a line of the legend with its swatch; they do not overlap */
    strings texts;       /* n_shown names, cut with an ellipsis where they are too long */
    double number_width; /* left free for the numbers */
} legend_layout;

/* Largest letters, fewest columns that fit in the given width and height. Names are cut before the
 * letters become unreadable; entries are left out when even so there is no room for all. */
SCW_CHECKED scw_status legend_arrange(legend_layout *out, canvas *c, const legend *l,
                                      double max_width, double max_height);
/* As high as it needs to be to fit in the given width with the largest letters: fewest rows. */
SCW_CHECKED scw_status legend_arrange_wide(legend_layout *out, canvas *c, const legend *l,
                                           double width);
void legend_layout_clear(legend_layout *l);
SCW_CHECKED scw_status legend_draw(canvas *c, const legend *l, const legend_layout *at, double x,
                                   double y);

/* The legend of classes: their colours, and how many cells they have; classes without cells are
 * left out. From KEY_NUMBERED classes on colours alone do not tell them apart: each gets a number
 * (its code + 1), which the picture shows too. */
#define KEY_NUMBERED 13
typedef struct class_key {
    legend legend;
    legend_entry *entries; /* the last stands for the n_without cells that have no class */
    bool numbered;
} class_key;
SCW_CHECKED scw_status class_key_make(class_key *out, const char *title, const strings *classes,
                                      const int64_t *counts, int64_t n_without);
void class_key_clear(class_key *k);
/* "12,345" */
void count_text(char *out, size_t size, int64_t n);

/* A bar of colours with ticks: color(t) for t from 0 to 1 is the colour of low + t (high - low).
 * `at` is the bar with its numbers; the title stands above it. */
typedef rgb (*color_scale)(double t);
double colorbar_width(canvas *c, const char *title);
SCW_CHECKED scw_status colorbar_draw(canvas *c, rect at, const char *title, double low, double high,
                                     color_scale color);

/* Boxes that are to be placed, and what they must not hide. */
typedef struct labels {
    int64_t n;
    const rect *wanted; /* [n] */
    rect bounds;
    int64_t n_obstacles;
    const rect *obstacles; /* [n_obstacles] */
} labels;
/* Move the boxes as little as possible so that none overlaps another or an obstacle, all within the
 * bounds; earlier boxes have the better place. Where there is no place free of obstacles, one that
 * is free of labels is taken; shown[k] is false where there is none either. */
void labels_place(rect *out, bool *shown, const labels *l);
bool rects_overlap(rect a, rect b);

#endif
