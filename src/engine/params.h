/* SPDX-License-Identifier: BSD-3-Clause */
/* The parameters of a model: one flat block of values, one of gradients, and a table of named views.
 * Optimizer, clipping, averaging, saving and loading are each a single loop over the block. */
#ifndef ENGINE_PARAMS_H
#define ENGINE_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/real.h"
#include "base/rng.h"
#include "base/status.h"
#include "kernel/kernel.h"

typedef enum param_init_kind {
    PARAM_ZERO = 0,
    PARAM_ONE,
    PARAM_UNIFORM, /* U(low, high) */
    PARAM_KEEP     /* set by the model after params_build, and a buffer then stays as it is */
} param_init_kind;

typedef struct param {
    char *name; /* as in the model file, e.g. "encoder.rna.weight" */
    int n_dims;
    int64_t dim[4];
    int64_t size, offset; /* elements; offset into the block is a multiple of 16 */
    param_init_kind init;
    double low, high;
    bool trainable; /* false: a buffer (running statistics); no gradient, the optimizer skips it */
    int group;      /* optimizer group: learning-rate and decay multipliers */
    bool once;      /* params_use_once */
} param;

typedef struct params {
    param *at; /* [n] trainable ones first after params_build */
    int n, capacity;
    int64_t n_values;    /* size of the whole block */
    int64_t n_trainable; /* the first so many values of the block are trainable */
    real *value;         /* [n_values], 64-byte aligned */
    real *grad;          /* [n_trainable] */
    int *place;          /* [n] where handle h stands in `at` */
    void *memory;        /* the block; NULL in a borrowed view of another's params */
    const kernel_taker *taker; /* of the gradients of those that are used once; NULL: they go to `grad` */
} params;

/* Declare a parameter; returns its handle through *out, stable over params_build. */
SCW_CHECKED scw_status params_add(params *p, int *out, const char *name, int n_dims,
                                  const int64_t *dim, param_init_kind init, double low, double high,
                                  bool trainable, int group);
/* Lay out and allocate the block and draw initial values (element e of parameter k by
 * (seed, RNG_INIT, stream k)). */
SCW_CHECKED scw_status params_build(params *p, uint64_t seed);
void params_clear(params *p);
/* At most one op of a training step uses this parameter. While `taker` is set, its gradient is handed on
 * in finished pieces during the walk back (kernel_taker, from + offset being the place in the block),
 * and `grad` is left alone. */
void params_use_once(params *p, int handle);

real *params_value(const params *p, int handle);
real *params_grad(const params *p, int handle); /* NULL for a buffer */
const param *params_find(const params *p, const char *name);

#endif
