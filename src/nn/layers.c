/* SPDX-License-Identifier: BSD-3-Clause */
#include "nn/layers.h"

#include <math.h>
#include <stdio.h>

/* Framework defaults that the published systems rely on (specs section 1). */
#define BATCH_NORM_EPS 1e-5
#define BATCH_NORM_MOMENTUM 0.1

#define NAME_SIZE 160

static const char *join(char out[NAME_SIZE], const char *name, const char *part)
{
    (void)snprintf(out, NAME_SIZE, "%s.%s", name, part);
    return out;
}

scw_status nn_linear_add(nn_linear *out, params *p, const char *name, int64_t n_in, int64_t n_out,
                         bool bias, int group, int vector_group)
{
    scw_status st = SCW_OK;
    char full[NAME_SIZE];
    int64_t shape[2] = {n_out, n_in};
    double bound = 1.0 / sqrt((double)n_in);

    *out = (nn_linear){-1, -1};
    TRY(params_add(p, &out->weight, join(full, name, "weight"), 2, shape, PARAM_UNIFORM, -bound,
                   bound, true, group));
    if (bias)
        TRY(params_add(p, &out->bias, join(full, name, "bias"), 1, &n_out, PARAM_UNIFORM, -bound,
                       bound, true, vector_group));
done:
    return st;
}

tensor *nn_linear_apply(const nn_pass *pass, const nn_linear *layer, tensor *x)
{
    tensor *bias = layer->bias >= 0 ? op_param(pass->t, pass->p, layer->bias) : NULL;
    return op_linear(pass->t, x, op_param(pass->t, pass->p, layer->weight), bias);
}

scw_status nn_block_add(nn_block *out, params *p, const char *name, const nn_block_options *o)
{
    scw_status st = SCW_OK;
    char full[NAME_SIZE];
    int64_t shape[2] = {o->sparse_input ? o->n_in : o->n_out, o->sparse_input ? o->n_out : o->n_in};
    double bound = 1.0 / sqrt((double)o->n_in);

    *out = (nn_block){.bias = -1,
                      .relu = o->relu,
                      .plain = o->plain,
                      .elu = o->elu,
                      .slope = o->slope,
                      .sparse_input = o->sparse_input,
                      .drop = o->drop,
                      .stream = o->stream};
    TRY(params_add(p, &out->weight, join(full, name, "weight"), 2, shape, PARAM_UNIFORM, -bound,
                   bound, true, o->group));
    if (o->bias)
        TRY(params_add(p, &out->bias, join(full, name, "bias"), 1, &o->n_out, PARAM_UNIFORM, -bound,
                       bound, true, o->vector_group));
    if (o->plain) goto done;
    TRY(params_add(p, &out->gamma, join(full, name, "norm.weight"), 1, &o->n_out, PARAM_ONE, 0, 0,
                   true, o->vector_group));
    TRY(params_add(p, &out->beta, join(full, name, "norm.bias"), 1, &o->n_out, PARAM_ZERO, 0, 0,
                   true, o->vector_group));
    TRY(params_add(p, &out->running_mean, join(full, name, "norm.running_mean"), 1, &o->n_out,
                   PARAM_ZERO, 0, 0, false, 0));
    TRY(params_add(p, &out->running_var, join(full, name, "norm.running_var"), 1, &o->n_out,
                   PARAM_ONE, 0, 0, false, 0));
done:
    return st;
}

static op_batch_norm_options norm_options(const params *p, const nn_block *b)
{
    return (op_batch_norm_options){.running_mean = params_value(p, b->running_mean),
                                   .running_var = params_value(p, b->running_var),
                                   .eps = BATCH_NORM_EPS,
                                   .momentum = BATCH_NORM_MOMENTUM,
                                   .relu = b->relu};
}

tensor *nn_block_after_linear(const nn_pass *pass, const nn_block *b, tensor *h)
{
    tape *t = pass->t;
    const params *p = pass->p;
    const rng_key key = rng_make_key(pass->seed, RNG_DROPOUT, b->stream);
    const real *mask = b->drop > 0.0 && pass->masks ? pass->masks[b->stream] : NULL;

    if (b->slope > 0.0) h = op_leaky_relu(t, h, b->slope);
    if (b->elu) h = op_elu(t, h);
    if (b->plain) return op_dropout(t, b->relu ? op_relu(t, h) : h, b->drop, key, pass->step, mask);
    op_batch_norm_options o = norm_options(p, b);
    o.drop = b->drop;
    o.key = key;
    o.step = pass->step;
    o.mask = mask;
    return op_batch_norm(t, h, op_param(t, p, b->gamma), op_param(t, p, b->beta), &o);
}

tensor *nn_block_apply(const nn_pass *pass, const nn_block *b, tensor *x)
{
    tensor *w = op_param(pass->t, pass->p, b->weight);
    tensor *bias = b->bias >= 0 ? op_param(pass->t, pass->p, b->bias) : NULL;
    return nn_block_after_linear(pass, b, op_linear(pass->t, x, w, bias));
}

tensor *nn_block_linear_sparse(const nn_pass *pass, const nn_block *b, const affine_sparse *x,
                               int feature_weight)
{
    tape *t = pass->t;
    tensor *w = op_param(t, pass->p, b->weight);
    tensor *scale = feature_weight >= 0 ? op_param(t, pass->p, feature_weight) : NULL;
    tensor *h = op_affine_linear(t, x, w, scale);
    return b->bias >= 0 ? op_add_bias(t, h, op_param(t, pass->p, b->bias)) : h;
}

tensor *nn_linear_error(const nn_pass *pass, const nn_linear *layer, tensor *z,
                        const affine_sparse *x)
{
    tape *t = pass->t;

    if (tape_get_mode(t) != TAPE_TRAIN)
        return op_affine_squared_error(t, nn_linear_apply(pass, layer, z), x);
    tensor *bias = layer->bias >= 0 ? op_param(t, pass->p, layer->bias) : NULL;
    return op_decoder_error(t, z, op_param(t, pass->p, layer->weight), bias, x);
}

tensor *nn_block_error(const nn_pass *pass, const nn_block *b, tensor *z, const affine_sparse *x)
{
    tape *t = pass->t;
    const bool plain_norm = b->relu && !b->plain && b->bias < 0 && b->drop == 0.0 && b->slope == 0.0;

    if (!plain_norm || tape_get_mode(t) != TAPE_TRAIN || x->n_rows < 2)
        return op_affine_squared_error(t, nn_block_apply(pass, b, z), x);
    op_batch_norm_options o = norm_options(pass->p, b);
    return op_decoder_norm_error(t, z, op_param(t, pass->p, b->weight),
                                 op_param(t, pass->p, b->gamma), op_param(t, pass->p, b->beta), &o,
                                 x);
}
