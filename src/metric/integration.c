/* SPDX-License-Identifier: BSD-3-Clause */
#include "metric/integration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "embed/graph.h"
#include "metric/clustering.h"
#include "metric/mixing.h"
#include "metric/silhouette.h"

#define GRAPH_NEIGHBORS 15 /* of connectivity and Leiden, the cell itself counted */
#define RESOLUTIONS 10
#define RESOLUTION_STEP 0.2
#define FEW_CELLS 10 /* labels with fewer are left out of kBET and CiLISI */

typedef struct work {
    const integration_input *in;
    int64_t *size;       /* [n_labels] */
    int32_t *n_batches;  /* [n_labels] batches that the label has */
    uint8_t *isolated;   /* [n_labels] */
    double *value;       /* [n] room for a figure of each cell */
} work;

static int upwards(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts v. */
static double median(double *v, int64_t n)
{
    qsort(v, (size_t)n, sizeof *v, upwards);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

static double ratio(double sum, int64_t n)
{
    return n > 0 ? sum / (double)n : NAN;
}

/* Sizes, batches and isolation of the labels; how many groups there are. */
static scw_status prepare(work *w, integration *out)
{
    scw_status st = SCW_OK;
    const integration_input *in = w->in;
    int32_t n_batches = in->batch ? in->n_batches : 0, fewest = INT32_MAX;
    uint8_t *met = NULL, *has = NULL;

    TRY(mem_new(&w->size, in->n_labels));
    TRY(mem_new(&w->n_batches, in->n_labels));
    TRY(mem_new(&w->isolated, in->n_labels));
    TRY(mem_new(&w->value, in->n));
    TRY(mem_new(&met, (int64_t)in->n_labels * n_batches));
    TRY(mem_new(&has, n_batches));
    for (int64_t i = 0; i < in->n; i++) {
        int32_t c = in->label[i];
        out->n_labels += w->size[c]++ == 0;
        if (!in->batch) continue;
        uint8_t *seen = &met[(int64_t)c * n_batches + in->batch[i]];
        w->n_batches[c] += *seen == 0;
        *seen = 1;
        out->n_batches += has[in->batch[i]] == 0;
        has[in->batch[i]] = 1;
    }
    for (int32_t c = 0; c < in->n_labels; c++)
        if (w->size[c] > 0 && w->n_batches[c] < fewest) fewest = w->n_batches[c];
    for (int32_t c = 0; c < in->n_labels && in->batch && fewest < out->n_batches; c++) {
        w->isolated[c] = w->size[c] > 0 && w->n_batches[c] == fewest;
        out->n_isolated += w->isolated[c];
    }
done:
    mem_free(met);
    mem_free(has);
    return st;
}

static void work_clear(work *w)
{
    mem_free(w->size);
    mem_free(w->n_batches);
    mem_free(w->isolated);
    mem_free(w->value);
}

static scw_status measure_labels(integration *out, work *w)
{
    scw_status st = SCW_OK;
    const integration_input *in = w->in;
    silhouette_input s = {.x = in->x, .n = in->n, .d = in->d, .group = in->label,
                          .n_groups = in->n_labels};
    double *of_label = NULL, sum = 0.0, isolated = 0.0;

    TRY(mem_new(&of_label, in->n_labels));
    TRY(silhouette_widths(w->value, &s));
    for (int64_t i = 0; i < in->n; i++) {
        sum += w->value[i];
        of_label[in->label[i]] += w->value[i];
    }
    for (int32_t c = 0; c < in->n_labels; c++)
        if (w->isolated[c]) isolated += 0.5 * (of_label[c] / (double)w->size[c] + 1.0);
    out->asw_label = 0.5 * (ratio(sum, in->n) + 1.0);
    out->isolated_asw = ratio(isolated, out->n_isolated);
done:
    mem_free(of_label);
    return st;
}

/* The nearest k of each neighbourhood. */
static scw_status nearest_of(neighbors *out, const neighbors *nn, int64_t k)
{
    scw_status st = SCW_OK;

    *out = (neighbors){.n = nn->n, .k = k < nn->k ? k : nn->k};
    TRY(mem_new(&out->row, out->n * out->k));
    TRY(mem_new(&out->distance, out->n * out->k));
    for (int64_t e = 0; e < out->n * out->k; e++) {
        out->row[e] = nn->row[e / out->k * nn->k + e % out->k];
        out->distance[e] = nn->distance[e / out->k * nn->k + e % out->k];
    }
done:
    return st;
}

/* `narrow`: what the graphs want, of the same search. */
static scw_status measure_neighborhoods(integration *out, neighbors *narrow, work *w)
{
    scw_status st = SCW_OK;
    const integration_input *in = w->in;
    neighbors wide = {0};
    double *weights = NULL;
    neighbors_search search = {.rows = in->x, .n_rows = in->n, .d = in->d, .k = LISI_NEIGHBORS};

    TRY(neighbors_find(&wide, &search));
    TRY(nearest_of(narrow, &wide, GRAPH_NEIGHBORS - 1));
    TRY(mixing_weights(&weights, &wide));
    TRY(mixing_lisi(w->value, &wide, weights, in->label, in->n_labels));
    out->clisi = 1.0 - (median(w->value, in->n) - 1.0) / (double)(out->n_labels - 1);
    TRY(mixing_connectivity(&out->connectivity, narrow, in->label, in->n_labels));
    if (out->n_batches > 1) {
        TRY(mixing_lisi(w->value, &wide, weights, in->batch, in->n_batches));
        out->ilisi = (median(w->value, in->n) - 1.0) / (double)(out->n_batches - 1);
    }
done:
    neighbors_clear(&wide);
    mem_free(weights);
    return st;
}

/* --------------------------------------------------------------- batches within a label */

/* Sums over labels, and over cells for CiLISI. */
typedef struct within {
    double asw, bras, kbet, cilisi;
    int64_t n_asw, n_kbet, n_cells;
} within;

static scw_status measure_neighbors_within(within *sum, double *value, const silhouette_input *s,
                                           int32_t n_batches)
{
    scw_status st = SCW_OK;
    neighbors nn = {0}, near = {0};
    double accepted, *weights = NULL;
    int64_t k0 = s->n / n_batches / 4;
    neighbors_search search = {.rows = s->x, .n_rows = s->n, .d = s->d, .k = LISI_NEIGHBORS};

    k0 = k0 < 10 ? 10 : k0 > 70 ? 70 : k0;
    TRY(neighbors_find(&nn, &search));
    TRY(mixing_weights(&weights, &nn));
    TRY(mixing_lisi(value, &nn, weights, s->group, s->n_groups));
    for (int64_t i = 0; i < s->n; i++)
        sum->cilisi += (value[i] - 1.0) / (double)(n_batches - 1);
    sum->n_cells += s->n;
    TRY(nearest_of(&near, &nn, k0 - 1));
    TRY(mixing_kbet(&accepted, &near, s->group, s->n_groups));
    sum->kbet += accepted;
    sum->n_kbet++;
done:
    neighbors_clear(&nn);
    neighbors_clear(&near);
    mem_free(weights);
    return st;
}

static scw_status measure_label(within *sum, const work *w, int32_t c)
{
    scw_status st = SCW_OK;
    const integration_input *in = w->in;
    float *x = NULL;
    int32_t *batch = NULL;
    double *value = NULL;
    silhouette_input s = {.d = in->d, .n_groups = in->n_batches};

    TRY(mem_new(&x, w->size[c] * in->d));
    TRY(mem_new(&batch, w->size[c]));
    TRY(mem_new(&value, w->size[c]));
    for (int64_t i = 0; i < in->n; i++) {
        if (in->label[i] != c) continue;
        if (in->d > 0)
            memcpy(x + s.n * in->d, in->x + i * in->d, (size_t)in->d * sizeof *x);
        batch[s.n++] = in->batch[i];
    }
    s.x = x;
    s.group = batch;
    if (w->n_batches[c] < s.n) { /* else every cell is alone in its batch */
        double asw = 0.0, bras = 0.0;
        TRY(silhouette_widths(value, &s));
        for (int64_t i = 0; i < s.n; i++) asw += 1.0 - fabs(value[i]);
        s.cosine = s.mean_other = true;
        TRY(silhouette_widths(value, &s));
        for (int64_t i = 0; i < s.n; i++) bras += 1.0 - fabs(value[i]);
        sum->asw += asw / (double)s.n;
        sum->bras += bras / (double)s.n;
        sum->n_asw++;
    }
    if (s.n >= FEW_CELLS) TRY(measure_neighbors_within(sum, value, &s, w->n_batches[c]));
done:
    mem_free(x);
    mem_free(batch);
    mem_free(value);
    return st;
}

static scw_status measure_within(integration *out, const work *w, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    within sum = {0};

    for (int32_t c = 0; c < w->in->n_labels; c++) {
        TRY(log_check_cancel(hooks));
        if (w->n_batches[c] > 1) TRY(measure_label(&sum, w, c));
    }
    out->asw_batch = ratio(sum.asw, sum.n_asw);
    out->bras = ratio(sum.bras, sum.n_asw);
    out->kbet = ratio(sum.kbet, sum.n_kbet);
    out->cilisi = ratio(sum.cilisi, sum.n_cells);
done:
    return st;
}

/* ------------------------------------------------------------------------------ Leiden */

/* Raise best[c], of isolated labels, to the best F1 of a cluster with the label. */
static scw_status raise_f1(double *best, const work *w, const int32_t *cluster, int32_t n_clusters)
{
    scw_status st = SCW_OK;
    const integration_input *in = w->in;
    int64_t *size = NULL, *both = NULL;

    TRY(mem_new(&size, n_clusters));
    TRY(mem_new(&both, n_clusters));
    for (int64_t i = 0; i < in->n; i++) size[cluster[i]]++;
    for (int32_t c = 0; c < in->n_labels; c++) {
        if (!w->isolated[c]) continue;
        memset(both, 0, (size_t)n_clusters * sizeof *both);
        for (int64_t i = 0; i < in->n; i++) both[cluster[i]] += in->label[i] == c;
        for (int32_t k = 0; k < n_clusters; k++) {
            double f1 = 2.0 * (double)both[k] / (double)(size[k] + w->size[c]);
            if (f1 > best[c]) best[c] = f1;
        }
    }
done:
    mem_free(size);
    mem_free(both);
    return st;
}

static scw_status measure_clusters(integration *out, const work *w, const neighbors *nn,
                                   const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const integration_input *in = w->in;
    scw_cluster_options o;
    cell_graph graph = {0};
    int32_t *cluster = NULL;
    double *best = NULL, sum = 0.0;
    scw_clusters facts;
    clustering agreement;

    TRY(scw_options_init(scw_cluster_option_table(), &o));
    o.seed = (int64_t)in->seed;
    TRY(mem_new(&cluster, in->n));
    TRY(mem_new(&best, in->n_labels));
    TRY(cell_graph_build_from(&graph, nn, &o.graph, hooks));
    for (int k = 1; k <= RESOLUTIONS; k++) {
        o.resolution = RESOLUTION_STEP * k;
        st = cell_graph_cluster(cluster, &facts, &graph, &o, hooks);
        if (st == SCW_EUNSUPPORTED) {
            status_clear();
            st = SCW_OK;
            goto done;
        }
        if (st != SCW_OK) goto done;
        TRY(clustering_measure(&agreement, in->label, cluster, in->n));
        TRY(raise_f1(best, w, cluster, facts.n_clusters));
        if (out->clustered && agreement.nmi <= out->leiden_nmi) continue;
        out->clustered = true;
        out->leiden_nmi = agreement.nmi;
        out->leiden_ari = agreement.ari;
        out->leiden_resolution = o.resolution;
    }
    for (int32_t c = 0; c < in->n_labels; c++) sum += best[c];
    out->isolated_f1 = ratio(sum, out->n_isolated);
done:
    mem_free(cluster);
    mem_free(best);
    cell_graph_clear(&graph);
    return st;
}

/* ----------------------------------------------------------------------------- variance */

/* Variance between batches over all variance, both summed over the columns: the principal components
 * are a rotation, which changes neither sum. */
static scw_status share_between(double *out, const float *x, int64_t d, const integration_input *in)
{
    scw_status st = SCW_OK;
    double *mean = NULL, *all = NULL, between = 0.0, total = 0.0;
    int64_t *size = NULL;

    TRY(mem_new(&mean, in->n_batches * d));
    TRY(mem_new(&all, d));
    TRY(mem_new(&size, in->n_batches));
    for (int64_t i = 0; i < in->n; i++) {
        size[in->batch[i]]++;
        for (int64_t j = 0; j < d; j++) {
            mean[in->batch[i] * d + j] += (double)x[i * d + j];
            all[j] += (double)x[i * d + j] / (double)in->n;
        }
    }
    for (int64_t i = 0; i < in->n; i++)
        for (int64_t j = 0; j < d; j++) {
            double gap = (double)x[i * d + j] - all[j];
            total += gap * gap;
        }
    for (int32_t b = 0; b < in->n_batches; b++)
        for (int64_t j = 0; j < d && size[b] > 0; j++) {
            double gap = mean[b * d + j] / (double)size[b] - all[j];
            between += (double)size[b] * gap * gap;
        }
    *out = total > 0.0 ? between / total : NAN;
done:
    mem_free(mean);
    mem_free(all);
    mem_free(size);
    return st;
}

static scw_status measure_variance(integration *out, const integration_input *in)
{
    scw_status st = SCW_OK;

    TRY(share_between(&out->pcr, in->x, in->d, in));
    if (!in->before) goto done;
    TRY(share_between(&out->pcr_before, in->before, in->d_before, in));
    double gain = (out->pcr_before - out->pcr) / out->pcr_before;
    out->pcr_score = gain < 0.0 ? 0.0 : gain;
done:
    return st;
}

scw_status integration_measure(integration *out, const integration_input *in,
                               const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    work w = {.in = in};
    neighbors near = {0};

    *out = (integration){.n = in->n,
                         .asw_label = NAN, .isolated_asw = NAN, .clisi = NAN,
                         .connectivity = NAN, .leiden_nmi = NAN, .leiden_ari = NAN,
                         .leiden_resolution = NAN, .isolated_f1 = NAN, .asw_batch = NAN,
                         .bras = NAN, .ilisi = NAN, .cilisi = NAN, .kbet = NAN, .pcr = NAN,
                         .pcr_before = NAN, .pcr_score = NAN};
    TRY(prepare(&w, out));
    if (in->n < 3 || out->n_labels < 2)
        FAIL(SCW_EDATA, "%lld cells of %lld labels have what is judged; at least 3 cells of 2 labels are needed",
             (long long)in->n, (long long)out->n_labels);
    TRY(measure_labels(out, &w));
    TRY(log_check_cancel(hooks));
    TRY(measure_neighborhoods(out, &near, &w));
    TRY(measure_clusters(out, &w, &near, hooks));
    if (out->n_batches < 2) goto done;
    TRY(measure_within(out, &w, hooks));
    TRY(measure_variance(out, in));
done:
    neighbors_clear(&near);
    work_clear(&w);
    return st;
}
