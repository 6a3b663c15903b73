/* SPDX-License-Identifier: BSD-3-Clause */
/* How well scores tell positives from negatives: the areas under the curve of true against false
 * positives and under that of precision against recall. */
#ifndef METRIC_ROC_H
#define METRIC_ROC_H

#include <stdint.h>

#include "base/status.h"

typedef struct roc_item {
    double score;
    uint8_t positive;
} roc_item;

typedef struct roc {
    double auroc;   /* P(score of a positive > of a negative) + 1/2 P(equal); NaN: only one kind */
    double average; /* sum over thresholds of (recall - recall before) precision; NaN: no positive */
} roc;

/* Sorts the items. The items not in the list, zero_positive and zero_negative of them, have score 0:
 * a sparse matrix need not be filled. Equal scores share one threshold, as in scikit-learn's
 * roc_auc_score and average_precision_score. NaN scores must not occur. Cost O(n log n). */
void roc_measure(roc *out, roc_item *items, int64_t n, int64_t zero_positive,
                 int64_t zero_negative);

#endif
