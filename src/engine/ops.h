/* SPDX-License-Identifier: BSD-3-Clause */
/* The op table: one row an op, with its shape rule, forward, backward and a sample for its gradient
 * test.
 *
 * How to add an op: in the op_*.c file of its kind write shape, forward, backward and sample, the row
 * (a const op_spec) and the typed front; declare the front in tape.h and the row below; add the row to
 * op_table in ops.c. tests/grad runs every row and refuses one without a sample. */
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
    bool relu;
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
    uint32_t fresh; /* bit k: backward is to write in[k]->grad instead of adding to it */
} op_record;

typedef struct op_spec {
    const char *name;
    int n_required; /* leading inputs that must be there; later ones may be NULL */
    /* Check shapes and set out->n_dims and dim; on a mismatch return false after writing why. */
    bool (*shape)(const op_record *r, tensor *out, char *why, size_t size);
    void (*forward)(tape *t, op_record *r);
    void (*backward)(tape *t, op_record *r); /* accumulate into in[k]->grad where not NULL */
    /* Build a small random instance for the gradient test: sample variants 0.. until it returns
     * NULL. Inputs that get a gradient are created with op_input(..., true) and listed in `wrt`. */
    tensor *(*sample)(tape *t, int variant, tensor **wrt, int *n_wrt);
    /* backward looks at `fresh`, input by input in their order. For other ops the tape writes zeros
     * into a gradient before the first addition. */
    bool writes_fresh;
    /* Bit k: backward gives the gradient of input k to in[k]->taker where that is set (engine/params.h:
     * params_use_once). For other inputs the tape does so. */
    uint32_t hands_on;
} op_spec;

extern const op_spec *const op_table[]; /* every op; ends with NULL */

extern const op_spec spec_linear, spec_affine_linear;
extern const op_spec spec_relu, spec_exp, spec_add, spec_multiply, spec_scale;
extern const op_spec spec_leaky_relu, spec_elu, spec_softplus;
extern const op_spec spec_row_scale, spec_col_scale;
extern const op_spec spec_add_bias, spec_row_multiply, spec_normalise_rows, spec_batch_affine;
extern const op_spec spec_concat, spec_slice;
extern const op_spec spec_batch_norm, spec_dropout, spec_softmax, spec_reparameterise;
extern const op_spec spec_sum, spec_mean, spec_sum_squares, spec_gaussian_kl, spec_normal_kl;
extern const op_spec spec_affine_squared_error, spec_decoder_error, spec_cross_entropy;
extern const op_spec spec_count_decoder, spec_gamma_terms, spec_contrast;

/* ---- for the functions of a row */

/* Apply a row to inputs: what every typed front does. NULL after a failure, kept on the tape. */
tensor *tape_apply(tape *t, const op_spec *op, tensor *const *in, int n_in,
                   const op_attributes *attr);
/* Keep a failure on the tape, unless it has one. */
void tape_fail(tape *t, scw_status code, const char *format, ...) SCW_PRINTF(3, 4);
/* Arena memory of n values, contents undefined; NULL after a failure, kept on the tape. */
real *op_memory(tape *t, int64_t n);
/* kernel_gemm, or kernel_gemm_bf16 where the tape uses that; a failure is kept on the tape. */
void op_product(tape *t, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const real *a,
                const real *b, real beta, real *c);
/* Does the tensor want a gradient? */
static inline bool op_wants(const tensor *x)
{
    return x && (x->grad || x->taker.take);
}
/* What to give a kernel: the taker of input k, or NULL where it has none or where a gradient of so many
 * rows and this width cannot be handed on in pieces: then it has a `grad` for the time of the call. */
const kernel_taker *op_taker(tape *t, op_record *r, int k, int64_t rows, int64_t width);
static inline bool op_is_fresh(const op_record *r, int k)
{
    return r->fresh >> k & 1;
}

/* The gradient of x, or zeros in arena memory that take one nobody wants; NULL after a failure. */
real *op_grad_or_spare(tape *t, tensor *x);
/* Shape rules: as the first input; one number. */
bool op_shape_same(const op_record *r, tensor *out, char *why, size_t size);
bool op_shape_scalar(const op_record *r, tensor *out, char *why, size_t size);

/* ---- for samples and tests */

/* An input with gradient, of normal values at least 0.1 away from zero (kinks of relu), the same for
 * the same stream. */
tensor *sample_input(tape *t, int64_t rows, int64_t cols, uint32_t stream);
/* Random affine-sparse matrix in tape memory, about half full. Bits of `parts`: 1 row_scale,
 * 2 row_shift, 4 col_scale, 8 col_shift, 16 row_weight with the first row and every third absent. */
affine_sparse *sample_affine(tape *t, int64_t rows, int64_t cols, int parts, uint32_t stream);
/* Random counts in tape memory, about half full: mostly small, one in ten above 20; every third row
 * from the first absent when `absent`. */
affine_sparse *sample_counts(tape *t, int64_t rows, int64_t cols, bool absent, uint32_t stream);
/* Shape number `variant` of a short list with edges (one row, one column, primes); false past it. */
bool sample_shape(int variant, int64_t *rows, int64_t *cols);
/* Compute all recorded ops again in order, after a test has changed a value they read. */
void tape_replay(tape *t);

#endif
