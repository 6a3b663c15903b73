/* SPDX-License-Identifier: BSD-3-Clause */
/* CLUE's verbs, each in a file of its own, and its parts of the model file. */
#ifndef TASK_CLUE_H
#define TASK_CLUE_H

#include "models/clue_model.h"
#include "task/model_file.h"

extern const scw_model_kind clue_kind;

/* clue_file.c */
SCW_CHECKED scw_status clue_describe(json_t *facts, const scw_model *m);
SCW_CHECKED scw_status clue_write(model_writer *w, const scw_model *m);
SCW_CHECKED scw_status clue_read(scw_model *m, const model_reader *from);

/* clue_embed.c */
SCW_CHECKED scw_status clue_apply(scw_results **out, const scw_model *model,
                                  const scw_dataset *query, const scw_task_request *request,
                                  const scw_hooks *hooks);
/* clue_translate.c */
SCW_CHECKED scw_status clue_translate_query(scw_results **out, const scw_model *model,
                                            const scw_dataset *query,
                                            const scw_translate_request *request,
                                            const scw_hooks *hooks);

#endif
