/* SPDX-License-Identifier: BSD-3-Clause */
#include "prep/loess.h"

#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/dense.h"

#define CELL 0.2     /* a cell of the tree holds at most this share of a neighbourhood */
#define MARGIN 0.005 /* by which the outermost cells reach beyond the data */
#define TERMS 3

typedef struct point {
    double x, y;
    int64_t at;
} point;

typedef struct vertex {
    double x, value, slope;
} vertex;

typedef struct cell {
    int64_t first, last; /* points in it */
    double low, high;
} cell;

typedef struct loess {
    point *points; /* [n] ascending x */
    int64_t n, q;  /* points; of a neighbourhood */
    vertex *vertices;
    int64_t n_vertices;
    cell *cells;             /* a queue; at most twice as many as vertices */
    double *design, *target; /* [q, TERMS], [q] */
} loess;

static int by_x(const void *a, const void *b)
{
    const point *p = a, *q = b;

    if (p->x != q->x) return p->x < q->x ? -1 : 1;
    return p->at < q->at ? -1 : p->at > q->at;
}

static int by_place(const void *a, const void *b)
{
    const vertex *p = a, *q = b;

    return (p->x > q->x) - (p->x < q->x);
}

static void clear(loess *l)
{
    mem_free(l->points);
    mem_free(l->vertices);
    mem_free(l->cells);
    mem_free(l->design);
    mem_free(l->target);
}

/* ------------------------------------------------------------------ cells */

/* The last point of the left half of a cell: the middle one, moved, now to this side, now to that,
 * to where two neighbours differ. */
static int64_t cut_at(const loess *l, const cell *c)
{
    int64_t middle = (c->first + c->last) / 2, offset = 0;

    while (middle + offset < c->last && middle + offset >= c->first) {
        if (l->points[middle + offset].x != l->points[middle + offset + 1].x)
            return middle + offset;
        offset = -offset;
        if (offset >= 0) offset++;
    }
    return middle;
}

static scw_status add_vertex(loess *l, double x)
{
    scw_status st = SCW_OK;

    TRY(mem_resize(&l->vertices, l->n_vertices + 1));
    l->vertices[l->n_vertices++] = (vertex){x, 0.0, 0.0};
done:
    return st;
}

/* Halve cells until each holds few enough points; the cuts are the vertices. */
static scw_status build_cells(loess *l, double span)
{
    scw_status st = SCW_OK;
    const int64_t most = (int64_t)floor((double)l->n * span * CELL);
    double low = l->points[0].x, high = l->points[l->n - 1].x;
    double size = fmax(fabs(low), fabs(high));
    double margin = MARGIN * fmax(high - low, 1e-10 * size + 1e-30);
    int64_t n_cells = 1;

    TRY(mem_new(&l->cells, 1));
    l->cells[0] = (cell){0, l->n - 1, low - margin, high + margin};
    TRY(add_vertex(l, low - margin));
    TRY(add_vertex(l, high + margin));
    for (int64_t k = 0; k < n_cells; k++) {
        cell c = l->cells[k];
        if (c.last - c.first + 1 <= most || c.last - c.first < 1) continue;
        int64_t m = cut_at(l, &c);
        double at = l->points[m].x;
        if (at == c.low || at == c.high) continue;
        TRY(mem_resize(&l->cells, n_cells + 2));
        l->cells[n_cells++] = (cell){c.first, m, c.low, at};
        l->cells[n_cells++] = (cell){m + 1, c.last, at, c.high};
        TRY(add_vertex(l, at));
    }
    qsort(l->vertices, (size_t)l->n_vertices, sizeof *l->vertices, by_place);
done:
    return st;
}

/* ------------------------------------------------------------------ the fit at a point */

/* First of the q points nearest to z, which stand side by side. */
static int64_t neighbourhood(const loess *l, double z)
{
    int64_t low = 0, high = l->n - l->q;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (z - l->points[middle].x > l->points[middle + l->q].x - z)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static scw_status fit_vertex(loess *l, vertex *v)
{
    scw_status st = SCW_OK;
    const point *p = l->points + neighbourhood(l, v->x);
    double radius = fmax(fabs(p[0].x - v->x), fabs(p[l->q - 1].x - v->x));
    double norm[TERMS] = {0.0}, singular[TERMS];
    lapack_int rank;

    if (!(radius > 0.0)) { /* they share one place, as features seen in few cells do */
        for (int64_t i = 0; i < l->q; i++)
            v->value += p[i].y / (double)l->q;
        goto done;
    }
    for (int64_t i = 0; i < l->q; i++) {
        double d = p[i].x - v->x, u = fmin(fabs(d) / radius, 1.0), w = 1.0 - u * u * u;
        w = sqrt(w * w * w);
        double *row = l->design + i * TERMS;
        row[0] = w;
        row[1] = w * d;
        row[2] = w * d * d;
        l->target[i] = w * p[i].y;
        for (int t = 0; t < TERMS; t++)
            norm[t] += row[t] * row[t];
    }
    for (int t = 0; t < TERMS; t++)
        norm[t] = norm[t] > 0.0 ? sqrt(norm[t]) : 1.0;
    for (int64_t i = 0; i < l->q; i++)
        for (int t = 0; t < TERMS; t++)
            l->design[i * TERMS + t] /= norm[t];
    int before = dense_enter();
    lapack_int info = LAPACKE_dgelss(LAPACK_ROW_MAJOR, (lapack_int)l->q, TERMS, 1, l->design, TERMS,
                                     l->target, 1, singular, 100.0 * DBL_EPSILON, &rank);
    dense_leave(before);
    if (info != 0) FAIL(SCW_ENUMERIC, "local regression failed (dgelss info %d)", (int)info);
    v->value = l->target[0] / norm[0];
    v->slope = l->target[1] / norm[1];
done:
    return st;
}

/* The cubic between the vertices around x. */
static double blend(const loess *l, double x)
{
    int64_t low = 0, high = l->n_vertices - 1;

    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (x <= l->vertices[middle].x)
            high = middle;
        else
            low = middle;
    }
    const vertex *a = &l->vertices[low], *b = &l->vertices[high];
    double width = b->x - a->x, t = (x - a->x) / width, s = 1.0 - t;
    return s * s * (1.0 + 2.0 * t) * a->value + t * t * (3.0 - 2.0 * t) * b->value +
           width * (t * s * s * a->slope - t * t * s * b->slope);
}

scw_status loess_fit(double *fitted, const double *x, const double *y, int64_t n, double span)
{
    scw_status st = SCW_OK;
    loess l = {.n = n};

    l.q = (int64_t)floor((double)n * span + 1e-5);
    if (l.q > n) l.q = n;
    if (l.q < TERMS)
        FAIL(SCW_EDATA,
             "local regression: %lld points with span %g leave neighbourhoods of %lld; "
             "3 are needed",
             (long long)n, span, (long long)l.q);
    TRY(mem_new(&l.points, n));
    for (int64_t i = 0; i < n; i++)
        l.points[i] = (point){x[i], y[i], i};
    qsort(l.points, (size_t)n, sizeof *l.points, by_x);
    TRY(mem_new(&l.design, l.q * TERMS));
    TRY(mem_new(&l.target, l.q));
    TRY(build_cells(&l, span));
    for (int64_t k = 0; k < l.n_vertices; k++)
        TRY(fit_vertex(&l, &l.vertices[k]));
    for (int64_t i = 0; i < n; i++)
        fitted[i] = blend(&l, x[i]);
done:
    clear(&l);
    return st;
}
