/* SPDX-License-Identifier: BSD-3-Clause */
/* From the counts of one modality to the expected counts of another, with how far off they may be.
 *
 *   m_ij   expected count (nb), chance of being there (bernoulli) or value (normal) of feature j, from
 *          the posterior mean of the source's embedding, at the library size that the source predicts
 *   s_ij   the likelihood's deviation: sqrt(m + m^2 / theta), sqrt(m (1 - m)), or 1
 *   q_j(p) the value below which a share p of |x_ij - m_ij| / s_ij fell on held-out cells, rank
 *          ceil((n + 1) p) of n (split conformal prediction, Lei et al., JASA 2018)
 *   interval [m - q s, m + q s], cut off at 0, and at 1 for bernoulli
 *
 * For cells like the held-out ones such an interval holds the true value with probability p or more. */
#ifndef MODELS_CLUE_TRANSLATION_H
#define MODELS_CLUE_TRANSLATION_H

#include "models/clue_model.h"

typedef struct clue_translation {
    int64_t n, n_vars;
    const real *mean;      /* [n, F_to] in the tape's memory */
    const real *deviation; /* [n, F_to] likewise */
} clue_translation;

/* Rows of a batch that lack modality `from` get what an empty cell gets: ask batch->slot[from].present.
 * The pass is one of evaluation; the counts of slot `from` must be there if modality `to` is nb. */
SCW_CHECKED scw_status clue_translate(clue_translation *out, const clue_model *m, const nn_pass *pass,
                                      const clue_batch *batch, int from, int to);

/* Position in clue_levels of the smallest level that is at least `share`; -1: none is. */
int clue_level(double share);
/* Bounds [n, F_to] at level `at` of m->spread[from][to], which must be there. */
void clue_translation_bounds(float *low, float *high, const clue_translation *t, const clue_model *m,
                             int from, int to, int at);

#endif
