/* SPDX-License-Identifier: BSD-3-Clause */
/* probe WHAT IN OUT [OPTION VALUE]...: read rows from the file IN, compute, write arrays to OUT;
 * for the comparison with other implementations. IN holds int64 n, d and then float x [n, d].
 *   neighbors  [neighbors N] [metric M]   -> rows i32 [n, k], distances f64 [n, k]
 *   graph      the options of UMAP        -> nnz i64, indptr i64, columns i32, weights f32
 *   curve      the same                   -> a, b f64
 *   umap       the same, and threads N    -> f32 [n, 2]
 *   cluster    the options of clustering  -> quality f64, pieces, edges i64, clusters i32 [n] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "embed/graph.h"
#include "embed/umap.h"
#include "../probe.h"

static void say(void *user, scw_log_level level, const char *message)
{
    (void)user, (void)level;
    (void)fprintf(stderr, "%s\n", message);
}

static const scw_hooks hooks = {.log = say};

static void neighbors_case(FILE *out, const float *x, int64_t n, int64_t d,
                           const scw_umap_options *o)
{
    neighbors nn;
    neighbors_search s = {.rows = x,
                          .n_rows = n,
                          .d = d,
                          .k = o->graph.neighbors,
                          .cosine = o->graph.metric == SCW_DISTANCE_COSINE};

    must(neighbors_find(&nn, &s) == SCW_OK, "neighbors_find");
    write_array(out, nn.row, n * nn.k, 4);
    write_array(out, nn.distance, n * nn.k, 8);
    neighbors_clear(&nn);
}

static void graph_case(FILE *out, const float *x, int64_t n, int64_t d, const scw_umap_options *o)
{
    cell_graph c;

    must(cell_graph_build(&c, x, n, d, &o->graph, &hooks) == SCW_OK, "cell_graph_build");
    int64_t nnz = c.graph.indptr[c.n];
    write_array(out, &nnz, 1, 8);
    write_array(out, c.graph.indptr, c.n + 1, 8);
    write_array(out, c.graph.column, nnz, 4);
    write_array(out, c.graph.weight, nnz, 4);
    cell_graph_clear(&c);
}

static void curve_case(FILE *out, const scw_umap_options *o)
{
    double curve[2];

    must(umap_fit_curve(&curve[0], &curve[1], o->min_dist, o->spread) == SCW_OK, "umap_fit_curve");
    write_array(out, curve, 2, 8);
}

static void umap_case(FILE *out, const float *x, int64_t n, int64_t d, const scw_umap_options *o)
{
    float *y = calloc((size_t)(2 * n) + 1, sizeof *y);

    must(y && scw_umap(y, x, n, d, o, &hooks) == SCW_OK, "scw_umap");
    write_array(out, y, 2 * n, 4);
    free(y);
}

static void cluster_case(FILE *out, const float *x, int64_t n, int64_t d,
                         const scw_cluster_options *o)
{
    int32_t *cluster = calloc((size_t)n + 1, sizeof *cluster);
    scw_clusters facts;

    must(cluster && scw_cluster(cluster, &facts, x, n, d, o, &hooks) == SCW_OK, "scw_cluster");
    write_array(out, &facts.quality, 1, 8);
    write_array(out, &facts.n_pieces, 1, 8);
    write_array(out, &facts.n_edges, 1, 8);
    write_array(out, cluster, n, 4);
    free(cluster);
}

int main(int argc, char **argv)
{
    scw_umap_options umap;
    scw_cluster_options cluster;

    must(argc >= 4 && argc % 2 == 0, "usage: probe WHAT IN OUT [OPTION VALUE]...");
    int clusters = strcmp(argv[1], "cluster") == 0;
    const scw_option *table = clusters ? scw_cluster_option_table() : scw_umap_option_table();
    void *options = clusters ? (void *)&cluster : (void *)&umap;
    must(scw_options_init(table, options) == SCW_OK, "options");
    for (int k = 4; k < argc; k += 2) {
        if (strcmp(argv[k], "threads") == 0)
            threads_set(atoi(argv[k + 1]));
        else
            must(scw_options_set(table, options, argv[k], argv[k + 1]) == SCW_OK, argv[k]);
    }
    FILE *in = fopen(argv[2], "rb"), *out = fopen(argv[3], "wb");
    int64_t size[2];
    must(in && out && fread(size, 8, 2, in) == 2, "cannot open the files");
    float *x = calloc((size_t)(size[0] * size[1]) + 1, sizeof *x);
    must(x && fread(x, 4, (size_t)(size[0] * size[1]), in) == (size_t)(size[0] * size[1]), "short");
    if (clusters)
        cluster_case(out, x, size[0], size[1], &cluster);
    else if (strcmp(argv[1], "neighbors") == 0)
        neighbors_case(out, x, size[0], size[1], &umap);
    else if (strcmp(argv[1], "graph") == 0)
        graph_case(out, x, size[0], size[1], &umap);
    else if (strcmp(argv[1], "curve") == 0)
        curve_case(out, &umap);
    else
        umap_case(out, x, size[0], size[1], &umap);
    (void)fclose(in);
    must(fclose(out) == 0, "cannot write");
    free(x);
    return 0;
}
