/* SPDX-License-Identifier: BSD-3-Clause */
/* The library size that RNA counts are scaled to before the logarithm, chosen by how well the linear path
 * finds the partners of cells that it was not fitted on. The scale on which a logarithm bends depends on
 * depth and on how many genes a set has kept, so no constant serves all sets (docs/models/clip.md). */
#ifndef TRAIN_LIBRARY_CHOICE_H
#define TRAIN_LIBRARY_CHOICE_H

#include "models/linear_path.h"
#include "scweave/hooks.h"

/* What is asked for the scores of the cells to learn from, under one library size after the other. What
 * *out borrows holds until the next call. */
typedef struct library_scores {
    void *self;
    bool has_rna; /* else none of them depends on it */
    scw_status (*score)(void *self, double library, linear_path_cells *out);
} library_scores;

/* *library stays unless it is 0. Then it becomes, of 100, 300, 1,000, 3,000 and 10,000, the one of the least
 * FOSCTTM (cosine) in five folds of those cells, at most 5,000 of them, evenly taken; 10,000 unless that is
 * worse than it by more than twice the standard error of the difference over the folds. */
SCW_CHECKED scw_status library_choose(double *library, const library_scores *scores,
                                      const linear_path_options *options, const scw_hooks *hooks);

#endif
