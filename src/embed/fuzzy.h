/* SPDX-License-Identifier: BSD-3-Clause */
/* UMAP's weighted graph (McInnes, Healy, Melville 2018, sections 3.1 and 4.1). */
#ifndef EMBED_FUZZY_H
#define EMBED_FUZZY_H

#include <stdint.h>

#include "base/status.h"
#include "embed/neighbors.h"

/* Symmetric, in CSR; both directions of an edge are stored, none leads from a cell to itself. */
typedef struct fuzzy_graph {
    int64_t n;
    int64_t *indptr; /* [n + 1] */
    int32_t *column; /* [nnz] ascending within a row */
    float *weight;   /* [nnz] in (0, 1] */
} fuzzy_graph;

/* Scale of each cell: with its neighbours at distances d_1 <= ... <= d_k (itself not among them),
 *     rho   = the `local_connectivity`-th distance that is not zero, interpolated,
 *     sigma : sum_j exp(-max(0, d_j - rho) / sigma) = log2(k + 1),
 * sigma at least 0.001 of the mean distance. rho, sigma [n]. */
void fuzzy_scales(double *rho, double *sigma, const neighbors *nn, double local_connectivity);

/* v_ij = exp(-max(0, d_ij - rho_i) / sigma_i) for neighbours; w = v + v^T - v v^T by entry. Every
 * cell must have all k neighbours. */
SCW_CHECKED scw_status fuzzy_graph_build(fuzzy_graph *out, const neighbors *nn,
                                         double local_connectivity);
void fuzzy_graph_clear(fuzzy_graph *g);

/* Number of connected components. */
SCW_CHECKED scw_status fuzzy_graph_count_pieces(int64_t *out, const fuzzy_graph *g);

#endif
