/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns of obs as classes, as tasks want them. */
#ifndef TASK_OBS_H
#define TASK_OBS_H

#include "data/dataset.h"

/* obs column `key` as classes in the order of their names (column_classes); messages name `path`.
 */
SCW_CHECKED scw_status obs_classes(int32_t **codes, strings *names, const scw_dataset *data,
                                   const char *path, const char *key);
/* Codes of a second column in the vocabulary of the first; names that `classes` lacks are appended.
 */
SCW_CHECKED scw_status obs_join_codes(int32_t *codes, strings *classes, int64_t n,
                                      const strings *names);

#endif
