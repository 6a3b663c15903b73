/* SPDX-License-Identifier: BSD-3-Clause */
/* The trainings of a fit, with the checkpoint that keeps them: the first, on the training cells, whose
 * validation share says how many epochs are enough; then, for models that want it, a second from the start
 * on all cells for so many epochs. A fit that continues passes over a first that is done, with what it
 * left. */
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
    int training, resumed; /* number of the current one, from 0; of the checkpoint's, 0 without one */
    int64_t epochs;        /* that the first found enough */
    real *first;           /* [n_first] weights after the first; NULL: it is not done */
    int64_t n_first;
} kept_trainer;

/* `plan` NULL: nothing is kept on disk. SCW_EFORMAT: its checkpoint is not of such a fit. */
SCW_CHECKED scw_status kept_trainer_open(kept_trainer *k, const scw_model *model,
                                         const checkpoint_plan *plan);
void kept_trainer_clear(kept_trainer *k);

/* One training: as trainer_init; it stands where the checkpoint says, if that is in this one. Stop it
 * before the next. */
SCW_CHECKED scw_status kept_trainer_start(kept_trainer *k, const network *net,
                                          const train_options *options, int64_t n_epochs,
                                          const train_validator *validator, const scw_hooks *hooks);
void kept_trainer_stop(kept_trainer *k);

/* Does the checkpoint stand behind the current training? Then these are its weights and epochs. */
bool kept_trainer_is_past(const kept_trainer *k);
SCW_CHECKED scw_status kept_trainer_pass(kept_trainer *k, params *p);
/* The first is done, with these weights; the second begins. */
SCW_CHECKED scw_status kept_trainer_next(kept_trainer *k, const params *p);

#endif
