/* SPDX-License-Identifier: BSD-3-Clause */
/* Are probabilities as good as they say? */
#ifndef METRIC_RELIABILITY_H
#define METRIC_RELIABILITY_H

#include <stdint.h>

#include "base/status.h"

#define RELIABILITY_BINS 15

/* logits [n, C], truth [n] (classes < C). */
typedef struct reliability_set {
    const float *logits;
    const int32_t *truth;
    int64_t n, n_classes;
} reliability_set;

/* Mean of -log softmax(logits / T)[truth]; n >= 1. */
double reliability_log_loss(const reliability_set *s, double temperature);
/* Mean Brier score, sum over classes of (p - [class is the truth])^2. */
double reliability_brier(const reliability_set *s, double temperature);
/* The T in [0.05, 20] of least Brier score. The log loss, the usual choice, is led by the few cells
 * that are wrong with confidence, mislabelled ones say, and makes the rest too modest
 * (docs/models/matilda.md has the figures). */
double reliability_temperature(const reliability_set *s);

/* Expected calibration error: over RELIABILITY_BINS equal bins of the probability of the answer,
 * sum of share_b |accuracy_b - mean probability_b| (Naeini et al. 2015; Guo et al. 2017). */
double reliability_ece(const double *probability, const uint8_t *right, int64_t n);

#endif
