/* SPDX-License-Identifier: BSD-3-Clause */
/* How far a model's scores can be trusted, learnt from cells that it was not trained on.
 *
 *   probabilities  softmax(logits / T), T the temperature (Guo et al. 2017) of least Brier score
 *   label set      the classes with p_c >= 1 - q, q the ceil((n + 1) coverage)-th smallest of the
 *                  held-out 1 - p_true (split conformal prediction, Vovk et al. 2005; Sadinle et al.
 *                  2019), and always the best class: it holds the true class with probability
 *                  `coverage` for cells like the held-out ones
 *   novelty        (log distance - its mean) / sd, both over the held-out cells; the distance is
 *                  that of mu from the nearest class centre, Mahalanobis with the covariance within
 *                  classes (Lee et al. 2018). Larger is less like the reference.
 *
 * train/calibrate.h makes one; a model without has n == 0 and T == 1. */
#ifndef MODELS_CALIBRATION_H
#define MODELS_CALIBRATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define CALIBRATION_MAX_SCORES 2000

typedef struct calibration {
    int64_t n;               /* held-out cells; 0: not calibrated */
    double temperature;
    double accuracy;         /* of the held-out cells */
    double log_loss[2];      /* at T = 1, at T */
    double ece[2];           /* expected calibration error, 15 bins, likewise */
    double location, spread; /* mean and deviation of the log distance */
    int64_t n_scores;        /* at most CALIBRATION_MAX_SCORES, evenly taken from the sorted n */
    float *conformity;       /* [n_scores] ascending, 1 - p_true */
    float *novelty;          /* [n_scores] ascending */
    int64_t n_classes, width;
    float *whiten;           /* [d, d], lower triangle: y = whiten mu */
    float *centre;           /* [C, d] whitened centres; NaN for a class without cells */
} calibration;

/* Room for the arrays; n and the figures are the caller's. */
SCW_CHECKED scw_status calibration_init(calibration *c, int64_t n_scores, int64_t n_classes,
                                        int64_t width);
void calibration_clear(calibration *c);

/* Class centres and the whitening of the covariance within classes, shrunk towards a multiple of
 * the identity, from the latent [n, width] of training cells with labels [n]. */
SCW_CHECKED scw_status calibration_set_classes(calibration *c, const float *latent,
                                               const int32_t *labels, int64_t n);

/* Log distances [n] of latent [n, d] from the nearest centre, and the novelty that one means. */
SCW_CHECKED scw_status calibration_log_distances(double *out, const calibration *c,
                                                 const float *latent, int64_t n);
double calibration_novelty(const calibration *c, double log_distance);

/* Logits [n, C] become probabilities in place. */
void calibration_softmax(float *logits, int64_t n, int64_t n_classes, double temperature);

/* Smallest probability of a member of a label set; 0 when the held-out cells are too few for this
 * coverage (then every class belongs to it). */
double calibration_set_floor(const calibration *c, double coverage);
/* The novelty above which `share` of the held-out cells lie. */
double calibration_novelty_limit(const calibration *c, double share);

#endif
