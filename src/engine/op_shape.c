/* SPDX-License-Identifier: BSD-3-Clause */
/* Ops that move columns: concat and slice. */
#include <stdio.h>
#include <string.h>

#include "engine/ops.h"

/* ------------------------------------------------------------- concat along columns */

static bool concat_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    out->dim[1] = 0;
    for (int k = 0; k < r->n_in; k++) {
        if (r->in[k]->n_dims != 2 || r->in[k]->dim[0] != r->in[0]->dim[0]) {
            (void)snprintf(why, size, "the inputs must be [rows, cols] with the same rows");
            return false;
        }
        out->dim[1] += r->in[k]->dim[1];
    }
    out->dim[0] = r->in[0]->dim[0];
    return true;
}

static void concat_forward(tape *t, op_record *r)
{
    int64_t from = 0, total = r->out->dim[1];

    (void)t;
    for (int k = 0; k < r->n_in; k++) {
        int64_t cols = r->in[k]->dim[1];
        for (int64_t i = 0; i < r->out->dim[0]; i++)
            memcpy(r->out->value + i * total + from, r->in[k]->value + i * cols,
                   (size_t)cols * sizeof(real));
        from += cols;
    }
}

static void concat_backward(tape *t, op_record *r)
{
    int64_t from = 0, total = r->out->dim[1];

    (void)t;
    for (int k = 0; k < r->n_in; k++) {
        int64_t cols = r->in[k]->dim[1];
        for (int64_t i = 0; i < r->out->dim[0] && r->in[k]->grad; i++)
            kernel_accumulate(cols, 1, r->out->grad + i * total + from,
                              r->in[k]->grad + i * cols);
        from += cols;
    }
}

static tensor *concat_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    static const int64_t widths[] = {2, 1, 5};
    int64_t rows, cols;
    int n = variant % 3 + 1;

    if (!sample_shape(variant / 3, &rows, &cols)) return NULL;
    for (int k = 0; k < n; k++)
        wrt[k] = sample_input(t, rows, k == 0 ? cols : widths[k], (uint32_t)k + 1);
    *n_wrt = n;
    return op_concat(t, wrt, n);
}

const op_spec spec_concat = {"concat", OP_MAX_INPUTS, concat_shape, concat_forward,
                               concat_backward, concat_sample, false, 0};

tensor *op_concat(tape *t, tensor *const *x, int n)
{
    if (n < 1) {
        tape_fail(t, SCW_EINVAL, "op_concat: nothing to put together");
        return NULL;
    }
    return tape_apply(t, &spec_concat, x, n, NULL);
}

/* ------------------------------------------------------------- slice: columns from..to-1 */

static bool slice_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    const tensor *x = r->in[0];

    if (x->n_dims != 2 || r->attr.from < 0 || r->attr.to < r->attr.from ||
        r->attr.to > x->dim[1]) {
        (void)snprintf(why, size, "columns %lld to %lld do not exist", (long long)r->attr.from,
                       (long long)r->attr.to);
        return false;
    }
    out->dim[0] = x->dim[0];
    out->dim[1] = r->attr.to - r->attr.from;
    return true;
}

static void slice_forward(tape *t, op_record *r)
{
    int64_t cols = r->out->dim[1], stride = r->in[0]->dim[1];

    (void)t;
    for (int64_t i = 0; i < r->out->dim[0]; i++)
        memcpy(r->out->value + i * cols, r->in[0]->value + i * stride + r->attr.from,
               (size_t)cols * sizeof(real));
}

static void slice_backward(tape *t, op_record *r)
{
    int64_t cols = r->out->dim[1], stride = r->in[0]->dim[1];

    (void)t;
    for (int64_t i = 0; i < r->out->dim[0] && r->in[0]->grad; i++)
        kernel_accumulate(cols, 1, r->out->grad + i * cols,
                          r->in[0]->grad + i * stride + r->attr.from);
}

static tensor *slice_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;

    if (!sample_shape(variant / 2, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols + 3, 1);
    *n_wrt = 1;
    return variant % 2 ? op_slice(t, wrt[0], 2, cols + 2) : op_slice(t, wrt[0], 0, cols + 3);
}

const op_spec spec_slice = {"slice", 1, slice_shape, slice_forward, slice_backward,
                              slice_sample, false, 0};

tensor *op_slice(tape *t, tensor *x, int64_t from, int64_t to)
{
    return tape_apply(t, &spec_slice, &x, 1, &(op_attributes){.from = from, .to = to});
}
