/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"

#define PI 3.14159265358979323846

scw_status trainer_init(trainer *t, const network *net, const train_options *options,
                        int64_t n_epochs, const train_validator *validator, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const size_t bytes = (size_t)net->p->n_values * sizeof(real);

    *t = (trainer){.options = *options,
                   .net = *net,
                   .validator = validator,
                   .hooks = hooks,
                   .n_epochs_total = n_epochs,
                   .started = clock_wall(),
                   .best_score = -INFINITY};
    TRY(tape_new(&t->tape));
    TRY(optimizer_init(&t->optimizer, &options->optimizer, net->p));
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
    optimizer_clear(&t->optimizer);
    mem_free(t->average);
    mem_free(t->best);
    mem_free(t->history);
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
    double grown = ((double)t->step + 1.0) / ((double)t->step + 10.0);

    return fmin(t->options.average, grown);
}

static scw_status one_step(trainer *t, const train_phase *phase, const int64_t *entries, int64_t n,
                           double lr, train_epoch *sums)
{
    scw_status st = SCW_OK;
    model_batch batch;
    model_outputs out;
    model_losses losses;

    tape_reset(t->tape, TAPE_TRAIN);
    phase->source.gather(phase->source.self, t->tape, entries, n, &batch);
    if (batch.n != n) {
        TRY(tape_status(t->tape));
        FAIL(SCW_ENOMEM, "%s: out of memory while gathering a batch", phase->name);
    }
    nn_pass pass = {.t = t->tape, .p = t->net.p, .seed = t->options.seed, .step = t->step};
    t->net.forward(t->net.self, &pass, &batch, true, &out);
    t->net.loss(t->net.self, &pass, &batch, &out, &losses);
    TRY(tape_status(t->tape));
    for (int k = 0; k < losses.n; k++) {
        double v = (double)losses.part[k]->value[0];
        if (!isfinite(v))
            FAIL(SCW_ENUMERIC, "%s, step %u: the loss '%s' is not finite (%g); try a smaller --lr",
                 phase->name, t->step, losses.name[k], v);
        sums->loss_name[k] = losses.name[k];
        sums->loss[k] += v * (double)n;
    }
    sums->n_losses = losses.n;
    sums->total += (double)losses.total->value[0] * (double)n;
    TRY(tape_backward(t->tape, losses.total));
    optimizer_average average = {t->average, average_keep(t)};
    optimizer_step(&t->optimizer, t->net.p, lr, t->average ? &average : NULL);
    t->step++;
done:
    return st;
}

/* Validation looks at the averaged weights when there are any: they are what is kept. */
static scw_status validate(trainer *t, train_epoch *e)
{
    scw_status st = SCW_OK;
    params view = *t->net.p;

    e->score = NAN;
    if (!t->validator) return SCW_OK;
    if (t->average) view.value = t->average;
    TRY(t->validator->score(t->validator->self, &view, &e->score));
    if (e->score > t->best_score) {
        t->best_score = e->score;
        t->best_epoch = t->epochs_done;
        memcpy(t->best, view.value, (size_t)view.n_values * sizeof(real));
    }
done:
    return st;
}

static scw_status record(trainer *t, const train_epoch *e)
{
    scw_status st = SCW_OK;

    if (t->n_history == t->history_capacity) {
        int64_t capacity = t->history_capacity ? 2 * t->history_capacity : 64;
        TRY(mem_resize(&t->history, capacity));
        t->history_capacity = capacity;
    }
    t->history[t->n_history++] = *e;
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
    double left = elapsed * (double)(t->n_epochs_total - t->epochs_done) / (double)t->epochs_done;
    scw_progress p = {.phase = e->phase,
                      .step = t->step,
                      .n_steps = -1,
                      .epoch = t->epochs_done,
                      .n_epochs = t->n_epochs_total,
                      .seconds_elapsed = elapsed,
                      .seconds_left = left,
                      .n_values = n,
                      .value_names = names,
                      .values = values};
    log_progress(t->hooks, &p);
}

static scw_status one_epoch(trainer *t, const train_phase *phase, int64_t epoch, int64_t *order)
{
    scw_status st = SCW_OK;
    const int64_t n = phase->source.n, b = t->options.batch_size, per_epoch = (n + b - 1) / b;
    train_epoch e = {.phase = phase->name, .epoch = epoch + 1};

    rng_permutation(order, n, rng_make_key(t->options.seed, RNG_SHUFFLE, 0),
                    (uint32_t)t->epochs_done);
    for (int64_t k = 0; k < per_epoch; k++) {
        int64_t size = k + 1 < per_epoch ? b : n - k * b;
        e.lr = learning_rate(phase, epoch * per_epoch + k, phase->n_epochs * per_epoch);
        TRY(log_check_cancel(t->hooks));
        TRY(one_step(t, phase, order + k * b, size, e.lr, &e));
    }
    for (int k = 0; k < e.n_losses; k++)
        e.loss[k] /= (double)n;
    e.total /= (double)n;
    t->epochs_done++;
    TRY(validate(t, &e));
    TRY(record(t, &e));
    report(t, &e);
done:
    return st;
}

scw_status trainer_run(trainer *t, const train_phase *phase, bool fresh_optimizer)
{
    scw_status st = SCW_OK;
    int64_t *order = NULL, started_at = t->epochs_done;

    TRY(mem_new(&order, phase->source.n));
    if (fresh_optimizer) {
        optimizer_options options = t->optimizer.options;
        optimizer_clear(&t->optimizer);
        TRY(optimizer_init(&t->optimizer, &options, t->net.p));
    }
    for (int64_t epoch = 0; epoch < phase->n_epochs; epoch++) {
        TRY(one_epoch(t, phase, epoch, order));
        int64_t since = t->best_epoch > started_at ? t->best_epoch : started_at;
        if (t->validator && phase->patience > 0 && t->epochs_done - since >= phase->patience) {
            log_detail(t->hooks,
                       "%s: stopped after epoch %lld, no better validation score since %lld",
                       phase->name, (long long)t->epochs_done, (long long)t->best_epoch);
            break;
        }
    }
done:
    mem_free(order);
    return st;
}

void trainer_finish(trainer *t)
{
    const size_t bytes = (size_t)t->net.p->n_values * sizeof(real);

    if (t->average) memcpy(t->net.p->value, t->average, bytes);
    if (t->best && isfinite(t->best_score)) memcpy(t->net.p->value, t->best, bytes);
}
