/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/split.h"

#include "base/alloc.h"
#include "base/rng.h"

scw_status split_folds(int32_t *fold, const int32_t *labels, int64_t n, int64_t n_classes,
                       int64_t n_folds, uint64_t seed)
{
    scw_status st = SCW_OK;
    int64_t *order = NULL, dealt = 0;

    TRY(mem_new(&order, n));
    rng_permutation(order, n, rng_make_key(seed, RNG_VALIDATION, 1), 0);
    for (int64_t c = 0; c < n_classes; c++)
        for (int64_t k = 0; k < n; k++)
            if (labels[order[k]] == c) fold[order[k]] = (int32_t)(dealt++ % n_folds);
done:
    mem_free(order);
    return st;
}
