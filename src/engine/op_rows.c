/* SPDX-License-Identifier: BSD-3-Clause */
/* Ops between a matrix and one number a row or column: bias, scaling of rows, rows of length one,
 * and scale and shift that depend on the batch of a row. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/threads.h"
#include "engine/ops.h"

#define COLUMNS_AT_ONCE 1024 /* one thread's share of the sums over rows */

static bool as_first(const op_record *r, tensor *out)
{
    out->dim[0] = r->in[0]->dim[0];
    out->dim[1] = r->in[0]->dim[1];
    return true;
}

/* ------------------------------------------------------------- add_bias: y_ij = x_ij + b_j */

static bool add_bias_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    if (r->in[0]->n_dims == 2 && r->in[1]->size == r->in[0]->dim[1]) return as_first(r, out);
    (void)snprintf(why, size, "x must be [rows, cols] and the bias [cols]");
    return false;
}

static void add_bias_forward(tape *t, op_record *r)
{
    (void)t;
    kernel_add_bias(r->out->dim[0], r->out->dim[1], r->in[0]->value, r->in[1]->value,
                    r->out->value);
}

static void add_bias_backward(tape *t, op_record *r)
{
    (void)t;
    if (r->in[0]->grad) kernel_accumulate(r->out->size, 1, r->out->grad, r->in[0]->grad);
    if (r->in[1]->grad)
        kernel_column_sums(r->out->dim[0], r->out->dim[1], r->out->grad, r->in[1]->grad);
}

static tensor *add_bias_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;

    if (!sample_shape(variant, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    wrt[1] = sample_input(t, 1, cols, 2);
    *n_wrt = 2;
    return op_add_bias(t, wrt[0], wrt[1]);
}

const op_spec spec_add_bias = {
    "add_bias", 2, add_bias_shape, add_bias_forward, add_bias_backward, add_bias_sample, false, 0};

tensor *op_add_bias(tape *t, tensor *x, tensor *bias)
{
    return tape_apply(t, &spec_add_bias, (tensor *[]){x, bias}, 2, NULL);
}

/* ------------------------------------------------------------- row_multiply: y_ij = x_ij w_i + c
 * number[0] = c */

static bool row_multiply_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    if (r->in[0]->n_dims == 2 && r->in[1]->size == r->in[0]->dim[0]) return as_first(r, out);
    (void)snprintf(why, size, "x must be [rows, cols] and the weights [rows]");
    return false;
}

static void row_multiply_forward(tape *t, op_record *r)
{
    const int64_t cols = r->out->dim[1];
    const real add = (real)r->attr.number[0];

    (void)t;
    PARALLEL_FOR_IF(r->out->size > 1 << 15)
    for (int64_t i = 0; i < r->out->dim[0]; i++) {
        const real *x = r->in[0]->value + i * cols, w = r->in[1]->value[i];
        for (int64_t j = 0; j < cols; j++)
            r->out->value[i * cols + j] = x[j] * w + add;
    }
}

static void row_multiply_backward(tape *t, op_record *r)
{
    const int64_t cols = r->out->dim[1];

    (void)t;
    PARALLEL_FOR_IF(r->out->size > 1 << 15)
    for (int64_t i = 0; i < r->out->dim[0]; i++) {
        const real *g = r->out->grad + i * cols, *x = r->in[0]->value + i * cols;
        double dot = 0.0;
        if (r->in[0]->grad)
            kernel_accumulate(cols, r->in[1]->value[i], g, r->in[0]->grad + i * cols);
        if (!r->in[1]->grad) continue;
        for (int64_t j = 0; j < cols; j++)
            dot += (double)g[j] * (double)x[j];
        r->in[1]->grad[i] += (real)dot;
    }
}

static tensor *row_multiply_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;

    if (!sample_shape(variant, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    wrt[1] = sample_input(t, rows, 1, 2);
    *n_wrt = 2;
    return op_row_multiply(t, wrt[0], wrt[1], 0.25);
}

const op_spec spec_row_multiply = {
    "row_multiply",      2,    row_multiply_shape, row_multiply_forward, row_multiply_backward,
    row_multiply_sample, false, 0};

tensor *op_row_multiply(tape *t, tensor *x, tensor *weight, double add)
{
    return tape_apply(t, &spec_row_multiply, (tensor *[]){x, weight}, 2,
                      &(op_attributes){.number = {add}});
}

/* ------------------------------------------------------------- normalise_rows: y_i = x_i / |x_i|
 * A row shorter than SHORTEST is divided by that instead, and then its length is a constant. */

#define SHORTEST 1e-12

static bool normalise_rows_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    if (r->in[0]->n_dims == 2) return as_first(r, out);
    (void)snprintf(why, size, "x must be [rows, cols]");
    return false;
}

/* `saved` holds 1 / |x_i|, negative where the row was too short. */
static void normalise_rows_forward(tape *t, op_record *r)
{
    const int64_t rows = r->out->dim[0], cols = r->out->dim[1];
    real *inverse = op_memory(t, rows);

    r->saved = inverse;
    for (int64_t i = 0; i < rows && inverse; i++) {
        const real *x = r->in[0]->value + i * cols;
        double squares = 0.0;
        for (int64_t j = 0; j < cols; j++)
            squares += (double)x[j] * (double)x[j];
        const double length = sqrt(squares);
        const double divisor = length > SHORTEST ? length : SHORTEST;
        inverse[i] = (real)(length > SHORTEST ? 1.0 / divisor : -1.0 / divisor);
        for (int64_t j = 0; j < cols; j++)
            r->out->value[i * cols + j] = (real)((double)x[j] / divisor);
    }
}

/* d_x = (g - y (g . y)) / |x| */
static void normalise_rows_backward(tape *t, op_record *r)
{
    const int64_t cols = r->out->dim[1];
    const real *inverse = r->saved;

    (void)t;
    for (int64_t i = 0; i < r->out->dim[0] && r->in[0]->grad; i++) {
        const real *g = r->out->grad + i * cols, *y = r->out->value + i * cols;
        real *d = r->in[0]->grad + i * cols;
        double dot = 0.0;
        for (int64_t j = 0; j < cols && inverse[i] > 0; j++)
            dot += (double)g[j] * (double)y[j];
        for (int64_t j = 0; j < cols; j++)
            d[j] += (g[j] - (real)dot * y[j]) * real_fabs(inverse[i]);
    }
}

static tensor *normalise_rows_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;

    if (!sample_shape(variant, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols + 1, 1); /* of one column, the result would be a sign */
    *n_wrt = 1;
    return op_normalise_rows(t, wrt[0]);
}

const op_spec spec_normalise_rows = {"normalise_rows",
                                     1,
                                     normalise_rows_shape,
                                     normalise_rows_forward,
                                     normalise_rows_backward,
                                     normalise_rows_sample,
                                     false,
                                     0};

tensor *op_normalise_rows(tape *t, tensor *x)
{
    return tape_apply(t, &spec_normalise_rows, &x, 1, NULL);
}

/* ------------------------------------------------------------- batch_affine
 * y_ij = s_{b_i j} x_ij + c_{b_i j}; for b_i = -1 the mean of s and c over the batches. `labels`
 * are the b_i; NULL: all 0. */

static bool batch_affine_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    const tensor *x = r->in[0], *s = r->in[1], *c = r->in[2];

    if (x->n_dims != 2 || s->n_dims != 2 || c->n_dims != 2 || s->dim[1] != x->dim[1] ||
        c->dim[1] != x->dim[1] || s->dim[0] != c->dim[0] || s->dim[0] < 1) {
        (void)snprintf(why, size, "x must be [rows, cols], scale and shift [batches, cols]");
        return false;
    }
    for (int64_t i = 0; r->attr.labels && i < x->dim[0]; i++) {
        if (r->attr.labels[i] >= -1 && r->attr.labels[i] < s->dim[0]) continue;
        (void)snprintf(why, size, "row %lld has batch %d of %lld", (long long)i,
                       (int)r->attr.labels[i], (long long)s->dim[0]);
        return false;
    }
    return as_first(r, out);
}

/* The batches [from, to) that row i takes the mean of; their weight. */
static real batches_of(const op_record *r, int64_t i, int64_t *from, int64_t *to)
{
    const int32_t b = r->attr.labels ? r->attr.labels[i] : 0;
    const int64_t n = r->in[1]->dim[0];

    *from = b < 0 ? 0 : b;
    *to = b < 0 ? n : b + 1;
    return b < 0 ? 1 / (real)n : 1;
}

static void batch_affine_forward(tape *t, op_record *r)
{
    const int64_t cols = r->out->dim[1];

    (void)t;
    PARALLEL_FOR_IF(r->out->size > 1 << 15)
    for (int64_t i = 0; i < r->out->dim[0]; i++) {
        const real *x = r->in[0]->value + i * cols;
        real *y = r->out->value + i * cols;
        int64_t from, to;
        const real w = batches_of(r, i, &from, &to);
        memset(y, 0, (size_t)cols * sizeof *y);
        for (int64_t b = from; b < to; b++) {
            const real *s = r->in[1]->value + b * cols, *c = r->in[2]->value + b * cols;
            for (int64_t j = 0; j < cols; j++)
                y[j] += w * (s[j] * x[j] + c[j]);
        }
    }
}

/* Columns [begin, end): rows in their order, so that sums do not depend on the threads. */
static void batch_affine_columns(const op_record *r, int64_t begin, int64_t end)
{
    const int64_t cols = r->out->dim[1];
    int64_t from, to;

    for (int64_t i = 0; i < r->out->dim[0]; i++) {
        const real w = batches_of(r, i, &from, &to);
        const real *g = r->out->grad + i * cols, *x = r->in[0]->value + i * cols;
        for (int64_t b = from; b < to; b++) {
            const real *s = r->in[1]->value + b * cols;
            real *d_x = r->in[0]->grad ? r->in[0]->grad + i * cols : NULL;
            real *d_s = r->in[1]->grad ? r->in[1]->grad + b * cols : NULL;
            real *d_c = r->in[2]->grad ? r->in[2]->grad + b * cols : NULL;
            for (int64_t j = begin; d_x && j < end; j++)
                d_x[j] += w * g[j] * s[j];
            for (int64_t j = begin; d_s && j < end; j++)
                d_s[j] += w * g[j] * x[j];
            for (int64_t j = begin; d_c && j < end; j++)
                d_c[j] += w * g[j];
        }
    }
}

static void batch_affine_backward(tape *t, op_record *r)
{
    const int64_t cols = r->out->dim[1];

    (void)t;
    PARALLEL_FOR_IF(r->out->size > 1 << 15)
    for (int64_t begin = 0; begin < cols; begin += COLUMNS_AT_ONCE)
        batch_affine_columns(r, begin,
                             begin + COLUMNS_AT_ONCE < cols ? begin + COLUMNS_AT_ONCE : cols);
}

/* Batch codes 0, 1, -1, 2, 0, ... in tape memory. */
static int32_t *sample_batches(tape *t, int64_t rows)
{
    int32_t *batch = tape_alloc(t, rows, sizeof *batch);

    for (int64_t i = 0; batch && i < rows; i++)
        batch[i] = i % 4 == 2 ? -1 : (int32_t)(i % 3);
    return batch;
}

static tensor *batch_affine_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;
    const bool several = variant % 2 == 1;

    if (!sample_shape(variant / 2, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    wrt[1] = sample_input(t, several ? 3 : 1, cols, 2);
    wrt[2] = sample_input(t, several ? 3 : 1, cols, 3);
    *n_wrt = 3;
    return op_batch_affine(t, wrt[0], wrt[1], wrt[2], several ? sample_batches(t, rows) : NULL);
}

const op_spec spec_batch_affine = {
    "batch_affine",      3,    batch_affine_shape, batch_affine_forward, batch_affine_backward,
    batch_affine_sample, false, 0};

tensor *op_batch_affine(tape *t, tensor *x, tensor *scale, tensor *shift, const int32_t *batch)
{
    return tape_apply(t, &spec_batch_affine, (tensor *[]){x, scale, shift}, 3,
                      &(op_attributes){.labels = batch});
}
