/* SPDX-License-Identifier: BSD-3-Clause */
/* Putting modalities that were read one by one onto one obs axis. */
#ifndef DATA_JOIN_H
#define DATA_JOIN_H

#include "data/dataset.h"

/* One modality as read: its features and matrix in `m` (row_of_obs not yet set), its own cells and
 * their columns in `obs`. */
typedef struct dataset_part {
    modality m;
    frame obs;
    int64_t *row_of_obs; /* [n_obs of the global frame] from the file, or NULL: join by cell name */
    char *batch;         /* which batch the cells are, when the file says so; else NULL */
    strings unread;      /* "obsp/distances", ...: what is in the file beside; where all was asked for */
} dataset_part;

void dataset_part_clear(dataset_part *p);
/* Fill d (zeroed but for its files) from the parts, which are emptied. `global` is the obs frame of
 * the whole set (emptied), or NULL: the union of the parts' cells in order of appearance. Columns of
 * the parts are added to the global frame as "<modality>:<key>" and, where the global frame lacks the
 * key and the modalities that have it agree on every cell they share, as "<key>". */
SCW_CHECKED scw_status dataset_join(scw_dataset *d, dataset_part *parts, int n_parts,
                                    frame *global);

#endif
