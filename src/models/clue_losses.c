/* SPDX-License-Identifier: BSD-3-Clause */
/* What CLUE minimises (models/clue.c has the network). P_k are the rows that have modality k, w_k
 * weights of mean 1, means over rows and features:
 *
 *   nll   = sum_k w_k mean(-log p(x_k | v_k))       every row: who stands in has the modality
 *   kl    = sum_k w_k mean_i KL(N(loc_k, std_k) || N(0, 1)) / F_k
 *   joint = sum_k w_k mean_{P_k}(-log p(x_k | v)),  v the mean of the v_k that are there, made unit
 *   cross = sum_t w_t sum_{s != t} mean_{P_s and P_t}(-log p(x_t | v_s, l_s))
 *   cos   = sum_k mean_{P_k}(1 - v_k . v)
 *   align = sum_k mean(-log D(e_k + a noise, b)_k) / K    e_k = loc_k (published), or loc_k / |loc_k|
 *   label = mean over labelled rows of the cross-entropy of a linear head on the same
 *   match = mean over pairs k < l and both ways of the cross-entropy, over the batch's cells j, of
 *           softmax_j(sharpness v_k,i . v_l,j) against j = i, for the rows i that have both (InfoNCE,
 *           van den Oord et al. 2018; not in the authors' code)
 *   loss  = lam_data (nll + lam_kl kl) + lam_joint joint + lam_cross cross + lam_cos cos
 *         + lam_label label + lam_match match - lam_align align
 *
 * The discriminator minimises lam_align align on a pass of its own. Noise on the sphere has the
 * length of the embedding, 1 on average, and not that of K d normals. */
#include <math.h>

#include "models/clue_parts.h"

enum { USE_SELF = 0, USE_JOINT, USE_CROSS /* + source */ };

/* The rows that a loss looks at. */
typedef struct rows {
    const real *weight; /* [n] 1 or 0; NULL: all */
    int64_t n;
} rows;

/* Rows that have all of the given modalities; n is 0 after a failure too. */
static rows rows_with(tape *t, const clue_batch *batch, int a, int b)
{
    const real *first = batch->slot[a].present, *second = batch->slot[b].present;
    rows out = {.n = batch->n};

    if (!first && !second) return out;
    real *weight = tape_alloc(t, batch->n, sizeof *weight);
    out = (rows){weight, 0};
    for (int64_t i = 0; weight && i < batch->n; i++) {
        weight[i] = (!first || first[i] != 0) && (!second || second[i] != 0);
        out.n += weight[i] != 0;
    }
    if (out.n == batch->n) out.weight = NULL;
    return out;
}

/* One loss: the pass, its batch, and for each modality what all cells' counts and shapes decide, which
 * no decoder has a part in: computed once (NULL: not yet). */
typedef struct target {
    const clue_net *net;
    const nn_pass *pass;
    const clue_batch *batch;
    const clue_outputs *out;
    tensor *all_terms[MODEL_MAX_MODALITIES];
} target;

static tensor *gamma_terms(target *to, int k, const affine_sparse *x)
{
    tape *t = to->pass->t;
    tensor **kept = &to->all_terms[k];

    if (!x->row_weight && *kept) return *kept;
    tensor *terms = op_gamma_terms(t, op_param(t, to->pass->p, to->net->decoder[k].log_shape), x,
                                   to->batch->slot[k].batch);
    if (!x->row_weight) *kept = terms;
    return terms;
}

/* Mean over the rows and features of -log p(x_k | decoded from unit). */
static tensor *mean_nll(target *to, int k, tensor *unit, tensor *library, int use, rows of)
{
    tape *t = to->pass->t;
    const clue_modality *m = &to->net->config.modality[k];
    const clue_slot *slot = &to->batch->slot[k];
    affine_sparse *x = tape_alloc(t, 1, sizeof *x);

    if (!x) return NULL;
    *x = slot->counts;
    x->row_weight = of.weight;
    tensor *sum = clue_decoded_loss(to->net, to->pass, k, unit, library, x, slot->batch, use);
    if (m->likelihood == CLUE_NB) sum = op_add(t, sum, gamma_terms(to, k, x));
    return op_scale(t, sum, 1.0 / ((double)of.n * (double)m->n_vars));
}

static tensor *add_to(tape *t, tensor *sum, tensor *term, double weight)
{
    term = op_scale(t, term, weight);
    return sum ? op_add(t, sum, term) : term;
}

static tensor *column(tape *t, tensor *library, int k)
{
    return library ? op_slice(t, library, k, k + 1) : NULL;
}

/* What the other modalities predict of modality k's library size, on average over those that are
 * there; of a cell that has none of them, its own. */
static tensor *others_library(const clue_net *net, tape *t, const clue_batch *batch,
                              const clue_outputs *out, int k)
{
    const int n = net->config.n_modalities;
    tensor *sum = NULL;

    for (int s = 0; s < n && out->library[k]; s++) {
        real *share = tape_alloc(t, batch->n, sizeof *share);
        for (int64_t i = 0; share && i < batch->n; i++) {
            int others = 0;
            for (int q = 0; q < n; q++)
                others += q != k && (!batch->slot[q].present || batch->slot[q].present[i] != 0);
            const bool there = !batch->slot[s].present || batch->slot[s].present[i] != 0;
            share[i] = others == 0 ? s == k : s != k && there ? 1 / (real)others : 0;
        }
        tensor *one = share ? op_row_scale(t, column(t, out->library[s], k), share) : NULL;
        sum = sum ? op_add(t, sum, one) : one;
    }
    return sum;
}

static tensor *joint_loss(target *to)
{
    tape *t = to->pass->t;
    const clue_config *c = &to->net->config;
    const clue_outputs *out = to->out;
    tensor *sum = NULL;

    for (int k = 0; k < c->n_modalities; k++) {
        const rows of = rows_with(t, to->batch, k, k);
        if (of.n == 0) continue;
        tensor *library = c->target_library ? column(t, out->library[k], k)
                                            : others_library(to->net, t, to->batch, out, k);
        sum = add_to(t, sum, mean_nll(to, k, out->joint, library, USE_JOINT, of), c->modality[k].weight);
    }
    return sum;
}

static tensor *cross_loss(target *to)
{
    tape *t = to->pass->t;
    const clue_config *c = &to->net->config;
    const clue_outputs *out = to->out;
    tensor *sum = NULL;

    for (int k = 0; k < c->n_modalities; k++)
        for (int s = 0; s < c->n_modalities; s++) {
            const rows of = rows_with(t, to->batch, s, k);
            if (s == k || of.n == 0) continue;
            tensor *one = mean_nll(to, k, out->unit[s], column(t, out->library[s], k), USE_CROSS + s, of);
            sum = add_to(t, sum, one, c->modality[k].weight);
        }
    return sum;
}

/* 1 - v_k . v = |v_k - v|^2 / 2 between vectors of length one. */
static tensor *cosine_loss(const clue_net *net, tape *t, const clue_batch *batch,
                           const clue_outputs *out)
{
    tensor *sum = NULL;

    for (int k = 0; k < net->config.n_modalities; k++) {
        const rows of = rows_with(t, batch, k, k);
        if (of.n == 0) continue;
        tensor *apart = op_add(t, out->unit[k], op_scale(t, out->joint, -1.0));
        if (of.weight) apart = op_row_scale(t, apart, of.weight);
        sum = add_to(t, sum, op_sum_squares(t, apart), 0.5 / (double)of.n);
    }
    return sum;
}

/* What discriminator and label head see of modality k. */
static tensor *noisy(const clue_net *net, const nn_pass *pass, const clue_batch *batch,
                     const clue_outputs *out, int k)
{
    tape *t = pass->t;
    const int64_t width = net->config.n_modalities * net->config.z_dim;
    tensor *e = net->config.sphere ? op_normalise_rows(t, out->loc[k]) : out->loc[k];

    if (batch->noise <= 0.0) return e;
    const double size = net->config.sphere ? batch->noise / sqrt((double)width) : batch->noise;
    tensor *noise =
        clue_normals(pass, batch->slot[k].noise, batch->n, width, (uint32_t)(MODEL_MAX_MODALITIES + k));
    return op_add(t, e, op_scale(t, noise, size));
}

static tensor *align_loss(const clue_net *net, const clue_pass *pass, const clue_batch *batch,
                          tensor *const *seen)
{
    tape *t = pass->vae.t;
    const clue_config *c = &net->config;
    tensor *sum = NULL;

    for (int k = 0; k < c->n_modalities; k++) {
        int32_t *which = tape_alloc(t, batch->n, sizeof *which);
        for (int64_t i = 0; which && i < batch->n; i++)
            which[i] = k;
        tensor *h = clue_beside(t, seen[k], clue_batch_input(net, t, batch->slot[k].batch, batch->n));
        for (int l = 0; l < c->discriminator_depth; l++) {
            nn_block layer = net->critic[l];
            layer.stream += (uint32_t)(k * CLUE_MAX_DEPTH);
            h = nn_block_apply(&pass->adversary, &layer, h);
        }
        tensor *logits = nn_linear_apply(&pass->adversary, &net->critic_answer, h);
        tensor *loss = which ? op_cross_entropy(t, logits, which, 0.0, 1.0, NULL) : NULL;
        sum = add_to(t, sum, loss, 1.0 / (double)c->n_modalities);
    }
    return sum;
}

tensor *clue_adversary_loss(const clue_net *net, const clue_pass *pass, const clue_batch *batch,
                            const clue_outputs *out)
{
    tensor *seen[MODEL_MAX_MODALITIES];

    for (int k = 0; k < net->config.n_modalities; k++)
        seen[k] = noisy(net, &pass->vae, batch, out, k);
    return op_scale(pass->vae.t, align_loss(net, pass, batch, seen), net->config.lam_align);
}

/* NULL where no row has a label. */
static tensor *label_loss(const clue_net *net, const nn_pass *pass, const clue_batch *batch,
                          tensor *const *seen)
{
    int64_t n[MODEL_MAX_MODALITIES], total = 0;
    tensor *sum = NULL;

    for (int k = 0; k < net->config.n_modalities; k++) {
        const int32_t *labels = batch->slot[k].labels;
        n[k] = 0;
        for (int64_t i = 0; labels && i < batch->n; i++)
            n[k] += labels[i] >= 0;
        total += n[k];
    }
    for (int k = 0; k < net->config.n_modalities && net->config.n_classes > 0; k++) {
        if (n[k] == 0) continue;
        tensor *logits = nn_linear_apply(pass, &net->label, seen[k]);
        tensor *loss = op_cross_entropy(pass->t, logits, batch->slot[k].labels, 0.0, 1.0, NULL);
        sum = add_to(pass->t, sum, loss, (double)n[k] / (double)total);
    }
    return sum;
}

/* Each cell is to be nearest to itself. NULL where no two cells have both modalities of any pair. */
static tensor *match_loss(const clue_net *net, tape *t, const clue_batch *batch,
                          const clue_outputs *out)
{
    const clue_config *c = &net->config;
    tensor *sum = NULL;
    int n_terms = 0;

    for (int k = 0; k < c->n_modalities; k++)
        for (int l = k + 1; l < c->n_modalities; l++) {
            const rows of = rows_with(t, batch, k, l);
            int32_t *self = of.n < 2 ? NULL : tape_alloc(t, batch->n, sizeof *self);
            if (!self) continue;
            for (int64_t i = 0; i < batch->n; i++)
                self[i] = !of.weight || of.weight[i] != 0 ? (int32_t)i : -1;
            for (int way = 0; way < 2; way++) {
                tensor *from = op_scale(t, out->unit[way ? l : k], c->sharpness);
                tensor *logits = op_linear(t, from, out->unit[way ? k : l], NULL);
                sum = add_to(t, sum, op_cross_entropy(t, logits, self, 0.0, 1.0, NULL), 1.0);
                n_terms++;
            }
        }
    return sum ? op_scale(t, sum, 1.0 / (double)n_terms) : NULL;
}

/* A named part; one without rows is left out. */
static void put(model_losses *losses, tape *t, const char *name, tensor *part, double weight)
{
    if (!part) return;
    losses->name[losses->n] = name;
    losses->part[losses->n++] = part;
    losses->total = add_to(t, losses->total, part, weight);
}

void clue_loss(const clue_net *net, const clue_pass *pass, const clue_batch *batch,
               const clue_outputs *out, model_losses *losses)
{
    const nn_pass *vae = &pass->vae;
    tape *t = vae->t;
    const clue_config *c = &net->config;
    const bool given = batch->slot[0].unit != NULL;
    target to = {.net = net, .pass = vae, .batch = batch, .out = out};
    tensor *nll = NULL, *kl = NULL, *seen[MODEL_MAX_MODALITIES];

    for (int k = 0; k < c->n_modalities; k++) {
        const clue_modality *m = &c->modality[k];
        nll = add_to(t, nll,
                     mean_nll(&to, k, out->unit[k], column(t, out->library[k], k), USE_SELF,
                              (rows){NULL, batch->n}),
                     m->weight);
        if (given) continue;
        kl = add_to(t, kl, op_normal_kl(t, out->loc[k], out->std[k]),
                    m->weight * (double)(c->n_modalities * c->z_dim) / (double)m->n_vars);
        seen[k] = noisy(net, vae, batch, out, k);
    }
    *losses = (model_losses){0};
    put(losses, t, "nll", nll, c->lam_data);
    if (!given) put(losses, t, "kl", kl, c->lam_data * c->lam_kl);
    if (c->lam_joint > 0.0) put(losses, t, "joint", joint_loss(&to), c->lam_joint);
    if (c->lam_cross > 0.0) put(losses, t, "cross", cross_loss(&to), c->lam_cross);
    if (given) return;
    put(losses, t, "cos", cosine_loss(net, t, batch, out), c->lam_cos);
    if (c->lam_align > 0.0 && pass->adversary.p)
        put(losses, t, "align", align_loss(net, pass, batch, seen), -c->lam_align);
    put(losses, t, "label", label_loss(net, vae, batch, seen), c->lam_label);
    if (c->lam_match > 0.0) put(losses, t, "match", match_loss(net, t, batch, out), c->lam_match);
}
