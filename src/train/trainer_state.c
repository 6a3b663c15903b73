/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a run as blocks and a position: kept in memory, gone back to, collected into a
 * checkpoint and restored from one. All four go over the same list of blocks. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"
#include "train/trainer.h"

#define COPY_VALUES ((int64_t)1 << 18) /* one thread copies so many at a time */

typedef struct block {
    const char *name;
    real *live; /* NULL: this run has none */
    int64_t n;
} block;

enum { PER_PLAYER = 3, AVERAGE = PER_PLAYER * TRAIN_PLAYERS, N_BLOCKS };

static void list_blocks(block out[N_BLOCKS], const trainer *t)
{
    static const char *const names[TRAIN_PLAYERS][PER_PLAYER] = {
        {"values", "first_moment", "second_moment"},
        {"rival_values", "rival_first_moment", "rival_second_moment"}};

    for (int k = 0; k < TRAIN_PLAYERS; k++) {
        const train_player *of = &t->player[k];
        const params *p = of->net.p;
        block *b = out + PER_PLAYER * k;
        b[0] = (block){names[k][0], p ? p->value : NULL, p ? p->n_values : 0};
        b[1] = (block){names[k][1], of->optimizer.m, p ? p->n_trainable : 0};
        b[2] = (block){names[k][2], of->optimizer.v, p ? p->n_trainable : 0};
    }
    out[AVERAGE] = (block){"average", t->average, t->player[TRAIN_NETWORK].net.p->n_values};
}

static void copy(real *to, const real *from, int64_t n)
{
    const int64_t pieces = (n + COPY_VALUES - 1) / COPY_VALUES;

    PARALLEL_FOR_IF(pieces > 1)
    for (int64_t k = 0; k < pieces; k++) {
        int64_t at = k * COPY_VALUES, size = n - at < COPY_VALUES ? n - at : COPY_VALUES;
        memcpy(to + at, from + at, (size_t)size * sizeof *to);
    }
}

scw_status trainer_keep(trainer *t)
{
    scw_status st = SCW_OK;
    block b[N_BLOCKS];

    list_blocks(b, t);
    for (int k = 0; k < N_BLOCKS; k++) {
        if (!b[k].live) continue;
        if (!t->kept_block[k]) TRY(mem_new(&t->kept_block[k], b[k].n));
        copy(t->kept_block[k], b[k].live, b[k].n);
    }
    t->at.optimizer_step = t->player[TRAIN_NETWORK].optimizer.n_steps;
    t->kept = t->at;
    t->written = false;
done:
    return st;
}

/* The best validated weights stay: they were sound. */
void trainer_go_back(trainer *t)
{
    block b[N_BLOCKS];

    list_blocks(b, t);
    for (int k = 0; k < N_BLOCKS; k++)
        if (b[k].live) copy(b[k].live, t->kept_block[k], b[k].n);
    t->at = t->kept;
    for (int k = 0; k < t->n_players; k++) {
        const params *p = t->player[k].net.p;
        memset(p->grad, 0, (size_t)p->n_trainable * sizeof(real));
        t->player[k].optimizer.n_steps = t->kept.optimizer_step;
    }
}

/* ------------------------------------------------------------------------------------- write */

static scw_status epoch_to_json(json_t **out, const train_epoch *e)
{
    scw_status st = SCW_OK;
    json_t *names = json_array();

    *out = json_object();
    for (int k = 0; k < e->n_losses; k++)
        if (json_array_append_new(names, json_string(e->loss_name[k])) != 0)
            FAIL(SCW_ENOMEM, "out of memory in a checkpoint");
    if (json_object_set(*out, "losses", names) != 0 ||
        json_object_set_new(*out, "phase", json_string(e->phase ? e->phase : "")) != 0)
        FAIL(SCW_ENOMEM, "out of memory in a checkpoint");
    TRY(checkpoint_put_int(*out, "epoch", e->epoch));
    TRY(checkpoint_put_real(*out, "lr", e->lr));
    TRY(checkpoint_put_real(*out, "total", e->total));
    TRY(checkpoint_put_real(*out, "score", e->score));
    TRY(checkpoint_put_reals(*out, "values", e->loss, e->n_losses));
done:
    json_decref(names);
    return st;
}

/* Put an epoch into `to`: under a key, or at the end of a list. */
static scw_status put_epoch(json_t *to, const char *key, const train_epoch *e)
{
    scw_status st = SCW_OK;
    json_t *row = NULL;

    TRY(epoch_to_json(&row, e));
    int failed = key ? json_object_set(to, key, row) : json_array_append(to, row);
    if (failed) FAIL(SCW_ENOMEM, "out of memory in a checkpoint");
done:
    json_decref(row);
    return st;
}

static scw_status put_history(json_t *state, const trainer *t)
{
    scw_status st = SCW_OK;
    json_t *history = json_array();

    for (int64_t k = 0; k < t->kept.n_history; k++)
        TRY(put_epoch(history, NULL, &t->history[k]));
    if (json_object_set(state, "history", history) != 0)
        FAIL(SCW_ENOMEM, "out of memory in a checkpoint");
done:
    json_decref(history);
    return st;
}

static scw_status put_watch(json_t *state, const divergence_watch *w)
{
    scw_status st = SCW_OK;
    const int n = w->n_steps > 0 ? w->n_parts + 1 : 0;

    TRY(checkpoint_put_int(state, "watch_steps", w->n_steps));
    TRY(checkpoint_put_int(state, "watch_high", w->n_high));
    TRY(checkpoint_put_real(state, "watch_first", w->first));
    TRY(checkpoint_put_reals(state, "watch_smooth", w->smooth, n));
    TRY(checkpoint_put_reals(state, "watch_best", w->best, n));
done:
    return st;
}

scw_status trainer_collect(const trainer *t, checkpoint *c)
{
    scw_status st = SCW_OK;
    const train_position *at = &t->kept;
    block b[N_BLOCKS];

    list_blocks(b, t);
    for (int k = 0; k < N_BLOCKS; k++)
        if (b[k].live) checkpoint_add(c, b[k].name, t->kept_block[k], b[k].n);
    if (t->best && isfinite(t->best_score))
        checkpoint_add(c, "best", t->best, t->player[TRAIN_NETWORK].net.p->n_values);
    TRY(checkpoint_put_int(c->state, "phase", at->phase));
    TRY(checkpoint_put_int(c->state, "epoch", at->epoch));
    TRY(checkpoint_put_int(c->state, "batch", at->batch));
    TRY(checkpoint_put_int(c->state, "step", at->step));
    TRY(checkpoint_put_int(c->state, "epochs_done", at->epochs_done));
    TRY(checkpoint_put_int(c->state, "optimizer_step", at->optimizer_step));
    TRY(checkpoint_put_int(c->state, "returns", at->n_returns));
    TRY(checkpoint_put_int(c->state, "best_epoch", t->best_epoch));
    TRY(checkpoint_put_real(c->state, "rate", at->rate));
    TRY(checkpoint_put_real(c->state, "best_score", t->best_score));
    TRY(checkpoint_put_real(c->state, "plateau", at->plateau));
    TRY(checkpoint_put_real(c->state, "plateau_best", at->plateau_best));
    TRY(checkpoint_put_int(c->state, "flat", at->n_flat));
    TRY(put_epoch(c->state, "sums", &at->sums));
    TRY(put_watch(c->state, &at->watch));
    TRY(put_history(c->state, t));
done:
    return st;
}

scw_status trainer_record(json_t *record, const trainer *t, int64_t n_train, int64_t n_validation)
{
    scw_status st = SCW_OK;
    json_t *history = json_array();

    for (int64_t k = 0; k < t->at.n_history; k++) {
        const train_epoch *e = &t->history[k];
        json_t *row = json_pack("{s:s, s:I, s:f, s:f}", "phase", e->phase, "epoch",
                                (json_int_t)e->epoch, "lr", e->lr, "loss", e->total);
        for (int l = 0; l < e->n_losses; l++)
            json_object_set_new(row, e->loss_name[l], json_real(e->loss[l]));
        if (isfinite(e->score)) json_object_set_new(row, "validation", json_real(e->score));
        json_array_append_new(history, row);
    }
    int failed = json_object_set_new(record, "history", history);
    failed |= json_object_set_new(record, "seed", json_integer((json_int_t)t->options.seed));
    failed |= json_object_set_new(record, "n_train", json_integer(n_train));
    failed |= json_object_set_new(record, "n_validation", json_integer(n_validation));
    failed |= json_object_set_new(record, "n_steps", json_integer(t->at.step));
    if (t->best && isfinite(t->best_score)) {
        failed |= json_object_set_new(record, "best_epoch", json_integer(t->best_epoch));
        failed |= json_object_set_new(record, "best_validation", json_real(t->best_score));
    }
    if (failed) FAIL(SCW_ENOMEM, "out of memory in the training record");
done:
    return st;
}

/* -------------------------------------------------------------------------------------- read */

/* One copy of each name for all epochs. */
static scw_status intern(const char **out, strings *names, const char *name)
{
    scw_status st = SCW_OK;

    if (!name) FAIL(SCW_EFORMAT, "its history is damaged");
    for (int64_t k = 0; k < names->n; k++)
        if (strcmp(names->at[k], name) == 0) {
            *out = names->at[k];
            goto done;
        }
    TRY(strings_add(names, name));
    *out = names->at[names->n - 1];
done:
    return st;
}

static scw_status epoch_from_json(train_epoch *e, strings *names, const json_t *row)
{
    scw_status st = SCW_OK;
    const json_t *losses = json_object_get(row, "losses");

    *e = (train_epoch){0};
    TRY(intern(&e->phase, names, json_string_value(json_object_get(row, "phase"))));
    TRY(checkpoint_get_int(&e->epoch, row, "epoch"));
    TRY(checkpoint_get_real(&e->lr, row, "lr"));
    TRY(checkpoint_get_real(&e->total, row, "total"));
    TRY(checkpoint_get_real(&e->score, row, "score"));
    TRY(checkpoint_get_reals(e->loss, &e->n_losses, MODEL_MAX_LOSSES, row, "values"));
    for (int k = 0; k < e->n_losses; k++)
        TRY(intern(&e->loss_name[k], names, json_string_value(json_array_get(losses, (size_t)k))));
done:
    return st;
}

static scw_status read_history(trainer *t, const json_t *state)
{
    scw_status st = SCW_OK;
    const json_t *history = json_object_get(state, "history");
    const int64_t n = (int64_t)json_array_size(history);

    TRY(mem_resize(&t->history, n + 1));
    t->history_capacity = n + 1;
    for (int64_t k = 0; k < n; k++)
        TRY(epoch_from_json(&t->history[k], &t->restored, json_array_get(history, (size_t)k)));
    t->at.n_history = n;
done:
    return st;
}

static scw_status read_watch(divergence_watch *w, const json_t *state)
{
    scw_status st = SCW_OK;
    int n = 0, n_best = 0;

    TRY(checkpoint_get_int(&w->n_steps, state, "watch_steps"));
    TRY(checkpoint_get_int(&w->n_high, state, "watch_high"));
    TRY(checkpoint_get_real(&w->first, state, "watch_first"));
    TRY(checkpoint_get_reals(w->smooth, &n, MODEL_MAX_LOSSES + 1, state, "watch_smooth"));
    TRY(checkpoint_get_reals(w->best, &n_best, MODEL_MAX_LOSSES + 1, state, "watch_best"));
    if (n != n_best) FAIL(SCW_EFORMAT, "its state has no valid 'watch_best'");
    w->n_parts = n > 0 ? n - 1 : 0;
done:
    return st;
}

static scw_status read_position(trainer *t, const json_t *state)
{
    scw_status st = SCW_OK;
    train_position *at = &t->at;
    int64_t phase, step, n_returns;

    TRY(checkpoint_get_int(&phase, state, "phase"));
    TRY(checkpoint_get_int(&at->epoch, state, "epoch"));
    TRY(checkpoint_get_int(&at->batch, state, "batch"));
    TRY(checkpoint_get_int(&step, state, "step"));
    TRY(checkpoint_get_int(&at->epochs_done, state, "epochs_done"));
    TRY(checkpoint_get_int(&at->optimizer_step, state, "optimizer_step"));
    TRY(checkpoint_get_int(&n_returns, state, "returns"));
    TRY(checkpoint_get_int(&t->best_epoch, state, "best_epoch"));
    TRY(checkpoint_get_real(&at->rate, state, "rate"));
    TRY(checkpoint_get_real(&t->best_score, state, "best_score"));
    TRY(checkpoint_get_real(&at->plateau, state, "plateau"));
    TRY(checkpoint_get_real(&at->plateau_best, state, "plateau_best"));
    TRY(checkpoint_get_int(&at->n_flat, state, "flat"));
    TRY(epoch_from_json(&at->sums, &t->restored, json_object_get(state, "sums")));
    TRY(read_watch(&at->watch, state));
    TRY(read_history(t, state));
    at->phase = (int)phase;
    at->step = (uint32_t)step;
    at->n_returns = (int)n_returns;
done:
    return st;
}

scw_status trainer_restore(trainer *t, const checkpoint *c)
{
    scw_status st = SCW_OK;
    block b[N_BLOCKS];

    TRY(read_position(t, c->state));
    list_blocks(b, t);
    for (int k = 0; k < N_BLOCKS; k++)
        if (b[k].live) TRY(checkpoint_copy(b[k].live, c, b[k].name, b[k].n));
    if (t->best && isfinite(t->best_score))
        TRY(checkpoint_copy(t->best, c, "best", t->player[TRAIN_NETWORK].net.p->n_values));
    for (int k = 0; k < t->n_players; k++)
        t->player[k].optimizer.n_steps = t->at.optimizer_step;
    t->started_at = t->at.epochs_done;
    TRY(trainer_keep(t));
    t->written = true;
done:
    return st;
}
