/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of UMAP (McInnes, Healy, Melville 2018) after the graph: the curve, the start, the
 * layout. scw_umap in umap.c puts them together. */
#ifndef EMBED_UMAP_H
#define EMBED_UMAP_H

#include <stdint.h>

#include "base/status.h"
#include "embed/fuzzy.h"
#include "scweave/neighbors.h"

#define UMAP_DIM 2

/* a, b of 1 / (1 + a x^(2b)), least squares over 300 points of [0, 3 spread] to the curve that is 1
 * up to min_dist and exp(-(x - min_dist) / spread) beyond. SCW_ENUMERIC: no fit. */
SCW_CHECKED scw_status umap_fit_curve(double *a, double *b, double min_dist, double spread);

/* y [n, 2]: eigenvectors 2 and 3 of D^-1/2 W D^-1/2, the largest entry 10, plus noise, each
 * coordinate stretched to [0, 10]. The graph must be in one piece. */
SCW_CHECKED scw_status umap_start_spectral(float *y, const fuzzy_graph *g, uint64_t seed,
                                           const scw_hooks *hooks);
/* The same from the first two principal components of x [n, d]. */
SCW_CHECKED scw_status umap_start_pca(float *y, const float *x, int64_t n, int64_t d, uint64_t seed,
                                      const scw_hooks *hooks);

typedef struct umap_layout {
    double a, b;
    int64_t epochs, negatives;
    uint64_t seed;
} umap_layout;

/* Move y [n, 2] by stochastic gradient descent on the cross entropy of the two graphs. */
SCW_CHECKED scw_status umap_move(float *y, const fuzzy_graph *g, const umap_layout *how,
                                 const scw_hooks *hooks);

#endif
