/* SPDX-License-Identifier: BSD-3-Clause */
/* The layout: stochastic gradient descent with negative sampling (McInnes et al. 2018,
 * section 4.2).
 *
 * With q(x) = 1 / (1 + a x^(2b)) the force between cells i and j at distance x in the plane is
 *     pull, along an edge:      -2 a b x^(2(b-1)) / (1 + a x^(2b)) (y_i - y_j)
 *     push, from any cell:       2 b / ((0.001 + x^2) (1 + a x^(2b))) (y_i - y_j)
 * each coordinate clipped to [-4, 4] and times a rate that falls from 1 to 0. An edge is used in a
 * share w_ij / max w of the epochs; each use is one pull on both cells, and pushes on one of them
 * from `negatives` cells drawn anew.
 *
 * The authors move two cells at once, one edge after another, and so their result depends on the
 * order, and with threads on chance. Here a cell moves only itself: it goes through its edges, and
 * sees the others where they stood at the beginning of its round. An epoch has ROUNDS rounds, each
 * of them for a part of the cells; with a single round neighbours swap places instead of meeting.
 * Each edge is stored in both directions and used in both in the same epoch, so a cell is pulled
 * twice along it, before and after the pushes, as in the authors' sweep. Random numbers are
 * addressed by epoch and cell.
 *
 * LANES cells of about equally many edges move in step, each by itself: the arithmetic of a step is
 * the same for all, so the compiler makes vector instructions of the loops over lanes. Of its group
 * a cell takes only its round. A lane that is through with its edges looks at itself, where no
 * force is. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/threads.h"
#include "embed/umap.h"

#define ROUNDS 4
#define LANES 16
#define CLIP 4.0f
#define NEAREST 1e-3f       /* keeps the push finite */
#define LARGEST_POWER 60.0f /* of two: far beyond it a force is nothing, and overflow is as far */

typedef struct layout {
    const fuzzy_graph *g;
    const umap_layout *how;
    rng_key key;
    float a, b;
    float *share;      /* [nnz] w / max w: the part of the epochs in which an edge is used */
    int32_t *order;    /* [n] cells by their number of uses */
    const float *from; /* [n, 2] at the round's beginning */
    float *to;         /* [n, 2] */
    int64_t epoch;
    float rate;
} layout;

/* The cells of a group. */
typedef struct lanes {
    int32_t cell[LANES];
    int64_t edge[LANES], end[LANES]; /* where in its edges each one is */
    uint32_t word[LANES][4];         /* random numbers not yet used */
    int used[LANES];
    uint32_t drawn[LANES];
    float x[LANES], y[LANES];
} lanes;

/* ------------------------------------------------------------------ forces */

/* out = v^b for v > 0, as 2^(b log2 v), to about 2e-6: both by polynomials that were fitted here,
 * over one binade. */
static void power(float *out, const float *v, float b)
{
    int32_t bits[LANES];
    float mantissa[LANES], exponent[LANES];

    memcpy(bits, v, sizeof bits);
    for (int l = 0; l < LANES; l++) {
        exponent[l] = (float)((bits[l] >> 23) - 127);
        bits[l] = (bits[l] & 0x7fffff) | 0x3f800000;
    }
    memcpy(mantissa, bits, sizeof mantissa);
    for (int l = 0; l < LANES; l++) {
        float t = mantissa[l] - 1.0f;
        float log2 =
            t * (1.44269349f +
                 t * (-0.721179815f +
                      t * (0.477905103f +
                           t * (-0.34009727f +
                                t * (0.217226413f + t * (-0.097521845f + t * 0.0209754653f))))));
        float e = b * (log2 + exponent[l]);
        e = e < -126.0f ? -126.0f : e;
        e = (e > LARGEST_POWER ? LARGEST_POWER : e) + 127.0f;
        bits[l] = (int32_t)e;
        mantissa[l] = e - (float)bits[l];
        bits[l] <<= 23;
    }
    memcpy(out, bits, sizeof bits);
    for (int l = 0; l < LANES; l++) {
        float t = mantissa[l];
        out[l] *= 0.999999893f +
                  t * (0.693154752f +
                       t * (0.240139712f +
                            t * (0.0558662447f + t * (0.00894283084f + t * 0.0018964604f))));
    }
}

static float clipped(float v)
{
    v = v > CLIP ? CLIP : v;
    return v < -CLIP ? -CLIP : v;
}

/* Move the lanes by the forces from `other` [LANES] cells: none from a cell at the same place, none
 * from itself. */
static void apply(const layout *l, lanes *g, const int32_t *other, bool pull)
{
    float dx[LANES], dy[LANES], square[LANES], raised[LANES];

    for (int i = 0; i < LANES; i++) {
        dx[i] = l->from[2 * (int64_t)other[i]];
        dy[i] = l->from[2 * (int64_t)other[i] + 1];
    }
    for (int i = 0; i < LANES; i++) {
        dx[i] = g->x[i] - dx[i];
        dy[i] = g->y[i] - dy[i];
        square[i] = dx[i] * dx[i] + dy[i] * dy[i];
    }
    power(raised, square, l->b);
    for (int i = 0; i < LANES; i++) {
        float ap = l->a * raised[i], divisor = pull ? square[i] : NEAREST + square[i];
        float force = (pull ? -2.0f * l->b * ap : 2.0f * l->b) / (divisor * (1.0f + ap));
        force = square[i] > 0.0f ? force : 0.0f;
        force = other[i] != g->cell[i] ? force : 0.0f;
        g->x[i] += l->rate * clipped(force * dx[i]);
        g->y[i] += l->rate * clipped(force * dy[i]);
    }
}

/* ------------------------------------------------------------------ an epoch */

/* The next edge that lane i uses in this epoch, or -1. The uses of an edge are spread evenly over
 * the epochs: floor(share * epochs) in all. */
static int64_t next_use(const layout *l, lanes *g, int i)
{
    double before = (double)l->epoch, after = (double)(l->epoch + 1);

    while (g->edge[i] < g->end[i]) {
        int64_t e = g->edge[i]++;
        double share = (double)l->share[e];
        if ((int64_t)(share * after) > (int64_t)(share * before)) return e;
    }
    return -1;
}

/* Any cell, itself too: no force. */
static int32_t draw(const layout *l, lanes *g, int i)
{
    if (g->used[i] == 4) {
        uint64_t address = (uint64_t)g->cell[i] << 32 | g->drawn[i]++;
        rng_block(g->word[i], l->key, (uint32_t)l->epoch, address);
        g->used[i] = 0;
    }
    return (int32_t)((uint64_t)g->word[i][g->used[i]++] * (uint64_t)l->g->n >> 32);
}

static void move_group(const layout *l, int64_t first)
{
    lanes g = {0};
    int32_t near[LANES], far[LANES];

    for (int i = 0; i < LANES; i++) { /* the last group repeats its first cell, which then rests */
        bool real = first + i < l->g->n;
        g.cell[i] = l->order[real ? first + i : first];
        g.edge[i] = l->g->indptr[g.cell[i]];
        g.end[i] = real ? l->g->indptr[g.cell[i] + 1] : g.edge[i];
        g.used[i] = 4;
        g.x[i] = l->from[2 * (int64_t)g.cell[i]];
        g.y[i] = l->from[2 * (int64_t)g.cell[i] + 1];
    }
    for (;;) {
        bool active[LANES], any = false;
        for (int i = 0; i < LANES; i++) {
            int64_t e = next_use(l, &g, i);
            active[i] = e >= 0;
            any |= active[i];
            near[i] = active[i] ? l->g->column[e] : g.cell[i];
        }
        if (!any) break;
        apply(l, &g, near, true);
        for (int64_t q = 0; q < l->how->negatives; q++) {
            for (int i = 0; i < LANES; i++)
                far[i] = active[i] ? draw(l, &g, i) : g.cell[i];
            apply(l, &g, far, false);
        }
        apply(l, &g, near, true);
    }
    for (int i = 0; i < LANES && first + i < l->g->n; i++) {
        l->to[2 * (int64_t)g.cell[i]] = g.x[i];
        l->to[2 * (int64_t)g.cell[i] + 1] = g.y[i];
    }
}

/* The group has moved, for all to see. */
static void publish(const layout *l, float *y, int64_t first)
{
    for (int64_t p = first; p < first + LANES && p < l->g->n; p++)
        memcpy(y + UMAP_DIM * (int64_t)l->order[p], l->to + UMAP_DIM * (int64_t)l->order[p],
               UMAP_DIM * sizeof *y);
}

static scw_status check_finite(const float *y, int64_t n)
{
    for (int64_t e = 0; e < UMAP_DIM * n; e++)
        if (!isfinite(y[e]))
            return status_fail(SCW_ENUMERIC, "UMAP: a coordinate left the finite numbers");
    return SCW_OK;
}

static void report(const scw_hooks *hooks, int64_t epoch, int64_t epochs, double started)
{
    double seconds = clock_wall() - started;
    scw_progress p = {.phase = "layout",
                      .step = epoch,
                      .n_steps = epochs,
                      .epoch = epoch,
                      .n_epochs = epochs,
                      .seconds_elapsed = seconds,
                      .seconds_left = seconds / (double)epoch * (double)(epochs - epoch)};
    log_progress(hooks, &p);
}

/* Cells by their number of uses, most first: groups end together. Counting sort, so the order does
 * not depend on the machine's qsort. */
static scw_status sort_cells(layout *l)
{
    scw_status st = SCW_OK;
    int64_t n = l->g->n, *start = NULL;
    int32_t *bin = NULL, most = 0;

    TRY(mem_new(&bin, n));
    for (int64_t i = 0; i < n; i++) {
        double uses = 0.0;
        for (int64_t e = l->g->indptr[i]; e < l->g->indptr[i + 1]; e++)
            uses += (double)l->share[e];
        bin[i] = (int32_t)(4.0 * uses);
        if (bin[i] > most) most = bin[i];
    }
    TRY(mem_new(&start, (int64_t)most + 2));
    for (int64_t i = 0; i < n; i++)
        start[most - bin[i] + 1]++;
    for (int64_t b = 0; b <= most; b++)
        start[b + 1] += start[b];
    for (int64_t i = 0; i < n; i++)
        l->order[start[most - bin[i]]++] = (int32_t)i;
done:
    mem_free(bin);
    mem_free(start);
    return st;
}

static scw_status prepare(layout *l)
{
    scw_status st = SCW_OK;
    int64_t nnz = l->g->indptr[l->g->n];
    float heaviest = 0.0f;

    TRY(mem_new(&l->share, nnz));
    TRY(mem_new(&l->order, l->g->n));
    for (int64_t e = 0; e < nnz; e++)
        heaviest = fmaxf(heaviest, l->g->weight[e]);
    for (int64_t e = 0; e < nnz; e++)
        l->share[e] = l->g->weight[e] / heaviest;
    TRY(sort_cells(l));
done:
    return st;
}

scw_status umap_move(float *y, const fuzzy_graph *g, const umap_layout *how, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    layout l = {.g = g,
                .how = how,
                .key = rng_make_key(how->seed, RNG_UMAP, 0),
                .a = (float)how->a,
                .b = (float)how->b};
    int64_t n_groups = (g->n + LANES - 1) / LANES, n_turns = threads_get();
    float *moved = NULL;
    double started = clock_wall();

    TRY(prepare(&l));
    TRY(mem_new(&moved, UMAP_DIM * g->n));
    for (l.epoch = 0; l.epoch < how->epochs; l.epoch++) {
        TRY(log_check_cancel(hooks));
        l.rate = (float)(1.0 - (double)l.epoch / (double)how->epochs);
        l.from = y;
        l.to = moved;
        for (int64_t round = 0; round < ROUNDS; round++) {
            PARALLEL_FOR
            for (int64_t t = 0; t < n_turns; t++) /* groups are sorted by work: deal them out */
                for (int64_t q = round + ROUNDS * t; q < n_groups; q += ROUNDS * n_turns)
                    move_group(&l, q * LANES);
            PARALLEL_FOR
            for (int64_t q = round; q < n_groups; q += ROUNDS)
                publish(&l, y, q * LANES);
        }
        report(hooks, l.epoch + 1, how->epochs, started);
    }
    TRY(check_finite(y, g->n));
done:
    mem_free(l.share);
    mem_free(l.order);
    mem_free(moved);
    return st;
}
