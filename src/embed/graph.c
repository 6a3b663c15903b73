/* SPDX-License-Identifier: BSD-3-Clause */
#include "embed/graph.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"

#define GRAPH_ROWS(type_)                                                                          \
    {"neighbors", SCW_OPTION_INT, offsetof(type_, graph.neighbors), "15", 2, 1000, NULL, "N",      \
     "Graph", "cells in a neighbourhood, the cell itself counted"},                                \
    {"metric", SCW_OPTION_CHOICE, offsetof(type_, graph.metric), "euclidean", 0, 0,                \
     "euclidean|cosine", NULL, "Graph", "distance between cells"},                                 \
    {"local-connectivity", SCW_OPTION_REAL, offsetof(type_, graph.local_connectivity), "1", 0,     \
     100, NULL, "K", "Graph", "how many neighbours count as fully connected"}

static const scw_option umap_table[] = {
    GRAPH_ROWS(scw_umap_options),
    {"min-dist", SCW_OPTION_REAL, offsetof(scw_umap_options, min_dist), "0.1", 0, 100, NULL, "X",
     "Layout", "distance in the plane up to which neighbours are as good as together"},
    {"spread", SCW_OPTION_REAL, offsetof(scw_umap_options, spread), "1", 0.01, 100, NULL, "X",
     "Layout", "scale on which similarity falls off in the plane"},
    {"epochs", SCW_OPTION_INT, offsetof(scw_umap_options, epochs), "0", 0, 1000000, NULL, "N",
     "Layout", "passes over the edges; 0: 500 up to 10,000 cells, 200 beyond"},
    {"negatives", SCW_OPTION_INT, offsetof(scw_umap_options, negatives), "5", 0, 64, NULL, "N",
     "Layout", "cells pushed away for each pull along an edge"},
    {"start", SCW_OPTION_CHOICE, offsetof(scw_umap_options, start), "spectral", 0, 0,
     "spectral|pca", NULL, "Layout", "where cells begin: eigenvectors of the graph, or principal "
                                     "components, which a graph in several pieces gets anyway"},
    {"seed", SCW_OPTION_INT, offsetof(scw_umap_options, seed), "1", 0, 9e15, NULL, "N", "Layout",
     "of the random numbers"},
    {.type = SCW_OPTION_END},
};

static const scw_option cluster_table[] = {
    GRAPH_ROWS(scw_cluster_options),
    {"resolution", SCW_OPTION_REAL, offsetof(scw_cluster_options, resolution), "1", 0, 1e6, NULL,
     "R", "Clustering", "larger: more and smaller clusters"},
    {"quality", SCW_OPTION_CHOICE, offsetof(scw_cluster_options, quality), "modularity", 0, 0,
     "modularity|cpm", NULL, "Clustering", "what is made as large as possible; with cpm, the "
                                           "constant Potts model, resolutions near 0.01 help"},
    {"iterations", SCW_OPTION_INT, offsetof(scw_cluster_options, iterations), "0", 0, 1000000,
     NULL, "N", "Clustering", "of the Leiden algorithm; 0: until the quality stays"},
    {"seed", SCW_OPTION_INT, offsetof(scw_cluster_options, seed), "1", 0, 9e15, NULL, "N",
     "Clustering", "of the random numbers"},
    {.type = SCW_OPTION_END},
};

const scw_option *scw_umap_option_table(void)
{
    return umap_table;
}

const scw_option *scw_cluster_option_table(void)
{
    return cluster_table;
}

/* By way of text: the rules for options are in one place. */
scw_status graph_check_options(const scw_option *table, const void *options)
{
    scw_status st = SCW_OK;
    char *text = NULL;
    scw_umap_options umap;
    scw_cluster_options cluster;
    void *copy = table == umap_table ? (void *)&umap : (void *)&cluster;

    for (const scw_option *o = table; o->type != SCW_OPTION_END; o++) {
        mem_free(text);
        TRY(scw_options_get(&text, table, options, o->name));
        TRY(scw_options_set(table, copy, o->name, text));
    }
done:
    mem_free(text);
    return st;
}

void cell_graph_clear(cell_graph *c)
{
    mem_free(c->rows);
    mem_free(c->from);
    fuzzy_graph_clear(&c->graph);
    *c = (cell_graph){0};
}

static bool is_finite(const float *row, int64_t d)
{
    for (int64_t j = 0; j < d; j++)
        if (!isfinite(row[j])) return false;
    return true;
}

static scw_status gather(cell_graph *c, const float *x, int64_t n)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&c->rows, n * c->d));
    TRY(mem_new(&c->from, n));
    for (int64_t i = 0; i < n; i++) {
        if (!is_finite(x + i * c->d, c->d)) continue;
        if (c->d > 0)
            memcpy(c->rows + c->n * c->d, x + i * c->d, (size_t)c->d * sizeof *c->rows);
        c->from[c->n++] = i;
    }
    if (c->n == 0) FAIL(SCW_EDATA, "none of the %lld cells has a finite embedding", (long long)n);
    if (c->d == 0) FAIL(SCW_EDATA, "the embedding has no columns");
done:
    return st;
}

/* From neighbourhoods to the graph. */
static scw_status weave(cell_graph *out, const neighbors *nn, const scw_graph_options *options,
                        double began, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;

    TRY(fuzzy_graph_build(&out->graph, nn, options->local_connectivity));
    TRY(fuzzy_graph_count_pieces(&out->n_pieces, &out->graph));
    log_detail(hooks, "graph: %lld edges, %lld pieces, %.2f s in all",
               (long long)out->graph.indptr[out->n] / 2, (long long)out->n_pieces,
               clock_wall() - began);
done:
    return st;
}

scw_status cell_graph_build(cell_graph *out, const float *x, int64_t n, int64_t d,
                            const scw_graph_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    neighbors nn = {0};
    double began = clock_wall();

    *out = (cell_graph){.d = d};
    TRY(gather(out, x, n));
    if (out->n < n)
        log_warning(hooks, "%lld of %lld cells have no finite embedding and are left out",
                    (long long)(n - out->n), (long long)n);
    if (options->neighbors > out->n)
        log_warning(hooks, "neighbourhoods of %lld cells are made smaller: there are %lld cells",
                    (long long)options->neighbors, (long long)out->n);
    neighbors_search search = {.rows = out->rows, .n_rows = out->n, .d = d,
                               .k = options->neighbors - 1,
                               .cosine = options->metric == SCW_DISTANCE_COSINE};
    TRY(neighbors_find(&nn, &search));
    TRY(log_check_cancel(hooks));
    log_detail(hooks, "neighbours: %.2f s", clock_wall() - began);
    TRY(weave(out, &nn, options, began, hooks));
done:
    neighbors_clear(&nn);
    if (st != SCW_OK) cell_graph_clear(out);
    return st;
}

scw_status cell_graph_build_from(cell_graph *out, const neighbors *nn,
                                 const scw_graph_options *options, const scw_hooks *hooks)
{
    *out = (cell_graph){.n = nn->n};
    scw_status st = weave(out, nn, options, clock_wall(), hooks);
    if (st != SCW_OK) cell_graph_clear(out);
    return st;
}
