/* SPDX-License-Identifier: BSD-3-Clause */
/* A decoder with its squared error as one op (kernel_decoder): the same as linear, batch_norm and
 * affine_squared_error one after the other, without their [B, F] arrays. All its gradients are multiples
 * of the gradient of the error, so the forward pass computes them for 1. Only in training, where batch norm
 * uses the statistics of the batch; inputs are z, weight, bias, gamma, beta. */
#include <stdio.h>

#include "engine/ops.h"

enum { IN_Z, IN_WEIGHT, IN_BIAS, IN_GAMMA, IN_BETA, N_INPUTS };

static bool fits(const tensor *x, int64_t size)
{
    return !x || x->size == size;
}

static bool decoder_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    const tensor *z = r->in[IN_Z], *w = r->in[IN_WEIGHT], *gamma = r->in[IN_GAMMA];
    const affine_sparse *x = r->attr.x;

    if (!x || z->n_dims != 2 || w->n_dims != 2 || z->dim[0] != x->n_rows || w->dim[0] != x->n_cols ||
        z->dim[1] != w->dim[1] || w->dim[1] < 1) {
        (void)snprintf(why, size, "z [rows, in] and w [features, in] do not fit x [%lld, %lld]",
                       x ? (long long)x->n_rows : 0LL, x ? (long long)x->n_cols : 0LL);
        return false;
    }
    if (!fits(r->in[IN_BIAS], x->n_cols) || !fits(gamma, x->n_cols) ||
        !fits(r->in[IN_BETA], x->n_cols)) {
        (void)snprintf(why, size, "bias, gamma and beta must have [features]");
        return false;
    }
    if (gamma && (!r->in[IN_BETA] || r->in[IN_BIAS] || !r->attr.running_mean ||
                  !r->attr.running_var || x->n_rows < 2)) {
        (void)snprintf(why, size, "batch norm takes beta, running statistics, no bias and two rows");
        return false;
    }
    return op_shape_scalar(r, out, why, size);
}

static void decoder_forward(tape *t, op_record *r)
{
    const int64_t n = r->attr.x->n_rows, f = r->attr.x->n_cols;
    const tensor *bias = r->in[IN_BIAS], *gamma = r->in[IN_GAMMA];
    kernel_decoder *d = tape_alloc(t, 1, sizeof *d);

    if (!d) return;
    *d = (kernel_decoder){.x = r->attr.x, .width = r->in[IN_Z]->dim[1], .z = r->in[IN_Z]->value,
                          .weight = r->in[IN_WEIGHT]->value, .bias = bias ? bias->value : NULL,
                          .gamma = gamma ? gamma->value : NULL,
                          .beta = gamma ? r->in[IN_BETA]->value : NULL,
                          .eps = (real)r->attr.number[0], .momentum = (real)r->attr.number[1],
                          .running_mean = r->attr.running_mean,
                          .running_var = r->attr.running_var};
    r->saved = d;
    d->g = op_memory(t, f * kernel_decoder_stride(n));
    d->d_z = op_memory(t, r->in[IN_Z]->size);
    d->d_bias = op_memory(t, f);
    d->d_gamma = op_memory(t, f);
    d->d_beta = op_memory(t, f);
    d->scratch = op_memory(t, kernel_decoder_scratch(d));
    if (!d->g || !d->d_z || !d->d_bias || !d->d_gamma || !d->d_beta || !d->scratch) return;
    r->out->value[0] = (real)kernel_decoder_error(d);
}

/* Input k's gradient: scale times that of the error. */
static void hand_on(op_record *r, int k, real scale, const real *of_error)
{
    tensor *x = r->in[k];

    if (!x || !x->grad) return;
    if (op_is_fresh(r, k))
        kernel_scale(x->size, scale, of_error, x->grad);
    else
        kernel_accumulate(x->size, scale, of_error, x->grad);
}

static void decoder_backward(tape *t, op_record *r)
{
    const kernel_decoder *d = r->saved;
    const real scale = r->out->grad[0];
    const tensor *w = r->in[IN_WEIGHT];
    const kernel_taker *taker = op_taker(t, r, IN_WEIGHT, d->x->n_rows, d->width);

    hand_on(r, IN_Z, scale, d->d_z);
    hand_on(r, IN_BIAS, scale, d->d_bias);
    hand_on(r, IN_GAMMA, scale, d->d_gamma);
    hand_on(r, IN_BETA, scale, d->d_beta);
    if (taker || w->grad)
        kernel_decoder_weights(d, scale, op_is_fresh(r, IN_WEIGHT), w->grad,
                               taker);
}

/* Linear without and with a bias, batch norm; each with all 32 sets of optional vectors of x. */
static tensor *decoder_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;
    const int way = variant % 3;

    if (!sample_shape(variant / 96, &rows, &cols)) return NULL;
    if (way == 2 && rows < 2) rows = 2;
    wrt[0] = sample_input(t, rows, 3, 1);
    wrt[1] = sample_input(t, cols, 3, 2);
    wrt[2] = way ? sample_input(t, 1, cols, 3) : NULL;
    wrt[3] = way == 2 ? sample_input(t, 1, cols, 4) : NULL;
    *n_wrt = 2 + way;
    tensor *mean = sample_input(t, 1, cols, 5), *var = sample_input(t, 1, cols, 6);
    const affine_sparse *x = sample_affine(t, rows, cols, variant / 3 % 32, 7);
    if (!mean || !var || !x) return NULL;
    return way == 2 ? op_decoder_norm_error(t, wrt[0], wrt[1], wrt[2], wrt[3],
                                            &(op_batch_norm_options){.running_mean = mean->value,
                                                                     .running_var = var->value,
                                                                     .eps = 1e-5,
                                                                     .momentum = 0.1,
                                                                     .relu = true},
                                            x)
                    : op_decoder_error(t, wrt[0], wrt[1], wrt[2], x);
}

const op_spec spec_decoder_error = {"decoder_error", 2, decoder_shape, decoder_forward,
                                    decoder_backward, decoder_sample, true, 1u << IN_WEIGHT};

tensor *op_decoder_error(tape *t, tensor *z, tensor *weight, tensor *bias, const affine_sparse *x)
{
    return tape_apply(t, &spec_decoder_error, (tensor *[]){z, weight, bias}, 3,
                      &(op_attributes){.x = x});
}

tensor *op_decoder_norm_error(tape *t, tensor *z, tensor *weight, tensor *gamma, tensor *beta,
                              const op_batch_norm_options *o, const affine_sparse *x)
{
    op_attributes attr = {.x = x, .running_mean = o->running_mean, .running_var = o->running_var,
                          .number = {o->eps, o->momentum}};
    return tape_apply(t, &spec_decoder_error, (tensor *[]){z, weight, NULL, gamma, beta}, N_INPUTS,
                      &attr);
}
