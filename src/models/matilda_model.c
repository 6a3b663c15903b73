/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/matilda_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"

#define INFER_ROWS 512 /* cells of one inference block */

scw_status matilda_new(matilda_model **out, const scw_model_kind *kind,
                       const matilda_options *options)
{
    scw_model *m = NULL;
    scw_status st = model_new(&m, kind, options);

    *out = (matilda_model *)m;
    return st;
}

void matilda_free(matilda_model *m)
{
    if (m) scw_model_free(&m->base);
}

void matilda_init(scw_model *base)
{
    matilda_model *m = (matilda_model *)base;

    m->calibration.temperature = 1.0;
}

void matilda_clear(scw_model *base)
{
    matilda_model *m = (matilda_model *)base;

    matilda_net_clear(&m->net);
    calibration_clear(&m->calibration);
    subsets_clear(&m->subsets);
    class_means_clear(&m->means);
    count_heads_clear(&m->counts);
}

void matilda_intake(model_intake *out, const scw_model *base)
{
    const matilda_options *o = &((const matilda_model *)base)->options;

    *out = (model_intake){.min_coverage = o->min_coverage,
                          .fractional = o->fractional,
                          .own_library = o->file_library};
}

static int64_t hidden_width(const matilda_options *o, modality_kind kind)
{
    return kind == MODALITY_ADT    ? o->hidden_adt
           : kind == MODALITY_ATAC ? o->hidden_atac
                                   : o->hidden_rna;
}

void matilda_config_of(const matilda_model *m, const int64_t *components, matilda_config *out)
{
    const matilda_options *o = &m->options;

    *out = (matilda_config){
        .n_modalities = m->base.n_modalities,
        .n_classes = m->base.classes.n,
        .z_dim = o->z_dim,
        .n_batches = model_n_batches(&m->base),
        .n_joint = o->joint,
        .drop = o->dropout,
        /* The authors' three-modality class has no dropout on mu and logvar (specs 3.3). */
        .latent_drop = m->base.n_modalities >= 3 ? 0.0 : o->dropout,
        .input_drop = o->input_dropout,
        .feature_weight = o->feature_weights != 0,
        .feature_weight_init = 0.001,
        .shortcut = o->shortcut != 0,
        .classify_mean = o->classify_mean,
        .linear_decoder = o->linear_decoder != 0,
        .smoothing = o->smoothing,
        .smoothing_classes =
            o->smoothing_classes ? (double)o->smoothing_classes : (double)m->base.classes.n,
        .variance_error = o->rec_error == 1,
        .rec_weight = o->rec_weight,
        .kl_weight = o->kl_weight,
        .cls_weight = o->cls_weight,
        .bf16 = matilda_options_bf16(o)};
    for (int k = 0; k < m->base.n_modalities; k++) {
        matilda_modality *x = &out->modality[k];
        (void)snprintf(x->name, sizeof x->name, "%s", m->base.modality[k].name);
        x->n_vars = m->base.modality[k].features.n;
        x->n_hidden = hidden_width(o, m->base.modality[k].kind);
        x->n_components = components[k];
    }
}

/* -------------------------------------------------------------------------------- inference */

int matilda_path_of(const matilda_model *m, const cells *c, int64_t i)
{
    return subsets_find(&m->subsets, cells_mask(c, i));
}

static void copy_out(float *to, const tensor *from)
{
    for (int64_t e = 0; to && e < from->size; e++)
        to[e] = (float)from->value[e];
}

/* One inference: whose answer, with which weights. */
typedef struct inference {
    const matilda_model *m;
    const params *p;
    const cells *c;
    int as;
} inference;

/* The rows that the subsets answer for: all by path `as`, or each by what it has. */
static void answer_subsets(const inference *q, const int64_t *rows, int64_t n, tensor *const *v,
                           float *logits, float *latent)
{
    const matilda_model *m = q->m;

    if (m->subsets.n == 0 || q->as == MATILDA_AS_NETWORK) return;
    PARALLEL_FOR_IF(n > 64)
    for (int64_t i = 0; i < n; i++) {
        int k = q->as >= 0 ? q->as : matilda_path_of(m, q->c, rows[i]);
        if (k < 0) continue;
        subset_path_apply(&m->subsets, k, &m->net.config, v, i,
                          logits ? logits + i * m->base.classes.n : NULL,
                          latent ? latent + i * m->options.z_dim : NULL);
    }
}

/* u_m - s_m of the cell's batch, where the cell has the modality. */
static void shift_inputs(const inference *q, const int64_t *rows, int64_t n, tensor *const *v)
{
    const cells *c = q->c;

    for (int k = 0; c->batch && k < q->m->base.n_modalities; k++) {
        if (!c->shift[k]) continue;
        const int64_t width = q->m->net.config.modality[k].n_components;
        for (int64_t i = 0; i < n; i++) {
            if (c->x[k].present && !(c->x[k].present[rows[i]] > 0.0f)) continue;
            const float *shift = c->shift[k] + c->batch[rows[i]] * width;
            for (int64_t j = 0; j < width; j++)
                v[k]->value[i * width + j] -= (real)shift[j];
        }
    }
}

static scw_status infer_block(const inference *q, tape *t, const int64_t *rows, int64_t n,
                              uint32_t block, float *logits, float *latent)
{
    scw_status st = SCW_OK;
    const matilda_model *m = q->m;
    tensor *v[MODEL_MAX_MODALITIES];
    model_batch batch;
    model_outputs out;

    tape_reset(t, TAPE_EVAL);
    cells_gather(t, q->c, rows, n, &batch);
    nn_pass pass = {.t = t, .p = q->p, .seed = 1, .step = block};
    if (m->options.sample_latent) {
        /* The authors sample z at inference too. */
        real *eps = tape_alloc(t, n * m->options.z_dim, sizeof *eps);
        if (eps)
            for (int64_t e = 0; e < n * m->options.z_dim; e++)
                eps[e] = (real)rng_normal(rng_make_key(1, RNG_LATENT, 1), block, (uint64_t)e);
        batch.eps = eps;
    }
    matilda_first(&m->net, &pass, &batch, v);
    TRY(tape_status(t));
    shift_inputs(q, rows, n, v);
    if (q->as < 0) {
        matilda_forward_from(&m->net, &pass, &batch, v, false, &out);
        TRY(tape_status(t));
        copy_out(logits, out.logits);
        copy_out(latent, m->options.sample_latent ? out.z : out.mu);
    }
    answer_subsets(q, rows, n, v, logits, latent);
done:
    return st;
}

static scw_status infer(const inference *q, const int64_t *rows, int64_t n, float *logits,
                        float *latent)
{
    scw_status st = SCW_OK;
    const matilda_model *m = q->m;
    tape *t = NULL;
    int64_t *all = NULL;

    TRY(tape_new(&t));
    if (!rows) {
        TRY(mem_new(&all, n));
        for (int64_t i = 0; i < n; i++)
            all[i] = i;
        rows = all;
    }
    for (int64_t from = 0; from < n; from += INFER_ROWS) {
        int64_t size = n - from < INFER_ROWS ? n - from : INFER_ROWS;
        TRY(infer_block(q, t, rows + from, size, (uint32_t)(from / INFER_ROWS),
                        logits ? logits + from * m->base.classes.n : NULL,
                        latent ? latent + from * m->options.z_dim : NULL));
    }
done:
    tape_free(t);
    mem_free(all);
    return st;
}

scw_status matilda_infer(const matilda_model *m, const params *p, const cells *c,
                         const int64_t *rows, int64_t n, float *logits, float *latent)
{
    return infer(&(inference){m, p, c, MATILDA_AS_PRESENT}, rows, n, logits, latent);
}

scw_status matilda_infer_as(const matilda_model *m, int as, const cells *c, const int64_t *rows,
                            int64_t n, float *logits, float *latent)
{
    return infer(&(inference){m, &m->net.p, c, as}, rows, n, logits, latent);
}

const calibration *matilda_calibration(const matilda_model *m, int k)
{
    return k >= 0 && m->subsets.at[k].calibration.n > 0 ? &m->subsets.at[k].calibration
                                                        : &m->calibration;
}

/* Adds a block's squared error and squared size of each modality's inputs. */
static scw_status explain_block(const matilda_model *m, tape *t, const cells *c,
                                const int64_t *rows, int64_t n, double *error, double *size)
{
    scw_status st = SCW_OK;
    model_batch batch;
    model_outputs out;

    tape_reset(t, TAPE_EVAL);
    cells_gather(t, c, rows, n, &batch);
    nn_pass pass = {.t = t, .p = &m->net.p};
    matilda_forward(&m->net, &pass, &batch, true, &out);
    TRY(tape_status(t));
    for (int k = 0; k < m->base.n_modalities; k++) {
        tensor *p = out.recon[k];
        error[k] += kernel_affine_squared_error(&batch.x[k], p->value);
        memset(p->value, 0, (size_t)p->size * sizeof(real));
        size[k] += kernel_affine_squared_error(&batch.x[k], p->value);
    }
done:
    return st;
}

scw_status matilda_explained_variance(const matilda_model *m, const cells *c, double *out)
{
    scw_status st = SCW_OK;
    tape *t = NULL;
    int64_t rows[INFER_ROWS];
    double error[MODEL_MAX_MODALITIES] = {0}, size[MODEL_MAX_MODALITIES] = {0};

    TRY(tape_new(&t));
    for (int64_t from = 0; from < c->n; from += INFER_ROWS) {
        int64_t n = c->n - from < INFER_ROWS ? c->n - from : INFER_ROWS;
        for (int64_t i = 0; i < n; i++)
            rows[i] = from + i;
        TRY(explain_block(m, t, c, rows, n, error, size));
    }
    for (int k = 0; k < m->base.n_modalities; k++)
        out[k] = size[k] > 0.0 ? 1.0 - error[k] / size[k] : NAN;
done:
    tape_free(t);
    return st;
}
