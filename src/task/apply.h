/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kinds of model share when they are applied to a query. */
#ifndef TASK_APPLY_H
#define TASK_APPLY_H

#include "data/results.h"
#include "models/model.h"

/* How many cells at a time: as many as keep their counts near the caches, and within what the reader
 * of a matrix that stays in its file may take. Of the counts there are two copies and the prepared
 * rows, next to what the reader holds. */
int64_t apply_at_a_time(const scw_dataset *query);

/* obsm[name] = *values [n_obs, width], taken over. Rows of cells that no modality covers become
 * NaN: no answer is given for them. `names` of the columns may be NULL. */
SCW_CHECKED scw_status apply_add_array(scw_results *r, const uint8_t *covered, const char *name,
                                       float **values, int64_t width, const strings *names);

/* uns['scweave'] of the results: version, command, model with its options, features found. */
SCW_CHECKED scw_status apply_set_record(scw_results *r, const scw_model *m,
                                        const scw_task_request *request,
                                        const model_coverage *coverage);

#endif
