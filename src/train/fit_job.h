/* SPDX-License-Identifier: BSD-3-Clause */
/* One fit under way, as the files that share the work see it: fit.c from cells to a trained network,
 * twins.c how far its answers can be trusted. */
#ifndef TRAIN_FIT_JOB_H
#define TRAIN_FIT_JOB_H

#include "train/fit_state.h"
#include "train/reference.h"

/* Everything of one fit that must be freed. */
typedef struct fit_job {
    matilda_model *model;
    const reference *ref;
    const int64_t *rows; /* of the reference, in use */
    int64_t n;
    cells all;                   /* the n rows, prepared */
    int64_t *train, *validation; /* positions among the n rows */
    int64_t n_train, n_validation;
    int64_t most_projected; /* cells that projections are fitted on, evenly taken; 0: all for training */
    uint64_t seed;
    const scw_hooks *hooks;
    fit_state state; /* what is kept while the fit runs */
} fit_job;

/* Projections fitted to j->train, in the place of those that the network has. */
SCW_CHECKED scw_status fit_job_project(fit_job *j);
/* New weights behind the same projections. */
SCW_CHECKED scw_status fit_job_restart(fit_job *j, uint64_t seed);
/* Trains the network as it stands on j->train. A twin leaves no record. */
SCW_CHECKED scw_status fit_job_train(fit_job *j, bool twin);

/* The paths for subsets, and the calibration: on the validation share where there is one, else on
 * folds that twins of the model never saw. Twins come first: they use the paths' place. */
SCW_CHECKED scw_status fit_job_calibrate(fit_job *j);

#endif
