/* SPDX-License-Identifier: BSD-3-Clause */
/* Ops on elements: relu, leaky relu, elu, softplus, exp, add, multiply, scale, and scaling by row or column. */
#include <math.h>
#include <stdio.h>

#include "engine/ops.h"

/* A sample with one input of the listed shapes. */
static tensor *sample_one(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;

    if (!sample_shape(variant, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    *n_wrt = 1;
    return wrt[0];
}

/* ------------------------------------------------------------- relu */

static void relu_forward(tape *t, op_record *r)
{
    (void)t;
    kernel_relu(r->out->size, r->in[0]->value, r->out->value);
}

static void relu_backward(tape *t, op_record *r)
{
    (void)t;
    if (r->in[0]->grad)
        kernel_relu_backward(r->out->size, r->out->value, r->out->grad, r->in[0]->grad);
}

static tensor *relu_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *x = sample_one(t, variant, wrt, n_wrt);
    return x ? op_relu(t, x) : NULL;
}

const op_spec spec_relu = {"relu", 1, op_shape_same, relu_forward, relu_backward, relu_sample, false, 0};

tensor *op_relu(tape *t, tensor *x)
{
    return tape_apply(t, &spec_relu, &x, 1, NULL);
}

/* ------------------------------------------------------------- leaky_relu: number[0] = slope */

static void leaky_relu_forward(tape *t, op_record *r)
{
    const real slope = (real)r->attr.number[0], *x = r->in[0]->value;
    real *y = r->out->value;

    (void)t;
    for (int64_t e = 0; e < r->out->size; e++) y[e] = x[e] > 0 ? x[e] : slope * x[e];
}

static void leaky_relu_backward(tape *t, op_record *r)
{
    const real slope = (real)r->attr.number[0], *x = r->in[0]->value, *g = r->out->grad;
    real *d = r->in[0]->grad;

    (void)t;
    for (int64_t e = 0; d && e < r->out->size; e++) d[e] += x[e] > 0 ? g[e] : slope * g[e];
}

static tensor *leaky_relu_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *x = sample_one(t, variant, wrt, n_wrt);
    return x ? op_leaky_relu(t, x, 0.2) : NULL;
}

const op_spec spec_leaky_relu = {"leaky_relu", 1, op_shape_same, leaky_relu_forward,
                                 leaky_relu_backward, leaky_relu_sample, false, 0};

tensor *op_leaky_relu(tape *t, tensor *x, double slope)
{
    return tape_apply(t, &spec_leaky_relu, &x, 1, &(op_attributes){.number = {slope}});
}

/* ------------------------------------------------------------- elu: x, or exp(x) - 1 below zero */

static void elu_forward(tape *t, op_record *r)
{
    const real *x = r->in[0]->value;
    real *y = r->out->value;

    (void)t;
    for (int64_t e = 0; e < r->out->size; e++)
        y[e] = x[e] > 0 ? x[e] : (real)expm1((double)x[e]);
}

static void elu_backward(tape *t, op_record *r)
{
    const real *y = r->out->value, *g = r->out->grad;
    real *d = r->in[0]->grad;

    (void)t;
    for (int64_t e = 0; d && e < r->out->size; e++) d[e] += y[e] > 0 ? g[e] : g[e] * (y[e] + 1);
}

static tensor *elu_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *x = sample_one(t, variant, wrt, n_wrt);
    return x ? op_elu(t, x) : NULL;
}

const op_spec spec_elu = {"elu", 1, op_shape_same, elu_forward, elu_backward, elu_sample,
                          false, 0};

tensor *op_elu(tape *t, tensor *x)
{
    return tape_apply(t, &spec_elu, &x, 1, NULL);
}

/* ------------------------------------------------------------- softplus: log(1 + exp(x)) + number[0]
 * `saved` is exp(-|x|): neither the value nor the gradient can overflow. */

static void softplus_forward(tape *t, op_record *r)
{
    const real *x = r->in[0]->value, add = (real)r->attr.number[0];
    real *small = op_memory(t, r->out->size);

    r->saved = small;
    if (!small) return;
    for (int64_t e = 0; e < r->out->size; e++) small[e] = -real_fabs(x[e]);
    kernel_exp(r->out->size, small, small);
    for (int64_t e = 0; e < r->out->size; e++)
        r->out->value[e] = (x[e] > 0 ? x[e] : 0) + real_log1p(small[e]) + add;
}

static void softplus_backward(tape *t, op_record *r)
{
    const real *x = r->in[0]->value, *small = r->saved, *g = r->out->grad;
    real *d = r->in[0]->grad;

    (void)t;
    for (int64_t e = 0; d && e < r->out->size; e++)
        d[e] += g[e] * (x[e] > 0 ? 1 : small[e]) / (1 + small[e]);
}

static tensor *softplus_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *x = sample_one(t, variant, wrt, n_wrt);
    return x ? op_softplus(t, x, 0.01) : NULL;
}

const op_spec spec_softplus = {"softplus", 1, op_shape_same, softplus_forward, softplus_backward,
                               softplus_sample, false, 0};

tensor *op_softplus(tape *t, tensor *x, double add)
{
    return tape_apply(t, &spec_softplus, &x, 1, &(op_attributes){.number = {add}});
}

/* ------------------------------------------------------------- exp */

static void exp_forward(tape *t, op_record *r)
{
    (void)t;
    kernel_exp(r->out->size, r->in[0]->value, r->out->value);
}

static void exp_backward(tape *t, op_record *r)
{
    (void)t;
    if (r->in[0]->grad)
        kernel_multiply_accumulate(r->out->size, r->out->value, r->out->grad, r->in[0]->grad);
}

static tensor *exp_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *x = sample_one(t, variant, wrt, n_wrt);
    return x ? op_exp(t, x) : NULL;
}

const op_spec spec_exp = {"exp", 1, op_shape_same, exp_forward, exp_backward, exp_sample, false, 0};

tensor *op_exp(tape *t, tensor *x)
{
    return tape_apply(t, &spec_exp, &x, 1, NULL);
}

/* ------------------------------------------------------------- add, multiply */

static void add_forward(tape *t, op_record *r)
{
    (void)t;
    kernel_add(r->out->size, r->in[0]->value, r->in[1]->value, r->out->value);
}

static void add_backward(tape *t, op_record *r)
{
    (void)t;
    for (int k = 0; k < 2; k++)
        if (r->in[k]->grad) kernel_accumulate(r->out->size, 1, r->out->grad, r->in[k]->grad);
}

/* Two inputs, and in the last variant one tensor twice, whose gradients must add up. */
static bool sample_pair(tape *t, int variant, tensor **wrt, int *n_wrt, tensor **y)
{
    int64_t rows, cols;
    bool twice = !sample_shape(variant, &rows, &cols);

    if (twice && (!sample_shape(variant - 1, &rows, &cols))) return false;
    wrt[0] = sample_input(t, rows, cols, 1);
    wrt[1] = twice ? NULL : sample_input(t, rows, cols, 2);
    *n_wrt = twice ? 1 : 2;
    *y = twice ? wrt[0] : wrt[1];
    return true;
}

static tensor *add_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *y;
    return sample_pair(t, variant, wrt, n_wrt, &y) ? op_add(t, wrt[0], y) : NULL;
}

const op_spec spec_add = {"add", 2, op_shape_same, add_forward, add_backward, add_sample, false, 0};

tensor *op_add(tape *t, tensor *x, tensor *y)
{
    return tape_apply(t, &spec_add, (tensor *[]){x, y}, 2, NULL);
}

static void multiply_forward(tape *t, op_record *r)
{
    (void)t;
    kernel_multiply(r->out->size, r->in[0]->value, r->in[1]->value, r->out->value);
}

static void multiply_backward(tape *t, op_record *r)
{
    (void)t;
    for (int k = 0; k < 2; k++)
        if (r->in[k]->grad)
            kernel_multiply_accumulate(r->out->size, r->in[1 - k]->value, r->out->grad,
                                       r->in[k]->grad);
}

static tensor *multiply_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *y;
    return sample_pair(t, variant, wrt, n_wrt, &y) ? op_multiply(t, wrt[0], y) : NULL;
}

const op_spec spec_multiply = {"multiply", 2, op_shape_same, multiply_forward,
                                 multiply_backward, multiply_sample, false, 0};

tensor *op_multiply(tape *t, tensor *x, tensor *y)
{
    return tape_apply(t, &spec_multiply, (tensor *[]){x, y}, 2, NULL);
}

/* ------------------------------------------------------------- scale: number[0] */

static void scale_forward(tape *t, op_record *r)
{
    (void)t;
    kernel_scale(r->out->size, (real)r->attr.number[0], r->in[0]->value, r->out->value);
}

static void scale_backward(tape *t, op_record *r)
{
    (void)t;
    if (r->in[0]->grad)
        kernel_accumulate(r->out->size, (real)r->attr.number[0], r->out->grad, r->in[0]->grad);
}

static tensor *scale_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *x = sample_one(t, variant, wrt, n_wrt);
    return x ? op_scale(t, x, -2.5) : NULL;
}

const op_spec spec_scale = {"scale", 1, op_shape_same, scale_forward, scale_backward,
                              scale_sample, false, 0};

tensor *op_scale(tape *t, tensor *x, double scale)
{
    return tape_apply(t, &spec_scale, &x, 1, &(op_attributes){.number = {scale}});
}

/* ------------------------------------------------------------- row_scale: given [rows] */

static bool row_scale_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    if (!r->attr.given || r->in[0]->n_dims != 2) {
        (void)snprintf(why, size, "x must be [rows, cols] and the weights given");
        return false;
    }
    return op_shape_same(r, out, why, size);
}

static void row_scale_forward(tape *t, op_record *r)
{
    int64_t cols = r->out->dim[1];

    (void)t;
    for (int64_t i = 0; i < r->out->dim[0]; i++)
        kernel_scale(cols, r->attr.given[i], r->in[0]->value + i * cols, r->out->value + i * cols);
}

static void row_scale_backward(tape *t, op_record *r)
{
    int64_t cols = r->out->dim[1];

    (void)t;
    for (int64_t i = 0; i < r->out->dim[0] && r->in[0]->grad; i++)
        kernel_accumulate(cols, r->attr.given[i], r->out->grad + i * cols,
                          r->in[0]->grad + i * cols);
}

static tensor *row_scale_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *x = sample_one(t, variant, wrt, n_wrt);
    tensor *weight = x ? sample_input(t, x->dim[0], 1, 2) : NULL;

    if (!weight) return NULL;
    weight->value[0] = 0; /* an absent row */
    return op_row_scale(t, x, weight->value);
}

const op_spec spec_row_scale = {"row_scale", 1, row_scale_shape, row_scale_forward,
                                  row_scale_backward, row_scale_sample, false, 0};

tensor *op_row_scale(tape *t, tensor *x, const real *weight)
{
    return tape_apply(t, &spec_row_scale, &x, 1, &(op_attributes){.given = weight});
}

/* ------------------------------------------------------------- col_scale: weight [cols] */

static bool col_scale_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    if (r->in[0]->n_dims != 2 || r->in[1]->size != r->in[0]->dim[1]) {
        (void)snprintf(why, size, "x must be [rows, cols] and the weights [cols]");
        return false;
    }
    out->dim[0] = r->in[0]->dim[0];
    out->dim[1] = r->in[0]->dim[1];
    return true;
}

static void col_scale_forward(tape *t, op_record *r)
{
    int64_t cols = r->out->dim[1];

    (void)t;
    for (int64_t i = 0; i < r->out->dim[0]; i++)
        kernel_multiply(cols, r->in[0]->value + i * cols, r->in[1]->value,
                        r->out->value + i * cols);
}

static void col_scale_backward(tape *t, op_record *r)
{
    tensor *x = r->in[0], *weight = r->in[1];
    int64_t cols = r->out->dim[1];

    (void)t;
    for (int64_t i = 0; i < r->out->dim[0]; i++) {
        const real *g = r->out->grad + i * cols;
        if (x->grad) kernel_multiply_accumulate(cols, g, weight->value, x->grad + i * cols);
        if (weight->grad) kernel_multiply_accumulate(cols, g, x->value + i * cols, weight->grad);
    }
}

static tensor *col_scale_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    tensor *x = sample_one(t, variant, wrt, n_wrt);

    if (!x) return NULL;
    wrt[1] = sample_input(t, 1, x->dim[1], 2);
    *n_wrt = 2;
    return op_col_scale(t, x, wrt[1]);
}

const op_spec spec_col_scale = {"col_scale", 2, col_scale_shape, col_scale_forward,
                                  col_scale_backward, col_scale_sample, false, 0};

tensor *op_col_scale(tape *t, tensor *x, tensor *weight)
{
    return tape_apply(t, &spec_col_scale, (tensor *[]){x, weight}, 2, NULL);
}
