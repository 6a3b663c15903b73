/* SPDX-License-Identifier: BSD-3-Clause */
#include "train/kept_trainer.h"

#include "base/threads.h"

static scw_status save(void *self)
{
    scw_status st = SCW_OK;
    const kept_trainer *k = self;
    checkpoint c = {.state = json_object()};

    TRY(trainer_collect(&k->trainer, &c));
    if (k->part.add) TRY(k->part.add(k->part.self, &c));
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

scw_status kept_trainer_init(kept_trainer *k, const network *net, const train_options *options,
                             int64_t n_epochs, const train_validator *validator,
                             const scw_model *model, const checkpoint_plan *plan,
                             const kept_part *part, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;

    *k = (kept_trainer){.model = model, .plan = plan, .names = {k, name_feature}};
    if (part) k->part = *part;
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
    if (!plan->resume || k->part.elsewhere) goto done;
    TRY(trainer_restore(&k->trainer, plan->resume));
    log_info(hooks, "continued after %u steps, from %s", k->trainer.at.step, plan->where);
done:
    return st;
}

void kept_trainer_clear(kept_trainer *k)
{
    trainer_clear(&k->trainer);
    *k = (kept_trainer){0};
}
