/* SPDX-License-Identifier: BSD-3-Clause */
/* The page about a run: what its sections share. */
#ifndef TASK_REPORT_H
#define TASK_REPORT_H

#include "data/dataset.h"
#include "models/model.h"
#include "scweave/plot.h"
#include "task/report_find.h"
#include "task/report_page.h"

typedef struct report {
    const scw_report_request *request;
    const scw_hooks *hooks;
    textbuf page;
    run_files files;
    scw_model *model;          /* NULL: none */
    scw_dataset *cells;        /* NULL: none */
    const char *label, *group; /* columns that the cells have, or NULL */
    char *prediction;
} report;

/* report_model.c: settings, training. */
SCW_CHECKED scw_status report_model(report *r);
SCW_CHECKED scw_status report_training(report *r);
/* report_scores.c */
SCW_CHECKED scw_status report_scores(report *r);
/* report_cells.c: summary of the data; pictures. */
SCW_CHECKED scw_status report_data(report *r);
SCW_CHECKED scw_status report_pictures(report *r);

/* Put a picture on the page, or why there is none. Only lack of memory and cancelling are failures.
 */
SCW_CHECKED scw_status report_picture(report *r, const char *kind, const char *path,
                                      const scw_plot_options *options, const char *caption);

#endif
