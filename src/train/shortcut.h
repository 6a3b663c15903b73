/* SPDX-License-Identifier: BSD-3-Clause */
/* The linear paths from the projected inputs, fitted before the network is trained.
 *
 *   shortcut     a logistic regression on the whitened inputs u T:
 *                minimise sum_i w_i CE_i + 1/(2 C) |W|^2;  S = W T, s = b
 *   modalities   each enters with a weight (1, or less when that answers better)
 *   latent path  A = G B T: B holds the directions that the regression uses (its row space) and
 * then the principal directions of what they leave; G scales each. The classifier on mu then starts
 * as the regression itself, and the decoders as ridge regressions of x on mu. */
#ifndef TRAIN_SHORTCUT_H
#define TRAIN_SHORTCUT_H

#include "metric/baseline.h"
#include "models/matilda_model.h"
#include "train/inputs.h"

typedef struct shortcut_choice {
    double c;        /* penalty */
    double log_loss; /* of held-out cells, a cell; smaller is better */
} shortcut_choice;

/* How well a linear path tells the listed cells apart, by cross-validation within them (at most
 * 2,000 of them), with the best penalty of a grid, or that of the options. The network's
 * projections must be set. Where the cells' batches are known, whole batches are left out (in at most
 * five folds), the loss is that at the best temperature, and the grid reaches further down: what is
 * chosen is what serves a new batch. */
SCW_CHECKED scw_status shortcut_judge(shortcut_choice *out, const matilda_model *m, const cells *c,
                                      const int64_t *rows, int64_t n, uint64_t seed);

/* The same for inputs as they are. */
SCW_CHECKED scw_status shortcut_judge_inputs(shortcut_choice *out, const matilda_model *m,
                                             const inputs *all, uint64_t seed);

/* The regression itself: x becomes whitened, by t (new); fit holds W and b. */
SCW_CHECKED scw_status shortcut_regress(double **t, logistic *fit, const matilda_model *m,
                                        inputs *x, double c);
/* b of class c; small but finite for a class that the regression never saw. */
double shortcut_bias(const logistic *fit, int64_t c);

/* Choose the modalities' weights in the same way, scale the projections of m->net by them, fit, and
 * set the parameters. */
SCW_CHECKED scw_status shortcut_fit(matilda_model *m, const shortcut_choice *choice, const cells *c,
                                    const int64_t *rows, int64_t n, uint64_t seed,
                                    const scw_hooks *hooks);

/* Gives the projections the modality weights that shortcut_fit recorded: they are part of them, so that
 * everything behind sees the same input. For projections that were fitted anew. */
void shortcut_weigh(matilda_model *m);

/* Fit the linear paths once more, on other cells; projections and penalty stay. Without `latent`
 * the shortcut alone: the validation share gives its cells back when it has chosen the epoch. */
SCW_CHECKED scw_status shortcut_refit(matilda_model *m, double penalty, const cells *c,
                                      const int64_t *rows, int64_t n, bool latent);

#endif
