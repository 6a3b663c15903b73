/* SPDX-License-Identifier: BSD-3-Clause */
/* The linear assignment problem: each row its own column, at the least total cost. */
#ifndef EMBED_ASSIGNMENT_H
#define EMBED_ASSIGNMENT_H

#include <stdint.h>

#include "base/status.h"

/* column [n_rows] of cost [n_rows, n_cols], finite, n_rows <= n_cols. Exact, by shortest augmenting
 * paths with potentials (Jonker & Volgenant 1987; Crouse 2016 for more columns than rows). Cost
 * O(n_rows^2 n_cols) at worst, memory O(n_cols) beside the costs. */
SCW_CHECKED scw_status assignment_solve(int64_t *column, const float *cost, int64_t n_rows,
                                        int64_t n_cols);

#endif
