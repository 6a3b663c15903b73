/* SPDX-License-Identifier: BSD-3-Clause */
/* Training that blows up: noticing it, and saying what did.
 *
 * Two signs count. A value that is not finite, in a part of the loss, a parameter or the optimizer's
 * second moment; and a loss that stays far above the best it had: with s the loss averaged over about
 * fifty steps, s_0 the first and s_min the smallest of them,
 *
 *     loss > s_min + 10 max(|s_min|, |s_0 - s_min|)   in 100 steps one after the other.
 *
 * A single wild batch is no divergence, and neither is a loss that is high from the start. */
#ifndef TRAIN_DIVERGENCE_H
#define TRAIN_DIVERGENCE_H

#include "base/text.h"
#include "models/network.h"

typedef struct divergence_watch {
    int64_t n_steps;
    int64_t n_high; /* steps in a row above the limit; while there are any, no state counts as good */
    int n_parts;    /* of the loss */
    double first;
    double smooth[MODEL_MAX_LOSSES + 1]; /* the parts, then the total */
    double best[MODEL_MAX_LOSSES + 1];
} divergence_watch;

/* What a feature is called; for messages. */
typedef struct divergence_names {
    const void *self;
    void (*feature)(const void *self, int modality, int64_t feature, const char **modality_name,
                    const char **feature_name);
} divergence_names;

/* What there is to be seen of one step. */
typedef struct divergence_step {
    const model_batch *batch;
    const model_outputs *out;
    const model_losses *losses;
    const params *p;
    const divergence_names *names; /* NULL: features go by number */
    const network *net;  /* to decode what `out` has not, on the tape of `pass`; NULL: there is no way */
    const nn_pass *pass;
} divergence_step;

/* Follow one step. If it shows that training has blown up, `why` receives a sentence; else it stays
 * empty. */
SCW_CHECKED scw_status divergence_follow(divergence_watch *w, const divergence_step *s,
                                         textbuf *why);

/* Name of the first parameter with a value that is not finite in `value` [n], a block laid out as
 * p's; NULL: there is none. */
const char *divergence_bad_parameter(const params *p, const real *value, int64_t n);

#endif
