/* SPDX-License-Identifier: BSD-3-Clause */
/* Fixed folds from a table: tab-separated text with a header line that names `cell` and `fold`. */
#ifndef TASK_SPLITS_H
#define TASK_SPLITS_H

#include "base/text.h"
#include "data/dataset.h"

typedef struct splits {
    int64_t n_obs;
    int32_t *fold; /* [n_obs] position in `names`, -1: the table lacks the cell */
    strings names; /* of the folds, in code-point order */
} splits;

SCW_CHECKED scw_status splits_read(splits *out, const char *path, const scw_dataset *d);
void splits_clear(splits *s);

#endif
