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
#include "train/clue_source.h"
#include "train/clue_start.h"
#include "train/fit.h"
#include "train/trainer.h"

#define LEAST_CELLS 10  /* of a modality, to learn from */
#define SCORE_ROWS 512  /* cells of one block */

typedef struct job {
    clue_model *model;
    const reference *ref;
    uint64_t seed;
    const checkpoint_plan *plan;
    const scw_hooks *hooks;
    clue_cells cells;
    int64_t *all; /* [n] 0, 1, ... */
    int64_t *train, *validation;
    int64_t n_train, n_validation;
    clue_source learning, judging; /* of the training and the validation cells */
    tape *tape;                    /* of the validator */
    int training, resumed;         /* number of the current one; of the checkpoint's, 0 without */
    int64_t epochs;                /* of the second training */
    int64_t n_judge;
    real *judge;                   /* [n_judge] weights after the first, which the intervals are of */
    trainer trainer;
    train_saver saver;
    divergence_names names;
} job;

static void job_clear(job *j)
{
    clue_free(j->model);
    clue_cells_clear(&j->cells);
    mem_free(j->all);
    mem_free(j->train);
    mem_free(j->validation);
    mem_free(j->judge);
    clue_source_clear(&j->learning);
    clue_source_clear(&j->judging);
    tape_free(j->tape);
    trainer_clear(&j->trainer);
    *j = (job){0};
}

/* ---------------------------------------------------------------------------------- the cells */

static scw_status add_modality(job *j, int k)
{
    scw_status st = SCW_OK;
    const reference_modality *x = &j->ref->modality[k];
    model_modality *to = &j->model->base.modality[k];
    uint8_t *present;
    int64_t n = 0;

    j->model->base.n_modalities = j->cells.n_modalities = k + 1;
    to->kind = x->kind;
    TRY(mem_strdup(&to->name, x->name));
    TRY(strings_copy(&to->features, x->features));
    TRY(mem_new(&j->cells.present[k], j->ref->n));
    present = j->cells.present[k];
    for (int64_t i = 0; i < j->ref->n; i++) {
        present[i] = x->present[i] && x->counts.indptr[i] < x->counts.indptr[i + 1];
        n += present[i];
    }
    if (n < LEAST_CELLS)
        FAIL(SCW_EDATA, "modality '%s': %lld cells have counts of it; CLUE needs at least %d", x->name,
             (long long)n, LEAST_CELLS);
    j->cells.counts[k] = reference_rows(x, j->all, j->ref->n);
    log_info(j->hooks, "  %s: %lld features, %lld cells", x->name, (long long)x->features->n,
             (long long)n);
done:
    return st;
}

/* The validation share is taken from cells alike: those that have the same modalities. */
static scw_status split(job *j)
{
    scw_status st = SCW_OK;
    const int64_t n = j->ref->n;
    int32_t *mask = NULL;

    TRY(mem_new(&mask, n));
    TRY(mem_new(&j->train, n));
    TRY(mem_new(&j->validation, n));
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < j->cells.n_modalities; k++)
            mask[i] |= j->cells.present[k][i] << k;
    TRY(fit_split(j->train, &j->n_train, j->validation, &j->n_validation, mask, j->all, n,
                  (int64_t)1 << j->cells.n_modalities, j->model->options.validation, j->seed));
    /* A cell without counts of anything teaches nothing. */
    int64_t kept = 0;
    for (int64_t i = 0; i < j->n_train; i++)
        if (mask[j->train[i]]) j->train[kept++] = j->train[i];
    j->n_train = kept;
    kept = 0;
    for (int64_t i = 0; i < j->n_validation; i++)
        if (mask[j->validation[i]]) j->validation[kept++] = j->validation[i];
    j->n_validation = kept;
done:
    mem_free(mask);
    return st;
}

static transform_kind transform_for(modality_kind kind)
{
    return kind == MODALITY_ADT    ? TRANSFORM_CLR
           : kind == MODALITY_ATAC ? TRANSFORM_TFIDF
                                   : TRANSFORM_LOG;
}

/* Scores of all cells of a modality from its prepared rows. */
static scw_status score(job *j, int k, const cells *ready)
{
    scw_status st = SCW_OK;
    const clue_input *in = &j->model->input[k];
    const int64_t n = j->ref->n;
    tape *t = NULL;

    TRY(mem_new(&j->cells.input[k], n * in->width));
    j->cells.width[k] = in->width;
    TRY(tape_new(&t));
    for (int64_t from = 0; from < n; from += SCORE_ROWS) {
        const int64_t size = n - from < SCORE_ROWS ? n - from : SCORE_ROWS;
        model_batch b;
        tape_reset(t, TAPE_EVAL);
        cells_gather(t, ready, j->all + from, size, &b);
        real *scores = tape_alloc(t, size * in->width, sizeof *scores);
        TRY(tape_status(t));
        if (b.n != size || !scores) FAIL(SCW_ENOMEM, "out of memory while preparing cells");
        clue_input_apply(scores, in, &b.x[0]);
        for (int64_t e = 0; e < size * in->width; e++)
            j->cells.input[k][from * in->width + e] = (float)scores[e];
    }
done:
    tape_free(t);
    return st;
}

/* Transform and scores of modality k: fitted on the training cells, applied to all. */
static scw_status prepare(job *j, int k)
{
    scw_status st = SCW_OK;
    const reference_modality *x = &j->ref->modality[k];
    model_modality *to = &j->model->base.modality[k];
    const clue_options *o = &j->model->options;
    const transform_options options = {.kind = transform_for(x->kind), .target = o->library};
    int64_t *rows = NULL, n = 0;
    block_reader *training = NULL;
    cells ready = {.n = j->ref->n, .n_modalities = 1};

    transform_clear(&to->prep);
    clue_input_clear(&j->model->input[k]);
    mem_free(j->cells.input[k]);
    j->cells.input[k] = NULL;
    TRY(mem_new(&rows, j->n_train));
    for (int64_t i = 0; i < j->n_train; i++)
        if (j->cells.present[k][j->train[i]]) rows[n++] = j->train[i];
    if (n < 2) FAIL(SCW_EDATA, "modality '%s': fewer than two training cells have it", x->name);
    const row_list listed = reference_rows(x, rows, n);
    TRY(row_list_reader(&training, &listed));
    st = transform_fit_rows(&to->prep, training, &options, j->hooks);
    if (st != SCW_OK) {
        st = status_prefix(st, "modality '%s'", x->name);
        goto done;
    }
    TRY(reference_prepare(&ready.x[0], &to->prep, x, j->all, j->ref->n, false));
    TRY(clue_input_fit(&j->model->input[k], x->kind, &ready.x[0], &to->prep, rows, n,
                       &(clue_input_options){o->components, o->max_dense,
                                              o->standardise != 0, j->seed}));
    TRY(score(j, k, &ready));
done:
    block_reader_free(training);
    mem_free(rows);
    cells_clear(&ready);
    return st;
}

/* ------------------------------------------------------------------------------ the start */

/* The path from the listed cells. */
static scw_status start_path(job *j, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    const clue_options *o = &j->model->options;
    clue_path_cells c = {.n = j->ref->n};
    uint8_t *listed[MODEL_MAX_MODALITIES] = {0};
    double correlation;

    for (int k = 0; k < j->cells.n_modalities; k++) {
        TRY(mem_new(&listed[k], j->ref->n));
        for (int64_t i = 0; i < n; i++) listed[k][rows[i]] = j->cells.present[k][rows[i]];
        c.input[k] = j->cells.input[k];
        c.present[k] = listed[k];
    }
    TRY(clue_path_fit(&correlation, &j->model->net, &c,
                      &(clue_path_options){o->path_ridge, o->path_power, o->path_gain,
                                           o->start_deviation}));
    log_detail(j->hooks, "linear path: first correlation %.3f", correlation);
done:
    for (int k = 0; k < j->cells.n_modalities; k++) mem_free(listed[k]);
    return st;
}

/* Scores, and a network that has learnt nothing yet but what the training cells say at once. */
static scw_status start_network(job *j)
{
    scw_status st = SCW_OK;
    const int64_t *rows = j->train, n = j->n_train;
    clue_config config;

    for (int k = 0; k < j->cells.n_modalities; k++) {
        TRY(log_check_cancel(j->hooks));
        TRY(prepare(j, k));
    }
    clue_net_clear(&j->model->net);
    clue_config_of(&config, j->model);
    TRY(clue_net_init(&j->model->net, &config, j->seed));
    if (j->model->options.path) TRY(start_path(j, rows, n));
    if (j->model->options.start_means) TRY(clue_start(&j->model->net, &j->cells, rows, n));
done:
    return st;
}

/* Do cells tie all modalities together? */
static scw_status check_pairs(const job *j)
{
    int32_t group[MODEL_MAX_MODALITIES];
    const int K = j->cells.n_modalities;

    for (int k = 0; k < K; k++) group[k] = k;
    for (int64_t i = 0; i < j->ref->n; i++)
        for (int k = 0; k < K; k++)
            for (int l = k + 1; l < K; l++) {
                if (!j->cells.present[k][i] || !j->cells.present[l][i] || group[k] == group[l])
                    continue;
                const int32_t old = group[l];
                for (int m = 0; m < K; m++)
                    if (group[m] == old) group[m] = group[k];
            }
    for (int k = 1; k < K; k++)
        if (group[k] != group[0])
            return status_fail(
                SCW_EDATA,
                "no cell has '%s' together with '%s' or what goes with it: nothing says which of "
                "their cells are alike. Add cells measured in both, as a bridge, or see that the "
                "files name the same cells alike",
                j->model->base.modality[k].name, j->model->base.modality[0].name);
    return SCW_OK;
}

/* Modalities, classes, batches, and who is held out. */
static scw_status build(job *j)
{
    scw_status st = SCW_OK;
    const reference *r = j->ref;

    if (r->n_modalities < 2)
        FAIL(SCW_EDATA, "CLUE puts modalities into one space and needs at least two; the data have "
             "one, '%s'", r->n_modalities ? r->modality[0].name : "");
    TRY(strings_copy(&j->model->base.classes, &r->classes));
    if (r->batches) TRY(strings_copy(&j->model->base.batches, &r->batch_names));
    j->cells.n = r->n;
    j->cells.batch = r->batches;
    j->cells.labels = r->classes.n > 0 ? r->labels : NULL;
    TRY(mem_new(&j->all, r->n));
    for (int64_t i = 0; i < r->n; i++) j->all[i] = i;
    for (int k = 0; k < r->n_modalities; k++) TRY(add_modality(j, k));
    TRY(check_pairs(j));
    TRY(split(j));
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

    for (int64_t from = 0; from < j->n_validation; from += SCORE_ROWS) {
        const int64_t left = j->n_validation - from, n = left < SCORE_ROWS ? left : SCORE_ROWS;
        const clue_pass pass = {.vae = {.t = j->tape, .p = p}};
        clue_batch batch;
        clue_outputs made;
        model_losses losses;
        tape_reset(j->tape, TAPE_EVAL);
        clue_source_gather(&batch, &j->judging, j->tape, j->all + from, n);
        TRY(tape_status(j->tape));
        if (batch.n != n) FAIL(SCW_ENOMEM, "out of memory while validating");
        clue_forward(&j->model->net, &pass.vae, &batch, &made);
        clue_loss(&j->model->net, &pass, &batch, &made, &losses);
        TRY(tape_status(j->tape));
        sum += (double)losses.total->value[0] * (double)n;
    }
    *out = -sum / (double)j->n_validation;
done:
    return st;
}

static scw_status save(void *self)
{
    scw_status st = SCW_OK;
    const job *j = self;
    checkpoint c = {.state = json_object()};

    TRY(trainer_collect(&j->trainer, &c));
    TRY(checkpoint_put_int(c.state, "training", j->training));
    TRY(checkpoint_put_int(c.state, "epochs", j->epochs));
    if (j->judge) checkpoint_add(&c, "judge", j->judge, j->n_judge);
    TRY(j->plan->save(j->plan->self, &c));
done:
    checkpoint_clear(&c);
    return st;
}

static scw_status attach(job *j)
{
    scw_status st = SCW_OK;
    const checkpoint_plan *plan = j->plan;

    j->trainer.names = &j->names;
    if (!plan) goto done;
    j->saver = (train_saver){.self = j,
                             .save = save,
                             .hooks = j->hooks,
                             .where = plan->where,
                             .seconds = 60.0 * plan->minutes,
                             .epochs = plan->epochs,
                             .last = clock_wall()};
    j->trainer.saver = &j->saver;
    if (!plan->resume || j->training != j->resumed) goto done;
    TRY(trainer_restore(&j->trainer, plan->resume));
    log_info(j->hooks, "continued after %u steps, from %s", j->trainer.at.step, plan->where);
done:
    return st;
}

static void name_feature(const void *self, int k, int64_t feature, const char **modality_name,
                         const char **feature_name)
{
    const model_modality *x = &((const job *)self)->model->base.modality[k];

    *modality_name = x->name;
    *feature_name = x->features.at[feature];
}

/* One training on the training cells; the validation share, if there is one, says when to stop. */
static scw_status train(job *j, int64_t epochs)
{
    scw_status st = SCW_OK;
    const int64_t n = j->n_train;
    const bool judged = j->n_validation > 0;
    const clue_options *o = &j->model->options;
    clue_learner learner = {.net = &j->model->net,
                            .steps_per_epoch = (n + o->batch_size - 1) / o->batch_size};
    const network net = clue_as_network(&learner), rival = clue_as_rival(&learner);
    const train_validator validator = {j, validation_score};
    const train_options options = {.seed = j->seed,
                                   .batch_size = o->batch_size,
                                   .optimizer = optimizer_defaults((optimizer_kind)o->optimizer),
                                   .average = o->average,
                                   .rival = o->align_weight > 0.0 ? &rival : NULL};

    clue_schedule_of(&learner.schedule, o, j->n_train + j->n_validation);
    const clue_schedule *s = &learner.schedule;
    clue_source_clear(&j->learning);
    TRY(clue_source_init(&j->learning, &j->cells, j->train, n, j->train, 0, j->seed, o->modality_dropout));
    TRY(trainer_init(&j->trainer, &net, &options, epochs, judged ? &validator : NULL, j->hooks));
    TRY(attach(j));
    const train_phase phase = {.name = j->training > 0 ? "all cells" : "training",
                               .source = clue_source_as_source(&j->learning),
                               .n_epochs = epochs,
                               .lr = o->lr,
                               .lr_end = fmin(o->lr, o->lr_end),
                               .burn_in = o->align_weight > 0.0 ? s->burn_in : 0,
                               .patience = s->patience,
                               .lr_patience = s->lr_patience};
    TRY(trainer_run(&j->trainer, &phase, false));
    trainer_finish(&j->trainer);
    if (j->training == 0 && judged) j->epochs = j->trainer.best_epoch;
    TRY(trainer_record(j->model->base.record, &j->trainer, n, j->n_validation));
done:
    trainer_clear(&j->trainer);
    return st;
}

/* The training without the validation share, or what a checkpoint behind it has kept of it. */
static scw_status train_first(job *j)
{
    scw_status st = SCW_OK;
    const params *p;
    clue_schedule s;

    clue_schedule_of(&s, &j->model->options, j->n_train + j->n_validation);
    j->epochs = s.epochs;
    TRY(clue_source_init(&j->judging, &j->cells, j->validation, j->n_validation, j->train, j->n_train,
                         j->seed, 0.0));
    TRY(tape_new(&j->tape));
    TRY(start_network(j));
    p = &j->model->net.p;
    if (j->resumed > 0) {
        TRY(checkpoint_get_int(&j->epochs, j->plan->resume->state, "epochs"));
        TRY(checkpoint_copy(p->value, j->plan->resume, "judge", p->n_values));
    } else {
        TRY(train(j, s.epochs));
    }
    TRY(clue_intervals_learn(j->model, &j->cells, j->validation, j->n_validation));
done:
    return st;
}

/* The same from the start, with all cells. */
static scw_status train_again(job *j)
{
    scw_status st = SCW_OK;
    j->n_judge = j->model->net.p.n_values;
    TRY(mem_new(&j->judge, j->n_judge));
    memcpy(j->judge, j->model->net.p.value, (size_t)j->n_judge * sizeof(real));
    j->training = 1;
    memcpy(j->train + j->n_train, j->validation, (size_t)j->n_validation * sizeof *j->train);
    j->n_train += j->n_validation;
    j->n_validation = 0;
    TRY(start_network(j));
    TRY(train(j, j->epochs > 0 ? j->epochs : 1));
done:
    return st;
}

scw_status clue_fit(clue_model **out, const scw_model_kind *kind, const reference *ref,
                    const clue_options *options, uint64_t seed, const checkpoint_plan *plan,
                    const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    job j = {.ref = ref, .seed = seed, .plan = plan, .hooks = hooks};

    *out = NULL;
    TRY(clue_new(&j.model, kind, options));
    j.names = (divergence_names){&j, name_feature};
    if (plan && plan->resume) {
        int64_t training;
        TRY(checkpoint_get_int(&training, plan->resume->state, "training"));
        j.resumed = (int)training;
    }
    TRY(build(&j));
    TRY(train_first(&j));
    if (j.n_validation > 0 && options->refit) TRY(train_again(&j));
    *out = j.model;
    j.model = NULL;
done:
    if (st == SCW_EFORMAT && plan && plan->resume)
        st = status_prefix(st, "%s: cannot be used", plan->where);
    job_clear(&j);
    return st;
}
