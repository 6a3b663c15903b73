/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/clip_model.h"

#include <math.h>
#include <stdio.h>

#define EMBED_ROWS 512 /* cells of one block */

scw_status clip_new(clip_model **out, const scw_model_kind *kind, const clip_options *options)
{
    scw_model *m = NULL;
    scw_status st = model_new(&m, kind, options);

    *out = (clip_model *)m;
    return st;
}

void clip_free(clip_model *m)
{
    if (m) scw_model_free(&m->base);
}

void clip_clear(scw_model *base)
{
    clip_model *m = (clip_model *)base;

    clip_net_clear(&m->net);
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) modality_input_clear(&m->input[k]);
}

void clip_intake(model_intake *out, const scw_model *base)
{
    const clip_options *o = &((const clip_model *)base)->options;

    *out = (model_intake){.min_coverage = o->min_coverage, .fractional = o->fractional};
}

void clip_config_of(clip_config *out, const clip_model *m)
{
    clip_options_config(out, &m->options);
    out->n_modalities = m->base.n_modalities;
    for (int k = 0; k < m->base.n_modalities; k++) {
        out->modality[k] = (clip_modality){.n_in = m->input[k].width};
        (void)snprintf(out->modality[k].name, MODEL_NAME, "%s", m->base.modality[k].name);
    }
}

static void copy_rows(float *to, const tensor *from, const real *present)
{
    const int64_t width = from->dim[1];

    for (int64_t e = 0; e < from->size; e++)
        to[e] = present && present[e / width] == 0 ? 0.0f : (float)from->value[e];
}

/* Rows [n, d] that are sums of rows of length one. */
static void normalise(float *rows, int64_t n, int64_t d)
{
    for (int64_t i = 0; i < n; i++) {
        double square = 0.0;
        for (int64_t j = 0; j < d; j++) square += (double)rows[i * d + j] * (double)rows[i * d + j];
        for (int64_t j = 0; j < d && square > 0.0; j++)
            rows[i * d + j] = (float)((double)rows[i * d + j] / sqrt(square));
    }
}

static scw_status embed_block(const clip_model *m, tape *t, const cells *c, const int64_t *rows,
                              int64_t n, float *joint, float *const *own)
{
    scw_status st = SCW_OK;
    const int64_t d = m->net.config.z_dim;
    model_batch b;
    clip_batch batch = {.n = n};
    clip_outputs out;

    tape_reset(t, TAPE_EVAL);
    cells_gather(t, c, rows, n, &b);
    for (int k = 0; k < m->base.n_modalities && b.n == n; k++) {
        batch.input[k] = tape_alloc(t, n * m->input[k].width, sizeof(real));
        batch.present[k] = b.x[k].row_weight;
        if (batch.input[k]) modality_input_apply(batch.input[k], &m->input[k], &b.x[k]);
    }
    TRY(tape_status(t));
    if (b.n != n) FAIL(SCW_ENOMEM, "out of memory while embedding cells");
    clip_forward(&m->net, &(nn_pass){.t = t, .p = &m->net.p}, &batch, &out);
    TRY(tape_status(t));
    for (int64_t e = 0; e < n * d; e++) joint[rows[0] * d + e] = 0.0f;
    for (int k = 0; k < m->base.n_modalities; k++) {
        float *to = own[k] + rows[0] * d;
        copy_rows(to, out.unit[k], batch.present[k]);
        for (int64_t e = 0; e < n * d; e++) joint[rows[0] * d + e] += to[e];
    }
    normalise(joint + rows[0] * d, n, d);
done:
    return st;
}

scw_status clip_embed(const scw_model *m, const cells *c, float *joint, float *const *own)
{
    scw_status st = SCW_OK;
    tape *t = NULL;
    int64_t rows[EMBED_ROWS];

    TRY(tape_new(&t));
    for (int64_t from = 0; from < c->n; from += EMBED_ROWS) {
        const int64_t n = c->n - from < EMBED_ROWS ? c->n - from : EMBED_ROWS;
        for (int64_t i = 0; i < n; i++) rows[i] = from + i;
        TRY(embed_block((const clip_model *)m, t, c, rows, n, joint, own));
    }
done:
    tape_free(t);
    return st;
}
