/* SPDX-License-Identifier: BSD-3-Clause */
/* Is one modality predicted from another, and better than by simple means?
 *
 * Truth and prediction are [n cells, p features] on one scale. A Pearson correlation with a side that
 * does not vary is 0; AUROC asks whether the prediction is higher where the truth is above 0, and is
 * not defined (NaN, left out of the mean) where all or none of it is. */
#ifndef METRIC_TRANSLATION_H
#define METRIC_TRANSLATION_H

#include "data/matrix.h"

typedef struct translation {
    int64_t n, p;
    double *pearson_feature, *auroc_feature; /* [p] over cells */
    double *pearson_cell, *auroc_cell;       /* [n] over features */
    /* means of the above; n_* say over how many AUROC has a value */
    double mean_pearson_feature, mean_pearson_cell, mean_auroc_feature, mean_auroc_cell;
    int64_t n_auroc_feature, n_auroc_cell;
    double rmse, mae; /* over all n p values */
} translation;

/* truth: sparse or dense; prediction [n, p], finite. Cost O(n p log(n p)); memory, beside the figures,
 * a block of columns of each and, of a sparse truth, a second copy. The same bits for any number of
 * threads. SCW_EDATA: empty, or a prediction that is not finite. */
SCW_CHECKED scw_status translation_measure(translation *out, const matrix *truth,
                                           const float *prediction);
void translation_clear(translation *t);

/* The two predictors that a model must beat, both from training cells. */

/* out [n_query, p]: every row the mean row of train. */
SCW_CHECKED scw_status translation_predict_mean(float *out, int64_t n_query, const matrix *train);

typedef struct translation_regression {
    const float *train_source; /* [n_train, d] what is predicted from; a row that is not finite is not used */
    const matrix *train;       /* [n_train, p] what is predicted */
    const float *query_source; /* [n_query, d]; a row that is not finite is predicted by the mean row */
    int64_t n_query, d, k;
} translation_regression;

/* out [n_query, p]: mean of the target rows of the k nearest training cells (Euclidean). */
SCW_CHECKED scw_status translation_predict_neighbors(float *out, const translation_regression *r);

#endif
