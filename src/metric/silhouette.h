/* SPDX-License-Identifier: BSD-3-Clause */
/* Silhouette widths (Rousseeuw 1987): s_i = (b - a) / max(a, b), with a the mean distance to the
 * other cells of one's group and b that to the nearest other group. 0 for a cell alone in its group. */
#ifndef METRIC_SILHOUETTE_H
#define METRIC_SILHOUETTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct silhouette_input {
    const float *x; /* [n, d], finite */
    int64_t n, d;
    const int32_t *group; /* [n] 0..n_groups-1 */
    int32_t n_groups;
    bool cosine;     /* distance 1 - cos (1 to a row of zeros) instead of the Euclidean one */
    bool mean_other; /* b is the mean distance to all cells of other groups, not to the nearest group:
                      * with many batches the nearest one says little (BRAS) */
} silhouette_input;

/* s [n]. SCW_EDATA: fewer than two groups have cells, or values that are not finite. Cost O(n^2 d),
 * memory O(n d + threads n_groups); the same bits for any number of threads. */
SCW_CHECKED scw_status silhouette_widths(double *s, const silhouette_input *input);

#endif
