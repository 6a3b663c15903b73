/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/kept_trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"

static scw_status save(void *self)
{
    scw_status st = SCW_OK;
    const kept_trainer *k = self;
    checkpoint c = {.state = json_object()};
    char key[32];

    TRY(trainer_collect(&k->trainer, &c));
    TRY(checkpoint_put_int(c.state, "training", k->training));
    for (int q = 0; q < k->training; q++) {
        (void)snprintf(key, sizeof key, "epochs.%d", q);
        TRY(checkpoint_put_int(c.state, key, k->epochs[q]));
        (void)snprintf(key, sizeof key, "score.%d", q);
        TRY(checkpoint_put_real(c.state, key, k->score[q]));
    }
    if (json_object_set(c.state, "record", k->model->record) != 0)
        FAIL(SCW_ENOMEM, "out of memory in a checkpoint");
    if (k->beside) checkpoint_add(&c, "beside", k->beside->value, k->beside->n_values);
    if (k->kept) checkpoint_add(&c, "first", k->kept, k->n_kept);
    TRY(k->plan->save(k->plan->self, &c));
done:
    checkpoint_clear(&c);
    return st;
}

static void name_feature(const void *self, int m, int64_t feature, const char **modality_name,
                         const char **feature_name)
{
    const model_modality *x = &((const kept_trainer *)self)->model->modality[m];

    *modality_name = x->name;
    *feature_name = x->features.at[feature];
}

scw_status kept_trainer_open(kept_trainer *k, scw_model *model, const checkpoint_plan *plan)
{
    scw_status st = SCW_OK;
    int64_t training = 0;
    char key[32];

    *k = (kept_trainer){.model = model, .plan = plan, .names = {k, name_feature}};
    if (plan && plan->resume) TRY(checkpoint_get_int(&training, plan->resume->state, "training"));
    if (training < 0 || training >= KEPT_TRAININGS)
        FAIL(SCW_EFORMAT, "it stands in training %lld of at most %d", (long long)training, KEPT_TRAININGS);
    k->resumed = (int)training;
    if (k->resumed > 0) { /* what the trainings before it have said of themselves */
        json_t *record = json_object_get(plan->resume->state, "record");
        if (!json_is_object(record)) FAIL(SCW_EFORMAT, "its state has no valid 'record'");
        json_decref(model->record);
        model->record = json_incref(record);
    }
    for (int q = 0; q < k->resumed; q++) {
        (void)snprintf(key, sizeof key, "epochs.%d", q);
        TRY(checkpoint_get_int(&k->epochs[q], plan->resume->state, key));
        (void)snprintf(key, sizeof key, "score.%d", q);
        TRY(checkpoint_get_real(&k->score[q], plan->resume->state, key));
    }
done:
    return st;
}

void kept_trainer_clear(kept_trainer *k)
{
    trainer_clear(&k->trainer);
    mem_free(k->kept);
    *k = (kept_trainer){0};
}

scw_status kept_trainer_start(kept_trainer *k, const network *net, const train_options *options,
                              int64_t n_epochs, const train_validator *validator,
                              const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const checkpoint_plan *plan = k->plan;

    TRY(trainer_init(&k->trainer, net, options, n_epochs, validator, hooks));
    k->trainer.names = &k->names;
    if (!plan) goto done;
    k->saver = (train_saver){.self = k,
                             .save = save,
                             .hooks = hooks,
                             .where = plan->where,
                             .seconds = 60.0 * plan->minutes,
                             .epochs = plan->epochs,
                             .last = clock_wall()};
    k->trainer.saver = &k->saver;
    if (!plan->resume || k->training != k->resumed) goto done;
    TRY(trainer_restore(&k->trainer, plan->resume));
    if (k->beside) TRY(checkpoint_copy(k->beside->value, plan->resume, "beside", k->beside->n_values));
    log_info(hooks, "continued after %u steps, from %s", k->trainer.at.step, plan->where);
done:
    return st;
}

void kept_trainer_finish(kept_trainer *k)
{
    const trainer *t = &k->trainer;

    trainer_finish(&k->trainer);
    if (!t->validator) return;
    k->epochs[k->training] = t->best_epoch;
    k->score[k->training] = t->best_score;
}

scw_status kept_trainer_record(json_t *record, const kept_trainer *k, int judged, int64_t n_train,
                               int64_t n_validation)
{
    scw_status st = SCW_OK;

    TRY(trainer_record(record, &k->trainer, n_train, n_validation));
    if (k->epochs[judged] <= 0 || !isfinite(k->score[judged])) goto done;
    if (json_object_set_new(record, "best_epoch", json_integer(k->epochs[judged])) != 0 ||
        json_object_set_new(record, "best_validation", json_real(k->score[judged])) != 0)
        FAIL(SCW_ENOMEM, "out of memory in the training record");
done:
    return st;
}

void kept_trainer_stop(kept_trainer *k)
{
    trainer_clear(&k->trainer);
    k->trainer = (trainer){0};
}

bool kept_trainer_is_past(const kept_trainer *k)
{
    return k->resumed > k->training;
}

scw_status kept_trainer_next(kept_trainer *k)
{
    if (k->training + 1 >= KEPT_TRAININGS)
        return status_fail(SCW_EINVAL, "a fit has at most %d trainings", KEPT_TRAININGS);
    k->training++;
    return SCW_OK;
}

scw_status kept_trainer_keep(kept_trainer *k, params *p)
{
    scw_status st = SCW_OK;

    if (k->resumed >= k->training)
        TRY(checkpoint_copy(p->value, k->plan->resume, "first", p->n_values));
    k->n_kept = p->n_values;
    TRY(mem_new(&k->kept, p->n_values));
    memcpy(k->kept, p->value, (size_t)p->n_values * sizeof(real));
done:
    return st;
}
