/* SPDX-License-Identifier: BSD-3-Clause */
/* The op table: one row an op, with its shape rule, forward, backward and a sample for its gradient
 * test. How to add an op: write the three functions and the sample in ops.c (or a file beside it),
 * add the row, add the typed front (op_name) to tape.h. tests/grad runs every row. */
#ifndef ENGINE_OPS_H
#define ENGINE_OPS_H

#include "engine/tape.h"

#define OP_MAX_INPUTS 8

/* Attributes of one application; which fields count depends on the op. */
typedef struct op_attributes {
    const affine_sparse *x;
    const int32_t *labels;
    const real *given;  /* mask, eps or row weights */
    real *running_mean, *running_var;
    double number[3];   /* p, eps, momentum, scale, smoothing, ... */
    int64_t from, to;
    rng_key key;
    uint32_t step;
} op_attributes;

typedef struct op_record {
    const struct op_spec *op;
    tensor *in[OP_MAX_INPUTS];
    int n_in;
    tensor *out;
    op_attributes attr;
    void *saved; /* arena memory of the op's own: what its backward needs beside values */
} op_record;

typedef struct op_spec {
    const char *name;
    /* Check shapes and set out->n_dims and dim; on a mismatch return false after writing why. */
    bool (*shape)(const op_record *r, tensor *out, char *why, size_t size);
    void (*forward)(tape *t, op_record *r);
    void (*backward)(tape *t, op_record *r); /* accumulate into in[k]->grad where not NULL */
    /* Build a small random instance for the gradient test: sample variants 0.. until it returns
     * NULL. Inputs that get a gradient are created with op_input(..., true) and listed in `wrt`. */
    tensor *(*sample)(tape *t, int variant, tensor **wrt, int *n_wrt);
} op_spec;

extern const op_spec op_table[]; /* ends with a row whose name is NULL */

#endif
