/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/kept_trainer.h"

#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"

static scw_status save(void *self)
{
    scw_status st = SCW_OK;
    const kept_trainer *k = self;
    checkpoint c = {.state = json_object()};

    TRY(trainer_collect(&k->trainer, &c));
    TRY(checkpoint_put_int(c.state, "training", k->training));
    TRY(checkpoint_put_int(c.state, "epochs", k->epochs));
    if (k->first) checkpoint_add(&c, "first", k->first, k->n_first);
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

scw_status kept_trainer_open(kept_trainer *k, const scw_model *model, const checkpoint_plan *plan)
{
    scw_status st = SCW_OK;
    int64_t training = 0;

    *k = (kept_trainer){.model = model, .plan = plan, .names = {k, name_feature}};
    if (plan && plan->resume) TRY(checkpoint_get_int(&training, plan->resume->state, "training"));
    k->resumed = (int)training;
done:
    return st;
}

void kept_trainer_clear(kept_trainer *k)
{
    trainer_clear(&k->trainer);
    mem_free(k->first);
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
    log_info(hooks, "continued after %u steps, from %s", k->trainer.at.step, plan->where);
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

scw_status kept_trainer_pass(kept_trainer *k, params *p)
{
    scw_status st = SCW_OK;

    TRY(checkpoint_get_int(&k->epochs, k->plan->resume->state, "epochs"));
    TRY(checkpoint_copy(p->value, k->plan->resume, "first", p->n_values));
done:
    return st;
}

scw_status kept_trainer_next(kept_trainer *k, const params *p)
{
    scw_status st = SCW_OK;

    k->n_first = p->n_values;
    TRY(mem_new(&k->first, p->n_values));
    memcpy(k->first, p->value, (size_t)p->n_values * sizeof(real));
    k->training++;
done:
    return st;
}
