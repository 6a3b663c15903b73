/* SPDX-License-Identifier: BSD-3-Clause */
/* CLUE (Tu, Cao, Xia, Mostafavi, Gao, NeurIPS 2022): one embedding for cells that have any subset
 * of K modalities. It is K blocks of width d side by side, block m holding what explains modality
 * m, and every modality has an encoder for every block.
 *
 *   layer   = Linear -> LeakyReLU(0.2) -> BatchNorm -> Dropout; the discriminator has no BatchNorm
 *   h_km    = layers(input_k)                   K trunks, or one that all blocks share
 *   loc_k   = [A_km h_km]_m + S_k input_k       [K d]; S fitted beforehand, or there is none
 *   std_k   = [softplus(B_km h_km) + floor]_m   [K d]; floor 1e-7 as published
 *   u_k     = loc_k + std_k eps,  v_k = u_k / |u_k|; at evaluation loc_k / sqrt(|loc_k|^2 + |std_k|^2)
 *   l_k     = ReLU(counts_k W_k + c_k)          [K] a library size for each target
 *   p       = layers([block k of v; b])         b, the batch's one-hot, again after every layer
 *   a       = D_k p;  eta = softplus(s_kb) a + t_kb      s, t, log theta: a number a feature and batch
 *   nb        mean = l softmax(eta) + 1e-7, shape theta_kb
 *   bernoulli P(x > 0) = 1 / (1 + exp(-eta))
 *   normal    mean = a
 *
 * The losses stand in clue_losses.c. Deviations from the authors' code, each with its measured
 * effect: docs/models/clue.md. */
#include "models/clue.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/batch_columns.h"
#include "models/clue_parts.h"

#define SLOPE 0.2

/* Dropout streams of an application; decoders have one for each source beside. */
#define STREAM_ENCODER(k_, trunk_)                                                                 \
    ((uint32_t)(((k_)*MODEL_MAX_MODALITIES + (trunk_)) * CLUE_MAX_DEPTH))
#define STREAM_DECODER STREAM_ENCODER(MODEL_MAX_MODALITIES, 0)
#define STREAM_USE (uint32_t)(MODEL_MAX_MODALITIES * CLUE_MAX_DEPTH)
#define STREAM_CRITIC (STREAM_DECODER + (MODEL_MAX_MODALITIES + 2) * STREAM_USE)

static int n_trunks(const clue_config *c)
{
    return c->share_encoders ? 1 : c->n_modalities;
}

/* Columns of the batch beside an input; one batch is none. */
static int64_t n_batch_columns(const clue_config *c)
{
    return c->n_batches > 1 ? c->n_batches : 0;
}

/* --------------------------------------------------------------------------- parameters */

static scw_status add_layers(nn_block *layer, params *p, const char *name, int depth,
                             const nn_block_options *first, int64_t extra)
{
    scw_status st = SCW_OK;
    nn_block_options o = *first;
    char full[160];

    for (int l = 0; l < depth; l++) {
        (void)snprintf(full, sizeof full, "%s.%d", name, l);
        TRY(nn_block_add(&layer[l], p, full, &o));
        o.n_in = o.n_out + extra;
        o.sparse_input = false;
        o.stream++;
    }
done:
    return st;
}

static scw_status add_encoder(clue_net *net, int k, int trunk)
{
    scw_status st = SCW_OK;
    const clue_config *c = &net->config;
    const clue_modality *m = &c->modality[k];
    clue_encoder *e = &net->encoder[k][trunk];
    const int64_t width = c->share_encoders ? c->n_modalities * c->z_dim : c->z_dim;
    const int64_t n_last = c->encoder_depth > 0 ? c->encoder_width : m->n_in;
    char name[144], full[160];

    if (c->share_encoders)
        (void)snprintf(name, sizeof name, "encoder.%s", m->name);
    else
        (void)snprintf(name, sizeof name, "encoder.%s.%s", m->name, c->modality[trunk].name);
    TRY(add_layers(e->layer, &net->p, name, c->encoder_depth,
                   &(nn_block_options){.n_in = m->n_in,
                                       .n_out = c->encoder_width,
                                       .sparse_input = m->sparse_input,
                                       .bias = true,
                                       .slope = SLOPE,
                                       .drop = c->drop,
                                       .stream = STREAM_ENCODER(k, trunk),
                                       .group = CLUE_ENCODING,
                                       .vector_group = CLUE_ENCODING},
                   0));
    (void)snprintf(full, sizeof full, "%s.loc", name);
    TRY(nn_linear_add(&e->loc, &net->p, full, n_last, width, true, CLUE_ENCODING, CLUE_ENCODING));
    (void)snprintf(full, sizeof full, "%s.std", name);
    TRY(nn_linear_add(&e->std, &net->p, full, n_last, width, true, CLUE_ENCODING, CLUE_ENCODING));
done:
    return st;
}

static scw_status add_path(clue_net *net, int k)
{
    const clue_config *c = &net->config;
    const int64_t shape[2] = {c->n_modalities * c->z_dim, c->modality[k].n_in};
    char name[128];

    net->path[k] = -1;
    if (!c->path) return SCW_OK;
    (void)snprintf(name, sizeof name, "encoder.%s.path", c->modality[k].name);
    return params_add(&net->p, &net->path[k], name, 2, shape, PARAM_ZERO, 0, 0, false, CLUE_ENCODING);
}

/* Library sizes are of use where a target is negative binomial. Their weights start above zero: counts
 * are too, and with weights of either sign, as published, the ReLU of half the targets is closed for
 * every cell, and stays so. */
static scw_status add_library(clue_net *net, int k)
{
    scw_status st = SCW_OK;
    const clue_config *c = &net->config;
    const clue_modality *m = &c->modality[k];
    const int64_t shape[2] = {m->n_vars, c->n_modalities};
    const double bound = 1.0 / sqrt((double)m->n_vars);
    bool any = false;
    char name[128];

    net->library[k] = net->library_bias[k] = -1;
    for (int q = 0; q < c->n_modalities; q++)
        any = any || c->modality[q].likelihood == CLUE_NB;
    if (!any) goto done;
    (void)snprintf(name, sizeof name, "library.%s.weight", m->name);
    TRY(params_add(&net->p, &net->library[k], name, 2, shape, PARAM_UNIFORM, 0.0, bound, true,
                   CLUE_DECODING));
    (void)snprintf(name, sizeof name, "library.%s.bias", m->name);
    TRY(params_add(&net->p, &net->library_bias[k], name, 1, shape + 1, PARAM_UNIFORM, -bound, bound,
                   true, CLUE_DECODING));
done:
    return st;
}

static scw_status add_decoder(clue_net *net, int k)
{
    scw_status st = SCW_OK;
    const clue_config *c = &net->config;
    const clue_modality *m = &c->modality[k];
    clue_decoder *d = &net->decoder[k];
    const int64_t extra = n_batch_columns(c);
    const int64_t by_batch[2] = {c->n_batches > 1 ? c->n_batches : 1, m->n_vars};
    char name[128], full[160];

    (void)snprintf(name, sizeof name, "decoder.%s", m->name);
    TRY(add_layers(d->layer, &net->p, name, c->decoder_depth,
                   &(nn_block_options){.n_in = c->z_dim + extra,
                                       .n_out = c->decoder_width,
                                       .bias = true,
                                       .slope = SLOPE,
                                       .drop = c->decoder_drop,
                                       .stream = STREAM_DECODER + (uint32_t)(k * CLUE_MAX_DEPTH),
                                       .group = CLUE_DECODING,
                                       .vector_group = CLUE_DECODING},
                   extra));
    (void)snprintf(full, sizeof full, "%s.loc", name);
    TRY(nn_linear_add(&d->loc, &net->p, full,
                      (c->decoder_depth > 0 ? c->decoder_width : c->z_dim) + extra, m->n_vars, true,
                      CLUE_DECODING, CLUE_DECODING));
    d->scale = d->shift = d->log_shape = -1;
    if (m->likelihood == CLUE_NORMAL) goto done;
    (void)snprintf(full, sizeof full, "%s.batch_scale", name);
    TRY(params_add(&net->p, &d->scale, full, 2, by_batch, PARAM_ZERO, 0, 0, true, CLUE_DECODING));
    (void)snprintf(full, sizeof full, "%s.batch_shift", name);
    TRY(params_add(&net->p, &d->shift, full, 2, by_batch, PARAM_ZERO, 0, 0, true, CLUE_DECODING));
    if (m->likelihood != CLUE_NB) goto done;
    (void)snprintf(full, sizeof full, "%s.log_shape", name);
    TRY(params_add(&net->p, &d->log_shape, full, 2, by_batch, PARAM_ZERO, 0, 0, true,
                   CLUE_DECODING));
done:
    return st;
}

static scw_status add_critic(clue_net *net)
{
    scw_status st = SCW_OK;
    const clue_config *c = &net->config;
    const int64_t n_in = c->n_modalities * c->z_dim + n_batch_columns(c);

    TRY(add_layers(net->critic, &net->adversary, "discriminator", c->discriminator_depth,
                   &(nn_block_options){.n_in = n_in,
                                       .n_out = c->discriminator_width,
                                       .bias = true,
                                       .plain = true,
                                       .slope = SLOPE,
                                       .drop = c->drop,
                                       .stream = STREAM_CRITIC,
                                       .group = CLUE_ENCODING,
                                       .vector_group = CLUE_ENCODING},
                   0));
    TRY(nn_linear_add(&net->critic_answer, &net->adversary, "discriminator.answer",
                      c->discriminator_depth > 0 ? c->discriminator_width : n_in, c->n_modalities,
                      true, CLUE_ENCODING, CLUE_ENCODING));
done:
    return st;
}

scw_status clue_net_init(clue_net *net, const clue_config *config, uint64_t seed)
{
    scw_status st = SCW_OK;
    const clue_config *c = &net->config;
    double total = 0.0;

    *net = (clue_net){.config = *config};
    if (c->n_modalities < 2 || c->n_modalities > MODEL_MAX_MODALITIES)
        FAIL(SCW_EINVAL, "CLUE needs 2 to %d modalities, not %d", MODEL_MAX_MODALITIES,
             c->n_modalities);
    if (c->encoder_depth > CLUE_MAX_DEPTH || c->decoder_depth > CLUE_MAX_DEPTH ||
        c->discriminator_depth > CLUE_MAX_DEPTH)
        FAIL(SCW_EINVAL, "CLUE's networks have at most %d layers", CLUE_MAX_DEPTH);
    for (int k = 0; k < c->n_modalities; k++)
        total += c->modality[k].weight;
    if (!(total > 0.0)) FAIL(SCW_EINVAL, "the weights of CLUE's modalities are all zero");
    for (int k = 0; k < c->n_modalities; k++)
        net->config.modality[k].weight *= (double)c->n_modalities / total;
    for (int k = 0; k < c->n_modalities; k++) {
        for (int q = 0; q < n_trunks(c); q++)
            TRY(add_encoder(net, k, q));
        TRY(add_path(net, k));
        TRY(add_library(net, k));
        TRY(add_decoder(net, k));
    }
    if (c->n_classes > 0)
        TRY(nn_linear_add(&net->label, &net->p, "label", c->n_modalities * c->z_dim, c->n_classes,
                          true, CLUE_ENCODING, CLUE_ENCODING));
    TRY(add_critic(net));
    TRY(params_build(&net->p, seed));
    TRY(params_build(&net->adversary, seed));
done:
    if (st != SCW_OK) clue_net_clear(net);
    return st;
}

void clue_net_clear(clue_net *net)
{
    params_clear(&net->p);
    params_clear(&net->adversary);
    *net = (clue_net){0};
}

params clue_frozen(const params *p)
{
    params view = *p;

    view.grad = NULL;
    view.memory = NULL;
    return view;
}

/* ----------------------------------------------------------------------------- embedding */

/* Given normals, or random ones at an address; NULL after a failure, which the tape remembers. */
tensor *clue_normals(const nn_pass *pass, const real *given, int64_t rows, int64_t cols,
                       uint32_t stream)
{
    real *drawn = given ? NULL : tape_alloc(pass->t, rows * cols, sizeof *drawn);

    if (drawn)
        kernel_fill_normal(rows * cols, rng_make_key(pass->seed, RNG_LATENT, stream), pass->step,
                           drawn);
    return op_input(pass->t, given ? (real *)(uintptr_t)given : drawn, rows, cols, false);
}

static void encode_trunk(const clue_net *net, const nn_pass *pass, const clue_slot *slot, int64_t n,
                         int k, int trunk, tensor **loc, tensor **std)
{
    const clue_encoder *e = &net->encoder[k][trunk];
    const clue_modality *m = &net->config.modality[k];
    const int depth = net->config.encoder_depth;
    tensor *h = m->sparse_input
                    ? NULL
                    : op_input(pass->t, (real *)(uintptr_t)slot->dense, n, m->n_in, false);

    for (int l = 0; l < depth; l++)
        h = l == 0 && m->sparse_input
                ? nn_block_after_linear(pass, &e->layer[0],
                                        nn_block_linear_sparse(pass, &e->layer[0], slot->x, -1))
                : nn_block_apply(pass, &e->layer[l], h);
    *loc = nn_linear_apply(pass, &e->loc, h);
    const double floor = net->config.floor > 0.0 ? net->config.floor : CLUE_FLOOR;
    *std = op_softplus(pass->t, nn_linear_apply(pass, &e->std, h), floor);
}

static tensor *library_sizes(const clue_net *net, const nn_pass *pass, const clue_slot *slot, int k)
{
    tape *t = pass->t;

    if (net->library[k] < 0 || !slot->counts.indptr) return NULL;
    tensor *sums = op_affine_linear(t, &slot->counts, op_param(t, pass->p, net->library[k]), NULL);
    return op_relu(t, op_add_bias(t, sums, op_param(t, pass->p, net->library_bias[k])));
}

/* About the mean of u / |u|: loc / sqrt(|loc|^2 + |std|^2). Decoders have seen samples, whose signal is
 * that much shorter than one, and would overshoot on loc / |loc|. */
static tensor *mean_of_samples(tape *t, tensor *loc, tensor *std)
{
    tensor *both = op_normalise_rows(t, op_concat(t, (tensor *[]){loc, std}, 2));

    return both ? op_slice(t, both, 0, both->dim[1] / 2) : NULL;
}

void clue_encode(const clue_net *net, const nn_pass *pass, const clue_batch *batch, int k,
                 clue_outputs *out)
{
    tape *t = pass->t;
    const clue_config *c = &net->config;
    const clue_slot *slot = &batch->slot[k];
    tensor *loc[MODEL_MAX_MODALITIES], *std[MODEL_MAX_MODALITIES];

    out->library[k] = library_sizes(net, pass, slot, k);
    if (slot->unit) {
        out->unit[k] = op_input(t, (real *)(uintptr_t)slot->unit, batch->n,
                                c->n_modalities * c->z_dim, false);
        return;
    }
    for (int q = 0; q < n_trunks(c); q++)
        encode_trunk(net, pass, slot, batch->n, k, q, &loc[q], &std[q]);
    out->loc[k] = op_concat(t, loc, n_trunks(c));
    if (net->path[k] >= 0) {
        tensor *x =
            op_input(t, (real *)(uintptr_t)slot->dense, batch->n, c->modality[k].n_in, false);
        out->loc[k] =
            op_add(t, out->loc[k], op_linear(t, x, op_param(t, pass->p, net->path[k]), NULL));
    }
    out->std[k] = op_concat(t, std, n_trunks(c));
    tensor *u = out->loc[k];
    const bool sampled = tape_get_mode(t) == TAPE_TRAIN || slot->eps;
    if (sampled) {
        tensor *eps = clue_normals(pass, slot->eps, batch->n, c->n_modalities * c->z_dim, (uint32_t)k);
        u = op_add(t, u, op_multiply(t, out->std[k], eps));
    }
    out->unit[k] = sampled ? op_normalise_rows(t, u) : mean_of_samples(t, u, out->std[k]);
}

/* v: the length of a mean does not matter, so sums do. */
static tensor *joint_embedding(const clue_net *net, tape *t, const clue_batch *batch,
                               tensor *const *unit)
{
    tensor *sum = NULL;

    for (int k = 0; k < net->config.n_modalities; k++) {
        const real *present = batch->slot[k].present;
        tensor *one = present ? op_row_scale(t, unit[k], present) : unit[k];
        sum = sum ? op_add(t, sum, one) : one;
    }
    return op_normalise_rows(t, sum);
}

void clue_forward(const clue_net *net, const nn_pass *pass, const clue_batch *batch,
                  clue_outputs *out)
{
    *out = (clue_outputs){0};
    for (int k = 0; k < net->config.n_modalities; k++)
        clue_encode(net, pass, batch, k, out);
    out->joint = joint_embedding(net, pass->t, batch, out->unit);
}

/* ------------------------------------------------------------------------------ decoders */

/* One-hot columns of the batch, or NULL where there are none. */
tensor *clue_batch_input(const clue_net *net, tape *t, const int32_t *batch, int64_t n)
{
    const int64_t width = n_batch_columns(&net->config);
    real *columns = width ? tape_alloc(t, n * width, sizeof *columns) : NULL;

    if (!width) return NULL;
    if (columns) batch_columns(columns, width, batch, n, width);
    return op_input(t, columns, n, width, false);
}

tensor *clue_beside(tape *t, tensor *x, tensor *columns)
{
    return columns ? op_concat(t, (tensor *[]){x, columns}, 2) : x;
}

/* What the last layer of decoder k reads. */
tensor *clue_decoder_input(const clue_net *net, const nn_pass *pass, int k, tensor *unit,
                           const int32_t *batch, int use)
{
    tape *t = pass->t;
    const clue_config *c = &net->config;

    if (!unit) return NULL;
    tensor *columns = clue_batch_input(net, t, batch, unit->dim[0]);
    tensor *p = clue_beside(t, op_slice(t, unit, k * c->z_dim, (k + 1) * c->z_dim), columns);
    for (int l = 0; l < c->decoder_depth; l++) {
        nn_block layer = net->decoder[k].layer[l];
        layer.stream += (uint32_t)use * STREAM_USE;
        p = clue_beside(t, nn_block_apply(pass, &layer, p), columns);
    }
    return p;
}

tensor *clue_decode(const clue_net *net, const nn_pass *pass, int k, tensor *unit, tensor *library,
                    const int32_t *batch, int use)
{
    tape *t = pass->t;
    const clue_decoder *d = &net->decoder[k];
    const clue_likelihood likelihood = net->config.modality[k].likelihood;

    tensor *a = nn_linear_apply(pass, &d->loc, clue_decoder_input(net, pass, k, unit, batch, use));
    if (likelihood == CLUE_NORMAL) return a;
    tensor *eta = op_batch_affine(t, a, op_softplus(t, op_param(t, pass->p, d->scale), 0.0),
                                  op_param(t, pass->p, d->shift), batch);
    if (likelihood == CLUE_BERNOULLI) return eta;
    return op_row_multiply(t, op_softmax(t, eta), library, CLUE_FLOOR);
}

/* -log p(x_k | decoded), less op_gamma_terms, without writing down what is decoded. */
tensor *clue_decoded_loss(const clue_net *net, const nn_pass *pass, int k, tensor *unit, tensor *library,
                          const affine_sparse *x, const int32_t *batch, int use)
{
    tape *t = pass->t;
    const clue_decoder *d = &net->decoder[k];
    const clue_likelihood likelihood = net->config.modality[k].likelihood;
    tensor *p = clue_decoder_input(net, pass, k, unit, batch, use);

    if (likelihood == CLUE_NORMAL) return nn_linear_error(pass, &d->loc, p, x);
    const op_count_decoder_options o = {
        .bias = op_param(t, pass->p, d->loc.bias),
        .scale = op_softplus(t, op_param(t, pass->p, d->scale), 0.0),
        .shift = op_param(t, pass->p, d->shift),
        .library = likelihood == CLUE_NB ? library : NULL,
        .log_shape = likelihood == CLUE_NB ? op_param(t, pass->p, d->log_shape) : NULL,
        .floor = CLUE_FLOOR,
        .batch = batch,
        .n_batches = net->config.n_batches > 1 ? net->config.n_batches : 1};
    return op_count_decoder(t, p, op_param(t, pass->p, d->loc.weight), x, &o);
}
