/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRAIN_CLUE_INTERVALS_H
#define TRAIN_CLUE_INTERVALS_H

#include "models/clue_model.h"
#include "train/clue_source.h"

/* Learn m->spread (models/clue_translation.h) from the listed cells, which training has not seen. A
 * pair of modalities that fewer than 20 of them have gets none. */
SCW_CHECKED scw_status clue_intervals_learn(clue_model *m, const paired_set *of,
                                            const int64_t *rows, int64_t n);

#endif
