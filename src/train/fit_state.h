/* SPDX-License-Identifier: BSD-3-Clause */
/* What a fit keeps of itself while it runs, beside the trainer's own state.
 *
 * A fit is a row of trainings: 0 is the model's, then one for each twin that calibrates it, last the count
 * decoders. A checkpoint stands in one of them. A fit that continues passes over those before it, with
 * what they left behind (the model's weights, what the twins said of held-out cells), and puts the
 * trainer of that one where it was. What is cheap and certain (transforms, labels, the regression of a
 * twin) is computed again. */
#ifndef TRAIN_FIT_STATE_H
#define TRAIN_FIT_STATE_H

#include "train/calibrate.h"
#include "train/trainer.h"

typedef struct fit_state {
    const checkpoint_plan *plan; /* NULL: nothing is kept on disk */
    matilda_model *model;
    const trainer *trainer; /* the one that runs */
    train_saver saver;
    divergence_names names;
    int training;          /* number of the current one */
    int resumed;           /* the one that the checkpoint stands in; 0 without a checkpoint */
    double penalty;        /* of the shortcut; 0: there is none */
    double library;        /* that counts are scaled to, as chosen */
    real *finished;        /* [n_values] the model's weights after training 0 */
    held_out held;         /* what the twins have said so far, or the model itself */
    const real *simulator; /* [n_values] weights that stage 2 simulates with, while it runs */
} fit_state;

/* Reads what was chosen before the first training, if there is a checkpoint. Everything is borrowed;
 * hooks are for warnings about the checkpoint. */
SCW_CHECKED scw_status fit_state_init(fit_state *s, const checkpoint_plan *plan,
                                      matilda_model *model, const scw_hooks *hooks);
void fit_state_clear(fit_state *s);

/* Does the fit continue from a checkpoint that stands behind the current training? */
bool fit_state_is_past(const fit_state *s);
/* The checkpoint, if it stands in the current training; else NULL. */
const checkpoint *fit_state_here(const fit_state *s);

/* Connect the current training's trainer, just initialised: it will be kept, and stands where the
 * checkpoint says if that is in this training, which `what` names for a message. Detach it before it is
 * cleared. */
SCW_CHECKED scw_status fit_state_attach(fit_state *s, trainer *t, const char *what);
void fit_state_detach(fit_state *s);

/* Training 0 is done, or passed over: the weights are remembered, or read. */
SCW_CHECKED scw_status fit_state_finish_model(fit_state *s);
/* Room in s->held for n cells, filled with what the twins before the checkpoint have said. */
SCW_CHECKED scw_status fit_state_start_held(fit_state *s, int64_t n);

#endif
