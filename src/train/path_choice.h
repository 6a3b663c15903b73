/* SPDX-License-Identifier: BSD-3-Clause */
/* What a linear path reads, chosen by how well it finds the partners of cells that it was not
 * fitted on: FOSCTTM (cosine) in five folds of the cells to learn from, at most 5,000 of them,
 * evenly taken. */
#ifndef TRAIN_PATH_CHOICE_H
#define TRAIN_PATH_CHOICE_H

#include "models/linear_path.h"
#include "scweave/hooks.h"

/* Ways to read the cells, the usual one first, and what each gives; what *out borrows holds
 * until the next call. */
typedef struct path_ways {
    void *self;
    int n; /* at most PATH_WAYS */
    const char *const *names;
    scw_status (*score)(void *self, int way, linear_path_cells *out);
} path_ways;

#define PATH_WAYS 5

/* The way of the least FOSCTTM; the usual one unless that is worse than it by more than twice
 * the standard error of the difference over the folds. */
SCW_CHECKED scw_status path_choose(int *way, const path_ways *ways, const linear_path_options *options,
                                   const scw_hooks *hooks);

/* The same for the library size that RNA counts are scaled to before the logarithm. */
typedef struct library_scores {
    void *self;
    bool has_rna; /* else nothing depends on it */
    scw_status (*score)(void *self, double library, linear_path_cells *out);
} library_scores;

/* *library stays unless it is 0. Then it becomes one of 10,000, 3,000, 1,000, 300 and 100: the
 * scale on which a logarithm bends depends on depth and on how many genes a set has kept
 * (docs/models/clip.md). */
SCW_CHECKED scw_status library_choose(double *library, const library_scores *scores,
                                      const linear_path_options *options, const scw_hooks *hooks);

#endif
