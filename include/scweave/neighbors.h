/* SPDX-License-Identifier: BSD-3-Clause */
/* The neighbourhood of cells: a UMAP of an embedding in the plane, and Leiden clusters of it. Both
 * start from the exact k-nearest-neighbour graph with UMAP's weights (docs/neighbors.md). */
#ifndef SCWEAVE_NEIGHBORS_H
#define SCWEAVE_NEIGHBORS_H

#include <stdint.h>

#include "dataset.h"
#include "options.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum scw_distance { SCW_DISTANCE_EUCLIDEAN = 0, SCW_DISTANCE_COSINE } scw_distance;

/* The graph that both verbs build. */
typedef struct scw_graph_options {
    int64_t neighbors; /* the size of a neighbourhood, the cell itself counted, as in umap-learn
                        * and scanpy; reduced to the number of cells */
    int metric;        /* scw_distance */
    double local_connectivity; /* number of neighbours taken to be at distance zero */
} scw_graph_options;

typedef enum scw_umap_start { SCW_UMAP_SPECTRAL = 0, SCW_UMAP_PCA } scw_umap_start;

typedef struct scw_umap_options {
    scw_graph_options graph;
    double min_dist, spread; /* shape of the curve of similarity in the plane */
    int64_t epochs;          /* 0: 500 up to 10,000 cells, 200 beyond */
    int64_t negatives;       /* cells pushed away for each pull along an edge */
    int start;               /* scw_umap_start */
    int64_t seed;
} scw_umap_options;

typedef enum scw_cluster_quality {
    SCW_QUALITY_MODULARITY = 0,
    SCW_QUALITY_CPM
} scw_cluster_quality;

typedef struct scw_cluster_options {
    scw_graph_options graph;
    int quality;        /* scw_cluster_quality */
    double resolution;  /* larger: more and smaller clusters */
    int64_t iterations; /* of the Leiden algorithm; 0: until the quality stays */
    int64_t seed;
} scw_cluster_options;

/* The tables that describe the two structs (options.h). */
SCW_API const scw_option *scw_umap_option_table(void);
SCW_API const scw_option *scw_cluster_option_table(void);

/* out [n, 2]: UMAP coordinates of the rows of x [n, d]; a row of x that is not finite gets NaN. The
 * same bits for any number of threads. A spectral start of a graph in several pieces is replaced by
 * the PCA start, and the log says so. options NULL: the defaults.
 * Errors: SCW_EINVAL (options), SCW_EDATA (no finite row), SCW_ENUMERIC, SCW_ECANCELLED. Cost:
 * O(n^2 d) for the neighbours (exhaustive), O(n neighbors epochs) for the layout; memory
 * O(n (neighbors + d)). */
SCW_API SCW_CHECKED scw_status scw_umap(float *out, const float *x, int64_t n, int64_t d,
                                        const scw_umap_options *options, const scw_hooks *hooks);

typedef struct scw_clusters {
    int32_t n_clusters;
    double quality;   /* modularity, or CPM over the total weight of the edges */
    int64_t n_edges;  /* of the graph */
    int64_t n_pieces; /* connected components of the graph */
} scw_clusters;

/* out [n]: cluster of each row of x [n, d], numbered from the largest cluster (of equals, the one
 * whose first cell comes first); -1 for a row that is not finite. facts may be NULL.
 * Errors as scw_umap's, and SCW_EUNSUPPORTED in a build without igraph. Not to be called from two
 * threads at once: igraph's random generator is one for the process. */
SCW_API SCW_CHECKED scw_status scw_cluster(int32_t *out, scw_clusters *facts, const float *x,
                                           int64_t n, int64_t d, const scw_cluster_options *options,
                                           const scw_hooks *hooks);

/* ------------------------------------------------------------------------------- of a file */

typedef struct scw_neighbors_request {
    const char *use;     /* array of obsm to start from: KEY, or MODALITY:KEY */
    const char *key;     /* name of the result; NULL: "X_umap" or "leiden" */
    int threads;         /* 0: all cores */
    const char *command; /* recorded beside the result; may be NULL */
} scw_neighbors_request;

/* obsm[key] [n_obs, 2] and uns[umap] with the settings. The data set must come from files.
 * Errors: SCW_ENOTFOUND lists the arrays there are; those of scw_umap. */
SCW_API SCW_CHECKED scw_status scw_dataset_umap(scw_results **out, const scw_dataset *dataset,
                                                const scw_neighbors_request *request,
                                                const scw_umap_options *options,
                                                const scw_hooks *hooks);

/* obs[key], categories "0", "1", ... in the order of their numbers, as scanpy names them; missing
 * for cells without an embedding. uns[key] has the settings. */
SCW_API SCW_CHECKED scw_status scw_dataset_cluster(scw_results **out, const scw_dataset *dataset,
                                                   const scw_neighbors_request *request,
                                                   const scw_cluster_options *options,
                                                   const scw_hooks *hooks);

#ifdef __cplusplus
}
#endif
#endif
