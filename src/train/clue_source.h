/* SPDX-License-Identifier: BSD-3-Clause */
/* Batches of cells that lack modalities, and CLUE's two players as the trainer sees them.
 *
 * A batch lists cells; its slot k has their modality k. Where a cell lacks it, another cell of the
 * source that has it stands in and the slot's `present` is 0 (specs 4.5): the terms of one modality
 * and the discriminator use it, those of pairs do not. Who stands in is a function of the seed, the
 * cell and the batch's first cell, so that it changes with every shuffle. */
#ifndef TRAIN_CLUE_SOURCE_H
#define TRAIN_CLUE_SOURCE_H

#include "models/clue_options.h"
#include "train/paired_set.h"
#include "train/reference.h"
#include "train/source.h"

typedef struct clue_source {
    const paired_set *cells;
    const int64_t *rows; /* [n] of the cells */
    int64_t n;
    int64_t *having[MODEL_MAX_MODALITIES]; /* those of them that have modality k */
    int64_t n_having[MODEL_MAX_MODALITIES];
    uint64_t seed;
    double dropout; /* share of the cells with several modalities that are taken for one with fewer */
    float *const *unit; /* [K] [cells->n, unit_width] embeddings that stand for the encoders' answers; NULL: none */
    int64_t unit_width;
} clue_source;

/* `spare` [n_spare]: cells that stand in for a modality that none of the rows has. */
SCW_CHECKED scw_status clue_source_init(clue_source *s, const paired_set *of, const int64_t *rows,
                                        int64_t n, const int64_t *spare, int64_t n_spare,
                                        uint64_t seed, double dropout);
void clue_source_clear(clue_source *s);
train_source clue_source_as_source(const clue_source *s);
/* The batch itself, as gathered into the tape's memory; out->n is 0 on failure. */
void clue_source_gather(clue_batch *out, const clue_source *s, tape *t, const int64_t *entries,
                        int64_t n);

/* The network and its rival; `learner` must outlive both. */
typedef struct clue_learner {
    clue_net *net;
    clue_schedule schedule;
    int64_t steps_per_epoch;
} clue_learner;

network clue_as_network(const clue_learner *l);
network clue_as_rival(const clue_learner *l);

#endif
