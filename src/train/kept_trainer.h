/* SPDX-License-Identifier: BSD-3-Clause */
/* The trainer of a fit that is one training, with the checkpoint that keeps it. */
#ifndef TRAIN_KEPT_TRAINER_H
#define TRAIN_KEPT_TRAINER_H

#include "models/model.h"
#include "train/trainer.h"

typedef struct kept_trainer {
    trainer trainer;
    train_saver saver;
    divergence_names names;
    const scw_model *model; /* borrowed: names of its features */
    const checkpoint_plan *plan;
} kept_trainer;

/* As trainer_init; `plan` NULL: nothing is kept on disk. It stands where the plan's checkpoint says. */
SCW_CHECKED scw_status kept_trainer_init(kept_trainer *k, const network *net,
                                         const train_options *options, int64_t n_epochs,
                                         const train_validator *validator, const scw_model *model,
                                         const checkpoint_plan *plan, const scw_hooks *hooks);
void kept_trainer_clear(kept_trainer *k);

#endif
