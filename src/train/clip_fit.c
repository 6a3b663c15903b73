/* SPDX-License-Identifier: BSD-3-Clause */
/* The fit of CLIP: the library size, scores, the linear path, then the towers. */
#include "train/clip_fit.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "metric/pairing.h"
#include "train/kept_trainer.h"
#include "train/paired_cells.h"

#define JUDGED 2048       /* validation cells that are told apart at a time */
#define CHOICE_FOLDS 5    /* of the training cells, to choose a library size */
#define CHOICE_CELLS 5000 /* at most, evenly taken */

/* What counts may be scaled to. The right one depends on depth and on how many genes were kept. */
static const double libraries[] = {100.0, 300.0, 1000.0, 3000.0, 10000.0};

typedef struct job {
    clip_model *model;
    const checkpoint_plan *plan;
    paired_cells in;
    linear_path path;
    tape *tape; /* of the validator */
    kept_trainer training;
} job;

static void job_clear(job *j)
{
    clip_free(j->model);
    paired_cells_clear(&j->in);
    linear_path_clear(&j->path);
    tape_free(j->tape);
    kept_trainer_clear(&j->training);
    *j = (job){0};
}

static linear_path_options path_options(const clip_options *o)
{
    return (linear_path_options){o->path_ridge, o->path_power, o->z_dim};
}

/* -------------------------------------------------------------------- the library size */

/* Scores [n, d] of the listed cells' modality k under a path; NaN where it is absent. */
static scw_status apply_path(float **out, const paired_cells *in, const linear_path *path, int k,
                             const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t p = in->cells.width[k];

    TRY(mem_new(out, n * path->k));
    for (int64_t i = 0; i < n; i++)
        for (int64_t e = 0; e < path->k; e++) {
            const float *x = in->cells.input[k] + rows[i] * p;
            double sum = in->cells.present[k][rows[i]] ? 0.0 : NAN;
            for (int64_t j = 0; j < p; j++)
                sum += ((double)x[j] - path->mean[k][j]) * path->map[k][j * path->k + e];
            (*out)[i * path->k + e] = (float)sum;
        }
done:
    return st;
}

/* Sum over the pairs of modalities of FOSCTTM among held-out cells, added to *sum; pairs that no held-out
 * cell has do not count. */
static scw_status judge_path(double *sum, int64_t *n_judged, const paired_cells *in,
                             const linear_path *path, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    const int K = in->cells.n_modalities;
    float *scores[MODEL_MAX_MODALITIES] = {0};
    int64_t *own = NULL;
    pairing figures;

    TRY(mem_new(&own, n));
    for (int64_t i = 0; i < n; i++) own[i] = i;
    for (int k = 0; k < K; k++) TRY(apply_path(&scores[k], in, path, k, rows, n));
    for (int k = 0; k < K; k++)
        for (int l = k + 1; l < K; l++) {
            int64_t n_pairs = 0;
            for (int64_t i = 0; i < n; i++)
                n_pairs += in->cells.present[k][rows[i]] && in->cells.present[l][rows[i]];
            if (n_pairs == 0) continue;
            TRY(pairing_measure(&figures, &(pairing_input){.x = scores[k], .y = scores[l], .n_x = n,
                                                           .n_y = n, .d = path->k, .partner = own,
                                                           .cosine = true}));
            *sum += figures.foscttm;
            ++*n_judged;
        }
done:
    mem_free(own);
    for (int k = 0; k < K; k++) mem_free(scores[k]);
    return st;
}

/* Mean FOSCTTM of the path over folds of the training cells, under the scores as they are. */
static scw_status try_path(double *out, job *j)
{
    scw_status st = SCW_OK;
    const linear_path_options options = path_options(&j->model->options);
    const int64_t n = j->in.n_train < CHOICE_CELLS ? j->in.n_train : CHOICE_CELLS;
    int64_t *known = NULL, *held = NULL, n_judged = 0;
    linear_path path = {0};
    double sum = 0.0;

    TRY(mem_new(&known, n));
    TRY(mem_new(&held, n));
    for (int64_t fold = 0; fold < CHOICE_FOLDS; fold++) {
        int64_t n_known = 0, n_held = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t row = j->in.train[i * j->in.n_train / n];
            if (i % CHOICE_FOLDS == fold)
                held[n_held++] = row;
            else
                known[n_known++] = row;
        }
        linear_path_clear(&path);
        TRY(paired_cells_path(&path, &j->in, known, n_known, &options));
        TRY(judge_path(&sum, &n_judged, &j->in, &path, held, n_held));
    }
    *out = n_judged > 0 ? sum / (double)n_judged : NAN;
done:
    mem_free(known);
    mem_free(held);
    linear_path_clear(&path);
    return st;
}

static bool has_kind(const scw_model *m, modality_kind kind)
{
    for (int k = 0; k < m->n_modalities; k++)
        if (m->modality[k].kind == kind) return true;
    return false;
}

/* Scores under the library size that is asked for, or under the best one. */
static scw_status score(job *j)
{
    scw_status st = SCW_OK;
    clip_options *o = &j->model->options;
    double best = INFINITY, now;

    if (o->library == 0.0 && !has_kind(&j->model->base, MODALITY_RNA)) o->library = 1e4;
    if (o->library > 0.0) {
        TRY(paired_cells_score(&j->in));
        goto done;
    }
    for (size_t q = 0; q < sizeof libraries / sizeof *libraries; q++) {
        j->in.options.library = libraries[q];
        TRY(paired_cells_score(&j->in));
        st = try_path(&now, j);
        if (st == SCW_EDATA) { /* folds that no cell ties together: too few cells to choose with */
            status_clear();
            st = SCW_OK;
            now = NAN;
        }
        if (st != SCW_OK) goto done;
        log_detail(j->in.hooks, "library %g: FOSCTTM %.4f of held-out training cells", libraries[q], now);
        if (!(now < best)) continue;
        best = now;
        o->library = libraries[q];
    }
    if (o->library == 0.0) o->library = 1e4;
    j->in.options.library = o->library;
    TRY(paired_cells_score(&j->in));
    log_info(j->in.hooks, "RNA is scaled to %g counts a cell", o->library);
done:
    return st;
}

/* ------------------------------------------------------------------------------ the start */

/* The path of a mean square length of one, so that what the towers add starts small beside it, and
 * towers that say nothing yet but what centres it. */
static scw_status start_path(job *j)
{
    scw_status st = SCW_OK;
    clip_net *net = &j->model->net;
    const linear_path_options options = path_options(&j->model->options);
    double size = 0.0;

    TRY(paired_cells_path(&j->path, &j->in, j->in.train, j->in.n_train, &options));
    const int64_t k = j->path.k, d = net->config.z_dim;
    for (int64_t e = 0; e < k; e++) size += j->path.weight[e] * j->path.weight[e];
    const double gain = size > 0.0 ? sqrt((double)j->path.n_sets / size) : 0.0;
    for (int m = 0; m < net->config.n_modalities; m++) {
        const int64_t p = net->config.modality[m].n_in;
        const int64_t last = net->config.depth > 0 ? net->config.width : p;
        real *map = params_value(&net->p, net->path[m]), *bias = params_value(&net->p, net->out[m].bias);
        memset(params_value(&net->p, net->out[m].weight), 0, (size_t)(d * last) * sizeof(real));
        for (int64_t e = 0; e < d; e++) {
            double shift = 0.0;
            for (int64_t q = 0; q < p; q++) {
                const double v = e < k ? gain * j->path.map[m][q * k + e] : 0.0;
                map[e * p + q] = (real)v;
                shift -= v * j->path.mean[m][q];
            }
            bias[e] = (real)shift;
        }
    }
done:
    return st;
}

/* Root of the mean square of the training cells' inputs of modality k. */
static double size_of(const paired_cells *in, int k)
{
    const int64_t p = in->cells.width[k];
    double sum = 0.0;
    int64_t n = 0;

    for (int64_t i = 0; i < in->n_train; i++) {
        const float *x = in->cells.input[k] + in->train[i] * p;
        if (!in->cells.present[k][in->train[i]]) continue;
        for (int64_t q = 0; q < p; q++) sum += (double)x[q] * (double)x[q];
        n++;
    }
    return n > 0 ? sqrt(sum / (double)n / (double)p) : 0.0;
}

static scw_status build(job *j, const reference *r, uint64_t seed, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const clip_options *o = &j->model->options;
    clip_config config;

    j->in = (paired_cells){.model = &j->model->base, .input = j->model->input, .ref = r, .seed = seed,
                           .hooks = hooks,
                           .options = {r->n >= o->validation_from ? o->validation : 0.0, o->library,
                                       {o->components, o->max_dense, o->standardise != 0, seed}}};
    TRY(paired_cells_init(&j->in));
    TRY(score(j));
    clip_config_of(&config, j->model);
    for (int k = 0; k < config.n_modalities; k++)
        config.modality[k].noise = o->noise * size_of(&j->in, k);
    TRY(clip_net_init(&j->model->net, &config, seed));
    if (o->path) TRY(start_path(j));
done:
    return st;
}

/* ------------------------------------------------------------------------------- training */

static bool gather_rows(clip_batch *out, const clue_cells *c, tape *t, const int64_t *rows, int64_t n)
{
    *out = (clip_batch){.n = n};
    for (int k = 0; k < c->n_modalities; k++) {
        const int64_t width = c->width[k];
        real *present = tape_alloc(t, n, sizeof *present);
        real *input = tape_alloc(t, n * width, sizeof *input);
        if (!present || !input) return false;
        for (int64_t i = 0; i < n; i++) {
            present[i] = c->present[k][rows[i]] != 0;
            for (int64_t q = 0; q < width; q++)
                input[i * width + q] = (real)c->input[k][rows[i] * width + q];
        }
        out->input[k] = input;
        out->present[k] = present;
    }
    return true;
}

static void gather(const void *self, tape *t, const int64_t *entries, int64_t n, model_batch *batch)
{
    const job *j = self;
    clip_batch *more = tape_alloc(t, 1, sizeof *more);
    int64_t *rows = tape_alloc(t, n, sizeof *rows);

    *batch = (model_batch){0};
    if (!more || !rows) return;
    for (int64_t i = 0; i < n; i++) rows[i] = j->in.train[entries[i]];
    if (gather_rows(more, &j->in.cells, t, rows, n)) *batch = (model_batch){.n = n, .more = more};
}

static void network_forward(const void *self, const nn_pass *pass, const model_batch *batch,
                            bool decode, model_outputs *out)
{
    clip_outputs *more = tape_alloc(pass->t, 1, sizeof *more);

    (void)decode;
    *out = (model_outputs){.more = more};
    if (more && batch->more) clip_forward(self, pass, batch->more, more);
}

static void network_loss(const void *self, const nn_pass *pass, const model_batch *batch,
                         const model_outputs *out, model_losses *losses)
{
    *losses = (model_losses){0};
    if (out->more && batch->more) clip_loss(self, pass, batch->more, out->more, losses);
}

/* The loss of the validation cells, each told from so many others. */
static scw_status validation_score(void *self, const params *p, double *out)
{
    scw_status st = SCW_OK;
    job *j = self;
    double sum = 0.0;

    for (int64_t from = 0; from < j->in.n_validation; from += JUDGED) {
        const int64_t left = j->in.n_validation - from, n = left < JUDGED ? left : JUDGED;
        const nn_pass pass = {.t = j->tape, .p = p};
        clip_batch batch;
        clip_outputs made;
        model_losses losses;
        tape_reset(j->tape, TAPE_EVAL);
        if (gather_rows(&batch, &j->in.cells, j->tape, j->in.validation + from, n)) {
            clip_forward(&j->model->net, &pass, &batch, &made);
            clip_loss(&j->model->net, &pass, &batch, &made, &losses);
        }
        TRY(tape_status(j->tape));
        sum += (double)losses.total->value[0] * (double)n;
    }
    *out = -sum / (double)j->in.n_validation;
done:
    return st;
}

static scw_status train(job *j)
{
    scw_status st = SCW_OK;
    const clip_options *o = &j->model->options;
    const network net = {&j->model->net, &j->model->net.p, network_forward, network_loss};
    const train_validator validator = {j, validation_score};
    train_options options = {.seed = j->in.seed,
                             .batch_size = o->batch_size,
                             .optimizer = optimizer_defaults(OPTIMIZER_ADAMW),
                             .average = o->average};

    options.optimizer.weight_decay[CLIP_GROUP_WEIGHT] = o->weight_decay;
    TRY(tape_new(&j->tape));
    TRY(kept_trainer_init(&j->training, &net, &options, o->epochs,
                          j->in.n_validation > 0 ? &validator : NULL, &j->model->base, j->plan, NULL,
                          j->in.hooks));
    const train_phase phase = {.name = "training",
                               .source = {.n = j->in.n_train, .self = j, .gather = gather},
                               .n_epochs = o->epochs,
                               .lr = o->lr,
                               .lr_end = o->lr,
                               .patience = o->patience};
    if (o->epochs > 0) TRY(trainer_run(&j->training.trainer, &phase, false));
    trainer_finish(&j->training.trainer);
    TRY(trainer_record(j->model->base.record, &j->training.trainer, j->in.n_train,
                       j->in.n_validation));
done:
    return st;
}

scw_status clip_fit(clip_model **out, const scw_model_kind *kind, const reference *ref,
                    const clip_options *options, uint64_t seed, const checkpoint_plan *plan,
                    const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    job j = {.plan = plan};

    *out = NULL;
    TRY(clip_new(&j.model, kind, options));
    TRY(build(&j, ref, seed, hooks));
    TRY(train(&j));
    *out = j.model;
    j.model = NULL;
done:
    if (st == SCW_EFORMAT && plan && plan->resume)
        st = status_prefix(st, "%s: cannot be used", plan->where);
    job_clear(&j);
    return st;
}
