/* SPDX-License-Identifier: BSD-3-Clause */
/* Simple classifiers that every model is measured against: multinomial logistic regression, k
 * nearest neighbours, the most frequent class. Inputs are dense rows of float, sums are in double,
 * and the results are the same bits for any number of threads. */
#ifndef METRIC_BASELINE_H
#define METRIC_BASELINE_H

#include <stdint.h>

#include "base/status.h"

/* ------------------------------------------------------------- logistic regression
 * minimises  sum_i w_i (log sum_c exp z_ic - z_i,y_i) + 1/(2 C) sum W^2,  z = x W^T + b,
 * with an unpenalised intercept b and w_i = sample weight * class weight of y_i. That is the
 * objective of scikit-learn's LogisticRegression(multi_class="multinomial"), for two classes too.
 */
typedef struct logistic_options {
    double c;              /* inverse strength of the penalty, > 0 */
    int64_t max_iterations;
    double tolerance;      /* largest entry of the gradient at which to stop */
    const float *sample_weight;    /* [n], or NULL: ones */
    const double *class_weight;    /* [n_classes], or NULL: ones */
    const double *start_weight;    /* [n_classes, p], or NULL: zeros */
    const double *start_intercept; /* [n_classes], or NULL: zeros */
} logistic_options;

/* C = 1, 1000 iterations, tolerance 1e-4, no weights, start at zero. */
logistic_options logistic_defaults(void);

typedef struct logistic {
    int32_t n_classes;
    int64_t p;
    double *weight;    /* [n_classes, p]; zeros for a class without samples */
    double *intercept; /* [n_classes]; sums to zero over the classes with samples. A class without
                        * samples gets -INFINITY and is never predicted. */
    int64_t iterations;
    double objective;
    int32_t converged; /* 0: the iterations ran out */
} logistic;

/* x [n, p] row-major; y [n], rows with y < 0 are left out. One class alone in y gives a model that
 * always answers it. SCW_EDATA: no labelled row, or x is not finite. */
SCW_CHECKED scw_status logistic_fit(logistic *out, const float *x, int64_t n, int64_t p,
                                    const int32_t *y, int32_t n_classes,
                                    const logistic_options *options);
void logistic_clear(logistic *model);

/* logits [n, n_classes] = x W^T + b. */
SCW_CHECKED scw_status logistic_predict_logits(double *logits, const logistic *model,
                                               const float *x, int64_t n);
/* The class with the largest logit of each row; the first of equals. */
SCW_CHECKED scw_status logistic_predict(int32_t *classes, const logistic *model, const float *x,
                                        int64_t n);

/* ------------------------------------------------------------- nearest neighbours, majority */

/* Majority among the k nearest rows (Euclidean) of train; of classes with equally many, the one
 * whose nearest member is nearest; of rows equally far, the first. k is reduced to the number of
 * labelled rows (train_y >= 0). A query that is not finite gets -1. SCW_EDATA: no labelled row. */
SCW_CHECKED scw_status knn_predict(int32_t *classes, const float *train, const int32_t *train_y,
                                   int64_t n_train, const float *query, int64_t n_query, int64_t p,
                                   int32_t n_classes, int64_t k);

/* The most frequent class, the first of equals; -1 when every y is negative. */
int32_t majority_class(const int32_t *y, int64_t n, int32_t n_classes);

#endif
