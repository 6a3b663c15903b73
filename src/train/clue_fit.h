/* SPDX-License-Identifier: BSD-3-Clause */
/* From cells that have any modalities to a fitted CLUE. */
#ifndef TRAIN_CLUE_FIT_H
#define TRAIN_CLUE_FIT_H

#include "train/paired_fit.h"

/* From a fitted model it learns no intervals, because that may have seen the cells they would be judged
 * on. */
SCW_CHECKED scw_status clue_fit(scw_model **out, const paired_fit *f);

#endif
