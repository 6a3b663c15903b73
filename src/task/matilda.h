/* SPDX-License-Identifier: BSD-3-Clause */
/* Matilda's verbs, each in a file of its own, and its parts of the model file. */
#ifndef TASK_MATILDA_H
#define TASK_MATILDA_H

#include "models/matilda_model.h"
#include "task/model_file.h"

extern const scw_model_kind matilda_kind;

/* matilda_file.c */
SCW_CHECKED scw_status matilda_describe(json_t *facts, const scw_model *m);
SCW_CHECKED scw_status matilda_write(model_writer *w, const scw_model *m);
SCW_CHECKED scw_status matilda_read(scw_model *m, const model_reader *from);

/* annotate.c */
SCW_CHECKED scw_status matilda_apply(scw_results **out, const scw_model *model,
                                     const scw_dataset *query, const scw_task_request *request,
                                     const scw_hooks *hooks);
/* matilda.c: a warning where what was asked for only costs time. */
void matilda_report_precision(const matilda_options *o, const scw_hooks *hooks);
/* cross_validate.c */
SCW_CHECKED scw_status matilda_cross_validate(char **out_json, const scw_model_kind *kind,
                                              const scw_dataset *data, const char *splits_path,
                                              const scw_fit_request *request, const void *options,
                                              const scw_hooks *hooks);
/* simulate.c */
SCW_CHECKED scw_status matilda_simulate(const scw_model *model, const scw_dataset *reference,
                                        const scw_simulate_request *request, const char *path,
                                        const scw_hooks *hooks);
/* markers.c */
SCW_CHECKED scw_status matilda_markers(scw_markers **out, const scw_model *model,
                                       const scw_dataset *data, const scw_markers_request *request,
                                       const scw_hooks *hooks);

#endif
