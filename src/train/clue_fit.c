/* SPDX-License-Identifier: BSD-3-Clause */
/* The fit of CLUE: the library size, transforms and scores, the linear path, then the two players in turn.
 *
 * With a validation share there are two trainings. The first, without that share, says how many epochs
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
#include "models/clue_path.h"
#include "train/clue_intervals.h"
#include "train/clue_start.h"
#include "train/kept_trainer.h"
#include "train/paired_cells.h"

#define SCORE_ROWS 512  /* cells of one block */

typedef struct job {
    clue_model *model;
    const clue_model *from; /* that it starts from; NULL: none */
    paired_cells in;
    clue_source learning, judging; /* of the training and the validation cells */
    tape *tape;                    /* of the validator */
    kept_trainer training;
} job;

static void job_clear(job *j)
{
    clue_free(j->model);
    paired_cells_clear(&j->in);
    clue_source_clear(&j->learning);
    clue_source_clear(&j->judging);
    tape_free(j->tape);
    kept_trainer_clear(&j->training);
    *j = (job){0};
}

/* ------------------------------------------------------------------------------ the start */

static linear_path_options path_options(const clue_options *o)
{
    return (linear_path_options){o->path_ridge, o->path_power, o->z_dim};
}

static scw_status start_path(job *j)
{
    scw_status st = SCW_OK;
    const clue_options *o = &j->model->options;
    const linear_path_options options = path_options(o);
    linear_path path = {0};

    TRY(paired_cells_path(&path, &j->in, &options));
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
    TRY(clue_net_init(&j->model->net, &config, j->in.seed));
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
static scw_status build(job *j, const reference *r, uint64_t seed, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    clue_options *o = &j->model->options;
    const linear_path_options path = path_options(o);

    j->in = (paired_cells){.model = &j->model->base, .input = j->model->input, .ref = r, .seed = seed,
                           .hooks = hooks,
                           .options = {o->validation, o->library,
                                       {o->components, o->max_dense, o->standardise != 0,
                                        o->unit_rows != 0, seed}}};
    if (j->from) {
        j->in.from = &j->from->base;
        j->in.from_input = j->from->input;
    }
    TRY(strings_copy(&j->model->base.classes, &r->classes));
    j->in.cells.labels = r->classes.n > 0 ? r->labels : NULL;
    TRY(paired_cells_init(&j->in));
    TRY(paired_cells_library(&j->in, &o->library, &path));
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

/* One training on the training cells; the validation share, if there is one, says when to stop. */
static scw_status train(job *j, int64_t epochs)
{
    scw_status st = SCW_OK;
    const int64_t n = j->in.n_train;
    const bool judged = j->in.n_validation > 0;
    const clue_options *o = &j->model->options;
    clue_learner learner = {.net = &j->model->net,
                            .steps_per_epoch = (n + o->batch_size - 1) / o->batch_size};
    const network net = clue_as_network(&learner), rival = clue_as_rival(&learner);
    const train_validator validator = {j, validation_score};
    const train_options options = {.seed = j->in.seed,
                                   .batch_size = o->batch_size,
                                   .optimizer = optimizer_defaults((optimizer_kind)o->optimizer),
                                   .average = o->average,
                                   .rival = o->align_weight > 0.0 ? &rival : NULL};
    kept_trainer *k = &j->training;

    clue_schedule_of(&learner.schedule, o, n + j->in.n_validation);
    const clue_schedule *s = &learner.schedule;
    clue_source_clear(&j->learning);
    TRY(clue_source_init(&j->learning, &j->in.cells, j->in.train, n, j->in.train, 0, j->in.seed,
                         o->modality_dropout));
    TRY(kept_trainer_start(k, &net, &options, epochs, judged ? &validator : NULL, j->in.hooks));
    const train_phase phase = {.name = k->training > 0 ? "all cells" : "training",
                               .source = clue_source_as_source(&j->learning),
                               .n_epochs = epochs,
                               .lr = o->lr,
                               .lr_end = fmin(o->lr, o->lr_end),
                               .burn_in = o->align_weight > 0.0 ? s->burn_in : 0,
                               .patience = s->patience,
                               .lr_patience = s->lr_patience};
    TRY(trainer_run(&k->trainer, &phase, false));
    trainer_finish(&k->trainer);
    if (k->training == 0 && judged) k->epochs = k->trainer.best_epoch;
    TRY(trainer_record(j->model->base.record, &k->trainer, n, j->in.n_validation));
done:
    kept_trainer_stop(k);
    return st;
}

/* The training without the validation share, or what a checkpoint behind it has kept of it. */
static scw_status train_first(job *j)
{
    scw_status st = SCW_OK;
    clue_schedule s;

    clue_schedule_of(&s, &j->model->options, j->in.n_train + j->in.n_validation);
    TRY(clue_source_init(&j->judging, &j->in.cells, j->in.validation, j->in.n_validation, j->in.train,
                         j->in.n_train, j->in.seed, 0.0));
    TRY(tape_new(&j->tape));
    TRY(start_network(j));
    if (kept_trainer_is_past(&j->training))
        TRY(kept_trainer_pass(&j->training, &j->model->net.p));
    else
        TRY(train(j, s.epochs));
    if (!j->from) TRY(clue_intervals_learn(j->model, &j->in.cells, j->in.validation, j->in.n_validation));
done:
    return st;
}

/* The same from the start, with all cells. */
static scw_status train_again(job *j)
{
    scw_status st = SCW_OK;

    TRY(kept_trainer_next(&j->training, &j->model->net.p));
    paired_cells_join(&j->in);
    TRY(start_network(j));
    TRY(train(j, j->training.epochs > 0 ? j->training.epochs : 1));
done:
    return st;
}

scw_status clue_fit(clue_model **out, const scw_model_kind *kind, const reference *ref,
                    const clue_model *from, const clue_options *options, uint64_t seed,
                    const checkpoint_plan *plan, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    job j = {.from = from};

    *out = NULL;
    TRY(clue_new(&j.model, kind, options));
    TRY(kept_trainer_open(&j.training, &j.model->base, plan));
    TRY(build(&j, ref, seed, hooks));
    TRY(train_first(&j));
    if (j.in.n_validation > 0 && options->refit) TRY(train_again(&j));
    *out = j.model;
    j.model = NULL;
done:
    if (st == SCW_EFORMAT && plan && plan->resume)
        st = status_prefix(st, "%s: cannot be used", plan->where);
    job_clear(&j);
    return st;
}
