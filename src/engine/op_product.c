/* SPDX-License-Identifier: BSD-3-Clause */
/* Products: linear (dense input) and affine_linear (affine-sparse input). */
#include <stdio.h>
#include <string.h>

#include "engine/ops.h"

/* ------------------------------------------------------------- linear: y = x w^T + bias */

static bool linear_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    const tensor *x = r->in[0], *w = r->in[1], *bias = r->in[2];

    if (x->n_dims != 2 || w->n_dims != 2 || x->dim[1] != w->dim[1]) {
        (void)snprintf(why, size, "x [rows, in] and w [out, in] do not fit");
        return false;
    }
    if (bias && bias->size != w->dim[0]) {
        (void)snprintf(why, size, "the bias has %lld values", (long long)bias->size);
        return false;
    }
    out->dim[0] = x->dim[0];
    out->dim[1] = w->dim[0];
    return true;
}

static void linear_forward(tape *t, op_record *r)
{
    const tensor *x = r->in[0], *w = r->in[1], *bias = r->in[2];
    tensor *y = r->out;

    (void)t;
    kernel_gemm(false, true, y->dim[0], y->dim[1], x->dim[1], x->value, w->value, 0, y->value);
    if (bias) kernel_add_bias(y->dim[0], y->dim[1], y->value, bias->value, y->value);
}

static void linear_backward(tape *t, op_record *r)
{
    tensor *x = r->in[0], *w = r->in[1], *bias = r->in[2];
    const real *g = r->out->grad;
    int64_t rows = x->dim[0], n_in = w->dim[1], n_out = w->dim[0];

    (void)t;
    if (x->grad)
        kernel_gemm(false, false, rows, n_in, n_out, g, w->value, op_is_fresh(r, 0) ? 0 : 1, x->grad);
    if (w->grad)
        kernel_gemm(true, false, n_out, n_in, rows, g, x->value, op_is_fresh(r, 1) ? 0 : 1, w->grad);
    if (bias && bias->grad && op_is_fresh(r, 2))
        memset(bias->grad, 0, (size_t)n_out * sizeof(real));
    if (bias && bias->grad) kernel_column_sums(rows, n_out, g, bias->grad);
}

static tensor *linear_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;
    bool with_bias = variant % 2 == 1;

    if (!sample_shape(variant / 2, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    wrt[1] = sample_input(t, 4, cols, 2);
    wrt[2] = with_bias ? sample_input(t, 1, 4, 3) : NULL;
    *n_wrt = with_bias ? 3 : 2;
    return op_linear(t, wrt[0], wrt[1], wrt[2]);
}

const op_spec spec_linear = {"linear", 2, linear_shape, linear_forward, linear_backward,
                               linear_sample, true, 0};

tensor *op_linear(tape *t, tensor *x, tensor *w, tensor *bias)
{
    return tape_apply(t, &spec_linear, (tensor *[]){x, w, bias}, 3, NULL);
}

/* ------------------------------------------------------------- affine_linear: y = X diag(f) w */

static bool affine_linear_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    const affine_sparse *x = r->attr.x;
    const tensor *w = r->in[0], *feature_weight = r->in[1];

    if (!x || w->n_dims != 2 || w->dim[0] != x->n_cols) {
        (void)snprintf(why, size, "w [features, out] does not fit x [%lld, %lld]",
                       x ? (long long)x->n_rows : 0LL, x ? (long long)x->n_cols : 0LL);
        return false;
    }
    if (feature_weight && feature_weight->size != x->n_cols) {
        (void)snprintf(why, size, "%lld feature weights for %lld features",
                       (long long)feature_weight->size, (long long)x->n_cols);
        return false;
    }
    out->dim[0] = x->n_rows;
    out->dim[1] = w->dim[1];
    return true;
}

static void affine_linear_forward(tape *t, op_record *r)
{
    const tensor *w = r->in[0], *f = r->in[1];

    (void)t;
    kernel_affine_forward(r->attr.x, f ? f->value : NULL, w->value, w->dim[1], r->out->value);
}

static void affine_linear_backward(tape *t, op_record *r)
{
    tensor *w = r->in[0], *f = r->in[1];
    const kernel_taker *taker = op_taker(t, r, 0, r->attr.x->n_rows, w->dim[1]);
    real *d_w = taker ? NULL : op_grad_or_spare(t, w), *d_f = f ? op_grad_or_spare(t, f) : NULL;

    if ((!taker && !d_w) || (f && !d_f)) return;
    kernel_affine_backward(r->attr.x, f ? f->value : NULL, w->value, w->dim[1], r->out->grad, d_f,
                           d_w, taker);
}

/* All 32 sets of optional vectors, each with and without feature weights, over the shapes. */
static tensor *affine_linear_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;
    int parts = variant % 32;
    bool weighted = variant / 32 % 2 == 1;

    if (!sample_shape(variant / 64, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, cols, 3, 1);
    wrt[1] = weighted ? sample_input(t, 1, cols, 2) : NULL;
    *n_wrt = weighted ? 2 : 1;
    return op_affine_linear(t, sample_affine(t, rows, cols, parts, 3), wrt[0], wrt[1]);
}

const op_spec spec_affine_linear = {"affine_linear", 1, affine_linear_shape,
                                      affine_linear_forward, affine_linear_backward,
                                      affine_linear_sample, false, 1};

tensor *op_affine_linear(tape *t, const affine_sparse *x, tensor *w, tensor *feature_weight)
{
    return tape_apply(t, &spec_affine_linear, (tensor *[]){w, feature_weight}, 2,
                      &(op_attributes){.x = x});
}
