/* SPDX-License-Identifier: BSD-3-Clause */
/* Annotation figures from codes of true and predicted classes.
 *
 * With TP, FP, FN of a class: precision TP/(TP+FP), recall TP/(TP+FN), F1 2TP/(2TP+FP+FN); 0/0 is
 * 0. Macro-F1 is the mean over the classes that occur in truth or prediction, balanced accuracy the
 * mean recall over the classes that occur in truth (the definitions of scikit-learn).
 *
 * A cell with truth < 0 is left out. A cell with a prediction < 0 is wrong: it lowers the recall of
 * its class and the accuracy, and is a prediction of no class. */
#ifndef METRIC_CLASSIFICATION_H
#define METRIC_CLASSIFICATION_H

#include <stdint.h>

#include "base/status.h"

typedef struct classification {
    int32_t n_classes;
    int64_t n;           /* cells with a true class */
    int64_t n_predicted; /* of them, with a prediction */
    double accuracy, macro_f1, balanced_accuracy;
    double majority_accuracy; /* of always answering the most frequent true class */
    double *precision, *recall, *f1; /* [n_classes] */
    int64_t *support;                /* [n_classes] cells of the class in truth */
    int64_t *predicted;              /* [n_classes] cells predicted as the class */
} classification;

/* truth, prediction [n], codes below n_classes. SCW_EDATA when no cell has a true class. */
SCW_CHECKED scw_status classification_measure(classification *out, const int32_t *truth,
                                              const int32_t *prediction, int64_t n,
                                              int32_t n_classes);
void classification_clear(classification *c);

#endif
