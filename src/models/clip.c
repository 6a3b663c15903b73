/* SPDX-License-Identifier: BSD-3-Clause */
/* Towers that put each modality into one space, taught by which rows are one cell: the contrastive
 * model of Radford et al. 2021 as team Novel used it for the NeurIPS 2021 competition (specs 4.8), for
 * K >= 2 modalities.
 *
 *   h_0 = dropout(x_k),  h_l = dropout(ELU(W_l h_(l-1) + b_l))
 *   y_k = W h_L + b + P_k x_k            P fitted beforehand (models/linear_path.h), or there is none
 *   v_k = y_k / |y_k|                                                              [n, d]
 *   S   = exp(t_kl) v_k v_l^T            over the cells that have both
 *   loss = mean over the pairs k < l of
 *          1/2 mean_i [ -log softmax(S_i.)_i - log softmax(S_.i)_i ]
 *
 * t_kl is learnt. In training, where the configuration says so, inputs are mixed and blurred, the same
 * mixture in every modality, so that no tower can learn its few cells by heart:
 *
 *   x_i <- (1 - m_i) x_i + m_i x_pi(i) + noise_k eps,   m_i ~ U(0, mixup), pi: the next row that has k too
 *
 * Deviations from the competition's code: docs/models/clip.md. */
#include "models/clip.h"

#include <math.h>
#include <stdio.h>

#define STREAM_INPUT(k_) ((uint32_t)((k_) * (CLIP_MAX_DEPTH + 1)))
#define STREAM_LAYER(k_) (STREAM_INPUT(k_) + 1)

static scw_status add_tower(clip_net *net, int k)
{
    scw_status st = SCW_OK;
    const clip_config *c = &net->config;
    const clip_modality *m = &c->modality[k];
    const int64_t shape[2] = {c->z_dim, m->n_in};
    nn_block_options o = {.n_in = m->n_in, .n_out = c->width, .bias = true, .plain = true,
                          .elu = true, .drop = c->drop, .stream = STREAM_LAYER(k),
                          .group = CLIP_GROUP_WEIGHT, .vector_group = CLIP_GROUP_VECTOR};
    char name[160];

    for (int l = 0; l < c->depth; l++) {
        (void)snprintf(name, sizeof name, "tower.%s.%d", m->name, l);
        TRY(nn_block_add(&net->layer[k][l], &net->p, name, &o));
        o.n_in = c->width;
        o.stream++;
    }
    (void)snprintf(name, sizeof name, "tower.%s.out", m->name);
    TRY(nn_linear_add(&net->out[k], &net->p, name, o.n_in, c->z_dim, true, CLIP_GROUP_WEIGHT,
                      CLIP_GROUP_VECTOR));
    net->path[k] = -1;
    if (!c->path) goto done;
    (void)snprintf(name, sizeof name, "tower.%s.path", m->name);
    TRY(params_add(&net->p, &net->path[k], name, 2, shape, PARAM_KEEP, 0, 0, false,
                   CLIP_GROUP_VECTOR));
done:
    return st;
}

scw_status clip_net_init(clip_net *net, const clip_config *config, uint64_t seed)
{
    scw_status st = SCW_OK;
    const clip_config *c = &net->config;
    const int64_t one = 1;
    char name[160];

    *net = (clip_net){.config = *config};
    if (c->n_modalities < 2 || c->n_modalities > MODEL_MAX_MODALITIES)
        FAIL(SCW_EINVAL, "CLIP needs 2 to %d modalities, not %d", MODEL_MAX_MODALITIES,
             c->n_modalities);
    if (c->depth > CLIP_MAX_DEPTH)
        FAIL(SCW_EINVAL, "CLIP's towers have at most %d layers", CLIP_MAX_DEPTH);
    for (int k = 0; k < c->n_modalities; k++) TRY(add_tower(net, k));
    for (int k = 0; k < c->n_modalities; k++)
        for (int l = k + 1; l < c->n_modalities; l++) {
            (void)snprintf(name, sizeof name, "temperature.%s.%s", c->modality[k].name,
                           c->modality[l].name);
            TRY(params_add(&net->p, &net->temperature[k][l], name, 1, &one, PARAM_UNIFORM,
                           c->temperature, c->temperature, true, CLIP_GROUP_VECTOR));
        }
    TRY(params_build(&net->p, seed));
done:
    if (st != SCW_OK) clip_net_clear(net);
    return st;
}

void clip_net_clear(clip_net *net)
{
    params_clear(&net->p);
    *net = (clip_net){0};
}

/* ------------------------------------------------------------------------------ the inputs */

/* Rows that have modality k are mixed with the next one that has it, and blurred. The shares are the
 * same in every modality, and so are the partners of cells that have all. */
static real *disturb(const clip_net *net, const nn_pass *pass, const clip_batch *b, int k)
{
    const clip_config *c = &net->config;
    const int64_t width = c->modality[k].n_in;
    const rng_key mix = rng_make_key(pass->seed, RNG_MIXUP, 0);
    const real *present = b->present[k], *x = b->input[k];
    real *out = tape_alloc(pass->t, b->n * width, sizeof *out);
    const double size = c->modality[k].noise;
    real *noise = size > 0.0 ? tape_alloc(pass->t, b->n * width, sizeof *noise) : NULL;

    if (!out || (size > 0.0 && !noise)) return NULL;
    if (noise)
        kernel_fill_normal(b->n * width, rng_make_key(pass->seed, RNG_MIXUP, (uint32_t)(k + 1)),
                           pass->step, noise);
    for (int64_t i = 0; i < b->n; i++) {
        int64_t other = (i + 1) % b->n;
        while (present && other != i && present[other] == 0) other = (other + 1) % b->n;
        const real m = (real)(c->mixup * rng_uniform(mix, pass->step, (uint64_t)i));
        for (int64_t j = 0; j < width; j++) {
            real v = (1 - m) * x[i * width + j] + m * x[other * width + j];
            out[i * width + j] = noise ? v + (real)size * noise[i * width + j] : v;
        }
    }
    return out;
}

static tensor *tower(const clip_net *net, const nn_pass *pass, const clip_batch *b, int k)
{
    const clip_config *c = &net->config;
    const bool disturbed = tape_get_mode(pass->t) == TAPE_TRAIN &&
                           (c->modality[k].noise > 0.0 || c->mixup > 0.0);
    real *input = disturbed ? disturb(net, pass, b, k) : b->input[k];
    tensor *x = op_input(pass->t, input, b->n, c->modality[k].n_in, false);
    const rng_key key = rng_make_key(pass->seed, RNG_DROPOUT, STREAM_INPUT(k));
    tensor *h = c->input_drop > 0.0 ? op_dropout(pass->t, x, c->input_drop, key, pass->step, NULL) : x;

    for (int l = 0; l < c->depth; l++) h = nn_block_apply(pass, &net->layer[k][l], h);
    tensor *y = nn_linear_apply(pass, &net->out[k], h);
    if (net->path[k] >= 0)
        y = op_add(pass->t, y,
                   op_linear(pass->t, x, op_param(pass->t, pass->p, net->path[k]), NULL));
    return op_normalise_rows(pass->t, y);
}

void clip_forward(const clip_net *net, const nn_pass *pass, const clip_batch *batch,
                  clip_outputs *out)
{
    *out = (clip_outputs){0};
    for (int k = 0; k < net->config.n_modalities; k++) out->unit[k] = tower(net, pass, batch, k);
}

/* -------------------------------------------------------------------------------- the loss */

/* Which rows have both; NULL: all. */
static const real *both(tape *t, const clip_batch *b, int k, int l)
{
    const real *x = b->present[k], *y = b->present[l];
    real *out = x && y ? tape_alloc(t, b->n, sizeof *out) : NULL;

    if (!x || !y) return x ? x : y;
    for (int64_t i = 0; out && i < b->n; i++) out[i] = x[i] * y[i];
    return out;
}

void clip_loss(const clip_net *net, const nn_pass *pass, const clip_batch *batch,
               const clip_outputs *out, model_losses *losses)
{
    const int K = net->config.n_modalities;
    tensor *sum = NULL;

    for (int k = 0; k < K; k++)
        for (int l = k + 1; l < K; l++) {
            tensor *t = op_param(pass->t, pass->p, net->temperature[k][l]);
            tensor *one = op_contrast(pass->t, out->unit[k], out->unit[l], t,
                                      both(pass->t, batch, k, l));
            sum = sum ? op_add(pass->t, sum, one) : one;
        }
    *losses = (model_losses){.n = 1, .name = {"contrast"}};
    losses->part[0] = losses->total = op_scale(pass->t, sum, 2.0 / (double)(K * (K - 1)));
}
