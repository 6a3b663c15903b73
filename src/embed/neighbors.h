/* SPDX-License-Identifier: BSD-3-Clause */
/* Exact k nearest neighbours by exhaustive search. */
#ifndef EMBED_NEIGHBORS_H
#define EMBED_NEIGHBORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct neighbors_search {
    const float *rows; /* [n_rows, d] what is found */
    int64_t n_rows, d;
    const uint8_t *hidden; /* [n_rows] 1: never found; NULL: all may be */
    const float *queries;  /* [n_queries, d]; NULL: the rows themselves, each without itself */
    int64_t n_queries;
    int64_t k;   /* reduced to the number of rows there are to find */
    bool cosine; /* distance 1 - cos instead of the Euclidean one; 1 to a row of zeros, 0 between
                    two */
} neighbors_search;

/* Neighbours of query i in entries [i * k, (i + 1) * k), ascending by distance, rows equally far in
 * their order. A query that is not finite has row -1 and distance INFINITY throughout; a row that
 * is not finite is never found. */
typedef struct neighbors {
    int64_t n, k;
    int32_t *row;
    double *distance;
} neighbors;

/* Distances are sums of squared differences in double, so equal rows are at 0 exactly, and the
 * result does not depend on threads or on the library of products. SCW_EINVAL: k < 1; SCW_EDATA:
 * 2^31 rows or more. Cost O(n_queries n_rows d), memory O(n_queries k + n_rows). */
SCW_CHECKED scw_status neighbors_find(neighbors *out, const neighbors_search *search);
void neighbors_clear(neighbors *n);

/* closer [n_queries]: how many rows are strictly nearer to a query than row than[query] is; -1 where
 * that is -1 or one of the two is not finite. *n_found: rows that can be found. `queries` must be
 * given; k is not read. Cost as above, memory O(n_rows). */
SCW_CHECKED scw_status neighbors_count_closer(int64_t *closer, int64_t *n_found,
                                              const neighbors_search *search, const int64_t *than);

#endif
