/* SPDX-License-Identifier: BSD-3-Clause */
/* A block of cells that are drawn together, as sampler.c (latents, what to draw) and sampler_counts.c
 * (depths, scores, counts) share it. */
#ifndef MODELS_SAMPLER_BLOCK_H
#define MODELS_SAMPLER_BLOCK_H

#include "models/sampler.h"

#define BLOCK_CELLS 256    /* cells drawn from as many real ones at a time */
#define BORROWED 1.0       /* a type counts as if so many cells were added that say nothing of it */

/* Sub-streams of RNG_SIMULATE; 0 is the trainer's (train/balance.c). */
enum {
    STREAM_ORDER = 1,
    STREAM_MIX,
    STREAM_LATENT,
    STREAM_POOL,
    STREAM_DEPTH,
    STREAM_FILL = 16,                               /* + modality */
    STREAM_NOISE = STREAM_FILL + MODEL_MAX_MODALITIES /* + modality */
};

/* One block: n new cells from m real ones. */
typedef struct block {
    int32_t class;
    int64_t n, m;
    int64_t sources[BLOCK_CELLS];
    uint32_t step;
    double share;  /* of the variance that is borrowed */
    double *mix;   /* [n, m] rows of an orthogonal matrix */
    real *z;       /* [n, d] */
    int64_t own[BLOCK_CELLS]; /* the source of each new cell: posterior, and for its batch */
    int32_t batch[BLOCK_CELLS]; /* that each new cell is drawn for, -1: none in particular */
} block;

rng_key sampler_key(const sampler *s, int stream);
int64_t sampler_width(const sampler *s); /* d */
/* The model's batch of real cell i, or -1. */
int32_t sampler_batch_of(const sampler *s, int64_t i);
/* What a deviation of the m sources is multiplied by: unbiased variance, less what is borrowed. */
double block_gain(const block *b, int64_t m);
double block_dot(const double *weight, const double *values, int64_t n);

/* Append the block's counts of modality k, which has a head, to out->x[k]. */
SCW_CHECKED scw_status block_draw_counts(sampled *out, sampler *s, const block *b, int k);

#endif
