/* SPDX-License-Identifier: BSD-3-Clause */
/* k-means: Lloyd's iterations from greedy k-means++ starts (Arthur & Vassilvitskii 2007), the best
 * of several. The same bits for any number of threads. */
#ifndef METRIC_KMEANS_H
#define METRIC_KMEANS_H

#include <stdint.h>

#include "base/status.h"

typedef struct kmeans_options {
    int64_t k;
    int n_starts;           /* 0: 10 */
    int64_t max_iterations; /* of a start; 0: 300 */
    double tolerance; /* a start ends when the centres' squared movement is below this share of the
                       * mean column variance; 0: 1e-4; it also ends when no row changes */
    uint64_t seed;
    const double *start;    /* [k, d] centres to start from, once, instead of drawn ones; or NULL.
                             * k must then not exceed the number of rows */
} kmeans_options;

typedef struct kmeans {
    int64_t k;         /* as asked, at most the number of rows */
    int32_t *clusters; /* [n] */
    double *centres;   /* [k, d] */
    double inertia;    /* sum of squared distances to the own centre */
    int64_t iterations;
} kmeans;

/* x [n, d] row-major. A cluster that loses its rows gets the row that lies farthest from its
 * centre. SCW_EINVAL: k < 1; SCW_EDATA: no row, or a value that is not finite. */
SCW_CHECKED scw_status kmeans_fit(kmeans *out, const float *x, int64_t n, int64_t d,
                                  const kmeans_options *options);
void kmeans_clear(kmeans *k);

#endif
