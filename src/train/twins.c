/* SPDX-License-Identifier: BSD-3-Clause */
/* Twins of a model, each trained without a part of the cells, say how far its answers can be trusted. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "train/calibrate.h"
#include "train/fit_job.h"
#include "train/shortcut.h"
#include "train/split.h"
#include "train/subsets.h"

#define ENOUGH_HELD 1000 /* cells to calibrate on; no more twins are trained then */
#define HELD_PART 500    /* cells in a part of a large set, */
#define MOST_PARTS 10    /* which has at most so many parts */

/* The model's weights stand aside for a twin's, trained without fold k; what the twin says of that
 * fold is kept. The projections too are the twin's own: components that have seen a cell hold more of
 * its noise, which puts it further from its class than a new cell (--reject 0.2 called 0.9 % of new
 * cells of symphony_pbmc unknown). */
static scw_status add_twin(fit_job *j, const int32_t *fold, int32_t k)
{
    scw_status st = SCW_OK;
    int64_t *held = NULL, n_held = 0;

    TRY(mem_new(&held, j->n));
    j->n_train = 0;
    for (int64_t i = 0; i < j->n; i++) {
        if (fold[i] == k)
            held[n_held++] = i;
        else
            j->train[j->n_train++] = i;
    }
    if (n_held == 0 || j->n_train < 2) goto done;
    if (!fit_state_here(&j->state)) {
        TRY(fit_job_restart(j, j->seed));
        TRY(fit_job_project(j));
        if (j->state.penalty > 0.0)
            TRY(shortcut_refit(j->model, j->state.penalty, &j->all, j->train, j->n_train, true));
    }
    TRY(fit_job_train(j, true));
    TRY(subsets_fit(j->model, &j->all, j->train, j->n_train));
    TRY(held_out_add(&j->state.held, j->model, &j->all, held, n_held, j->train, j->n_train));
done:
    mem_free(held);
    return st;
}

/* Large sets are cut finer: a twin then misses little, and a part is enough. */
static int32_t count_parts(const fit_job *j)
{
    int64_t fine = j->n / HELD_PART, asked = j->model->options.calibration_folds;

    if (fine > MOST_PARTS) fine = MOST_PARTS;
    return (int32_t)(fine > asked ? fine : asked);
}

static scw_status add_twins(fit_job *j)
{
    scw_status st = SCW_OK;
    const int32_t n_folds = count_parts(j);
    params *p = &j->model->net.p;
    int32_t *fold = NULL;
    const scw_hooks *hooks = j->hooks, quiet = {.cancelled = hooks ? hooks->cancelled : NULL,
                                                .user = hooks ? hooks->user : NULL};

    TRY(mem_new(&fold, j->n));
    TRY(split_folds(fold, j->all.labels, j->n, j->model->base.classes.n, n_folds, j->seed + 2));
    for (int32_t k = 0; k < n_folds; k++, j->state.training++) {
        if (fit_state_is_past(&j->state)) continue; /* what it said is among the held already */
        if (j->state.held.answer[0].n >= ENOUGH_HELD) break;
        log_detail(hooks, "calibration: a twin without part %d of %d", k + 1, n_folds);
        j->hooks = &quiet;
        st = add_twin(j, fold, k);
        j->hooks = hooks;
        if (st != SCW_OK) goto done;
    }
    memcpy(p->value, j->state.finished, (size_t)p->n_values * sizeof(real));
    j->n_train = j->n;
    for (int64_t i = 0; i < j->n; i++) j->train[i] = i;
done:
    mem_free(fold);
    return st;
}

scw_status fit_job_calibrate(fit_job *j)
{
    scw_status st = SCW_OK;
    const bool twins = j->n_validation == 0 && j->model->options.calibration_folds >= 2;
    held_out *h = &j->state.held;

    if (twins) {
        TRY(fit_state_start_held(&j->state, j->n));
        TRY(add_twins(j));
    }
    TRY(subsets_fit(j->model, &j->all, j->train, j->n_train));
    if (j->n_validation > 0) {
        TRY(held_out_init(h, j->model, j->n_validation));
        TRY(held_out_add(h, j->model, &j->all, j->validation, j->n_validation, j->train,
                         j->n_train));
    }
    if (!twins && j->n_validation == 0) goto done;
    TRY(calibrate(j->model, h, &j->all, j->train, j->n_train));
    const calibration *k = &j->model->calibration;
    log_info(j->hooks,
             "%lld held-out cells: accuracy %.3f, temperature %.2f, calibration error %.3f (%.3f "
             "without it)",
             (long long)k->n, k->accuracy, k->temperature, k->ece[1], k->ece[0]);
done:
    return st;
}
