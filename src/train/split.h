/* SPDX-License-Identifier: BSD-3-Clause */
/* Cells dealt into parts, the same share of each class in each. */
#ifndef TRAIN_SPLIT_H
#define TRAIN_SPLIT_H

#include <stdint.h>

#include "base/status.h"

/* fold [n] in 0 .. n_folds - 1. labels [n] in 0 .. n_classes - 1. */
SCW_CHECKED scw_status split_folds(int32_t *fold, const int32_t *labels, int64_t n,
                                   int64_t n_classes, int64_t n_folds, uint64_t seed);

#endif
