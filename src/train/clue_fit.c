/* SPDX-License-Identifier: BSD-3-Clause */
/* The fit of CLUE: transforms and scores, the linear path, then the two players in turn.
 *
 * With a validation share there are two trainings. The first, without that share, says how many epochs
 * are enough and, on the share, how far off predictions are. The second starts anew and learns from
 * all cells for that many epochs (--refit off: the first is the model). */
#include "train/clue_fit.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "models/clue_path.h"
#include "train/clue_intervals.h"
#include "train/clue_start.h"
#include "train/kept_trainer.h"
#include "train/paired_cells.h"

#define SCORE_ROWS 512  /* cells of one block */

typedef struct job {
    clue_model *model;
    const checkpoint_plan *plan;
    paired_cells in;
    clue_source learning, judging; /* of the training and the validation cells */
    tape *tape;                    /* of the validator */
    kept_trainer training;
    int number, resumed; /* of the current training; of the checkpoint's, 0 without */
    int64_t epochs;      /* of the second training */
    int64_t n_judge;
    real *judge; /* [n_judge] weights after the first, which the intervals are of */
} job;

static void job_clear(job *j)
{
    clue_free(j->model);
    paired_cells_clear(&j->in);
    clue_source_clear(&j->learning);
    clue_source_clear(&j->judging);
    tape_free(j->tape);
    kept_trainer_clear(&j->training);
    mem_free(j->judge);
    *j = (job){0};
}

/* ------------------------------------------------------------------------------ the start */

static scw_status start_path(job *j)
{
    scw_status st = SCW_OK;
    const clue_options *o = &j->model->options;
    linear_path path = {0};

    TRY(paired_cells_path(&path, &j->in, j->in.train, j->in.n_train,
                          &(linear_path_options){o->path_ridge, o->path_power, o->z_dim}));
    clue_path_set(&j->model->net, &path, o->path_gain, o->start_deviation);
done:
    linear_path_clear(&path);
    return st;
}

/* Scores, and a network that has learnt nothing yet but what the training cells say at once. */
static scw_status start(job *j)
{
    scw_status st = SCW_OK;
    const clue_options *o = &j->model->options;
    clue_config config;

    TRY(paired_cells_score(&j->in));
    clue_net_clear(&j->model->net);
    clue_config_of(&config, j->model);
    TRY(clue_net_init(&j->model->net, &config, j->in.seed));
    if (o->path) TRY(start_path(j));
    if (o->start_means) TRY(clue_start(&j->model->net, &j->in.cells, j->in.train, j->in.n_train));
done:
    return st;
}

/* Modalities, classes, batches, and who is held out. */
static scw_status build(job *j, const reference *r, uint64_t seed, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const clue_options *o = &j->model->options;

    j->in = (paired_cells){.model = &j->model->base, .input = j->model->input, .ref = r, .seed = seed,
                           .hooks = hooks,
                           .options = {o->validation, o->library,
                                       {o->components, o->max_dense, o->standardise != 0, seed}}};
    TRY(strings_copy(&j->model->base.classes, &r->classes));
    j->in.cells.labels = r->classes.n > 0 ? r->labels : NULL;
    TRY(paired_cells_init(&j->in));
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

/* For a checkpoint. */
static scw_status add_position(void *self, checkpoint *c)
{
    scw_status st = SCW_OK;
    const job *j = self;

    TRY(checkpoint_put_int(c->state, "training", j->number));
    TRY(checkpoint_put_int(c->state, "epochs", j->epochs));
    if (j->judge) checkpoint_add(c, "judge", j->judge, j->n_judge);
done:
    return st;
}

/* One training on the training cells; the validation share, if there is one, says when to stop. */
static scw_status train(job *j, int64_t epochs)
{
    scw_status st = SCW_OK;
    const clue_options *o = &j->model->options;
    paired_cells *in = &j->in;
    clue_learner learner = {.net = &j->model->net,
                            .steps_per_epoch = (in->n_train + o->batch_size - 1) / o->batch_size};
    const network net = clue_as_network(&learner), rival = clue_as_rival(&learner);
    const train_validator validator = {j, validation_score};
    const kept_part part = {j, add_position, j->number != j->resumed};
    const train_options options = {.seed = in->seed,
                                   .batch_size = o->batch_size,
                                   .optimizer = optimizer_defaults((optimizer_kind)o->optimizer),
                                   .average = o->average,
                                   .rival = o->align_weight > 0.0 ? &rival : NULL};

    clue_schedule_of(&learner.schedule, o, in->n_train + in->n_validation);
    const clue_schedule *s = &learner.schedule;
    clue_source_clear(&j->learning);
    TRY(clue_source_init(&j->learning, &in->cells, in->train, in->n_train, in->train, 0, in->seed,
                         o->modality_dropout));
    TRY(kept_trainer_init(&j->training, &net, &options, epochs,
                          in->n_validation > 0 ? &validator : NULL, &j->model->base, j->plan, &part,
                          in->hooks));
    const train_phase phase = {.name = j->number > 0 ? "all cells" : "training",
                               .source = clue_source_as_source(&j->learning),
                               .n_epochs = epochs,
                               .lr = o->lr,
                               .lr_end = fmin(o->lr, o->lr_end),
                               .burn_in = o->align_weight > 0.0 ? s->burn_in : 0,
                               .patience = s->patience,
                               .lr_patience = s->lr_patience};
    trainer *t = &j->training.trainer;
    TRY(trainer_run(t, &phase, false));
    trainer_finish(t);
    if (in->n_validation > 0) j->epochs = t->best_epoch;
    TRY(trainer_record(j->model->base.record, t, in->n_train, in->n_validation));
done:
    kept_trainer_clear(&j->training);
    return st;
}

/* The training without the validation share, or what a checkpoint behind it has kept of it. */
static scw_status train_first(job *j)
{
    scw_status st = SCW_OK;
    paired_cells *in = &j->in;
    clue_schedule s;

    clue_schedule_of(&s, &j->model->options, in->n_train + in->n_validation);
    TRY(clue_source_init(&j->judging, &in->cells, in->validation, in->n_validation, in->train,
                         in->n_train, in->seed, 0.0));
    TRY(tape_new(&j->tape));
    TRY(start(j));
    if (j->resumed > 0) {
        const params *p = &j->model->net.p;
        TRY(checkpoint_get_int(&j->epochs, j->plan->resume->state, "epochs"));
        TRY(checkpoint_copy(p->value, j->plan->resume, "judge", p->n_values));
    } else {
        TRY(train(j, s.epochs));
    }
    TRY(clue_intervals_learn(j->model, &in->cells, in->validation, in->n_validation));
done:
    return st;
}

/* The same from the start, with all cells. */
static scw_status train_again(job *j)
{
    scw_status st = SCW_OK;
    paired_cells *in = &j->in;

    j->n_judge = j->model->net.p.n_values;
    TRY(mem_new(&j->judge, j->n_judge));
    memcpy(j->judge, j->model->net.p.value, (size_t)j->n_judge * sizeof(real));
    j->number = 1;
    memcpy(in->train + in->n_train, in->validation, (size_t)in->n_validation * sizeof *in->train);
    in->n_train += in->n_validation;
    in->n_validation = 0;
    TRY(start(j));
    TRY(train(j, j->epochs > 0 ? j->epochs : 1));
done:
    return st;
}

scw_status clue_fit(clue_model **out, const scw_model_kind *kind, const reference *ref,
                    const clue_options *options, uint64_t seed, const checkpoint_plan *plan,
                    const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    job j = {.plan = plan};

    *out = NULL;
    TRY(clue_new(&j.model, kind, options));
    if (plan && plan->resume) {
        int64_t number;
        TRY(checkpoint_get_int(&number, plan->resume->state, "training"));
        j.resumed = (int)number;
    }
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
