/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"

#define PI 3.14159265358979323846
#define KEEP_STEPS 200    /* between two kept states: a copy costs less than a hundredth of the steps */
#define AHEAD 8           /* batches that are asked for before they are needed */
#define MOST_RETURNS 3    /* to a kept state, in a whole run */
#define RETURN_FACTOR 0.3 /* of the learning rate, each time */
#define RIVAL_SEED 0x9e3779b97f4a7c15u /* added to the seed in the rival's turn */
#define PLATEAU_GAIN 1e-4  /* relative: what counts as a better score */
#define PLATEAU_FACTOR 0.1 /* of the learning rate, where there was none */

scw_status trainer_init(trainer *t, const network *net, const train_options *options,
                        int64_t n_epochs, const train_validator *validator, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const size_t bytes = (size_t)net->p->n_values * sizeof(real);

    *t = (trainer){.options = *options,
                   .player[TRAIN_NETWORK].net = *net,
                   .n_players = options->rival ? 2 : 1,
                   .validator = validator,
                   .hooks = hooks,
                   .n_epochs_total = n_epochs,
                   .started = clock_wall(),
                   .best_score = -INFINITY,
                   .at.rate = 1.0,
                   .at.plateau = 1.0,
                   .at.plateau_best = -INFINITY};
    if (options->rival) t->player[TRAIN_RIVAL].net = *options->rival;
    TRY(tape_new(&t->tape));
    for (int k = 0; k < t->n_players; k++)
        TRY(optimizer_init(&t->player[k].optimizer, &options->optimizer, t->player[k].net.p));
    if (options->average > 0.0) {
        TRY(mem_new(&t->average, net->p->n_values));
        memcpy(t->average, net->p->value, bytes);
    }
    if (validator) TRY(mem_new(&t->best, net->p->n_values));
done:
    if (st != SCW_OK) trainer_clear(t);
    return st;
}

void trainer_clear(trainer *t)
{
    tape_free(t->tape);
    for (int k = 0; k < TRAIN_PLAYERS; k++)
        optimizer_clear(&t->player[k].optimizer);
    mem_free(t->average);
    mem_free(t->best);
    mem_free(t->history);
    for (int k = 0; k < CHECKPOINT_MAX_BLOCKS; k++)
        mem_free(t->kept_block[k]);
    strings_clear(&t->restored);
    *t = (trainer){0};
}

/* Linear warm-up, then a cosine from lr to lr_end. */
static double learning_rate(const train_phase *phase, int64_t step, int64_t n_steps)
{
    double at = ((double)step + 0.5) / (double)n_steps;

    if (at < phase->warmup) return phase->lr * at / phase->warmup;
    double x = phase->warmup < 1.0 ? (at - phase->warmup) / (1.0 - phase->warmup) : 1.0;
    return phase->lr_end + 0.5 * (phase->lr - phase->lr_end) * (1.0 + cos(PI * x));
}

/* The average follows the weights with a horizon that grows from short to 1 / (1 - decay), so that
 * the random start does not linger in it. */
static double average_keep(const trainer *t)
{
    double grown = ((double)t->at.step + 1.0) / ((double)t->at.step + 10.0);

    return fmin(t->options.average, grown);
}

/* What a turn has computed, on the tape until its next reset. */
typedef struct turn {
    nn_pass pass;
    model_batch batch;
    model_outputs out;
    model_losses losses;
} turn;

/* The loss of one player on the listed cells. Random numbers of the two have different addresses. */
static scw_status play(turn *out, trainer *t, int player, const train_phase *phase,
                       const int64_t *entries, int64_t n)
{
    scw_status st = SCW_OK;
    const network *net = &t->player[player].net;

    tape_reset(t->tape, TAPE_TRAIN);
    phase->source.gather(phase->source.self, t->tape, entries, n, &out->batch);
    if (out->batch.n != n) {
        TRY(tape_status(t->tape));
        FAIL(SCW_ENOMEM, "%s: out of memory while gathering a batch", phase->name);
    }
    out->pass = (nn_pass){.t = t->tape,
                          .p = net->p,
                          .seed = t->options.seed + (uint64_t)player * RIVAL_SEED,
                          .step = t->at.step};
    net->forward(net->self, &out->pass, &out->batch, false, &out->out);
    net->loss(net->self, &out->pass, &out->batch, &out->out, &out->losses);
    TRY(tape_status(t->tape));
done:
    return st;
}

/* Sums over the epoch, by name: a part that no cell of a batch has is not in all of them. */
static void add_losses(train_epoch *sums, const model_losses *losses, int64_t n)
{
    for (int k = 0; k < losses->n; k++) {
        int at = 0;
        while (at < sums->n_losses && strcmp(sums->loss_name[at], losses->name[k]) != 0) at++;
        if (at == MODEL_MAX_LOSSES) continue;
        if (at == sums->n_losses) sums->loss_name[sums->n_losses++] = losses->name[k];
        sums->loss[at] += (double)losses->part[k]->value[0] * (double)n;
    }
    sums->total += (double)losses->total->value[0] * (double)n;
}

/* The rival's turn. What is wrong with it shows in the network's loss next. */
static scw_status move_rival(trainer *t, const train_phase *phase, const int64_t *entries, int64_t n,
                             double lr)
{
    scw_status st = SCW_OK;
    train_player *rival = &t->player[TRAIN_RIVAL];
    turn now;

    TRY(play(&now, t, TRAIN_RIVAL, phase, entries, n));
    TRY(tape_backward(t->tape, now.losses.total));
    optimizer_step(&rival->optimizer, rival->net.p, lr, NULL);
done:
    return st;
}

/* One step. When it shows that training has blown up, `why` says so and the network is not updated. */
static scw_status one_step(trainer *t, const train_phase *phase, const int64_t *entries, int64_t n,
                           double lr, textbuf *why)
{
    scw_status st = SCW_OK;
    train_player *own = &t->player[TRAIN_NETWORK];
    const kernel_taker taker = optimizer_taker(&own->optimizer);
    turn now;

    if (t->n_players > TRAIN_RIVAL) TRY(move_rival(t, phase, entries, n, lr));
    own->net.p->taker = &taker;
    TRY(play(&now, t, TRAIN_NETWORK, phase, entries, n));
    divergence_step seen = {&now.batch, &now.out, &now.losses, own->net.p, t->names, &own->net,
                            &now.pass};
    TRY(divergence_follow(&t->at.watch, &seen, why));
    if (why->length > 0) goto done;
    add_losses(&t->at.sums, &now.losses, n);
    const optimizer_average average = {t->average, average_keep(t)};
    optimizer_begin(&own->optimizer, own->net.p, lr, &average);
    TRY(tape_backward(t->tape, now.losses.total));
    optimizer_finish(&own->optimizer);
    t->at.step++;
    t->at.batch++;
done:
    own->net.p->taker = NULL;
    return st;
}

/* Lower the rate where scores no longer rise (ReduceLROnPlateau, specs section 1). */
static void watch_plateau(train_position *at, const train_phase *phase, double score)
{
    if (phase->lr_patience == 0) return;
    const double least = at->plateau_best + PLATEAU_GAIN * fabs(at->plateau_best);
    if (isinf(at->plateau_best) || score > least) {
        at->plateau_best = score;
        at->n_flat = 0;
    } else if (++at->n_flat > phase->lr_patience) {
        at->plateau *= PLATEAU_FACTOR;
        at->n_flat = 0;
    }
}

/* Validation looks at the averaged weights when there are any: they are what is kept. */
static scw_status validate(trainer *t, const train_phase *phase, train_epoch *e)
{
    scw_status st = SCW_OK;
    params view = *t->player[TRAIN_NETWORK].net.p;

    e->score = NAN;
    if (!t->validator) return SCW_OK;
    if (t->average) view.value = t->average;
    TRY(t->validator->score(t->validator->self, &view, &e->score));
    if (t->at.epoch < phase->burn_in) goto done;
    watch_plateau(&t->at, phase, e->score);
    if (e->score > t->best_score) {
        t->best_score = e->score;
        t->best_epoch = t->at.epochs_done;
        memcpy(t->best, view.value, (size_t)view.n_values * sizeof(real));
    }
done:
    return st;
}

static scw_status record(trainer *t, const train_epoch *e)
{
    scw_status st = SCW_OK;

    if (t->at.n_history == t->history_capacity) {
        int64_t capacity = t->history_capacity ? 2 * t->history_capacity : 64;
        TRY(mem_resize(&t->history, capacity));
        t->history_capacity = capacity;
    }
    t->history[t->at.n_history++] = *e;
done:
    return st;
}

static void report(const trainer *t, const train_epoch *e)
{
    const char *names[MODEL_MAX_LOSSES + 1];
    double values[MODEL_MAX_LOSSES + 1], elapsed = clock_wall() - t->started;
    int n = 0;

    for (; n < e->n_losses; n++) {
        names[n] = e->loss_name[n];
        values[n] = e->loss[n];
    }
    if (!isnan(e->score)) {
        names[n] = "validation";
        values[n++] = e->score;
    }
    double left = elapsed * (double)(t->n_epochs_total - t->at.epochs_done) /
                  (double)(t->at.epochs_done - t->started_at);
    scw_progress p = {.phase = e->phase,
                      .step = t->at.step,
                      .n_steps = -1,
                      .epoch = t->at.epochs_done,
                      .n_epochs = t->n_epochs_total,
                      .seconds_elapsed = elapsed,
                      .seconds_left = left,
                      .n_values = n,
                      .value_names = names,
                      .values = values};
    log_progress(t->hooks, &p);
}

/* ---------------------------------------------------------------------------------- survival */

static void write_kept(trainer *t)
{
    t->saver->last = clock_wall();
    if (t->written) return;
    t->written = t->saver->save(t->saver->self) == SCW_OK;
    if (!t->written && !t->saver->warned)
        log_warning(t->saver->hooks, "the checkpoint cannot be written, training goes on without it: %s",
                    scw_error_message());
    t->saver->warned = t->saver->warned || !t->written;
    status_clear();
}

/* What is wrong with the parameters or their second moments, if anything is. */
static scw_status inspect(const trainer *t, textbuf *why)
{
    for (int k = 0; k < t->n_players; k++) {
        const params *p = t->player[k].net.p;
        const char *bad = divergence_bad_parameter(p, p->value, p->n_values);
        if (bad) return text_add(why, "parameter '%s' is not finite", bad);
        bad = divergence_bad_parameter(p, t->player[k].optimizer.v, p->n_trainable);
        if (bad) return text_add(why, "the gradients of parameter '%s' are out of range", bad);
    }
    return SCW_OK;
}

/* Keep the state if it is sound, else say why not. A loss that is far too high at present may be the
 * start of something: such a state waits. */
static scw_status keep_if_sound(trainer *t, bool write, textbuf *why)
{
    scw_status st = SCW_OK;

    if (t->at.watch.n_high > 0) goto done;
    TRY(inspect(t, why));
    if (why->length > 0) goto done;
    TRY(trainer_keep(t));
    if (!t->saver) goto done;
    bool late = t->saver->seconds > 0.0 && clock_wall() - t->saver->last >= t->saver->seconds;
    if (write || late) write_kept(t);
done:
    return st;
}

/* Back to the kept state with a lower rate. A state from which no step was taken cannot do better. */
static scw_status go_back(trainer *t, const train_phase *phase, const char *why)
{
    scw_status st = SCW_OK;
    const uint32_t failed = t->at.step;

    if (failed == t->kept.step)
        FAIL(SCW_ENUMERIC,
             "%s, step %u: %s; nothing was learnt since the last sound state, so a lower rate would "
             "not help: look at the data, or at the options that differ from the defaults",
             phase->name, failed, why);
    if (t->kept.n_returns == MOST_RETURNS)
        FAIL(SCW_ENUMERIC,
             "%s, step %u: %s; training went back %d times, down to %.2g of the learning rate, and "
             "still blows up: try a smaller --lr, and look at what is named here",
             phase->name, failed, why, MOST_RETURNS, t->kept.rate);
    trainer_go_back(t);
    t->at.rate = t->kept.rate *= RETURN_FACTOR;
    t->at.n_returns = ++t->kept.n_returns;
    t->written = false;
    log_warning(t->hooks, "%s, step %u: %s; back to step %u with %.2g of the learning rate",
                phase->name, failed, why, t->at.step, t->at.rate);
done:
    return st;
}

static scw_status check_cancel(trainer *t)
{
    scw_status st = log_check_cancel(t->hooks);

    if (st != SCW_ECANCELLED || !t->saver) return st;
    write_kept(t);
    if (!t->written) return status_fail(st, "stopped at the user's request; nothing was saved");
    return status_fail(st,
                       "stopped at the user's request; the same command with --resume continues from "
                       "%s",
                       t->saver->where);
}

/* -------------------------------------------------------------------------------------- loop */

static scw_status finish_epoch(trainer *t, const train_phase *phase)
{
    scw_status st = SCW_OK;
    train_epoch *e = &t->at.sums;

    for (int k = 0; k < e->n_losses; k++)
        e->loss[k] /= (double)phase->source.n;
    e->total /= (double)phase->source.n;
    t->at.epochs_done++;
    TRY(validate(t, phase, e));
    TRY(record(t, e));
    report(t, e);
    t->at.epoch++;
    t->at.batch = 0;
    *e = (train_epoch){0};
done:
    return st;
}

/* Entries [from, to) of the epoch's order will be gathered soon. */
static void look_ahead(const train_source *s, const int64_t *order, int64_t from, int64_t to)
{
    if (to > s->n) to = s->n;
    if (s->ahead && from < to) s->ahead(s->self, order + from, to - from);
}

/* The rest of the current epoch; `why` tells that it broke off. */
static scw_status run_epoch(trainer *t, const train_phase *phase, int64_t *order, textbuf *why)
{
    scw_status st = SCW_OK;
    const int64_t n = phase->source.n, b = t->options.batch_size, per_epoch = (n + b - 1) / b;

    const rng_key key = rng_make_key(t->options.seed, RNG_SHUFFLE, 0);
    rng_permutation(order, n, key, (uint32_t)t->at.epochs_done);
    t->at.sums.phase = phase->name;
    t->at.sums.epoch = t->at.epoch + 1;
    while (t->at.batch < per_epoch) {
        int64_t k = t->at.batch, size = k + 1 < per_epoch ? b : n - k * b;
        double lr = t->at.rate * t->at.plateau * learning_rate(phase, t->at.epoch * per_epoch + k,
                                               phase->n_epochs * per_epoch);
        t->at.sums.lr = lr;
        TRY(check_cancel(t));
        look_ahead(&phase->source, order, k == 0 ? b : (k + AHEAD) * b, (k + AHEAD + 1) * b);
        TRY(one_step(t, phase, order + k * b, size, lr, why));
        if (why->length == 0 && t->at.step - t->kept.step >= KEEP_STEPS)
            TRY(keep_if_sound(t, false, why));
        if (why->length > 0) goto done;
    }
    TRY(finish_epoch(t, phase));
    if (t->saver && t->saver->epochs > 0 && t->at.epochs_done % t->saver->epochs == 0)
        TRY(keep_if_sound(t, true, why));
done:
    return st;
}

/* No better validation score for too long? */
static bool out_of_patience(const trainer *t, const train_phase *phase)
{
    int64_t start = t->at.epochs_done - t->at.epoch + phase->burn_in;
    int64_t since = t->best_epoch > start ? t->best_epoch : start;

    if (!t->validator || phase->patience == 0 || t->at.epochs_done - since < phase->patience)
        return false;
    log_detail(t->hooks, "%s: stopped after epoch %lld, no better validation score since %lld",
               phase->name, (long long)t->at.epochs_done, (long long)t->best_epoch);
    return true;
}

/* The first state of a phase is kept whatever it is like: there is no other to go back to. */
static scw_status enter_phase(trainer *t, bool fresh_optimizer)
{
    scw_status st = SCW_OK;

    if (t->at.epoch > 0 || t->at.batch > 0) goto done; /* continued from a checkpoint */
    for (int k = 0; fresh_optimizer && k < t->n_players; k++) {
        train_player *p = &t->player[k];
        optimizer_options options = p->optimizer.options;
        optimizer_clear(&p->optimizer);
        TRY(optimizer_init(&p->optimizer, &options, p->net.p));
    }
    t->at.watch = (divergence_watch){0};
    t->at.plateau = 1.0;
    t->at.plateau_best = -INFINITY;
    t->at.n_flat = 0;
    TRY(trainer_keep(t));
done:
    return st;
}

scw_status trainer_run(trainer *t, const train_phase *phase, bool fresh_optimizer)
{
    scw_status st = SCW_OK;
    int64_t *order = NULL;
    textbuf why = {0};

    if (t->n_runs++ < t->at.phase) goto done;
    TRY(mem_new(&order, phase->source.n));
    TRY(enter_phase(t, fresh_optimizer));
    while (t->at.epoch < phase->n_epochs && !out_of_patience(t, phase)) {
        TRY(run_epoch(t, phase, order, &why));
        if (why.length > 0) TRY(go_back(t, phase, text_get(&why)));
        text_clear(&why);
    }
    t->at.phase++;
    t->at.epoch = 0;
done:
    mem_free(order);
    text_clear(&why);
    return st;
}

void trainer_finish(trainer *t)
{
    const params *p = t->player[TRAIN_NETWORK].net.p;
    const size_t bytes = (size_t)p->n_values * sizeof(real);

    if (t->average) memcpy(p->value, t->average, bytes);
    if (t->best && isfinite(t->best_score)) memcpy(p->value, t->best, bytes);
}
