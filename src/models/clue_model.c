/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/clue_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define EMBED_ROWS 512 /* cells of one block */

const double clue_levels[CLUE_LEVELS] = {0.5, 0.8, 0.9, 0.95};

scw_status clue_new(clue_model **out, const scw_model_kind *kind, const clue_options *options)
{
    scw_model *m = NULL;
    scw_status st = model_new(&m, kind, options);

    *out = (clue_model *)m;
    return st;
}

void clue_free(clue_model *m)
{
    if (m) scw_model_free(&m->base);
}

void clue_clear(scw_model *base)
{
    clue_model *m = (clue_model *)base;

    clue_net_clear(&m->net);
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) {
        modality_input_clear(&m->input[k]);
        for (int q = 0; q < MODEL_MAX_MODALITIES; q++) mem_free(m->spread[k][q]);
    }
}

void clue_intake(model_intake *out, const scw_model *base)
{
    const clue_options *o = &((const clue_model *)base)->options;

    *out = (model_intake){.min_coverage = o->min_coverage, .fractional = o->fractional};
}

clue_likelihood clue_likelihood_of(const clue_options *o, modality_kind kind)
{
    return (clue_likelihood)(kind == MODALITY_ADT    ? o->adt_likelihood
                             : kind == MODALITY_ATAC ? o->atac_likelihood
                                                     : o->rna_likelihood);
}

void clue_config_of(clue_config *out, const clue_model *m)
{
    clue_options_config(out, &m->options);
    out->n_modalities = m->base.n_modalities;
    out->n_batches = model_n_batches(&m->base);
    out->n_classes = m->base.classes.n;
    for (int k = 0; k < m->base.n_modalities; k++) {
        const model_modality *x = &m->base.modality[k];
        out->modality[k] = (clue_modality){.n_in = m->input[k].width,
                                           .n_vars = x->features.n,
                                           .likelihood = clue_likelihood_of(&m->options, x->kind),
                                           .weight = 1.0};
        (void)snprintf(out->modality[k].name, MODEL_NAME, "%s", x->name);
    }
}

/* ------------------------------------------------------------------------------- a query */

void clue_gather(clue_batch *out, const clue_model *m, tape *t, const cells *c, const int64_t *rows,
                 int64_t n, const row_list *counts)
{
    model_batch b;

    *out = (clue_batch){0};
    cells_gather(t, c, rows, n, &b);
    if (b.n != n) return;
    for (int k = 0; k < m->base.n_modalities; k++) {
        clue_slot *slot = &out->slot[k];
        real *scores = tape_alloc(t, n * m->input[k].width, sizeof *scores);
        if (!scores) return;
        modality_input_apply(scores, &m->input[k], &b.x[k]);
        slot->dense = scores;
        slot->present = b.x[k].row_weight;
        slot->batch = b.batch;
        if (!counts || !counts[k].x) continue;
        int64_t *listed = tape_alloc(t, n, sizeof *listed);
        if (!listed) return;
        for (int64_t i = 0; i < n; i++) listed[i] = counts[k].rows ? counts[k].rows[rows[i]] : rows[i];
        const row_list some = {counts[k].x, counts[k].packed, listed, n};
        if (!cells_gather_counts(t, &some, &slot->counts)) return;
    }
    out->n = n;
}

/* Rows made of length one; zeros where the cell lacks them. */
static void copy_rows(float *to, const tensor *from, const real *present)
{
    const int64_t width = from->dim[1];

    for (int64_t i = 0; i < from->dim[0]; i++) {
        const real *v = from->value + i * width;
        double length = 0.0;
        for (int64_t j = 0; j < width; j++) length += (double)v[j] * (double)v[j];
        const double scale = length > 0.0 && (!present || present[i] != 0) ? 1.0 / sqrt(length) : 0.0;
        for (int64_t j = 0; j < width; j++) to[i * width + j] = (float)(scale * (double)v[j]);
    }
}

static scw_status embed_block(const clue_model *m, tape *t, const cells *c, const int64_t *rows,
                              int64_t n, float *joint, float *const *own)
{
    scw_status st = SCW_OK;
    const int64_t width = m->net.config.n_modalities * m->net.config.z_dim;
    clue_batch batch;
    clue_outputs out;

    tape_reset(t, TAPE_EVAL);
    clue_gather(&batch, m, t, c, rows, n, NULL);
    if (batch.n != n) {
        TRY(tape_status(t));
        FAIL(SCW_ENOMEM, "out of memory while embedding cells");
    }
    clue_forward(&m->net, &(nn_pass){.t = t, .p = &m->net.p}, &batch, &out);
    TRY(tape_status(t));
    if (joint) copy_rows(joint + rows[0] * width, out.joint, NULL);
    for (int k = 0; own && k < m->base.n_modalities; k++)
        if (own[k]) copy_rows(own[k] + rows[0] * width, out.unit[k], batch.slot[k].present);
done:
    return st;
}

scw_status clue_embed(const clue_model *m, const cells *c, float *joint, float *const *own)
{
    scw_status st = SCW_OK;
    tape *t = NULL;
    int64_t rows[EMBED_ROWS];

    TRY(tape_new(&t));
    for (int64_t from = 0; from < c->n; from += EMBED_ROWS) {
        const int64_t n = c->n - from < EMBED_ROWS ? c->n - from : EMBED_ROWS;
        for (int64_t i = 0; i < n; i++) rows[i] = from + i;
        TRY(embed_block(m, t, c, rows, n, joint, own));
    }
done:
    tape_free(t);
    return st;
}
