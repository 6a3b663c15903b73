/* SPDX-License-Identifier: BSD-3-Clause */
/* Pictures of results, and a page about a run. PNG, SVG and PDF by the ending of the output's name;
 * equal input gives equal bytes. A build without cairo answers SCW_EUNSUPPORTED. */
#ifndef SCWEAVE_PLOT_H
#define SCWEAVE_PLOT_H

#include <stdint.h>

#include "hooks.h"
#include "options.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a picture is asked to be. A kind's table describes the fields that it uses. */
typedef struct scw_plot_options {
    char *title;          /* NULL: none */
    double width, height; /* inches; 0: as large as the content needs */
    int64_t dpi;          /* of PNG, and of the points inside SVG and PDF */
    double point_size;    /* diameter in points (1/72 inch); 0: by the number of cells */
    char *basis;          /* obsm array of positions, or "<modality>:<array>"; NULL: X_umap */
    char *color;          /* obs column; NULL: all points alike */
    int legend;           /* auto, side, data, none */
    char *label, *prediction, *group; /* obs columns */
    int values;           /* numbers in a confusion matrix: percent, count, none */
    int64_t top;          /* markers of a class */
    char *method;         /* rows of a table of markers; NULL: the first method in it */
} scw_plot_options;

/* A kind of picture. */
typedef struct scw_plot_kind {
    const char *name;          /* "umap" */
    const char *summary;       /* one line */
    const scw_option *options; /* table over scw_plot_options */
    size_t options_size;       /* of scw_plot_options */
    int n_files;               /* how many files it is made from */
    const char *files;         /* their names in help: "REAL SIMULATED" */
} scw_plot_kind;

/* k-th kind, or NULL past the end: umap, confusion, training, markers, composition, simulation. */
SCW_API const scw_plot_kind *scw_plot_kind_at(int k);
SCW_API const scw_plot_kind *scw_plot_kind_find(const char *name); /* or NULL */

/* Draw from files (docs/plots.md says which) and write the picture atomically. `options`: zeroed,
 * then scw_options_init with the kind's table.
 * Errors: SCW_EINVAL (number of files, ending, a size that leaves no room, an option that is
 * missing), SCW_ENOTFOUND (column or array; the message lists those there are), SCW_EDATA (nothing
 * to draw), SCW_EFORMAT, SCW_EIO. Cost: reading the files, and about a second per 500,000 cells. */
SCW_API SCW_CHECKED scw_status scw_plot(const char *output, const scw_plot_kind *kind,
                                        const char *const *paths, int n_paths,
                                        const scw_plot_options *options, const scw_hooks *hooks);

typedef struct scw_report_request {
    const char *folder;         /* of a run: model file, annotated data, JSON of fit --cv or evaluate,
                                 * table of markers; told by their content; folders in it are not
                                 * looked into */
    const char *label_key;      /* obs column with the truth; NULL: the model's own label column */
    const char *prediction_key; /* NULL: <model>_label */
    const char *group_key;      /* obs column for the composition; NULL: a batch or donor column */
    const char *title;          /* NULL: name of the folder */
} scw_report_request;

/* Write one HTML page about a run, with everything inside it: settings, data, losses, scores,
 * pictures. What is not in the folder is named on the page, with the command that makes it.
 * A damaged file is named with the reason, and left out.
 * Errors: SCW_EIO (the folder), SCW_ENOTFOUND (nothing in it that the page could be about, or a
 * named column). */
SCW_API SCW_CHECKED scw_status scw_report(const char *output, const scw_report_request *request,
                                          const scw_hooks *hooks);

#ifdef __cplusplus
}
#endif
#endif
