/* SPDX-License-Identifier: BSD-3-Clause */
/* From files to the structs of src/plot, one function a kind of picture; only in builds with cairo.
 */
#ifndef TASK_DRAWING_H
#define TASK_DRAWING_H

#include "plot/axes.h"
#include "scweave/plot.h"

typedef struct drawing {
    canvas *c;
    figure figure;
    const char *const *paths; /* as many as the kind wants */
    const scw_plot_options *options;
    const scw_hooks *hooks;
} drawing;

/* plot_cells.c */
scw_status draw_umap(const drawing *d);
scw_status draw_confusion(const drawing *d);
scw_status draw_composition(const drawing *d);
/* plot_files.c */
scw_status draw_training(const drawing *d);
scw_status draw_markers(const drawing *d);
/* plot_simulation.c */
scw_status draw_simulation(const drawing *d);

#endif
