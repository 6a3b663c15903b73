/* SPDX-License-Identifier: BSD-3-Clause */
/* Matilda (Liu, Huang, Yang, Nucleic Acids Research 2023, 51:e45): one network that classifies,
 * embeds, simulates and explains cells measured in several modalities.
 *
 * For modality m with F_m features, x_m the transformed cell (prep/transform.h), * elementwise:
 *
 *   u_m    = x_m P_m                               fitted projection [F_m, K_m]     (not published)
 *   h_m    = block(u_m or x_m * w_m)               [H_m]  w_m: learnable feature weight
 *   h      = block([h_1; h_2; ...])                [joint]
 *   mu     = norm(h A) + sum_m A_m u_m             [d]    block without ReLU; A_m: not published
 *   logvar = norm(h B)                             [d]
 *   z      = mu + eps * exp(logvar / 2)
 *   xhat_m = block(z), or D_m z + d_m              [F_m]  without dropout; z is [z; b] where batches
 *                                                        are known (models/batch_columns.h)
 *   logits = C z + c                               [C]
 *   answer = (C mu + c + sum_m S_m u_m + s) / 2    [C]    with the shortcut, else C mu + c
 *
 * The paper draws a shortcut that the authors' code lacks. Here it has two parts, both linear in
 * the projected inputs and both fitted before training (train/shortcut.h): S_m is a logistic
 * regression, and A_m brings its directions into the latent space, so that training starts from
 * there.
 *
 *   block  = Linear without bias -> ReLU -> BatchNorm -> Dropout
 *
 *   rec = mean over all values of (xhat - x)^2                          (published), or
 *         mean over cells and modalities of the squared error of a cell (with x_m scaled to unit
 *         total variance: the share of variance left unexplained)
 *   kl  = mean over cells and latent dimensions of KL(q(z|x) || N(0, 1))
 *   cls = label-smoothed cross-entropy, of the sample or half of the sample and half of mu
 *   loss = rec_weight (rec + kl_weight kl / F) + cls_weight cls         (published), or
 *          rec_weight (rec + kl_weight d kl) + cls_weight cls
 *
 * Deviations from the authors' code, each with its measured effect: docs/models/matilda.md. */
#include "models/matilda.h"

#include <stdio.h>
#include <string.h>

#include "models/batch_columns.h"

/* --------------------------------------------------------------------------- parameters */

static scw_status add_encoder(matilda_net *net, int m)
{
    scw_status st = SCW_OK;
    const matilda_modality *mod = &net->config.modality[m];
    const bool projected = mod->n_components > 0;
    const int64_t n_in = projected ? mod->n_components : mod->n_vars;
    char name[128];

    net->projection[m] = net->feature_weight[m] = -1;
    if (projected) {
        int64_t shape[2] = {mod->n_vars, mod->n_components};
        (void)snprintf(name, sizeof name, "projection.%s", mod->name);
        TRY(params_add(&net->p, &net->projection[m], name, 2, shape, PARAM_KEEP, 0, 0, false, 0));
    }
    if (net->config.feature_weight) {
        /* The published start, 0.001 U(0, 1), starves a projected input; that one starts at 1. */
        double high = projected ? 1.0 : net->config.feature_weight_init;
        (void)snprintf(name, sizeof name, "encoder.%s.feature_weight", mod->name);
        TRY(params_add(&net->p, &net->feature_weight[m], name, 1, &n_in, PARAM_UNIFORM,
                       projected ? 1.0 : 0.0, high, true, MATILDA_GROUP_VECTOR));
    }
    (void)snprintf(name, sizeof name, "encoder.%s", mod->name);
    TRY(nn_block_add(&net->encoder[m], &net->p, name,
                     &(nn_block_options){.n_in = n_in,
                                         .n_out = mod->n_hidden,
                                         .relu = true,
                                         .sparse_input = !projected,
                                         .drop = net->config.drop,
                                         .stream = (uint32_t)m,
                                         .group = MATILDA_GROUP_WEIGHT,
                                         .vector_group = MATILDA_GROUP_VECTOR}));
    params_use_once(&net->p, net->encoder[m].weight);
done:
    return st;
}

static scw_status add_latent(matilda_net *net)
{
    scw_status st = SCW_OK;
    const matilda_config *c = &net->config;
    int64_t n_hidden = 0;

    for (int m = 0; m < c->n_modalities; m++)
        n_hidden += c->modality[m].n_hidden;
    nn_block_options o = {.n_in = n_hidden,
                          .n_out = c->n_joint,
                          .relu = true,
                          .drop = c->drop,
                          .stream = MATILDA_STREAM_JOINT,
                          .group = MATILDA_GROUP_WEIGHT,
                          .vector_group = MATILDA_GROUP_VECTOR};
    TRY(nn_block_add(&net->joint, &net->p, "encoder.joint", &o));
    o.n_in = c->n_joint;
    o.n_out = c->z_dim;
    o.relu = false;
    o.drop = c->latent_drop;
    o.stream = MATILDA_STREAM_MU;
    TRY(nn_block_add(&net->mu, &net->p, "latent.mu", &o));
    o.stream = MATILDA_STREAM_LOGVAR;
    TRY(nn_block_add(&net->logvar, &net->p, "latent.logvar", &o));
done:
    return st;
}

static scw_status add_decoder(matilda_net *net, int m)
{
    scw_status st = SCW_OK;
    const matilda_config *c = &net->config;
    const int64_t n_in = c->z_dim + c->n_batches, n_vars = c->modality[m].n_vars;
    char name[128];

    (void)snprintf(name, sizeof name, "decoder.%s", c->modality[m].name);
    if (c->linear_decoder)
        TRY(nn_linear_add(&net->linear_decoder[m], &net->p, name, n_in, n_vars, true,
                          MATILDA_GROUP_DECODER + m, MATILDA_GROUP_DECODER + m));
    else
        TRY(nn_block_add(&net->decoder[m], &net->p, name,
                         &(nn_block_options){.n_in = n_in,
                                             .n_out = n_vars,
                                             .relu = true,
                                             .group = MATILDA_GROUP_WEIGHT,
                                             .vector_group = MATILDA_GROUP_VECTOR}));
    params_use_once(&net->p, c->linear_decoder ? net->linear_decoder[m].weight
                                               : net->decoder[m].weight);
done:
    return st;
}

static bool has_shortcut(const matilda_config *c, int m)
{
    return c->shortcut && c->modality[m].n_components > 0;
}

/* Linear paths start at zero: without a fit they say nothing. */
static scw_status add_paths(matilda_net *net, int m)
{
    scw_status st = SCW_OK;
    const matilda_config *c = &net->config;
    int64_t to_latent[2] = {c->z_dim, c->modality[m].n_components};
    int64_t to_logits[2] = {c->n_classes, c->modality[m].n_components};
    char name[128];

    net->latent_path[m] = net->shortcut[m] = -1;
    if (!has_shortcut(c, m)) goto done;
    (void)snprintf(name, sizeof name, "latent.path.%s", c->modality[m].name);
    TRY(params_add(&net->p, &net->latent_path[m], name, 2, to_latent, PARAM_ZERO, 0, 0, true,
                   MATILDA_GROUP_WEIGHT));
    (void)snprintf(name, sizeof name, "shortcut.%s", c->modality[m].name);
    TRY(params_add(&net->p, &net->shortcut[m], name, 2, to_logits, PARAM_ZERO, 0, 0, false,
                   MATILDA_GROUP_FIXED));
done:
    return st;
}

static scw_status add_heads(matilda_net *net)
{
    scw_status st = SCW_OK;
    const matilda_config *c = &net->config;
    bool any = false;

    TRY(nn_linear_add(&net->classifier, &net->p, "classifier", c->z_dim, c->n_classes, true,
                      MATILDA_GROUP_WEIGHT, MATILDA_GROUP_VECTOR));
    for (int m = 0; m < c->n_modalities; m++) {
        TRY(add_decoder(net, m));
        TRY(add_paths(net, m));
        any = any || has_shortcut(c, m);
    }
    net->shortcut_bias = -1;
    if (any)
        TRY(params_add(&net->p, &net->shortcut_bias, "shortcut.bias", 1, &c->n_classes, PARAM_ZERO,
                       0, 0, false, MATILDA_GROUP_FIXED));
done:
    return st;
}

scw_status matilda_net_init(matilda_net *net, const matilda_config *config, uint64_t seed)
{
    scw_status st = SCW_OK;

    *net = (matilda_net){.config = *config};
    for (int m = 0; m < config->n_modalities; m++)
        TRY(add_encoder(net, m));
    TRY(add_latent(net));
    TRY(add_heads(net));
    TRY(params_build(&net->p, seed));
done:
    if (st != SCW_OK) matilda_net_clear(net);
    return st;
}

void matilda_net_clear(matilda_net *net)
{
    params_clear(&net->p);
    *net = (matilda_net){0};
}

/* ----------------------------------------------------------------------------- equations */

/* v_m = x_m V_m [n, K_m or H_m]: u_m, or without a projection the linear map of the encoder. */
static tensor *first(const matilda_net *net, const nn_pass *pass, const model_batch *batch, int m)
{
    if (net->projection[m] < 0)
        return nn_block_linear_sparse(pass, &net->encoder[m], &batch->x[m], net->feature_weight[m]);
    const int64_t width = net->config.modality[m].n_components;
    tensor *u = batch->projected[m]
                    ? op_input(pass->t, batch->projected[m], batch->n, width, false)
                    : op_affine_linear(pass->t, &batch->x[m],
                                       op_param(pass->t, pass->p, net->projection[m]), NULL);
    if (net->config.input_drop <= 0.0) return u;
    uint32_t stream = (uint32_t)(MATILDA_STREAM_INPUT + m);
    return op_dropout(pass->t, u, net->config.input_drop,
                      rng_make_key(pass->seed, RNG_DROPOUT, stream), pass->step,
                      pass->masks ? pass->masks[stream] : NULL);
}

static tensor *encode(const matilda_net *net, const nn_pass *pass, const model_batch *batch, int m,
                      tensor *v)
{
    tensor *h;
    int w = net->feature_weight[m];

    if (net->projection[m] >= 0) {
        if (w >= 0) v = op_col_scale(pass->t, v, op_param(pass->t, pass->p, w));
        h = nn_block_apply(pass, &net->encoder[m], v);
    } else {
        h = nn_block_after_linear(pass, &net->encoder[m], v);
    }
    /* A cell that lacks the modality says nothing through it. */
    if (batch->x[m].row_weight) h = op_row_scale(pass->t, h, batch->x[m].row_weight);
    return h; /* [n, H_m] */
}

/* [z; b], or z where the decoders see no batch. */
static tensor *decoder_input(const matilda_net *net, const nn_pass *pass, tensor *z,
                             const int32_t *batch)
{
    const int64_t n_batches = net->config.n_batches;

    if (n_batches == 0 || !z) return z;
    real *columns = tape_alloc(pass->t, z->dim[0] * n_batches, sizeof *columns);
    if (!columns) return NULL;
    batch_columns(columns, n_batches, batch, z->dim[0], n_batches);
    tensor *const parts[] = {z, op_input(pass->t, columns, z->dim[0], n_batches, false)};
    return op_concat(pass->t, parts, 2);
}

void matilda_decode(const matilda_net *net, const nn_pass *pass, tensor *z, const int32_t *batch,
                    model_outputs *out)
{
    out->decoder_input = decoder_input(net, pass, z, batch);
    for (int m = 0; m < net->config.n_modalities; m++) /* [n, F_m] */
        out->recon[m] = net->config.linear_decoder
                            ? nn_linear_apply(pass, &net->linear_decoder[m], out->decoder_input)
                            : nn_block_apply(pass, &net->decoder[m], out->decoder_input);
}

/* mu, with the linear path: norm(h A) + sum_m A_m u_m. */
static tensor *posterior_mean(const matilda_net *net, const nn_pass *pass, tensor *joint,
                              tensor *const *u)
{
    tensor *mu = nn_block_apply(pass, &net->mu, joint);

    for (int m = 0; m < net->config.n_modalities; m++) {
        if (net->latent_path[m] < 0) continue;
        tensor *a = op_param(pass->t, pass->p, net->latent_path[m]);
        mu = op_add(pass->t, mu, op_linear(pass->t, u[m], a, NULL));
    }
    return mu;
}

/* (logits + sum_m S_m u_m + s) / 2: the geometric mean of two answers' probabilities. */
static tensor *answer(const matilda_net *net, const nn_pass *pass, tensor *logits, tensor *const *u)
{
    tape *t = pass->t;
    tensor *bias = net->shortcut_bias >= 0 ? op_param(t, pass->p, net->shortcut_bias) : NULL;

    if (!bias) return logits;
    for (int m = 0; m < net->config.n_modalities; m++) {
        if (net->shortcut[m] < 0) continue;
        tensor *s = op_param(t, pass->p, net->shortcut[m]);
        logits = op_add(t, logits, op_linear(t, u[m], s, bias));
        bias = NULL; /* added once */
    }
    return op_scale(t, logits, 0.5);
}

void matilda_first(const matilda_net *net, const nn_pass *pass, const model_batch *batch,
                   tensor **v)
{
    for (int m = 0; m < net->config.n_modalities; m++)
        v[m] = first(net, pass, batch, m);
}

void matilda_forward_from(const matilda_net *net, const nn_pass *pass, const model_batch *batch,
                          tensor *const *v, bool decode, model_outputs *out)
{
    tape *t = pass->t;
    const matilda_config *c = &net->config;
    tensor *h[MODEL_MAX_MODALITIES];

    *out = (model_outputs){0};
    for (int m = 0; m < c->n_modalities; m++)
        h[m] = encode(net, pass, batch, m, v[m]);
    tensor *joint = nn_block_apply(pass, &net->joint, op_concat(t, h, c->n_modalities));
    out->mu = posterior_mean(net, pass, joint, v);
    out->logvar = nn_block_apply(pass, &net->logvar, joint);
    out->z = op_reparameterise(t, out->mu, out->logvar, rng_make_key(pass->seed, RNG_LATENT, 0),
                               pass->step, batch->eps);
    out->logits = nn_linear_apply(pass, &net->classifier, out->z);
    if (tape_get_mode(t) != TAPE_TRAIN)
        out->logits = answer(net, pass, out->logits, v);
    else if (c->classify_mean > 0.0)
        out->mean_logits = nn_linear_apply(pass, &net->classifier, out->mu);
    if (decode)
        matilda_decode(net, pass, out->z, batch->batch, out);
    else if (tape_get_mode(t) == TAPE_TRAIN)
        out->decoder_input = decoder_input(net, pass, out->z, batch->batch);
}

void matilda_forward(const matilda_net *net, const nn_pass *pass, const model_batch *batch,
                     bool decode, model_outputs *out)
{
    tensor *v[MODEL_MAX_MODALITIES];

    matilda_first(net, pass, batch, v);
    matilda_forward_from(net, pass, batch, v, decode, out);
}

/* Number of values that the reconstruction answers for: present cells times features. */
static double n_values(const affine_sparse *x)
{
    double rows = (double)x->n_rows;

    if (x->row_weight) {
        rows = 0.0;
        for (int64_t i = 0; i < x->n_rows; i++)
            rows += x->row_weight[i] != 0;
    }
    return rows * (double)x->n_cols;
}

/* Of modality m, summed over cells and features. */
static tensor *squared_error(const matilda_net *net, const nn_pass *pass, const model_batch *batch,
                             const model_outputs *out, int m)
{
    const affine_sparse *x = &batch->x[m];

    if (out->recon[m]) return op_affine_squared_error(pass->t, out->recon[m], x);
    return net->config.linear_decoder
               ? nn_linear_error(pass, &net->linear_decoder[m], out->decoder_input, x)
               : nn_block_error(pass, &net->decoder[m], out->decoder_input, x);
}

static tensor *reconstruction(const matilda_net *net, const nn_pass *pass, const model_batch *batch,
                              const model_outputs *out)
{
    tape *t = pass->t;
    const matilda_config *c = &net->config;
    tensor *rec = NULL;
    double values = 0.0;

    for (int m = 0; m < c->n_modalities; m++) {
        tensor *e = squared_error(net, pass, batch, out, m);
        rec = m == 0 ? e : op_add(t, rec, e);
        values += n_values(&batch->x[m]);
    }
    if (c->variance_error) values = (double)batch->n * (double)c->n_modalities;
    return op_scale(t, rec, values > 0 ? 1.0 / values : 0.0);
}

/* Cross-entropy of the sample's logits, or a mixture with that of the mean's. */
static tensor *classification(const matilda_net *net, tape *t, const model_batch *batch,
                              const model_outputs *out)
{
    const matilda_config *c = &net->config;
    tensor *cls = op_cross_entropy(t, out->logits, batch->labels, c->smoothing,
                                   c->smoothing_classes, batch->weight);

    if (!out->mean_logits) return cls;
    tensor *mean = op_cross_entropy(t, out->mean_logits, batch->labels, c->smoothing,
                                    c->smoothing_classes, batch->weight);
    return op_add(t, op_scale(t, cls, 1.0 - c->classify_mean), op_scale(t, mean, c->classify_mean));
}

void matilda_loss(const matilda_net *net, const nn_pass *pass, const model_batch *batch,
                  const model_outputs *out, model_losses *losses)
{
    tape *t = pass->t;
    const matilda_config *c = &net->config;
    double n_features = 0.0;

    for (int m = 0; m < c->n_modalities; m++)
        n_features += (double)c->modality[m].n_vars;
    tensor *rec = reconstruction(net, pass, batch, out);
    tensor *kl = op_gaussian_kl(t, out->mu, out->logvar);
    tensor *cls = classification(net, t, batch, out);
    /* Published: L = 0.9 (rec + kl / F) + 0.1 cls, kl a mean over latent dimensions. Where rec is
     * the error of a whole cell, kl is the sum over them. */
    double kl_scale = c->kl_weight * (c->variance_error ? (double)c->z_dim : 1.0 / n_features);
    tensor *sim = op_add(t, rec, op_scale(t, kl, kl_scale));
    *losses = (model_losses){.n = 3, .name = {"rec", "kl", "cls"}, .part = {rec, kl, cls}};
    losses->total = op_add(t, op_scale(t, sim, c->rec_weight), op_scale(t, cls, c->cls_weight));
}

/* ----------------------------------------------------------------------- as the trainer sees it */

static void network_forward(const void *self, const nn_pass *pass, const model_batch *batch,
                            bool decode, model_outputs *out)
{
    matilda_forward(self, pass, batch, decode, out);
}

static void network_loss(const void *self, const nn_pass *pass, const model_batch *batch,
                         const model_outputs *out, model_losses *losses)
{
    matilda_loss(self, pass, batch, out, losses);
}

network matilda_network(matilda_net *net)
{
    return (network){net, &net->p, network_forward, network_loss};
}
