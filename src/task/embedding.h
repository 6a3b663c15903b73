/* SPDX-License-Identifier: BSD-3-Clause */
/* An embedding that a file of the data set holds. */
#ifndef TASK_EMBEDDING_H
#define TASK_EMBEDDING_H

#include <stdint.h>

#include "base/status.h"
#include "scweave/dataset.h"

/* values: new [n_obs, d], from obsm[key], or with "<modality>:<key>" from that modality's obsm; NaN
 * for cells that lack the modality. SCW_ENOTFOUND lists the arrays there are. */
SCW_CHECKED scw_status embedding_read(float **values, int64_t *d, const scw_dataset *data,
                                      const char *key);

#endif
