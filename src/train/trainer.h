/* SPDX-License-Identifier: BSD-3-Clause */
/* The training loop: phases of epochs over a source of batches, named losses, a validation score,
 * averaging of weights, early stopping, progress and cancellation.
 *
 * One step: gather -> forward -> loss -> backward -> optimizer, all on one tape whose arena is
 * reset, so that nothing is allocated after the first step. A rival, say a discriminator, has
 * parameters, a loss and an optimizer of its own: it takes such a turn first, on the same cells.
 *
 * Every KEEP_STEPS steps the whole state is kept in memory, if it is sound. There training goes back to,
 * with a lower rate, when it blows up (train/divergence.h), and that is what a checkpoint holds. When
 * the state is kept depends on the steps, and on saver->epochs, but never on the clock: so a run that
 * was interrupted and continued ends with the same bits, even if it had to go back. */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "base/log.h"
#include "train/checkpoint.h"
#include "train/divergence.h"
#include "train/optimizer.h"
#include "train/source.h"

typedef struct train_options {
    uint64_t seed;
    int64_t batch_size;
    optimizer_options optimizer; /* of the rival too */
    double average;       /* decay of the running average of weights, 0: off */
    const network *rival; /* takes its turn before the network's; NULL: none */
} train_options;

typedef struct train_phase {
    const char *name;
    train_source source;
    int64_t n_epochs;
    double lr;        /* at the start */
    double lr_end;    /* at the end; cosine in between when it differs from lr */
    double warmup;    /* share of the steps over which lr rises from zero */
    int64_t patience; /* stop after so many epochs without a better validation score; 0: never */
    int64_t burn_in;  /* epochs whose validation scores do not count */
    int64_t lr_patience; /* a tenth of the rate when that many epochs after them, and then again that
                            many, pass without a better score; 0: never */
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

/* Where a run stands between two steps. */
typedef struct train_position {
    int phase;              /* phases that are done */
    int64_t epoch, batch;   /* done of this phase, of this epoch */
    train_epoch sums;       /* of those batches */
    uint32_t step;          /* done over all phases: the address of random numbers */
    int64_t epochs_done;    /* over all phases */
    int64_t optimizer_step; /* of the moments; filled in when the state is kept */
    int64_t n_history;
    double rate; /* the learning rate is multiplied by it: below 1 when training had to go back */
    int n_returns;
    divergence_watch watch;
    double plateau;      /* the rate is multiplied by it too: below 1 when validation got no better */
    double plateau_best; /* score that is to be beaten */
    int64_t n_flat;      /* epochs since it was, or since the rate fell */
} train_position;

/* Writes the kept state, as trainer_collect gives it. A failure is a warning: training goes on. */
typedef struct train_saver {
    void *self;
    scw_status (*save)(void *self);
    const scw_hooks *hooks; /* for warnings */
    const char *where;      /* for messages */
    double seconds;    /* between two writings; 0: none by time */
    int64_t epochs;    /* between two writings; 0: none by epochs */
    double last;       /* clock_wall() of the last writing, or of the start */
    bool warned;       /* a writing has failed */
} train_saver;

/* One set of parameters and what moves it. */
typedef struct train_player {
    network net;
    optimizer optimizer;
} train_player;

enum { TRAIN_NETWORK = 0, TRAIN_RIVAL, TRAIN_PLAYERS };

typedef struct trainer {
    train_options options;
    train_player player[TRAIN_PLAYERS];
    int n_players; /* 1, or 2 with a rival, which moves first */
    const train_validator *validator; /* NULL: none */
    const divergence_names *names;    /* NULL: features go by number */
    train_saver *saver;               /* NULL: nothing is written */
    const scw_hooks *hooks;
    tape *tape;
    train_position at;
    int n_runs; /* calls of trainer_run */
    int64_t n_epochs_total;
    double started;
    int64_t started_at; /* epochs done then */
    real *average;      /* [n_values] or NULL */
    real *best;         /* [n_values] values with the best score, or NULL */
    double best_score;
    int64_t best_epoch;
    train_epoch *history; /* [at.n_history] */
    int64_t history_capacity;
    train_position kept;
    real *kept_block[CHECKPOINT_MAX_BLOCKS];
    bool written;     /* the kept state is in the checkpoint */
    strings restored; /* names that the history of a checkpoint points to */
} trainer;

/* n_epochs: over all phases to come. */
SCW_CHECKED scw_status trainer_init(trainer *t, const network *net, const train_options *options,
                                    int64_t n_epochs, const train_validator *validator,
                                    const scw_hooks *hooks);
/* Run one phase, or what is left of it; nothing if the restored state is past it. fresh_optimizer:
 * start with zero moments. SCW_ENUMERIC when training blows up again and again, naming the part of the
 * loss and the parameter or feature; SCW_ECANCELLED, the kept state being written before. */
SCW_CHECKED scw_status trainer_run(trainer *t, const train_phase *phase, bool fresh_optimizer);
/* Put the averaged weights (if averaging), then the best validated ones (if any) into the network.
 */
void trainer_finish(trainer *t);
void trainer_clear(trainer *t);

/* History, seed, numbers of cells and the best epoch, for the model file. */
SCW_CHECKED scw_status trainer_record(json_t *record, const trainer *t, int64_t n_train,
                                      int64_t n_validation);

/* The kept state: c->state must be an object already, the blocks stay the trainer's. */
SCW_CHECKED scw_status trainer_collect(const trainer *t, checkpoint *c);
/* Continue from a checkpoint; after trainer_init. SCW_EFORMAT when it does not fit. */
SCW_CHECKED scw_status trainer_restore(trainer *t, const checkpoint *c);

/* trainer_state.c, for trainer.c: keep the state as it is; go back to it. */
SCW_CHECKED scw_status trainer_keep(trainer *t);
void trainer_go_back(trainer *t);

#endif
