/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of ops, and what their rows share. */
#include "engine/ops.h"

#include <stdio.h>
#include <string.h>

const op_spec *const op_table[] = {
    &spec_linear,
    &spec_affine_linear,
    &spec_relu,
    &spec_leaky_relu,
    &spec_elu,
    &spec_softplus,
    &spec_exp,
    &spec_add,
    &spec_multiply,
    &spec_scale,
    &spec_row_scale,
    &spec_col_scale,
    &spec_add_bias,
    &spec_row_multiply,
    &spec_normalise_rows,
    &spec_batch_affine,
    &spec_concat,
    &spec_slice,
    &spec_batch_norm,
    &spec_dropout,
    &spec_softmax,
    &spec_reparameterise,
    &spec_sum,
    &spec_mean,
    &spec_sum_squares,
    &spec_gaussian_kl,
    &spec_normal_kl,
    &spec_affine_squared_error,
    &spec_decoder_error,
    &spec_cross_entropy,
    &spec_count_decoder,
    &spec_gamma_terms,
    &spec_contrast,
    NULL,
};

bool op_shape_same(const op_record *r, tensor *out, char *why, size_t size)
{
    out->n_dims = r->in[0]->n_dims;
    for (int d = 0; d < 4; d++) {
        out->dim[d] = r->in[0]->dim[d];
        for (int k = 1; k < r->n_in; k++) {
            if (r->in[k]->dim[d] == out->dim[d]) continue;
            (void)snprintf(why, size, "the inputs differ in shape");
            return false;
        }
    }
    return true;
}

bool op_shape_scalar(const op_record *r, tensor *out, char *why, size_t size)
{
    (void)r;
    (void)out; /* [1, 1] as it comes */
    (void)why;
    (void)size;
    return true;
}

real *op_grad_or_spare(tape *t, tensor *x)
{
    real *spare = x->grad ? x->grad : op_memory(t, x->size);

    if (spare && !x->grad) memset(spare, 0, (size_t)x->size * sizeof(real));
    return spare;
}

/* ------------------------------------------------------------- samples */

#define SAMPLE_SEED 20240229

static real *sample_values(tape *t, int64_t n, uint32_t stream)
{
    rng_key key = rng_make_key(SAMPLE_SEED, RNG_TEST, stream);
    real *value = op_memory(t, n);

    for (int64_t e = 0; value && e < n; e++) {
        double v = rng_normal(key, 0, (uint64_t)e);
        value[e] = (real)(v < 0 ? v - 0.1 : v + 0.1);
    }
    return value;
}

tensor *sample_input(tape *t, int64_t rows, int64_t cols, uint32_t stream)
{
    real *value = sample_values(t, rows * cols, stream);
    return value ? op_input(t, value, rows, cols, true) : NULL;
}

static real *sample_part(tape *t, int parts, int bit, int64_t n, uint32_t stream)
{
    return parts & bit ? sample_values(t, n, stream * 8 + (uint32_t)bit) : NULL;
}

affine_sparse *sample_affine(tape *t, int64_t rows, int64_t cols, int parts, uint32_t stream)
{
    rng_key key = rng_make_key(SAMPLE_SEED, RNG_TEST, stream * 8 + 3);
    affine_sparse *x = tape_alloc(t, 1, sizeof *x);
    int64_t *indptr = tape_alloc(t, rows + 1, sizeof *indptr);
    int32_t *indices = tape_alloc(t, rows * cols, sizeof *indices);
    real *values = op_memory(t, rows * cols);
    real *weight = op_memory(t, rows);
    int64_t n = 0;

    if (!x || !indptr || !indices || !values || !weight) return NULL;
    for (int64_t i = 0; i < rows; i++) {
        indptr[i] = n;
        weight[i] = i % 3 == 0 ? 0 : 1;
        for (int64_t j = 0; j < cols; j++) {
            if (rng_uniform(key, 0, (uint64_t)(i * cols + j)) < 0.5) continue;
            indices[n] = (int32_t)j;
            values[n++] = (real)rng_normal(key, 1, (uint64_t)(i * cols + j));
        }
    }
    indptr[rows] = n;
    *x = (affine_sparse){.n_rows = rows, .n_cols = cols, .indptr = indptr, .indices = indices,
                         .values = values,
                         .row_scale = sample_part(t, parts, 1, rows, stream),
                         .row_shift = sample_part(t, parts, 2, rows, stream),
                         .col_scale = sample_part(t, parts, 4, cols, stream),
                         .col_shift = sample_part(t, parts, 8, cols, stream),
                         .row_weight = parts & 16 ? weight : NULL};
    return x;
}

affine_sparse *sample_counts(tape *t, int64_t rows, int64_t cols, bool absent, uint32_t stream)
{
    rng_key key = rng_make_key(SAMPLE_SEED, RNG_TEST, stream * 8 + 5);
    affine_sparse *x = sample_affine(t, rows, cols, absent ? 16 : 0, stream);

    if (!x) return NULL;
    real *values = (real *)(uintptr_t)x->values;
    for (int64_t e = 0; e < x->indptr[rows]; e++) {
        uint64_t small = 1 + rng_below(key, 0, (uint64_t)e, 5);
        bool large = rng_uniform(key, 1, (uint64_t)e) < 0.1;
        values[e] = (real)(large ? 20 + 7 * small : small);
    }
    return x;
}

bool sample_shape(int variant, int64_t *rows, int64_t *cols)
{
    static const int64_t shapes[][2] = {{3, 4}, {1, 1}, {1, 5}, {7, 1}, {5, 3}, {2, 17}};

    if (variant < 0 || variant >= (int)(sizeof shapes / sizeof *shapes)) return false;
    *rows = shapes[variant][0];
    *cols = shapes[variant][1];
    return true;
}
