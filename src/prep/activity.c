/* SPDX-License-Identifier: BSD-3-Clause */
#include "prep/activity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void activity_map_clear(activity_map *m)
{
    mem_free(m->start);
    mem_free(m->gene);
    mem_free(m->weight);
    *m = (activity_map){0};
}

/* ------------------------------------------------------------------ which belong together */

/* Where a gene takes peaks from. */
typedef struct reach {
    interval at;
    int64_t furthest; /* largest end of this and all before it on the chromosome */
    int64_t gene;
} reach;

static int by_place(const void *a, const void *b)
{
    const reach *x = a, *y = b;

    if (x->at.chromosome != y->at.chromosome) return x->at.chromosome < y->at.chromosome ? -1 : 1;
    if (x->at.start != y->at.start) return x->at.start < y->at.start ? -1 : 1;
    return x->gene < y->gene ? -1 : x->gene > y->gene;
}

static interval window_of(const activity_gene *g, const activity_options *o)
{
    interval w = g->body;

    if (o->decay) {
        w.start = g->tss - o->reach;
        w.end = g->tss + o->reach + 1;
        return w;
    }
    w.start -= g->strand >= 0 ? o->upstream : o->downstream;
    w.end += g->strand <= 0 ? o->upstream : o->downstream;
    return w;
}

/* First position whose start is not below `end`, on the chromosome: those before may overlap. */
static int64_t upper(const reach *r, int64_t n, const interval *peak)
{
    int64_t low = 0, high = n;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        const interval *w = &r[middle].at;
        if (w->chromosome < peak->chromosome ||
            (w->chromosome == peak->chromosome && w->start < peak->end))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool weigh(float *weight, const interval *peak, const activity_gene *g,
                  const activity_options *o)
{
    *weight = 1.0f;
    if (!o->decay) return true;
    double middle = 0.5 * (double)(peak->start + peak->end);
    double d = fabs(middle - (double)g->tss);
    if (d > (double)o->reach) return false;
    *weight = (float)exp2(-d / (double)o->half);
    return true;
}

static scw_status add(activity_map *m, int64_t *n, int64_t *room, int64_t gene, float weight)
{
    scw_status st = SCW_OK;

    if (*n == *room) {
        *room = *room ? *room * 2 : 1024;
        TRY(mem_resize(&m->gene, *room));
        TRY(mem_resize(&m->weight, *room));
    }
    m->gene[*n] = (int32_t)gene;
    m->weight[(*n)++] = weight;
done:
    return st;
}

scw_status activity_map_build(activity_map *out, const interval *peaks, int64_t n_peaks,
                              const activity_gene *genes, int64_t n_genes,
                              const activity_options *options)
{
    scw_status st = SCW_OK;
    activity_map m = {.n_peaks = n_peaks, .n_genes = n_genes};
    reach *order = NULL;
    int64_t n = 0, room = 0;

    *out = (activity_map){0};
    TRY(mem_new(&order, n_genes));
    TRY(mem_new(&m.start, n_peaks + 1));
    for (int64_t g = 0; g < n_genes; g++)
        order[g] = (reach){window_of(&genes[g], options), 0, g};
    qsort(order, (size_t)n_genes, sizeof *order, by_place);
    for (int64_t k = 0; k < n_genes; k++) {
        bool goes_on = k && order[k - 1].at.chromosome == order[k].at.chromosome;
        int64_t before = goes_on ? order[k - 1].furthest : order[k].at.end;
        order[k].furthest = order[k].at.end > before ? order[k].at.end : before;
    }
    for (int64_t j = 0; j < n_peaks; j++) {
        const interval *peak = &peaks[j];
        float weight;
        for (int64_t k = peak->chromosome < 0 ? 0 : upper(order, n_genes, peak); k-- > 0;) {
            if (order[k].at.chromosome != peak->chromosome || order[k].furthest <= peak->start)
                break;
            if (order[k].at.end > peak->start &&
                weigh(&weight, peak, &genes[order[k].gene], options))
                TRY(add(&m, &n, &room, order[k].gene, weight));
        }
        m.start[j + 1] = n;
    }
    *out = m;
    m = (activity_map){0};
done:
    mem_free(order);
    activity_map_clear(&m);
    return st;
}

void activity_map_renumber(activity_map *m, const int32_t *number, int64_t n_genes)
{
    int64_t to = 0, from = 0;

    for (int64_t j = 0; j < m->n_peaks; j++) {
        int64_t end = m->start[j + 1];
        for (; from < end; from++) {
            if (number[m->gene[from]] < 0) continue;
            m->gene[to] = number[m->gene[from]];
            m->weight[to++] = m->weight[from];
        }
        m->start[j + 1] = to;
    }
    m->n_genes = n_genes;
}

/* ------------------------------------------------------------------ the reader */

typedef struct activity_state {
    block_reader *peaks;
    const activity_map *map;
    row_block b;      /* peaks of the block */
    double *sum;      /* [n_genes] of one cell */
    int32_t *touched; /* [n_genes] */
} activity_state;

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

/* Sums of one cell; how many genes have any. */
static int64_t sum_cell(activity_state *s, int64_t i)
{
    const activity_map *m = s->map;
    const matrix *x = &s->b.x;
    int64_t n = 0;

    for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++) {
        int32_t j = x->indices[e];
        if (x->values[e] == 0.0f) continue;
        for (int64_t k = m->start[j]; k < m->start[j + 1]; k++) {
            int32_t g = m->gene[k];
            if (s->sum[g] == 0.0) s->touched[n++] = g;
            s->sum[g] += (double)m->weight[k] * (double)x->values[e];
        }
    }
    qsort(s->touched, (size_t)n, sizeof *s->touched, ascending);
    return n;
}

static scw_status read_activity(row_block *out, block_reader *r, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    activity_state *s = r->state;
    int64_t at = 0;

    TRY(block_reader_read(&s->b, s->peaks, from, n));
    TRY(row_block_reserve(out, n, 0, false));
    out->x.indptr[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t genes = sum_cell(s, i);
        if (at + genes > out->room_values) TRY(row_block_reserve(out, n, at + genes, false));
        for (int64_t k = 0; k < genes; k++) {
            int32_t g = s->touched[k];
            double sum = s->sum[g];
            s->sum[g] = 0.0;
            if (sum == 0.0 || (k && g == s->touched[k - 1])) continue;
            out->x.indices[at] = g;
            out->x.values[at++] = (float)sum;
        }
        out->x.indptr[i + 1] = at;
    }
done:
    return st;
}

static void close_activity(block_reader *r)
{
    activity_state *s = r->state;

    block_reader_free(s->peaks);
    row_block_clear(&s->b);
    mem_free(s->sum);
    mem_free(s->touched);
    mem_free(s);
}

scw_status activity_reader(block_reader **out, block_reader *peaks, const activity_map *map)
{
    static const block_reader_kind kind = {"activity", read_activity, close_activity, NULL};
    scw_status st = SCW_OK;
    block_reader *r = NULL;
    activity_state *s = NULL;

    *out = NULL;
    TRY(mem_new(&r, 1));
    TRY(mem_new(&s, 1));
    TRY(mem_new(&s->sum, map->n_genes));
    TRY(mem_new(&s->touched, map->n_genes));
    s->peaks = peaks;
    s->map = map;
    *r = (block_reader){.kind = &kind,
                        .state = s,
                        .n_rows = peaks->n_rows,
                        .n_cols = map->n_genes,
                        .nnz = -1,
                        .block_rows = peaks->block_rows};
    *out = r;
    r = NULL;
    s = NULL;
done:
    mem_free(r);
    if (s) {
        mem_free(s->sum);
        mem_free(s->touched);
        mem_free(s);
        block_reader_free(peaks);
    } else if (st != SCW_OK) {
        block_reader_free(peaks);
    }
    return st;
}
