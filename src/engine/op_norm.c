/* SPDX-License-Identifier: BSD-3-Clause */
/* Batch norm, dropout, softmax and the sampled latent: what differs between training and use. */
#include <stdio.h>
#include <string.h>

#include "engine/ops.h"

/* ------------------------------------------------------------- random masks */

/* Multipliers of inverted dropout for n values, random or from given 0/1 ones. NULL after a failure. */
static real *dropout_mask(tape *t, const op_record *r, int64_t n, double drop)
{
    real *keep = op_memory(t, n);

    if (keep && r->attr.given)
        kernel_scale(n, (real)(1.0 / (1.0 - drop)), r->attr.given, keep);
    else if (keep)
        kernel_fill_keep(n, drop, r->attr.key, r->attr.step, keep);
    return keep;
}

static bool check_drop(double drop, char *why, size_t size)
{
    if (drop >= 0 && drop < 1) return true;
    (void)snprintf(why, size, "the rate %g is not in [0, 1)", drop);
    return false;
}

/* ------------------------------------------------------------- batch_norm
 * with relu before and dropout after it where asked for; number = eps, momentum, drop. */

/* What the gradient needs: the statistics that were used, and whether they came from the batch (then
 * they depend on x) or were the running ones (constants). */
typedef struct norm_state {
    bool of_batch;
    kernel_norm norm;
} norm_state;

static bool batch_norm_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    const tensor *x = r->in[0];

    if (x->n_dims != 2 || r->in[1]->size != x->dim[1] || r->in[2]->size != x->dim[1] ||
        !r->attr.running_mean || !r->attr.running_var) {
        (void)snprintf(why, size, "x must be [rows, cols], gamma, beta and the statistics [cols]");
        return false;
    }
    out->dim[0] = x->dim[0];
    out->dim[1] = x->dim[1];
    return check_drop(r->attr.number[2], why, size);
}

static bool batch_norm_state(tape *t, op_record *r)
{
    int64_t rows = r->out->dim[0], cols = r->out->dim[1];
    bool training = tape_get_mode(t) == TAPE_TRAIN;
    norm_state *s = tape_alloc(t, 1, sizeof *s);

    if (!s) return false;
    *s = (norm_state){.of_batch = training && rows > 1,
                      .norm = {.rows = rows, .cols = cols, .x = r->in[0]->value,
                               .relu = r->attr.relu, .gamma = r->in[1]->value,
                               .beta = r->in[2]->value, .eps = (real)r->attr.number[0],
                               .mean = op_memory(t, cols), .inv_std = op_memory(t, cols)}};
    r->saved = s;
    if (!s->norm.mean || !s->norm.inv_std) return false;
    if (!training || r->attr.number[2] == 0) return true;
    s->norm.keep = dropout_mask(t, r, rows * cols, r->attr.number[2]);
    return s->norm.keep != NULL;
}

static void batch_norm_forward(tape *t, op_record *r)
{
    if (!batch_norm_state(t, r)) return;
    const norm_state *s = r->saved;
    if (s->of_batch) {
        kernel_batch_norm_train(&s->norm, (real)r->attr.number[1], r->attr.running_mean,
                                r->attr.running_var, r->out->value);
        return;
    }
    kernel_batch_norm_eval(&s->norm, r->attr.running_mean, r->attr.running_var, r->out->value);
    for (int64_t j = 0; j < s->norm.cols && r->out->grad; j++) {
        s->norm.mean[j] = r->attr.running_mean[j];
        s->norm.inv_std[j] = 1 / real_sqrt(r->attr.running_var[j] + s->norm.eps);
    }
}

/* y = (gamma (x' - mean) inv_std + beta) keep with constant statistics. */
static void fixed_norm_backward(const op_record *r, const kernel_norm *b, real *d_gamma,
                                real *d_beta)
{
    real *d_x = r->in[0]->grad;

    for (int64_t e = 0; e < b->rows * b->cols; e++) {
        int64_t j = e % b->cols;
        bool off = b->relu && b->x[e] <= 0;
        real g = r->out->grad[e] * (b->keep ? b->keep[e] : 1), x = off ? 0 : b->x[e];
        real before = d_x && !op_is_fresh(r, 0) ? d_x[e] : 0;
        if (d_x) d_x[e] = before + (off ? 0 : g * b->gamma[j] * b->inv_std[j]);
        d_gamma[j] += g * (x - b->mean[j]) * b->inv_std[j];
        d_beta[j] += g;
    }
}

static void batch_norm_backward(tape *t, op_record *r)
{
    const norm_state *s = r->saved;
    real *d_gamma = op_grad_or_spare(t, r->in[1]), *d_beta = op_grad_or_spare(t, r->in[2]);

    if (!d_gamma || !d_beta) return;
    if (op_is_fresh(r, 1)) memset(d_gamma, 0, (size_t)r->in[1]->size * sizeof(real));
    if (op_is_fresh(r, 2)) memset(d_beta, 0, (size_t)r->in[2]->size * sizeof(real));
    if (s->of_batch)
        kernel_batch_norm_backward(&s->norm, r->out->grad, op_is_fresh(r, 0), r->in[0]->grad,
                                   d_gamma, d_beta);
    else
        fixed_norm_backward(r, &s->norm, d_gamma, d_beta);
}

/* Plain, with relu, with dropout, with both; from the batch, and of running statistics. */
static tensor *batch_norm_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;
    int way = variant / 2 % 4;

    if (!sample_shape(variant / 8, &rows, &cols)) return NULL;
    if (variant % 2) tape_reset(t, TAPE_EVAL_GRAD);
    wrt[0] = sample_input(t, rows, cols, 1);
    wrt[1] = sample_input(t, 1, cols, 2);
    wrt[2] = sample_input(t, 1, cols, 3);
    *n_wrt = 3;
    tensor *mean = sample_input(t, 1, cols, 4), *var = sample_input(t, 1, cols, 5);
    if (!mean || !var) return NULL;
    for (int64_t j = 0; j < cols; j++) var->value[j] = real_fabs(var->value[j]);
    op_batch_norm_options o = {.running_mean = mean->value, .running_var = var->value, .eps = 1e-5,
                         .momentum = 0.1, .relu = way & 1, .drop = way & 2 ? 0.3 : 0.0,
                         .key = rng_make_key(1, RNG_TEST, 7), .step = 2};
    return op_batch_norm(t, wrt[0], wrt[1], wrt[2], &o);
}

const op_spec spec_batch_norm = {"batch_norm", 3, batch_norm_shape, batch_norm_forward,
                                   batch_norm_backward, batch_norm_sample, true, 0};

tensor *op_batch_norm(tape *t, tensor *x, tensor *gamma, tensor *beta, const op_batch_norm_options *o)
{
    op_attributes attr = {.running_mean = o->running_mean, .running_var = o->running_var,
                          .number = {o->eps, o->momentum, o->drop}, .relu = o->relu,
                          .key = o->key, .step = o->step, .given = o->mask};
    return tape_apply(t, &spec_batch_norm, (tensor *[]){x, gamma, beta}, 3, &attr);
}

/* ------------------------------------------------------------- dropout: number[0] = drop */

static bool dropout_shape(const op_record *r, tensor *out, char *why, size_t size)
{
    return check_drop(r->attr.number[0], why, size) && op_shape_same(r, out, why, size);
}

/* `saved` is the multiplier of each element: 0 or 1 / (1 - drop). */
static void dropout_forward(tape *t, op_record *r)
{
    real *keep = dropout_mask(t, r, r->out->size, r->attr.number[0]);

    r->saved = keep;
    if (keep) kernel_multiply(r->out->size, r->in[0]->value, keep, r->out->value);
}

static void dropout_backward(tape *t, op_record *r)
{
    (void)t;
    if (r->in[0]->grad)
        kernel_multiply_accumulate(r->out->size, r->out->grad, r->saved, r->in[0]->grad);
}

static tensor *dropout_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;

    if (!sample_shape(variant / 2, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    *n_wrt = 1;
    tensor *mask = sample_input(t, rows, cols, 2);
    if (!mask) return NULL;
    for (int64_t e = 0; e < mask->size; e++) mask->value[e] = mask->value[e] > 0;
    return op_dropout(t, wrt[0], 0.3, rng_make_key(1, RNG_TEST, 9), 2,
                      variant % 2 ? mask->value : NULL);
}

const op_spec spec_dropout = {"dropout", 1, dropout_shape, dropout_forward, dropout_backward,
                                dropout_sample, false, 0};

tensor *op_dropout(tape *t, tensor *x, double drop, rng_key key, uint32_t step, const real *mask)
{
    op_attributes attr = {.number = {drop}, .key = key, .step = step, .given = mask};

    if (x && (tape_get_mode(t) != TAPE_TRAIN || drop == 0)) return x;
    return tape_apply(t, &spec_dropout, &x, 1, &attr);
}

/* ------------------------------------------------------------- softmax of each row */

static void softmax_forward(tape *t, op_record *r)
{
    (void)t;
    kernel_softmax(r->out->dim[0], r->out->dim[1], r->in[0]->value, r->out->value);
}

/* d_x = y (g - sum_c g_c y_c) */
static void softmax_backward(tape *t, op_record *r)
{
    int64_t cols = r->out->dim[1];

    (void)t;
    for (int64_t i = 0; i < r->out->dim[0] && r->in[0]->grad; i++) {
        const real *y = r->out->value + i * cols, *g = r->out->grad + i * cols;
        real *d = r->in[0]->grad + i * cols;
        double dot = 0.0;
        for (int64_t j = 0; j < cols; j++) dot += (double)g[j] * (double)y[j];
        for (int64_t j = 0; j < cols; j++) d[j] += y[j] * (g[j] - (real)dot);
    }
}

static tensor *softmax_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;

    if (!sample_shape(variant, &rows, &cols)) return NULL;
    wrt[0] = sample_input(t, rows, cols, 1);
    *n_wrt = 1;
    return op_softmax(t, wrt[0]);
}

const op_spec spec_softmax = {"softmax", 1, op_shape_same, softmax_forward, softmax_backward,
                                softmax_sample, false, 0};

tensor *op_softmax(tape *t, tensor *x)
{
    return tape_apply(t, &spec_softmax, &x, 1, NULL);
}

/* ------------------------------------------------------------- reparameterise */

/* `saved` is eps exp(logvar / 2), the distance of z from mu; NULL when z is mu. */
static void reparameterise_forward(tape *t, op_record *r)
{
    const real *mu = r->in[0]->value, *logvar = r->in[1]->value;
    int64_t n = r->out->size;

    r->saved = NULL;
    if (tape_get_mode(t) != TAPE_TRAIN && !r->attr.given) {
        memcpy(r->out->value, mu, (size_t)n * sizeof(real));
        return;
    }
    real *away = op_memory(t, n), *drawn = r->attr.given ? NULL : op_memory(t, n);
    if (!away || (!r->attr.given && !drawn)) return;
    if (drawn) kernel_fill_normal(n, r->attr.key, r->attr.step, drawn);
    kernel_scale(n, (real)0.5, logvar, away);
    kernel_exp(n, away, away);
    kernel_multiply(n, away, drawn ? drawn : r->attr.given, away);
    kernel_add(n, mu, away, r->out->value);
    r->saved = away;
}

static void reparameterise_backward(tape *t, op_record *r)
{
    const real *away = r->saved, *g = r->out->grad;
    real *d_mu = r->in[0]->grad, *d_logvar = r->in[1]->grad;
    int64_t n = r->out->size;

    (void)t;
    if (d_mu) kernel_accumulate(n, 1, g, d_mu);
    for (int64_t e = 0; e < n && d_logvar && away; e++) d_logvar[e] += (real)0.5 * g[e] * away[e];
}

static tensor *reparameterise_sample(tape *t, int variant, tensor **wrt, int *n_wrt)
{
    int64_t rows, cols;
    int way = variant % 3; /* random, given, evaluation */

    if (!sample_shape(variant / 3, &rows, &cols)) return NULL;
    if (way == 2) tape_reset(t, TAPE_EVAL_GRAD);
    wrt[0] = sample_input(t, rows, cols, 1);
    wrt[1] = sample_input(t, rows, cols, 2);
    *n_wrt = 2;
    tensor *eps = sample_input(t, rows, cols, 3);
    if (!eps) return NULL;
    return op_reparameterise(t, wrt[0], wrt[1], rng_make_key(1, RNG_TEST, 8), 3,
                             way == 1 ? eps->value : NULL);
}

const op_spec spec_reparameterise = {"reparameterise", 2, op_shape_same, reparameterise_forward,
                                       reparameterise_backward, reparameterise_sample, false, 0};

tensor *op_reparameterise(tape *t, tensor *mu, tensor *logvar, rng_key key, uint32_t step,
                          const real *eps)
{
    op_attributes attr = {.key = key, .step = step, .given = eps};
    return tape_apply(t, &spec_reparameterise, (tensor *[]){mu, logvar}, 2, &attr);
}
