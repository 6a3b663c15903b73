/* SPDX-License-Identifier: BSD-3-Clause */
/* The fit of CLIP: the library size, scores, the linear path, then the towers. With a validation share
 * there are two trainings: that share says how many epochs are enough, then all cells are learnt from for
 * so many (--refit off: the first is the model). */
#include "train/clip_fit.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "models/carry.h"
#include "models/clip_model.h"
#include "train/kept_trainer.h"
#include "train/paired_cells.h"

#define JUDGED 2048 /* validation cells that are told apart at a time */

typedef struct job {
    clip_model *model;
    const clip_model *from; /* that it starts from; NULL: none */
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

/* ------------------------------------------------------------------------------ the start */

/* The path of a mean square length of one, so that what the towers add starts small beside it, and
 * towers that say nothing yet but what centres it. */
static scw_status start_path(job *j)
{
    scw_status st = SCW_OK;
    clip_net *net = &j->model->net;
    double size = 0.0;

    linear_path_clear(&j->path);
    TRY(paired_cells_path(&j->path, &j->in));
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

/* Modalities, what is read of them, and who is held out. */
static scw_status build(job *j, const paired_fit *f)
{
    scw_status st = SCW_OK;
    clip_options *o = &j->model->options;
    paired_cells *in = &j->in;

    *in = (paired_cells){.fit = f, .model = &j->model->base, .input = j->model->input,
                         .from_input = j->from ? j->from->input : NULL};
    in->options = (paired_cells_options){f->ref->n >= o->validation_from ? o->validation : 0.0,
                                         o->library, o->unit_rows,
                                         {o->components, o->max_dense, o->standardise != 0, false, f->seed},
                                         {o->path_ridge, o->path_power, o->z_dim}};
    TRY(paired_cells_init(in));
    o->library = in->options.library;
    o->unit_rows = in->options.unit_rows;
done:
    return st;
}

/* Scores, and a network that has learnt nothing yet but the path, or what the model to start from has. */
static scw_status start_network(job *j)
{
    scw_status st = SCW_OK;
    const clip_options *o = &j->model->options;
    clip_config config;

    TRY(paired_cells_score(&j->in));
    clip_net_clear(&j->model->net);
    clip_config_of(&config, j->model);
    for (int k = 0; k < config.n_modalities; k++)
        config.modality[k].noise = o->noise * size_of(&j->in, k);
    TRY(clip_net_init(&j->model->net, &config, j->in.fit->seed));
    if (j->from)
        TRY(carry_params(&j->model->net.p, &j->from->net.p, NULL, 0));
    else if (o->path)
        TRY(start_path(j));
done:
    return st;
}

/* ------------------------------------------------------------------------------- training */

static bool gather_rows(clip_batch *out, const paired_set *c, tape *t, const int64_t *rows, int64_t n)
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

/* One training on the training cells; the validation share, if there is one, says when to stop. */
static scw_status train(job *j, int64_t epochs)
{
    scw_status st = SCW_OK;
    const clip_options *o = &j->model->options;
    const bool judged = j->in.n_validation > 0;
    const network net = {&j->model->net, &j->model->net.p, network_forward, network_loss};
    const train_validator validator = {j, validation_score};
    train_options options = {.seed = j->in.fit->seed,
                             .batch_size = o->batch_size,
                             .optimizer = optimizer_defaults(OPTIMIZER_ADAMW),
                             .average = o->average};
    kept_trainer *k = &j->training;

    options.optimizer.weight_decay[CLIP_GROUP_WEIGHT] = o->weight_decay;
    TRY(start_network(j));
    TRY(kept_trainer_start(k, &net, &options, epochs, judged ? &validator : NULL, j->in.fit->hooks));
    const train_phase phase = {.name = k->training > 0 ? "all cells" : "training",
                               .source = {.n = j->in.n_train, .self = j, .gather = gather},
                               .n_epochs = epochs,
                               .lr = o->lr,
                               .lr_end = o->lr,
                               .patience = o->patience};
    if (epochs > 0) TRY(trainer_run(&k->trainer, &phase, false));
    kept_trainer_finish(k);
    TRY(kept_trainer_record(j->model->base.record, k, 0, j->in.n_train, j->in.n_validation));
done:
    kept_trainer_stop(k);
    return st;
}

/* The first training, unless a checkpoint stands behind it; then, with all cells, the second. */
static scw_status train_all(job *j)
{
    scw_status st = SCW_OK;
    kept_trainer *k = &j->training;

    TRY(tape_new(&j->tape));
    if (!kept_trainer_is_past(k)) TRY(train(j, j->model->options.epochs));
    if (j->in.n_validation == 0 || !j->model->options.refit) goto done;
    TRY(kept_trainer_next(k));
    paired_cells_join(&j->in);
    TRY(train(j, k->epochs[0]));
done:
    return st;
}

scw_status clip_fit(scw_model **out, const paired_fit *f)
{
    scw_status st = SCW_OK;
    job j = {.from = (const clip_model *)f->from};

    *out = NULL;
    TRY(clip_new(&j.model, f->kind, f->options));
    TRY(kept_trainer_open(&j.training, &j.model->base, f->plan));
    TRY(build(&j, f));
    TRY(train_all(&j));
    *out = &j.model->base;
    j.model = NULL;
done:
    job_clear(&j);
    return st;
}
