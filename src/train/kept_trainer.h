/* SPDX-License-Identifier: BSD-3-Clause */
/* The trainings of a fit, one after the other, with the checkpoint that keeps them: some on the training
 * cells, whose validation share says how many epochs are enough; then, for models that want it, the same
 * from the start on all cells for so many epochs. A fit that continues passes over those that are done,
 * with what they left: their epochs, and the weights that were told to be kept. */
#ifndef TRAIN_KEPT_TRAINER_H
#define TRAIN_KEPT_TRAINER_H

#include "models/model.h"
#include "train/trainer.h"

#define KEPT_TRAININGS 4 /* at most, of one fit */

typedef struct kept_trainer {
    trainer trainer;
    train_saver saver;
    divergence_names names;
    const params *beside;   /* of the model, that the current training leaves alone but that its checkpoint must
                             * hold: a rival that has been trained; NULL: none. Set before the start */
    const scw_model *model; /* borrowed: names of its features */
    const checkpoint_plan *plan;
    int training, resumed; /* number of the current one, from 0; of the checkpoint's, 0 without one */
    int64_t epochs[KEPT_TRAININGS]; /* that validation found enough in each that is done; 0: there was none */
    double score[KEPT_TRAININGS];   /* the best of it */
    real *kept;            /* [n_kept] weights to be used again; NULL: none yet */
    int64_t n_kept;
} kept_trainer;

/* The model's record comes from the checkpoint, as the trainings before it have left it. `plan` NULL: nothing is
 * kept on disk. SCW_EFORMAT: its checkpoint is not of such a fit. */
SCW_CHECKED scw_status kept_trainer_open(kept_trainer *k, scw_model *model,
                                         const checkpoint_plan *plan);
void kept_trainer_clear(kept_trainer *k);

/* One training: as trainer_init; it stands where the checkpoint says, if that is in this one. Finish it
 * before the next: the weights are the network's, and what validation found is known; stop it in any
 * case. */
SCW_CHECKED scw_status kept_trainer_start(kept_trainer *k, const network *net,
                                          const train_options *options, int64_t n_epochs,
                                          const train_validator *validator, const scw_hooks *hooks);
void kept_trainer_finish(kept_trainer *k);
void kept_trainer_stop(kept_trainer *k);
/* As trainer_record, before it is stopped; and what validation found in training `judged`. */
SCW_CHECKED scw_status kept_trainer_record(json_t *record, const kept_trainer *k, int judged,
                                           int64_t n_train, int64_t n_validation);

/* Does the checkpoint stand behind the current training? Then there is nothing to do for it, and its
 * epochs are known. */
bool kept_trainer_is_past(const kept_trainer *k);
/* The current one is done; the next begins. */
SCW_CHECKED scw_status kept_trainer_next(kept_trainer *k);
/* After a training and kept_trainer_next: checkpoints of those to come hold these weights; or p takes those that the
 * checkpoint holds, where that stands behind what led to them. */
SCW_CHECKED scw_status kept_trainer_keep(kept_trainer *k, params *p);

#endif
