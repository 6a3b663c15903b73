/* SPDX-License-Identifier: BSD-3-Clause */
/* Matilda's class balancing (specs 3.6): every class gets as many cells as the median class. Larger
 * classes are subsampled; smaller ones are filled with cells simulated by the network of stage 1.
 */
#ifndef TRAIN_BALANCE_H
#define TRAIN_BALANCE_H

#include "train/source.h"

/* One cell of the balanced set: a real row, or a simulation from that row. */
typedef struct balance_entry {
    int64_t row;
    bool simulated;
} balance_entry;

typedef struct balance_options {
    bool drop_ties;    /* the authors drop classes tied with the median class except the first */
    bool replace_real; /* the authors replace the real cells of small classes by simulations; else
                          the real ones stay and simulations are added up to the median */
    uint64_t seed;
} balance_options;

typedef struct balance_plan {
    balance_entry *entries;
    int64_t n;
    int64_t median; /* cells in each class afterwards */
} balance_plan;

/* rows [n_rows] are the training cells, labels[row] their class. */
SCW_CHECKED scw_status balance_plan_build(balance_plan *out, const int32_t *labels,
                                          const int64_t *rows, int64_t n_rows, int n_classes,
                                          const balance_options *options);
void balance_plan_clear(balance_plan *p);

/* Batches of a plan. Simulations are drawn when a batch is made, from a frozen copy of the network,
 * with noise that belongs to the entry: the same cells every epoch, and no dense set in memory. */
typedef struct balance_source {
    const balance_plan *plan;
    const cells *cells;
    network frozen;     /* the network of stage 1, over its own copy of the parameters */
    params params;      /* views of net's table with `value` replaced */
    real *values;       /* the copy, owned */
    tape *tape;         /* for the simulations, owned */
    double *low, *high; /* [n_classes] range of a class's real values */
    uint64_t seed;
} balance_source;

SCW_CHECKED scw_status balance_source_init(balance_source *s, const balance_plan *plan,
                                           const cells *c, const network *net, int n_classes,
                                           uint64_t seed);
void balance_source_clear(balance_source *s);
train_source balance_source_as_source(const balance_source *s);

#endif
