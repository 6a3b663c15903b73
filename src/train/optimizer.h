/* SPDX-License-Identifier: BSD-3-Clause */
/* Optimizers over the flat parameter block: one fused pass a step. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include "engine/params.h"

typedef enum optimizer_kind {
    OPTIMIZER_ADAM = 0,
    OPTIMIZER_ADAMW,
    OPTIMIZER_RMSPROP
} optimizer_kind;
#define OPTIMIZER_CHOICES "adam|adamw|rmsprop"

#define OPTIMIZER_MAX_GROUPS 32

typedef struct optimizer_options {
    optimizer_kind kind;
    double beta1, beta2, eps, alpha;       /* alpha: RMSprop */
    double lr_scale[OPTIMIZER_MAX_GROUPS]; /* times the learning rate, by parameter group */
    double weight_decay[OPTIMIZER_MAX_GROUPS];
} optimizer_options;

/* Framework defaults (specs section 1), no decay. */
optimizer_options optimizer_defaults(optimizer_kind kind);

/* A run of the flat block that one thread updates at a time, within one group. */
typedef struct optimizer_chunk {
    int64_t from, to;
    int group;
    bool trainable; /* false: a buffer, which is averaged only */
} optimizer_chunk;

typedef struct optimizer {
    optimizer_options options;
    real *m, *v;     /* [n_trainable] */
    int64_t n_steps; /* steps done */
    optimizer_chunk *chunks;
    int64_t n_chunks;
} optimizer;

/* A running average of all values, updated in the same pass: average = keep average + (1 - keep)
 * value. */
typedef struct optimizer_average {
    real *average; /* [n_values] */
    double keep;
} optimizer_average;

SCW_CHECKED scw_status optimizer_init(optimizer *o, const optimizer_options *options,
                                      const params *p);
/* Use the gradients and set them to zero. `average` may be NULL. */
void optimizer_step(optimizer *o, params *p, double lr, const optimizer_average *average);
void optimizer_clear(optimizer *o);

#endif
