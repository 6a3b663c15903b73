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
    int once;       /* which of the parameters that are used once; -1: none */
} optimizer_chunk;

/* A running average of all values, updated in the same pass: average = keep average + (1 - keep)
 * value. */
typedef struct optimizer_average {
    real *average; /* [n_values]; NULL: none */
    double keep;
} optimizer_average;

/* A parameter that is used once a step (engine/params.h), updated piece by piece as its gradient comes. */
typedef struct optimizer_once {
    int64_t offset, size;
    int group;
    int64_t taken; /* values of this step */
} optimizer_once;

typedef struct optimizer {
    optimizer_options options;
    real *m, *v;     /* [n_trainable] */
    int64_t n_steps; /* steps done, or begun */
    optimizer_chunk *chunks;
    int64_t n_chunks;
    optimizer_once *once; /* [n_once] in the order of their offsets */
    int n_once;
    /* The step that has begun. */
    params *p;
    double lr;
    optimizer_average average;
} optimizer;

SCW_CHECKED scw_status optimizer_init(optimizer *o, const optimizer_options *options,
                                      const params *p);
/* Begin a step before the walk back, finish it after: use the gradients and set them to zero. Between
 * the two, optimizer_taker may get those of parameters that are used once. `average` may be NULL. */
void optimizer_begin(optimizer *o, params *p, double lr, const optimizer_average *average);
void optimizer_finish(optimizer *o);
/* Both, where nothing is taken in between. */
void optimizer_step(optimizer *o, params *p, double lr, const optimizer_average *average);
/* For params.taker; o must stay where it is as long as that is used. */
kernel_taker optimizer_taker(optimizer *o);
void optimizer_clear(optimizer *o);

#endif
