/* SPDX-License-Identifier: BSD-3-Clause */
/* The training loop: phases of epochs over a source of batches, named losses, a validation score,
 * averaging of weights, early stopping, progress and cancellation.
 *
 * One step: gather -> forward -> loss -> backward -> optimizer, all on one tape whose arena is
 * reset, so that nothing is allocated after the first step. */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "base/log.h"
#include "train/optimizer.h"
#include "train/source.h"

typedef struct train_options {
    uint64_t seed;
    int64_t batch_size;
    optimizer_options optimizer;
    double average; /* decay of the running average of weights, 0: off */
} train_options;

typedef struct train_phase {
    const char *name;
    train_source source;
    int64_t n_epochs;
    double lr;        /* at the start */
    double lr_end;    /* at the end; cosine in between when it differs from lr */
    double warmup;    /* share of the steps over which lr rises from zero */
    int64_t patience; /* stop after so many epochs without a better validation score; 0: never */
} train_phase;

/* Score on validation cells, larger is better. */
typedef struct train_validator {
    void *self;
    scw_status (*score)(void *self, const params *p, double *out);
} train_validator;

/* What happened, for the model file and the log. */
typedef struct train_epoch {
    const char *phase;
    int64_t epoch;
    double lr, total;
    int n_losses;
    const char *loss_name[MODEL_MAX_LOSSES];
    double loss[MODEL_MAX_LOSSES];
    double score; /* NaN without validation */
} train_epoch;

typedef struct trainer {
    train_options options;
    network net;
    const train_validator *validator; /* NULL: none */
    const scw_hooks *hooks;
    tape *tape;
    optimizer optimizer;
    uint32_t step; /* steps done, over all phases: the address of random numbers */
    int64_t n_epochs_total, epochs_done; /* over all phases, for progress */
    double started;
    real *average; /* [n_values] or NULL */
    real *best;    /* [n_values] values with the best score, or NULL */
    double best_score;
    int64_t best_epoch;
    train_epoch *history;
    int64_t n_history, history_capacity;
} trainer;

/* n_epochs: over all phases to come. */
SCW_CHECKED scw_status trainer_init(trainer *t, const network *net, const train_options *options,
                                    int64_t n_epochs, const train_validator *validator,
                                    const scw_hooks *hooks);
/* Run one phase. fresh_optimizer: start with zero moments. SCW_ENUMERIC when the loss leaves the
 * finite numbers, naming the part; SCW_ECANCELLED. */
SCW_CHECKED scw_status trainer_run(trainer *t, const train_phase *phase, bool fresh_optimizer);
/* Put the averaged weights (if averaging), then the best validated ones (if any) into the network.
 */
void trainer_finish(trainer *t);
void trainer_clear(trainer *t);

#endif
