/* SPDX-License-Identifier: BSD-3-Clause */
/* What UMAP and clustering share: the rows that are finite, and their weighted graph. */
#ifndef EMBED_GRAPH_H
#define EMBED_GRAPH_H

#include "embed/fuzzy.h"
#include "scweave/neighbors.h"

typedef struct cell_graph {
    int64_t n, d;
    float *rows;       /* [n, d] the finite rows */
    int64_t *from;     /* [n] where they stood */
    fuzzy_graph graph; /* of these rows; empty for a single one */
    int64_t n_pieces;  /* connected components */
} cell_graph;

/* SCW_EDATA: no finite row. */
SCW_CHECKED scw_status cell_graph_build(cell_graph *out, const float *x, int64_t n, int64_t d,
                                        const scw_graph_options *options, const scw_hooks *hooks);
/* The same of neighbourhoods that are known, of rows that are all finite; rows and from stay NULL. Of the
 * options the local connectivity alone is read. */
SCW_CHECKED scw_status cell_graph_build_from(cell_graph *out, const neighbors *nn,
                                             const scw_graph_options *options,
                                             const scw_hooks *hooks);
void cell_graph_clear(cell_graph *c);

/* Leiden clusters of the graph, cluster [c->n], numbered as scw_cluster does. The graph's own options
 * are not read. SCW_EUNSUPPORTED in a build without igraph. */
SCW_CHECKED scw_status cell_graph_cluster(int32_t *cluster, scw_clusters *facts,
                                          const cell_graph *c, const scw_cluster_options *options,
                                          const scw_hooks *hooks);

/* Are the numbers of an options struct within the ranges of its table? Callers fill it by hand. */
SCW_CHECKED scw_status graph_check_options(const scw_option *table, const void *options);

#endif
