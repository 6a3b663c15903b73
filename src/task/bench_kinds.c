/* SPDX-License-Identifier: BSD-3-Clause */
/* Training steps of the kinds of model that put modalities into one space. Their fits are timed as they are,
 * with default options but for what comes before training (how counts are read is given), what ends it and,
 * of CLUE, the decoders' training alone.
 *
 * How to add a kind: its fit, what a step costs at least, and a row below. */
#include "task/bench.h"

#include <math.h>
#include <stdio.h>

#include "models/clip_model.h"
#include "models/clue_model.h"
#include "train/clip_fit.h"
#include "train/clue_fit.h"
#include "train/paired_cells.h"

#define LIBRARY 1e4

/* What a fit and its cost go by. */
typedef struct paired_shape {
    double n_in[MODEL_MAX_MODALITIES], n_vars[MODEL_MAX_MODALITIES], nnz[MODEL_MAX_MODALITIES];
} paired_shape;

static paired_shape shape_of(const reference *ref, int64_t components, int64_t max_dense)
{
    const modality_input_options o = {.components = components, .max_dense = max_dense};
    paired_shape s = {0};

    for (int k = 0; k < ref->n_modalities; k++) {
        const reference_modality *x = &ref->modality[k];
        const int64_t f = x->features->n;
        int64_t n = 0;
        for (int64_t i = 0; i < ref->n; i++) n += x->present[i] != 0;
        s.n_vars[k] = (double)f;
        s.n_in[k] = (double)modality_input_width(x->kind, f, n, &o);
        s.nnz[k] = (double)matrix_nnz(&x->counts) / (double)ref->n;
    }
    return s;
}

/* Layers n_in -> width -> ... ; returns what the last one is wide. */
static double add_layers(bench_cost *cost, const bench_limits *l, double batch, double n_in, int depth,
                         double width, double extra, double set)
{
    for (int d = 0; d < depth; d++) {
        bench_add_layer(cost, l, batch, n_in, width, set);
        n_in = width + extra;
    }
    return n_in;
}

/* Values, two moments and an average of the parameters, read and written. */
static void add_optimizer(bench_cost *cost, const bench_limits *l, const params *p, double average, double set)
{
    const double arrays = average > 0.0 ? 8.0 : 6.0;

    bench_cost_add(cost, l, 0.0, arrays * (double)sizeof(real) * (double)p->n_trainable, set);
}

static scw_status fit_with(paired_fitter *fitter, const char *kind, const void *options, const reference *ref,
                           const scw_hooks *hooks)
{
    scw_model *m = NULL;
    const paired_fit asked = {.kind = scw_model_kind_find(kind), .options = options, .ref = ref, .seed = 1,
                              .hooks = hooks};
    scw_status st = fitter(&m, &asked);

    scw_model_free(m);
    return st;
}

/* ---------------------------------------------------------------------------------- clue */

static scw_status clue_settings(clue_options *o)
{
    scw_status st = scw_options_init(clue_option_table, o);

    o->library = LIBRARY;
    o->decoder_lr = 0.0;
    o->validation = 0.0;
    o->unit_rows = PAIRED_ROWS_OFF;
    o->epochs = BENCH_EPOCHS;
    return st;
}

static scw_status fit_clue(const reference *ref, int64_t batch_size, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    clue_options o;

    TRY(clue_settings(&o));
    o.batch_size = batch_size;
    TRY(fit_with(clue_fit, "clue", &o, ref, hooks));
done:
    return st;
}

/* Decoders of every target: from its own embedding, from each other modality's, from the mean one. */
static void clue_decoder_cost(bench_cost *cost, const bench_limits *l, const clue_config *c, int k,
                              double batch, double set)
{
    const double n_vars = (double)c->modality[k].n_vars;
    const int uses = 1 + (c->lam_joint > 0.0) + (c->lam_cross > 0.0 ? c->n_modalities - 1 : 0);

    for (int u = 0; u < uses; u++) {
        const double last = add_layers(cost, l, batch, (double)c->z_dim, c->decoder_depth,
                                       (double)c->decoder_width, 0.0, set);
        bench_add_layer(cost, l, batch, last, n_vars, set);
    }
}

/* Library sizes that a modality predicts: those of the targets that have one. */
static double clue_n_library(const clue_config *c)
{
    double n = 0.0;

    for (int k = 0; k < c->n_modalities; k++) n += c->modality[k].likelihood == CLUE_NB;
    return n;
}

static void clue_encoder_cost(bench_cost *cost, const bench_limits *l, const clue_config *c, int k,
                              const paired_shape *s, double batch, double set)
{
    const double joint = (double)(c->n_modalities * c->z_dim), n_in = s->n_in[k];
    const double rows = s->n_vars[k] * (1.0 - pow(1.0 - fmin(1.0, s->nnz[k] / s->n_vars[k]), batch));
    const double n_library = clue_n_library(c), library = 2.0 * batch * s->nnz[k] * n_library;
    const double last = add_layers(cost, l, batch, n_in, c->encoder_depth, (double)c->encoder_width, 0.0, set);

    bench_add_layer(cost, l, batch, last, 2.0 * joint, set); /* means and deviations */
    if (c->path) bench_cost_add(cost, l, 2.0 * batch * n_in * joint, (double)sizeof(real) * n_in * joint, set);
    bench_cost_add(cost, l, 0.0, 8.0 * batch * s->nnz[k], set); /* the counts */
    bench_cost_add(cost, l, library, (double)sizeof(real) * rows * n_library, set);
    bench_cost_add(cost, l, library, 0.0, set);
    if (c->n_classes > 0) bench_add_layer(cost, l, batch, joint, (double)c->n_classes, set);
}

static void clue_config_for(clue_config *out, const clue_options *o, const reference *ref,
                            const paired_shape *s)
{
    clue_options_config(out, o);
    out->n_modalities = ref->n_modalities;
    out->n_classes = ref->classes.n;
    for (int k = 0; k < ref->n_modalities; k++) {
        clue_modality *m = &out->modality[k];
        *m = (clue_modality){.n_in = (int64_t)s->n_in[k], .n_vars = (int64_t)s->n_vars[k],
                             .likelihood = clue_likelihood_of(o, ref->modality[k].kind), .weight = 1.0};
        (void)snprintf(m->name, sizeof m->name, "%s", ref->modality[k].name);
    }
}

static scw_status clue_cost(bench_cost *out, const bench_limits *l, const reference *ref, double batch)
{
    scw_status st = SCW_OK;
    clue_options o;
    clue_config c;
    clue_net net = {0};

    *out = (bench_cost){0};
    TRY(clue_settings(&o));
    const paired_shape s = shape_of(ref, o.components, o.max_dense);
    clue_config_for(&c, &o, ref, &s);
    TRY(clue_net_init(&net, &c, 1));
    double values = 3.0 * (double)net.p.n_trainable;
    for (int k = 0; k < c.n_modalities; k++) values += batch * (2.0 * s.nnz[k] + s.n_vars[k]);
    const double set = (double)sizeof(real) * values, joint = (double)(c.n_modalities * c.z_dim);
    for (int k = 0; k < c.n_modalities; k++) {
        clue_encoder_cost(out, l, &c, k, &s, batch, set);
        clue_decoder_cost(out, l, &c, k, batch, set);
        for (int q = 0; c.lam_match > 0.0 && q < c.n_modalities; q++)
            if (q != k) bench_add_layer(out, l, batch, joint, batch, set); /* every cell with every other */
    }
    add_optimizer(out, l, &net.p, o.average, set);
done:
    clue_net_clear(&net);
    return st;
}

/* ---------------------------------------------------------------------------------- clip */

static scw_status clip_settings(clip_options *o)
{
    scw_status st = scw_options_init(clip_option_table, o);

    o->library = LIBRARY;
    o->validation = 0.0;
    o->unit_rows = PAIRED_ROWS_OFF;
    o->epochs = BENCH_EPOCHS;
    return st;
}

static scw_status fit_clip(const reference *ref, int64_t batch_size, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    clip_options o;

    TRY(clip_settings(&o));
    o.batch_size = batch_size;
    TRY(fit_with(clip_fit, "clip", &o, ref, hooks));
done:
    return st;
}

static scw_status clip_cost(bench_cost *out, const bench_limits *l, const reference *ref, double batch)
{
    scw_status st = SCW_OK;
    clip_options o;
    clip_config c;
    clip_net net = {0};

    *out = (bench_cost){0};
    TRY(clip_settings(&o));
    const paired_shape s = shape_of(ref, o.components, o.max_dense);
    clip_options_config(&c, &o);
    c.n_modalities = ref->n_modalities;
    for (int k = 0; k < c.n_modalities; k++) {
        clip_modality *m = &c.modality[k];
        *m = (clip_modality){.n_in = (int64_t)s.n_in[k]};
        (void)snprintf(m->name, sizeof m->name, "%s", ref->modality[k].name);
    }
    TRY(clip_net_init(&net, &c, 1));
    const double z = (double)c.z_dim, set = 3.0 * (double)sizeof(real) * (double)net.p.n_trainable;
    for (int k = 0; k < c.n_modalities; k++) {
        const double n_in = s.n_in[k];
        const double last = add_layers(out, l, batch, n_in, c.depth, (double)c.width, 0.0, set);
        bench_add_layer(out, l, batch, last, z, set);
        bench_cost_add(out, l, 0.0, (double)sizeof(real) * batch * n_in, set); /* the cells */
        if (c.path) bench_cost_add(out, l, 2.0 * batch * n_in * z, (double)sizeof(real) * n_in * z, set);
        for (int q = k + 1; q < c.n_modalities; q++) bench_add_layer(out, l, batch, z, batch, set);
    }
    add_optimizer(out, l, &net.p, o.average, set);
done:
    clip_net_clear(&net);
    return st;
}

/* ---------------------------------------------------------------------------------- all */

const bench_kind bench_kinds[] = {
    {"clue", fit_clue, clue_cost},
    {"clip", fit_clip, clip_cost},
    {NULL, NULL, NULL},
};

typedef struct kind_run {
    const bench_kind *kind;
    const reference *ref;
    int64_t batch_size;
} kind_run;

static scw_status run_fit(void *self, const scw_hooks *hooks)
{
    const kind_run *r = self;
    return r->kind->fit(r->ref, r->batch_size, hooks);
}

scw_status bench_kind_steps(bench_row *out, const bench *b, const bench_kind *kind, const reference *ref,
                            const char *name, int64_t batch_size)
{
    scw_status st = SCW_OK;
    kind_run run = {kind, ref, batch_size};

    *out = (bench_row){.part = "steps", .model = kind->model, .what = name, .settings = "default",
                       .cells = (double)ref->n, .batch_size = batch_size};
    for (int k = 0; k < ref->n_modalities; k++) {
        out->features += (double)ref->modality[k].features->n;
        out->nnz += (double)matrix_nnz(&ref->modality[k].counts) / (double)ref->n;
    }
    TRY(kind->cost(&out->cost, &b->limits, ref, fmin((double)batch_size, (double)ref->n)));
    TRY(bench_time_steps(out, b, (ref->n + batch_size - 1) / batch_size, run_fit, &run));
done:
    return st;
}
