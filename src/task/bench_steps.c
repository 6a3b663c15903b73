/* SPDX-License-Identifier: BSD-3-Clause */
/* Training steps and inference of a model on a reference, measured, and what they cost at least.
 *
 * A small fit makes the model; then the whole reference is taken as its input, and the trainer runs
 * on it until enough steps have been timed. So what comes before and after training does not count,
 * and the cells of a step lie as far apart in memory as they do in a fit.
 *
 * A step lasts from one look at the cancel hook, which the trainer takes before each, to the next. Kinds of
 * model whose fit needs no choices before it are timed in the fit itself (bench_kinds.c). */
#include "task/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "train/fit.h"
#include "train/trainer.h"

#define FITTED_CELLS 1000
#define FITTED_STEPS 4
#define WARM_UP 10 /* steps before the first that counts */
#define MOST_STEPS 200
#define LEAST_STEPS 30
#define STEP_BUDGET 3.0 /* seconds, once there are enough steps */
#define INFERENCE_CELLS 10000
#define INFERENCE_BUDGET 0.25

/* ---------------------------------------------------------------------------------- cost */

/* Rows of a weight matrix that a batch touches, when each cell has nnz of n_vars features. */
static double touched(double n_vars, double nnz, double batch)
{
    return n_vars * (1.0 - pow(1.0 - fmin(1.0, nnz / n_vars), batch));
}

/* Everything that a training step works on: parameters with two moments, the batch, and the gradient of
 * its reconstruction. */
static double step_working_set(const bench_model *m, double batch)
{
    const matilda_config *c = &m->model->net.config;
    double values = 3.0 * (double)m->model->net.p.n_trainable;

    for (int k = 0; k < c->n_modalities; k++)
        values += batch * (2.0 * m->nnz[k] + (double)c->modality[k].n_vars);
    return values * (double)sizeof(real);
}

void bench_add_layer(bench_cost *cost, const bench_limits *l, double batch, double n_in, double n_out,
                     double set)
{
    const double weights = n_in * n_out;

    for (int k = 0; k < 3; k++)
        bench_cost_add(cost, l, 2.0 * batch * weights, (double)sizeof(real) * weights, set);
}

/* What a training step cannot do without (docs/bench.md). */
static bench_cost step_cost(const bench_limits *l, const bench_model *m, double batch)
{
    const matilda_config *c = &m->model->net.config;
    const double joint = (double)c->n_joint, z = (double)c->z_dim, set = step_working_set(m, batch);
    const double arrays = m->model->options.average > 0.0 ? 8.0 : 6.0;
    double hidden = 0.0;
    bench_cost cost = {0};

    for (int k = 0; k < c->n_modalities; k++) {
        const matilda_modality *x = &c->modality[k];
        const double h = (double)x->n_hidden, f = (double)x->n_vars, nnz = m->nnz[k];
        const double rows = (double)sizeof(real) * h * touched(f, nnz, batch);
        bench_cost_add(&cost, l, 0.0, 8.0 * batch * nnz,
                       set); /* the cells: a number and its column */
        if (x->n_components > 0) {
            bench_add_layer(&cost, l, batch, (double)x->n_components, h, set);
        } else {
            bench_cost_add(&cost, l, 2.0 * batch * nnz * h, rows, set); /* forward */
            bench_cost_add(&cost, l, 2.0 * batch * nnz * h, 0.0, set);  /* weight gradient */
        }
        bench_add_layer(&cost, l, batch, z + (double)c->n_batches, f, set);
        hidden += h;
    }
    bench_add_layer(&cost, l, batch, hidden, joint, set);
    bench_add_layer(&cost, l, batch, joint, 2.0 * z, set);
    bench_add_layer(&cost, l, batch, z, (double)c->n_classes, set);
    /* Values and two moments are read and written, and so is an average; gradients stay in cache. */
    bench_cost_add(&cost, l, 0.0,
                   arrays * (double)sizeof(real) * (double)m->model->net.p.n_trainable, set);
    return cost;
}

/* Answers and latent of n cells from their inputs; the weights stay in cache. */
static bench_cost inference_cost(const bench_limits *l, const bench_model *m, double n)
{
    const matilda_config *c = &m->model->net.config;
    const double joint = (double)c->n_joint, z = (double)c->z_dim;
    double hidden = 0.0, flops = 0.0, bytes = 0.0;
    bench_cost cost = {0};

    for (int k = 0; k < c->n_modalities; k++) {
        const matilda_modality *x = &c->modality[k];
        const double h = (double)x->n_hidden, u = (double)x->n_components;
        flops += 2.0 * m->nnz[k] * (u > 0.0 ? u : h) + 2.0 * u * h;
        bytes += 8.0 * m->nnz[k];
        hidden += h;
    }
    flops += 2.0 * (hidden * joint + joint * z + z * (double)c->n_classes);
    bytes += (double)sizeof(real) * (z + (double)c->n_classes);
    bench_cost_add(&cost, l, n * flops, n * bytes, n * bytes);
    return cost;
}

/* ---------------------------------------------------------------------------------- model */

void bench_model_clear(bench_model *m)
{
    cells_clear(&m->cells);
    matilda_free(m->model);
    *m = (bench_model){0};
}

static scw_status all_rows(int64_t **out, int64_t n)
{
    scw_status st = SCW_OK;

    TRY(mem_new(out, n));
    for (int64_t i = 0; i < n; i++)
        (*out)[i] = i;
done:
    return st;
}

/* Cells at equal distances. */
static scw_status spread_rows(int64_t **out, int64_t *n_out, int64_t n)
{
    scw_status st = SCW_OK;

    *n_out = n < FITTED_CELLS ? n : FITTED_CELLS;
    TRY(mem_new(out, *n_out));
    for (int64_t i = 0; i < *n_out; i++)
        (*out)[i] = i * n / *n_out;
done:
    return st;
}

scw_status bench_model_init(bench_model *m, const bench *b, const reference *ref, const char *name,
                            const char *settings)
{
    scw_status st = SCW_OK;
    const scw_model_kind *kind = scw_model_kind_find("matilda");
    matilda_options options;
    int64_t *rows = NULL, *all = NULL, n;

    *m = (bench_model){.ref = ref, .name = name, .settings = settings};
    TRY(scw_options_init(kind->options, &options));
    if (strcmp(settings, "default") != 0) TRY(kind->preset(&options, settings));
    options.min_steps = options.max_steps = FITTED_STEPS;
    options.epochs = 1;
    options.validation = 0.0;
    options.augmentation = AUGMENT_OFF;
    options.shortcut_c = 10.0;
    options.library = 1e4;
    options.modality_weights = 0;
    options.subsets = 0;
    options.calibration_folds = 0;
    options.likelihood = LIKELIHOOD_GAUSSIAN;
    TRY(spread_rows(&rows, &n, ref->n));
    TRY(fit_model(&m->model, kind, ref, rows, n, &options, 1, NULL, NULL));
    TRY(all_rows(&all, ref->n));
    TRY(fit_prepare(&m->cells, m->model, ref, all, ref->n));
    for (int k = 0; k < ref->n_modalities; k++)
        m->nnz[k] = (double)matrix_nnz(&ref->modality[k].counts) / (double)ref->n;
    TRY(log_check_cancel(b->hooks));
done:
    mem_free(rows);
    mem_free(all);
    if (st != SCW_OK) bench_model_clear(m);
    return st;
}

/* The columns that every row of this reference and model has. */
static bench_row row_of(const bench_model *m, const char *part)
{
    bench_row row = {
        .part = part, .model = "matilda", .what = m->name, .settings = m->settings,
        .cells = (double)m->ref->n};

    for (int k = 0; k < m->ref->n_modalities; k++) {
        row.features += (double)m->ref->modality[k].features->n;
        row.nnz += m->nnz[k];
    }
    return row;
}

/* ---------------------------------------------------------------------------------- steps */

typedef struct stopwatch {
    const scw_hooks *outer;
    double look[MOST_STEPS + WARM_UP + 1];
    int64_t n;
    int64_t epoch_end; /* looks before the end of the first epoch; 0: it has not ended */
    double cpu[2];     /* at the first look that counts, at the latest */
} stopwatch;

/* Looks before a report of no epoch came before training. */
static void on_progress(void *user, const scw_progress *progress)
{
    stopwatch *w = user;

    if (progress->epoch == 0) w->n = 0;
    if (progress->epoch == 1) w->epoch_end = w->n;
}

/* Asks the trainer to stop when it has seen enough. */
static int on_look(void *user)
{
    stopwatch *w = user;
    const double now = clock_wall();

    if (w->outer && w->outer->cancelled && w->outer->cancelled(w->outer->user)) return 1;
    w->cpu[w->n > WARM_UP] = clock_cpu();
    w->look[w->n++] = now;
    return w->n > WARM_UP + MOST_STEPS ||
           (w->n > WARM_UP + LEAST_STEPS && now - w->look[WARM_UP] > STEP_BUDGET);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The last step of an epoch, whose batch is smaller, does not count, unless it is the only one. */
static void read_stopwatch(bench_row *row, stopwatch *w, int64_t per_epoch)
{
    double *t = w->look;
    int64_t n = 0;

    for (int64_t k = WARM_UP; k + 1 < w->n; k++)
        if (per_epoch == 1 || w->epoch_end == 0 || (k + 1 - w->epoch_end) % per_epoch != 0)
            t[n++] = t[k + 1] - t[k];
    qsort(t, (size_t)n, sizeof *t, by_size);
    row->cpu = (w->cpu[1] - w->cpu[0]) / (double)(w->n - 1 - WARM_UP);
    row->seconds = t[n / 2];
    row->quickest = t[n / 10];
}

scw_status bench_time_steps(bench_row *row, const bench *b, int64_t per_epoch,
                            scw_status (*train)(void *self, const scw_hooks *hooks), void *self)
{
    scw_status st = SCW_OK;
    stopwatch *w = NULL;

    TRY(mem_new(&w, 1));
    w->outer = b->hooks;
    const scw_hooks hooks = {.cancelled = on_look, .progress = on_progress, .user = w};
    st = train(self, &hooks);
    if (w->n > WARM_UP + LEAST_STEPS && st == SCW_ECANCELLED) {
        status_clear();
        st = SCW_OK;
        read_stopwatch(row, w, per_epoch);
    }
    TRY(st);
    TRY(log_check_cancel(b->hooks));
done:
    mem_free(w);
    return st;
}

static train_options trainer_options(const matilda_options *o, int64_t batch_size)
{
    return (train_options){.seed = 1,
                           .batch_size = batch_size,
                           .optimizer = optimizer_defaults((optimizer_kind)o->optimizer),
                           .average = o->average};
}

typedef struct matilda_run {
    const network *net;
    const train_options *options;
    train_source source;
} matilda_run;

static scw_status run_trainer(void *self, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const matilda_run *r = self;
    trainer t = {0};
    const train_phase phase = {.name = "bench", .source = r->source, .n_epochs = BENCH_EPOCHS, .lr = 1e-4,
                               .lr_end = 1e-4};

    TRY(trainer_init(&t, r->net, r->options, phase.n_epochs, NULL, hooks));
    TRY(trainer_run(&t, &phase, false));
done:
    trainer_clear(&t);
    return st;
}

scw_status bench_steps(bench_row *out, const bench *b, bench_model *m, int64_t batch_size)
{
    scw_status st = SCW_OK;
    const matilda_options *o = &m->model->options;
    const int64_t size = batch_size > 0 ? batch_size : o->batch_size;
    int64_t *rows = NULL;
    inputs projected = {0};
    network net = matilda_network(&m->model->net);
    row_source source = {.cells = &m->cells, .n = m->ref->n};

    *out = row_of(m, "steps");
    out->batch_size = size;
    out->cost = step_cost(&b->limits, m, fmin((double)size, (double)m->ref->n));
    TRY(all_rows(&rows, m->ref->n));
    source.rows = rows;
    if (m->model->net.config.modality[0].n_components > 0) {
        TRY(inputs_gather(&projected, m->model, &m->cells, rows, m->ref->n));
        source.projected = &projected;
    }
    const train_options options = trainer_options(o, size);
    matilda_run run = {&net, &options, row_source_as_source(&source)};
    TRY(bench_time_steps(out, b, (m->ref->n + size - 1) / size, run_trainer, &run));
done:
    inputs_clear(&projected);
    mem_free(rows);
    return st;
}

/* ---------------------------------------------------------------------------------- inference */

typedef struct query {
    const bench_model *m;
    const int64_t *rows;
    int64_t n;
    const cells *inputs;
    float *logits, *latent;
    scw_status st;
} query;

static void run_prepare(void *self)
{
    query *q = self;
    cells made = {0};

    scw_status st = fit_prepare(&made, q->m->model, q->m->ref, q->rows, q->n);
    if (q->st == SCW_OK) q->st = st;
    cells_clear(&made);
}

static void run_infer(void *self)
{
    query *q = self;
    const matilda_model *m = q->m->model;

    scw_status st = matilda_infer(m, &m->net.p, q->inputs, q->rows, q->n, q->logits, q->latent);
    if (q->st == SCW_OK) q->st = st;
}

scw_status bench_inference(bench *b, bench_model *m)
{
    scw_status st = SCW_OK;
    int64_t *rows = NULL;
    query q = {.m = m, .inputs = &m->cells};
    const matilda_config *c = &m->model->net.config;

    q.n = m->ref->n < INFERENCE_CELLS ? m->ref->n : INFERENCE_CELLS;
    TRY(all_rows(&rows, q.n));
    q.rows = rows;
    TRY(mem_new(&q.logits, q.n * c->n_classes));
    TRY(mem_new(&q.latent, q.n * c->z_dim));
    for (int k = 0; k < 2; k++) {
        bench_row row = row_of(m, k == 0 ? "preparing" : "inference");
        row.of_cells = true;
        row.cells = (double)q.n;
        row.seconds = bench_best(k == 0 ? run_prepare : run_infer, &q, INFERENCE_BUDGET);
        TRY(q.st);
        /* Preparing reads and writes each entry once. */
        if (k == 0)
            bench_cost_add(&row.cost, &b->limits, 0.0, 16.0 * row.nnz * row.cells,
                           16.0 * row.nnz * row.cells);
        else
            row.cost = inference_cost(&b->limits, m, row.cells);
        TRY(bench_add(b, &row));
    }
done:
    mem_free(rows);
    mem_free(q.logits);
    mem_free(q.latent);
    return st;
}
