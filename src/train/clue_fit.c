/* SPDX-License-Identifier: BSD-3-Clause */
/* The fit of CLUE: the library size, transforms and scores, the linear path, then the two players in turn,
 * and then decoders alone. An embedding of few cells is at its best after tens of steps, before it knows
 * the training cells by heart; decoders need hundreds, and no noise (docs/models/clue.md).
 *
 * With a validation share all this is done twice. The first time, without that share, says how many epochs
 * are enough and, on the share, how far off predictions are. The second starts anew and learns from
 * all cells for that many epochs (--refit off: the first is the model). A fit that starts from a fitted
 * model has its transforms, scores and path, and both trainings start at its parameters. */
#include "train/clue_fit.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "models/clue_carry.h"
#include "models/clue_model.h"
#include "models/clue_path.h"
#include "train/clue_intervals.h"
#include "train/clue_start.h"
#include "train/kept_trainer.h"
#include "train/paired_cells.h"

#define SCORE_ROWS 512 /* cells of one block */
#define DECODER_SEED 0x5851f42d4c957f2du /* added to the seed where decoders learn alone */

enum { ENCODERS = 0, DECODERS }; /* trainings, the first time */

typedef struct job {
    clue_model *model;
    const clue_model *from; /* that it starts from; NULL: none */
    paired_cells in;
    clue_source learning, judging; /* of the training and the validation cells */
    float *unit[MODEL_MAX_MODALITIES]; /* [n, K d] embeddings that decoders alone learn from */
    tape *tape;                    /* of the validator */
    kept_trainer training;
} job;

static void job_clear(job *j)
{
    clue_free(j->model);
    paired_cells_clear(&j->in);
    clue_source_clear(&j->learning);
    clue_source_clear(&j->judging);
    for (int k = 0; k < MODEL_MAX_MODALITIES; k++) mem_free(j->unit[k]);
    tape_free(j->tape);
    kept_trainer_clear(&j->training);
    *j = (job){0};
}

/* ------------------------------------------------------------------------------ the start */

static scw_status start_path(job *j)
{
    scw_status st = SCW_OK;
    const clue_options *o = &j->model->options;
    linear_path path = {0};

    TRY(paired_cells_path(&path, &j->in));
    clue_path_set(&j->model->net, &path, o->path_gain, o->start_deviation);
done:
    linear_path_clear(&path);
    return st;
}

/* Scores, and a network that has learnt nothing yet but what the training cells say at once. */
static scw_status start_network(job *j)
{
    scw_status st = SCW_OK;
    const clue_options *o = &j->model->options;
    clue_config config;

    TRY(paired_cells_score(&j->in));
    clue_net_clear(&j->model->net);
    clue_config_of(&config, j->model);
    TRY(clue_net_init(&j->model->net, &config, j->in.fit->seed));
    if (j->from) {
        TRY(clue_net_carry(&j->model->net, &j->from->net));
        goto done;
    }
    if (o->path) TRY(start_path(j));
    if (o->start_means) TRY(clue_start(&j->model->net, &j->in.cells, j->in.train, j->in.n_train));
done:
    return st;
}

/* Modalities, classes, batches, and who is held out. */
static scw_status build(job *j, const paired_fit *f)
{
    scw_status st = SCW_OK;
    clue_options *o = &j->model->options;
    paired_cells *in = &j->in;

    *in = (paired_cells){.fit = f, .model = &j->model->base, .input = j->model->input,
                         .from_input = j->from ? j->from->input : NULL};
    in->options = (paired_cells_options){o->validation, o->library, o->unit_rows,
                                         {o->components, o->max_dense, o->standardise != 0, false, f->seed},
                                         {o->path_ridge, o->path_power, o->z_dim}};
    TRY(strings_copy(&j->model->base.classes, &f->ref->classes));
    in->cells.labels = f->ref->classes.n > 0 ? f->ref->labels : NULL;
    TRY(paired_cells_init(in));
    o->library = in->options.library;
    o->unit_rows = in->options.unit_rows;
done:
    return st;
}

/* ------------------------------------------------------------------------------- training */

/* The loss of the validation cells from their posterior means, without the discriminator: a better
 * discriminator makes the whole loss smaller, which is no progress (specs 4.12). */
static scw_status validation_score(void *self, const params *p, double *out)
{
    scw_status st = SCW_OK;
    job *j = self;
    double sum = 0.0;

    for (int64_t from = 0; from < j->in.n_validation; from += SCORE_ROWS) {
        const int64_t left = j->in.n_validation - from, n = left < SCORE_ROWS ? left : SCORE_ROWS;
        const clue_pass pass = {.vae = {.t = j->tape, .p = p}};
        clue_batch batch;
        clue_outputs made;
        model_losses losses;
        tape_reset(j->tape, TAPE_EVAL);
        clue_source_gather(&batch, &j->judging, j->tape, j->in.all + from, n);
        TRY(tape_status(j->tape));
        if (batch.n != n) FAIL(SCW_ENOMEM, "out of memory while validating");
        clue_forward(&j->model->net, &pass.vae, &batch, &made);
        clue_loss(&j->model->net, &pass, &batch, &made, &losses);
        TRY(tape_status(j->tape));
        sum += (double)losses.total->value[0] * (double)n;
    }
    *out = -sum / (double)j->in.n_validation;
done:
    return st;
}

static clue_learner learner_of(job *j)
{
    const clue_options *o = &j->model->options;
    clue_learner learner = {.net = &j->model->net,
                            .steps_per_epoch = (j->in.n_train + o->batch_size - 1) / o->batch_size};

    clue_schedule_of(&learner.schedule, o, j->in.n_train + j->in.n_validation);
    return learner;
}

/* One training on the training cells; the validation share, if there is one, says when to stop. */
static scw_status train(job *j, int64_t epochs)
{
    scw_status st = SCW_OK;
    const bool judged = j->in.n_validation > 0;
    const clue_options *o = &j->model->options;
    clue_learner learner = learner_of(j);
    const clue_schedule *s = &learner.schedule;
    const network net = clue_as_network(&learner), rival = clue_as_rival(&learner);
    const train_validator validator = {j, validation_score};
    const train_options options = {.seed = j->in.fit->seed,
                                   .batch_size = o->batch_size,
                                   .optimizer = optimizer_defaults((optimizer_kind)o->optimizer),
                                   .average = o->average,
                                   .rival = o->align_weight > 0.0 ? &rival : NULL};
    kept_trainer *k = &j->training;

    if (kept_trainer_is_past(k)) return SCW_OK;
    TRY(kept_trainer_start(k, &net, &options, epochs, judged ? &validator : NULL, j->in.fit->hooks));
    const train_phase phase = {.name = judged || !o->refit ? "training" : "all cells",
                               .source = clue_source_as_source(&j->learning),
                               .n_epochs = epochs,
                               .lr = o->lr,
                               .lr_end = fmin(o->lr, o->lr_end),
                               .burn_in = o->align_weight > 0.0 ? s->burn_in : 0,
                               .patience = s->patience,
                               .lr_patience = s->lr_patience};
    TRY(trainer_run(&k->trainer, &phase, false));
    kept_trainer_finish(k);
    TRY(kept_trainer_record(j->model->base.record, k, ENCODERS, j->in.n_train, j->in.n_validation));
done:
    kept_trainer_stop(k);
    return st;
}

/* ------------------------------------------------------------------------- decoders alone */

/* Where every cell is, by the encoders as they are: the mean of its samples, as translation has it. */
static scw_status place_cells(job *j)
{
    scw_status st = SCW_OK;
    const clue_net *net = &j->model->net;
    const int64_t width = net->config.n_modalities * net->config.z_dim;
    clue_source all = {0};
    clue_batch batch;
    clue_outputs out;

    TRY(clue_source_init(&all, &j->in.cells, j->in.all, j->in.cells.n, j->in.train, j->in.n_train,
                         j->in.fit->seed, 0.0));
    for (int k = 0; k < net->config.n_modalities; k++)
        if (!j->unit[k]) TRY(mem_new(&j->unit[k], j->in.cells.n * width));
    for (int64_t from = 0; from < all.n; from += SCORE_ROWS) {
        const int64_t n = all.n - from < SCORE_ROWS ? all.n - from : SCORE_ROWS;
        tape_reset(j->tape, TAPE_EVAL);
        clue_source_gather(&batch, &all, j->tape, j->in.all + from, n);
        TRY(tape_status(j->tape));
        if (batch.n != n) FAIL(SCW_ENOMEM, "out of memory while embedding the cells of the fit");
        clue_forward(net, &(nn_pass){.t = j->tape, .p = &net->p}, &batch, &out);
        TRY(tape_status(j->tape));
        for (int k = 0; k < net->config.n_modalities; k++)
            for (int64_t e = 0; e < n * width; e++)
                j->unit[k][from * width + e] = (float)out.unit[k]->value[e];
    }
done:
    clue_source_clear(&all);
    return st;
}

static scw_status record_decoding(job *j)
{
    scw_status st = SCW_OK;
    json_t *record = json_object();

    TRY(kept_trainer_record(record, &j->training, DECODERS, j->in.n_train, j->in.n_validation));
    if (json_object_set(j->model->base.record, "decoders", record) != 0)
        FAIL(SCW_ENOMEM, "out of memory in the training record");
done:
    json_decref(record);
    return st;
}

/* Decoders and library sizes go on learning from where the cells have come to be. */
static scw_status train_decoders(job *j, int64_t epochs)
{
    scw_status st = SCW_OK;
    const bool judged = j->in.n_validation > 0;
    const clue_options *o = &j->model->options;
    clue_learner learner = learner_of(j);
    const network net = clue_as_network(&learner);
    const train_validator validator = {j, validation_score};
    train_options options = {.seed = j->in.fit->seed + DECODER_SEED,
                             .batch_size = o->batch_size,
                             .optimizer = optimizer_defaults((optimizer_kind)o->optimizer),
                             .average = o->average};
    kept_trainer *k = &j->training;

    if (!(o->decoder_lr > 0.0) || kept_trainer_is_past(k)) return SCW_OK;
    options.optimizer.lr_scale[CLUE_ENCODING] = 0.0;
    k->beside = &j->model->net.adversary;
    TRY(kept_trainer_start(k, &net, &options, epochs, judged ? &validator : NULL, j->in.fit->hooks));
    TRY(place_cells(j));
    j->learning.unit = j->judging.unit = j->unit;
    j->learning.unit_width = j->judging.unit_width = learner.net->config.n_modalities * o->z_dim;
    const train_phase phase = {.name = "decoders",
                               .source = clue_source_as_source(&j->learning),
                               .n_epochs = epochs,
                               .lr = o->decoder_lr,
                               .lr_end = o->decoder_lr,
                               .patience = learner.schedule.patience};
    TRY(trainer_run(&k->trainer, &phase, false));
    kept_trainer_finish(k);
    TRY(record_decoding(j));
done:
    j->learning.unit = j->judging.unit = NULL;
    k->beside = NULL;
    kept_trainer_stop(k);
    return st;
}

/* -------------------------------------------------------------------------------- the fit */

/* Embedding, then decoders, on the cells that are training cells now. */
static scw_status train_both(job *j, int64_t epochs, int64_t decoder_epochs)
{
    scw_status st = SCW_OK;

    TRY(start_network(j));
    clue_source_clear(&j->learning);
    TRY(clue_source_init(&j->learning, &j->in.cells, j->in.train, j->in.n_train, j->in.train, 0,
                         j->in.fit->seed, j->model->options.modality_dropout));
    TRY(train(j, epochs));
    TRY(kept_trainer_next(&j->training));
    TRY(train_decoders(j, decoder_epochs));
done:
    return st;
}

static scw_status train_all(job *j)
{
    scw_status st = SCW_OK;
    const clue_options *o = &j->model->options;
    kept_trainer *k = &j->training;
    clue_schedule s;

    clue_schedule_of(&s, o, j->in.n_train + j->in.n_validation);
    TRY(tape_new(&j->tape));
    TRY(clue_source_init(&j->judging, &j->in.cells, j->in.validation, j->in.n_validation, j->in.train,
                         j->in.n_train, j->in.fit->seed, 0.0));
    TRY(train_both(j, s.epochs, s.decoder_epochs));
    const bool again = j->in.n_validation > 0 && o->refit;
    if (again) {
        TRY(kept_trainer_next(k));
        TRY(kept_trainer_keep(k, &j->model->net.p));
    }
    if (!j->from) TRY(clue_intervals_learn(j->model, &j->in.cells, j->in.validation, j->in.n_validation));
    if (!again) goto done;
    paired_cells_join(&j->in);
    /* Where no epoch could be judged, all in the burn-in say, all that were asked for are enough. */
    TRY(train_both(j, k->epochs[ENCODERS] > 0 ? k->epochs[ENCODERS] : s.epochs, k->epochs[DECODERS]));
done:
    return st;
}

scw_status clue_fit(scw_model **out, const paired_fit *f)
{
    scw_status st = SCW_OK;
    job j = {.from = (const clue_model *)f->from};

    *out = NULL;
    TRY(clue_new(&j.model, f->kind, f->options));
    TRY(kept_trainer_open(&j.training, &j.model->base, f->plan));
    TRY(build(&j, f));
    TRY(train_all(&j));
    *out = &j.model->base;
    j.model = NULL;
done:
    job_clear(&j);
    return st;
}
