/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/count_heads.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *count_kind_name(count_kind kind)
{
    static const char *const names[] = {"gaussian", "nb", "bernoulli"};
    return names[kind];
}

enum { GROUP_WEIGHT = 0, GROUP_VECTOR };

#define LEAST_MEAN 1e-30 /* of a share that vanishes; its logarithm is wanted */

static scw_status add_head(count_heads *h, const count_head_options *o, count_head *to)
{
    scw_status st = SCW_OK;
    const int64_t shape[2] = {o->n_vars, h->n_in}, one = 1;
    char name[128];

    *to = (count_head){.kind = o->kind, .n_vars = o->n_vars};
    to->weight = to->bias = to->log_shape = to->depth = -1;
    if (o->kind == COUNT_NONE) goto done;
    (void)snprintf(name, sizeof name, "counts.%s.weight", o->name);
    TRY(params_add(&h->p, &to->weight, name, 2, shape, PARAM_ZERO, 0, 0, true, GROUP_WEIGHT));
    (void)snprintf(name, sizeof name, "counts.%s.bias", o->name);
    TRY(params_add(&h->p, &to->bias, name, 1, shape, PARAM_ZERO, 0, 0, true, GROUP_VECTOR));
    (void)snprintf(name, sizeof name, "counts.%s.depth", o->name);
    TRY(params_add(&h->p, &to->depth, name, 1, &one, PARAM_ONE, 0, 0, false, 0));
    if (o->kind != COUNT_NB) goto done;
    (void)snprintf(name, sizeof name, "counts.%s.log_shape", o->name);
    TRY(params_add(&h->p, &to->log_shape, name, 1, shape, PARAM_ONE, 0, 0, true, GROUP_VECTOR));
done:
    return st;
}

scw_status count_heads_init(count_heads *h, const count_head_options *options, int n, int64_t n_in)
{
    scw_status st = SCW_OK;

    *h = (count_heads){.n = n, .n_in = n_in};
    for (int k = 0; k < n; k++) TRY(add_head(h, &options[k], &h->head[k]));
    TRY(params_build(&h->p, 0));
done:
    if (st != SCW_OK) count_heads_clear(h);
    return st;
}

void count_heads_clear(count_heads *h)
{
    params_clear(&h->p);
    *h = (count_heads){0};
}

double count_depth(count_kind kind, const matrix *counts, int64_t row)
{
    double sum = 0.0;

    for (int64_t e = counts->indptr[row]; e < counts->indptr[row + 1]; e++)
        sum += kind == COUNT_BERNOULLI ? (double)(counts->values[e] > 0) : (double)counts->values[e];
    return sum;
}

/* ----------------------------------------------------------------------------- equations */

static tensor *scores(const count_heads *h, const nn_pass *pass, int k, tensor *z)
{
    tensor *w = op_param(pass->t, pass->p, h->head[k].weight);
    return op_linear(pass->t, z, w, op_param(pass->t, pass->p, h->head[k].bias)); /* [n, F] */
}

/* log(n_i / n) of each cell; 0 for a cell without counts. */
static real *depth_offset(const count_heads *h, const nn_pass *pass, int k, const real *depth,
                          int64_t n)
{
    const double mean = (double)*params_value(pass->p, h->head[k].depth);
    real *offset = tape_alloc(pass->t, n, sizeof *offset);

    for (int64_t i = 0; offset && i < n; i++)
        offset[i] = depth[i] > 0 ? (real)log((double)depth[i] / mean) : 0;
    return offset;
}

static tensor *mean_counts(const count_heads *h, const nn_pass *pass, int k, tensor *z,
                           const real *depth)
{
    return op_row_scale(pass->t, op_softmax(pass->t, scores(h, pass, k, z)), depth);
}

scw_status count_heads_decode(real *out, const count_heads *h, int k, const real *z,
                              const real *depth, int64_t n, tape *t)
{
    scw_status st = SCW_OK;
    const nn_pass pass = {.t = t, .p = &h->p};
    const int64_t f = h->head[k].n_vars;

    tape_reset(t, TAPE_EVAL);
    tensor *latent = op_input(t, (real *)(uintptr_t)z, n, h->n_in, false);
    if (h->head[k].kind == COUNT_NB) {
        tensor *mean = mean_counts(h, &pass, k, latent, depth);
        TRY(tape_status(t));
        memcpy(out, mean->value, (size_t)(n * f) * sizeof *out);
        goto done;
    }
    tensor *logits = scores(h, &pass, k, latent);
    const real *offset = depth_offset(h, &pass, k, depth, n);
    TRY(tape_status(t));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < f; j++)
            out[i * f + j] =
                (real)(1.0 / (1.0 + exp(-(double)(logits->value[i * f + j] + offset[i]))));
done:
    return st;
}

/* ----------------------------------------------------------------------- as the trainer sees it */

static real *batch_depth(const nn_pass *pass, count_kind kind, const affine_sparse *x)
{
    real *depth = tape_alloc(pass->t, x->n_rows, sizeof *depth);

    for (int64_t i = 0; depth && i < x->n_rows; i++) {
        double sum = 0.0;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++)
            sum += kind == COUNT_BERNOULLI ? (double)(x->values[e] > 0) : (double)x->values[e];
        depth[i] = (real)sum;
    }
    return depth;
}

/* Only the latent: the loss decodes as it goes, and nobody asks for the means. */
static void forward(const void *self, const nn_pass *pass, const model_batch *batch, bool decode,
                    model_outputs *out)
{
    const count_heads *h = self;

    (void)decode;
    *out = (model_outputs){0};
    out->z = op_input(pass->t, (real *)(uintptr_t)batch->latent, batch->n, h->n_in, false);
}

static tensor *head_loss(const count_heads *h, const nn_pass *pass, const model_batch *batch, int k,
                         tensor *z)
{
    tape *t = pass->t;
    const count_head *head = &h->head[k];
    const affine_sparse *x = &batch->x[k];
    real *depth = batch_depth(pass, head->kind, x);
    op_count_decoder_options o = {.bias = op_param(t, pass->p, head->bias), .floor = LEAST_MEAN, .n_batches = 1};

    if (!depth) return NULL;
    if (head->kind == COUNT_NB) {
        o.library = op_input(t, depth, x->n_rows, 1, false);
        o.log_shape = op_param(t, pass->p, head->log_shape);
    } else {
        o.offset = depth_offset(h, pass, k, depth, x->n_rows);
    }
    tensor *sum = op_count_decoder(t, z, op_param(t, pass->p, head->weight), x, &o);
    return head->kind == COUNT_NB ? op_add(t, sum, op_gamma_terms(t, o.log_shape, x, NULL)) : sum;
}

/* -log likelihood a cell, summed over features and modalities. */
static void loss(const void *self, const nn_pass *pass, const model_batch *batch,
                 const model_outputs *out, model_losses *losses)
{
    const count_heads *h = self;
    tensor *of_kind[] = {NULL, NULL, NULL};

    for (int k = 0; k < h->n; k++) {
        count_kind kind = h->head[k].kind;
        if (kind == COUNT_NONE) continue;
        tensor *one = op_scale(pass->t, head_loss(h, pass, batch, k, out->z),
                               1.0 / (double)batch->n);
        of_kind[kind] = of_kind[kind] ? op_add(pass->t, of_kind[kind], one) : one;
    }
    *losses = (model_losses){0};
    for (int kind = COUNT_NB; kind <= COUNT_BERNOULLI; kind++) {
        if (!of_kind[kind]) continue;
        losses->name[losses->n] = count_kind_name((count_kind)kind);
        losses->part[losses->n++] = of_kind[kind];
        losses->total =
            losses->total ? op_add(pass->t, losses->total, of_kind[kind]) : of_kind[kind];
    }
}

network count_heads_network(count_heads *h)
{
    return (network){h, &h->p, forward, loss};
}
