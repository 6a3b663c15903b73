/* SPDX-License-Identifier: BSD-3-Clause */
/* The trainer of a fit, with the checkpoint that keeps it. A fit may be several trainings, one after the
 * other: each has a trainer of its own, and says which it is. */
#ifndef TRAIN_KEPT_TRAINER_H
#define TRAIN_KEPT_TRAINER_H

#include "models/model.h"
#include "train/trainer.h"

/* One of several trainings. */
typedef struct kept_part {
    void *self;
    scw_status (*add)(void *self, checkpoint *c); /* what the fit must know to continue here; NULL: nothing */
    bool elsewhere; /* the plan's checkpoint stands in another training */
} kept_part;

typedef struct kept_trainer {
    trainer trainer;
    train_saver saver;
    divergence_names names;
    const scw_model *model; /* borrowed: names of its features */
    const checkpoint_plan *plan;
    kept_part part;
} kept_trainer;

/* As trainer_init; `plan` NULL: nothing is kept on disk. It stands where the plan's checkpoint says. `part`
 * NULL: the fit is this one training. */
SCW_CHECKED scw_status kept_trainer_init(kept_trainer *k, const network *net,
                                         const train_options *options, int64_t n_epochs,
                                         const train_validator *validator, const scw_model *model,
                                         const checkpoint_plan *plan, const kept_part *part,
                                         const scw_hooks *hooks);
void kept_trainer_clear(kept_trainer *k);

#endif
