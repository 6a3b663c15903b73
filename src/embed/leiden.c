/* SPDX-License-Identifier: BSD-3-Clause */
/* Leiden communities (Traag, Waltman, van Eck 2019) of the weighted graph, by igraph where the
 * build has it. This is the one file that knows igraph. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "embed/graph.h"

#ifdef SCW_HAVE_IGRAPH
#include <igraph.h>

#define MOST_ITERATIONS 100
#define LEAST_GAIN 1e-9 /* of the quality, for another pass */
#define RANDOMNESS 0.01 /* of the refinement, the algorithm's beta: the value of its authors */

/* igraph's own objects; zero is not an initialised state, so each has a flag. */
typedef struct leiden {
    igraph_t graph;
    igraph_vector_t weights, strength;
    igraph_vector_int_t edges, membership;
    igraph_rng_t rng;
    int has_graph, has_weights, has_strength, has_edges, has_membership, has_rng;
} leiden;

static void leiden_clear(leiden *l)
{
    if (l->has_graph) igraph_destroy(&l->graph);
    if (l->has_weights) igraph_vector_destroy(&l->weights);
    if (l->has_strength) igraph_vector_destroy(&l->strength);
    if (l->has_edges) igraph_vector_int_destroy(&l->edges);
    if (l->has_membership) igraph_vector_int_destroy(&l->membership);
    if (l->has_rng) igraph_rng_destroy(&l->rng);
}

static scw_status check(igraph_error_t code)
{
    if (code == IGRAPH_SUCCESS) return SCW_OK;
    if (code == IGRAPH_ENOMEM) return status_fail(SCW_ENOMEM, "out of memory in clustering");
    return status_fail(SCW_EINTERNAL, "clustering: igraph says: %s", igraph_strerror(code));
}

/* Each edge once. */
static scw_status fill(leiden *l, const fuzzy_graph *g)
{
    scw_status st = SCW_OK;
    igraph_integer_t n_edges = g->indptr[g->n] / 2, at = 0;

    TRY(check(igraph_vector_int_init(&l->edges, 2 * n_edges)));
    l->has_edges = 1;
    TRY(check(igraph_vector_init(&l->weights, n_edges)));
    l->has_weights = 1;
    TRY(check(igraph_vector_init(&l->strength, g->n)));
    l->has_strength = 1;
    TRY(check(igraph_vector_int_init(&l->membership, 0)));
    l->has_membership = 1;
    for (int64_t i = 0; i < g->n; i++) {
        for (int64_t e = g->indptr[i]; e < g->indptr[i + 1]; e++) {
            VECTOR(l->strength)[i] += (double)g->weight[e];
            if (g->column[e] < i) continue;
            VECTOR(l->edges)[2 * at] = i;
            VECTOR(l->edges)[2 * at + 1] = g->column[e];
            VECTOR(l->weights)[at++] = (double)g->weight[e];
        }
    }
    TRY(check(igraph_create(&l->graph, &l->edges, g->n, IGRAPH_UNDIRECTED)));
    l->has_graph = 1;
done:
    return st;
}

/* Passes are counted here: igraph's own "until nothing changes" need not end, because its
 * refinement may move cells between clusters that are equally good.
 *
 * Modularity is the constant Potts model with node weights = strengths and the resolution divided
 * by twice the total edge weight; igraph reports the quality divided by that total too. */
static scw_status run(int32_t *cluster, double *quality, const fuzzy_graph *g,
                      const scw_cluster_options *o, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    leiden l = {0};
    igraph_error_handler_t *handler = igraph_set_error_handler(igraph_error_handler_ignore);
    igraph_rng_t *rng = NULL;
    double resolution = o->resolution, total = 0.0;

    TRY(fill(&l, g));
    TRY(check(igraph_rng_init(&l.rng, &igraph_rngtype_pcg32)));
    l.has_rng = 1;
    TRY(check(igraph_rng_seed(&l.rng, (igraph_uint_t)o->seed)));
    rng = igraph_rng_default();
    igraph_rng_set_default(&l.rng);
    for (int64_t i = 0; i < g->n; i++)
        total += VECTOR(l.strength)[i];
    const igraph_vector_t *nodes = o->quality == SCW_QUALITY_MODULARITY ? &l.strength : NULL;
    if (nodes) resolution /= total;
    int64_t most = o->iterations > 0 ? o->iterations : MOST_ITERATIONS;
    double before = -INFINITY;
    for (int64_t pass = 0; pass < most; pass++) {
        igraph_integer_t n_clusters;
        TRY(log_check_cancel(hooks));
        TRY(check(igraph_community_leiden(&l.graph, &l.weights, nodes, resolution, RANDOMNESS,
                                          pass > 0, 1, &l.membership, &n_clusters, quality)));
        if (o->iterations == 0 && !(*quality > before + LEAST_GAIN)) break;
        before = *quality;
    }
    for (int64_t i = 0; i < g->n; i++)
        cluster[i] = (int32_t)VECTOR(l.membership)[i];
done:
    if (rng) igraph_rng_set_default(rng);
    leiden_clear(&l);
    igraph_set_error_handler(handler);
    return st;
}
#else
static scw_status run(int32_t *cluster, double *quality, const fuzzy_graph *g,
                      const scw_cluster_options *o, const scw_hooks *hooks)
{
    (void)cluster, (void)quality, (void)g, (void)o, (void)hooks;
    return status_fail(SCW_EUNSUPPORTED, "this build of scweave has no clustering: install igraph "
                                         "(libigraph-dev) and build again");
}
#endif

/* ------------------------------------------------------------------ numbering */

typedef struct group {
    int64_t size, first; /* cells; the first of them */
    int32_t name;
} group;

static int by_size(const void *a, const void *b)
{
    const group *x = a, *y = b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return (x->first > y->first) - (x->first < y->first);
}

/* Number the clusters from the largest. Returns how many there are in *n_clusters. */
static scw_status renumber(int32_t *cluster, int64_t n, int32_t *n_clusters)
{
    scw_status st = SCW_OK;
    group *groups = NULL;
    int32_t *number = NULL;

    *n_clusters = 0;
    for (int64_t i = 0; i < n; i++)
        if (cluster[i] >= *n_clusters) *n_clusters = cluster[i] + 1;
    TRY(mem_new(&groups, *n_clusters));
    TRY(mem_new(&number, *n_clusters));
    for (int64_t i = n - 1; i >= 0; i--) {
        group *g = &groups[cluster[i]];
        *g = (group){g->size + 1, i, cluster[i]};
    }
    qsort(groups, (size_t)*n_clusters, sizeof *groups, by_size);
    for (int32_t c = 0; c < *n_clusters; c++)
        number[groups[c].name] = c;
    for (int64_t i = 0; i < n; i++)
        cluster[i] = number[cluster[i]];
done:
    mem_free(groups);
    mem_free(number);
    return st;
}

scw_status cell_graph_cluster(int32_t *cluster, scw_clusters *facts, const cell_graph *c,
                              const scw_cluster_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    double began = clock_wall();

    *facts = (scw_clusters){.n_edges = c->graph.indptr[c->n] / 2, .n_pieces = c->n_pieces};
    TRY(run(cluster, &facts->quality, &c->graph, options, hooks));
    log_detail(hooks, "Leiden: %.2f s", clock_wall() - began);
    TRY(renumber(cluster, c->n, &facts->n_clusters));
done:
    return st;
}

scw_status scw_cluster(int32_t *out, scw_clusters *facts, const float *x, int64_t n, int64_t d,
                       const scw_cluster_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    scw_cluster_options o;
    cell_graph c = {0};
    int32_t *cluster = NULL;
    scw_clusters found = {0};

    TRY(scw_options_init(scw_cluster_option_table(), &o));
    if (options) o = *options;
    TRY(graph_check_options(scw_cluster_option_table(), &o));
    TRY(cell_graph_build(&c, x, n, d, &o.graph, hooks));
    TRY(mem_new(&cluster, c.n));
    TRY(cell_graph_cluster(cluster, &found, &c, &o, hooks));
    for (int64_t i = 0; i < n; i++)
        out[i] = -1;
    for (int64_t i = 0; i < c.n; i++)
        out[c.from[i]] = cluster[i];
    if (facts) *facts = found;
done:
    mem_free(cluster);
    cell_graph_clear(&c);
    return st;
}
