/* SPDX-License-Identifier: BSD-3-Clause */
/* Matilda (Liu, Huang, Yang, Nucleic Acids Research 2023, 51:e45): one network that classifies,
 * embeds, simulates and explains cells measured in several modalities.
 *
 * For modality m with F_m features, x_m the transformed cell (prep/transform.h), * elementwise:
 *
 *   u_m    = x_m P_m                               fitted projection [F_m, K_m]     (not published)
 *   h_m    = block(u_m or x_m * w_m)               [H_m]  w_m: learnable feature weight
 *   h      = block([h_1; h_2; ...])                [joint]
 *   mu     = norm(h A), logvar = norm(h B)         [d]    block without ReLU
 *   z      = mu + eps * exp(logvar / 2)
 *   xhat_m = block(z)                              [F_m]  without dropout
 *   logits = C z + c + sum_m S_m u_m               [C]    S_m: the shortcut of the paper's figure,
 *                                                         absent from the authors' code
 *   block  = Linear without bias -> ReLU -> BatchNorm -> Dropout
 *
 *   rec = mean over all values of (xhat - x)^2                          (published), or
 *         sum over modalities of the squared error of a cell            (with x_m scaled to unit
 *         total variance: the share of variance left unexplained)
 *   kl  = mean over cells and latent dimensions of KL(q(z|x) || N(0, 1)), divided by F
 *   cls = label-smoothed cross-entropy
 *   loss = rec_weight (rec + kl_weight kl / F) + cls_weight cls
 *
 * Deviations from the authors' code, each with its measured effect: docs/models/matilda.md. */
#include "models/matilda.h"

#include <stdio.h>
#include <string.h>

/* --------------------------------------------------------------------------- parameters */

static scw_status add_encoder(matilda_net *net, int m)
{
    scw_status st = SCW_OK;
    const matilda_modality *mod = &net->config.modality[m];
    const bool projected = mod->n_components > 0;
    const int64_t n_in = projected ? mod->n_components : mod->n_vars;
    char name[128];

    net->projection[m] = -1;
    net->feature_weight[m] = -1;
    if (projected) {
        int64_t shape[2] = {mod->n_vars, mod->n_components};
        (void)snprintf(name, sizeof name, "projection.%s", mod->name);
        TRY(params_add(&net->p, &net->projection[m], name, 2, shape, PARAM_KEEP, 0, 0, false, 0));
    }
    if (net->config.feature_weight) {
        (void)snprintf(name, sizeof name, "encoder.%s.feature_weight", mod->name);
        double scale = net->config.feature_weight_init;
        TRY(params_add(&net->p, &net->feature_weight[m], name, 1, &n_in, PARAM_UNIFORM,
                       projected ? 1.0 : 0.0, projected ? 1.0 : scale, true, MATILDA_GROUP_BODY));
    }
    (void)snprintf(name, sizeof name, "encoder.%s", mod->name);
    TRY(nn_block_add(&net->encoder[m], &net->p, name,
                     &(nn_block_options){.n_in = n_in, .n_out = mod->n_hidden, .relu = true,
                                         .sparse_input = !projected, .drop = net->config.drop,
                                         .stream = (uint32_t)m, .group = MATILDA_GROUP_BODY}));
done:
    return st;
}

static scw_status add_latent(matilda_net *net)
{
    scw_status st = SCW_OK;
    const matilda_config *c = &net->config;
    int64_t n_hidden = 0;

    for (int m = 0; m < c->n_modalities; m++) n_hidden += c->modality[m].n_hidden;
    TRY(nn_block_add(&net->joint, &net->p, "encoder.joint",
                     &(nn_block_options){.n_in = n_hidden, .n_out = c->n_joint, .relu = true,
                                         .drop = c->drop, .stream = MATILDA_STREAM_JOINT}));
    TRY(nn_block_add(&net->mu, &net->p, "latent.mu",
                     &(nn_block_options){.n_in = c->n_joint, .n_out = c->z_dim,
                                         .drop = c->latent_drop, .stream = MATILDA_STREAM_MU}));
    TRY(nn_block_add(&net->logvar, &net->p, "latent.logvar",
                     &(nn_block_options){.n_in = c->n_joint, .n_out = c->z_dim,
                                         .drop = c->latent_drop, .stream = MATILDA_STREAM_LOGVAR}));
done:
    return st;
}

static scw_status add_heads(matilda_net *net)
{
    scw_status st = SCW_OK;
    const matilda_config *c = &net->config;
    char name[128];

    TRY(nn_linear_add(&net->classifier, &net->p, "classifier", c->z_dim, c->n_classes, true,
                      MATILDA_GROUP_CLASSIFIER));
    for (int m = 0; m < c->n_modalities; m++) {
        const matilda_modality *mod = &c->modality[m];
        (void)snprintf(name, sizeof name, "decoder.%s", mod->name);
        TRY(nn_block_add(&net->decoder[m], &net->p, name,
                         &(nn_block_options){.n_in = c->z_dim, .n_out = mod->n_vars, .relu = true}));
        net->shortcut[m] = (nn_linear){-1, -1};
        if (!c->shortcut || mod->n_components == 0) continue;
        (void)snprintf(name, sizeof name, "shortcut.%s", mod->name);
        TRY(nn_linear_add(&net->shortcut[m], &net->p, name, mod->n_components, c->n_classes, false,
                          MATILDA_GROUP_SHORTCUT));
    }
done:
    return st;
}

scw_status matilda_net_init(matilda_net *net, const matilda_config *config, uint64_t seed)
{
    scw_status st = SCW_OK;

    *net = (matilda_net){.config = *config};
    for (int m = 0; m < config->n_modalities; m++) TRY(add_encoder(net, m));
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

static tensor *project(const matilda_net *net, const nn_pass *pass, const model_batch *batch, int m)
{
    if (net->projection[m] < 0) return NULL;
    tensor *p = op_param(pass->t, pass->p, net->projection[m]);
    tensor *u = op_affine_linear(pass->t, &batch->x[m], p, NULL); /* [n, K] */
    if (net->config.input_drop <= 0.0) return u;
    uint32_t stream = (uint32_t)(MATILDA_STREAM_INPUT + m);
    return op_dropout(pass->t, u, net->config.input_drop,
                      rng_make_key(pass->seed, RNG_DROPOUT, stream), pass->step,
                      pass->masks ? pass->masks[stream] : NULL);
}

static tensor *encode(const matilda_net *net, const nn_pass *pass, const model_batch *batch, int m,
                      tensor *u)
{
    tensor *h;
    int w = net->feature_weight[m];

    if (u) {
        if (w >= 0) u = op_col_scale(pass->t, u, op_param(pass->t, pass->p, w));
        h = nn_block_apply(pass, &net->encoder[m], u);
    } else {
        h = nn_block_apply_sparse(pass, &net->encoder[m], &batch->x[m], w);
    }
    /* A cell that lacks the modality says nothing through it. */
    if (batch->x[m].row_weight) h = op_row_scale(pass->t, h, batch->x[m].row_weight);
    return h; /* [n, H_m] */
}

void matilda_decode(const matilda_net *net, const nn_pass *pass, tensor *z, model_outputs *out)
{
    for (int m = 0; m < net->config.n_modalities; m++)
        out->recon[m] = nn_block_apply(pass, &net->decoder[m], z); /* [n, F_m] */
}

void matilda_forward(const matilda_net *net, const nn_pass *pass, const model_batch *batch,
                     bool decode, model_outputs *out)
{
    tape *t = pass->t;
    const matilda_config *c = &net->config;
    tensor *u[MODEL_MAX_MODALITIES], *h[MODEL_MAX_MODALITIES];

    *out = (model_outputs){0};
    for (int m = 0; m < c->n_modalities; m++) {
        u[m] = project(net, pass, batch, m);
        h[m] = encode(net, pass, batch, m, u[m]);
    }
    tensor *joint = nn_block_apply(pass, &net->joint, op_concat(t, h, c->n_modalities));
    out->mu = nn_block_apply(pass, &net->mu, joint);
    out->logvar = nn_block_apply(pass, &net->logvar, joint);
    out->z = op_reparameterise(t, out->mu, out->logvar, rng_make_key(pass->seed, RNG_LATENT, 0),
                               pass->step, batch->eps);
    out->logits = nn_linear_apply(pass, &net->classifier, c->classify_mean ? out->mu : out->z);
    for (int m = 0; m < c->n_modalities; m++)
        if (net->shortcut[m].weight >= 0)
            out->logits = op_add(t, out->logits, nn_linear_apply(pass, &net->shortcut[m], u[m]));
    if (decode) matilda_decode(net, pass, out->z, out);
}

/* Number of values that the reconstruction answers for: present cells times features. */
static double n_values(const affine_sparse *x)
{
    double rows = (double)x->n_rows;

    if (x->row_weight) {
        rows = 0.0;
        for (int64_t i = 0; i < x->n_rows; i++) rows += x->row_weight[i] != 0;
    }
    return rows * (double)x->n_cols;
}

static tensor *reconstruction(const matilda_net *net, tape *t, const model_batch *batch,
                              const model_outputs *out)
{
    const matilda_config *c = &net->config;
    tensor *rec = NULL;
    double values = 0.0;

    for (int m = 0; m < c->n_modalities; m++) {
        tensor *e = op_affine_squared_error(t, out->recon[m], &batch->x[m]);
        rec = m == 0 ? e : op_add(t, rec, e);
        values += n_values(&batch->x[m]);
    }
    double scale = c->variance_error ? 1.0 / (double)batch->n : values > 0 ? 1.0 / values : 0.0;
    return op_scale(t, rec, scale);
}

void matilda_loss(const matilda_net *net, const nn_pass *pass, const model_batch *batch,
                  const model_outputs *out, model_losses *losses)
{
    tape *t = pass->t;
    const matilda_config *c = &net->config;
    double n_features = 0.0;

    for (int m = 0; m < c->n_modalities; m++) n_features += (double)c->modality[m].n_vars;
    tensor *rec = reconstruction(net, t, batch, out);
    tensor *kl = op_gaussian_kl(t, out->mu, out->logvar);
    tensor *cls = op_cross_entropy(t, out->logits, batch->labels, c->smoothing,
                                   c->smoothing_classes, batch->weight);
    /* published: L = 0.9 (rec + kl / F) + 0.1 cls. With the error of a whole cell instead of the mean
     * of a value, rec and kl are both F times larger, and kl is no longer divided. */
    double kl_scale = c->kl_weight / (c->variance_error ? 1.0 : n_features);
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
