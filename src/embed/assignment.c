/* SPDX-License-Identifier: BSD-3-Clause */
/* Potentials u, v keep u_i + v_j <= c_ij, with equality where i is assigned to j and v_j = 0 where
 * column j is free: by linear programming's duality such an assignment has the least cost. Rows join
 * one by one; a path of alternating edges from the new row to a free column, shortest in the reduced
 * costs c_ij - u_i - v_j, says who has to move. */
#include "embed/assignment.h"

#include <math.h>

#include "base/alloc.h"

typedef struct search {
    const float *cost;
    int64_t n_rows, n_cols;
    double *u, *v;
    int64_t *row_of, *column_of; /* -1: free */
    double *shortest;  /* [n_cols] length of the path to a column found so far */
    int64_t *from;     /* [n_cols] the row before it */
    int64_t *columns;  /* [n_cols] those not reached are the first n_left */
    int64_t *reached;  /* [n_cols] in the order in which they were */
    int64_t n_left, n_reached;
} search;

static void search_clear(search *s)
{
    mem_free(s->u);
    mem_free(s->v);
    mem_free(s->row_of);
    mem_free(s->shortest);
    mem_free(s->from);
    mem_free(s->columns);
    mem_free(s->reached);
}

static scw_status search_init(search *s)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&s->u, s->n_rows));
    TRY(mem_new(&s->v, s->n_cols));
    TRY(mem_new(&s->row_of, s->n_cols));
    TRY(mem_new(&s->shortest, s->n_cols));
    TRY(mem_new(&s->from, s->n_cols));
    TRY(mem_new(&s->columns, s->n_cols));
    TRY(mem_new(&s->reached, s->n_cols));
    for (int64_t j = 0; j < s->n_cols; j++) s->row_of[j] = -1;
done:
    return st;
}

/* Each row takes its cheapest column while it is free. */
static void begin(search *s)
{
    for (int64_t i = 0; i < s->n_rows; i++) {
        const float *cost = s->cost + i * s->n_cols;
        int64_t best = 0;
        for (int64_t j = 1; j < s->n_cols; j++)
            if (cost[j] < cost[best]) best = j;
        s->u[i] = (double)cost[best];
        s->column_of[i] = s->row_of[best] < 0 ? best : -1;
        if (s->row_of[best] < 0) s->row_of[best] = i;
    }
}

/* Look at all edges of row i, at distance `length`. Returns the place in `columns` of the nearest
 * column; of equals one that is free, which ends the path. */
static int64_t relax(search *s, int64_t i, double length)
{
    const float *cost = s->cost + i * s->n_cols;
    double base = length - s->u[i], nearest = INFINITY;
    int64_t best = 0;

    for (int64_t k = 0; k < s->n_left; k++) {
        int64_t j = s->columns[k];
        double r = base + (double)cost[j] - s->v[j];
        if (r < s->shortest[j]) {
            s->shortest[j] = r;
            s->from[j] = i;
        }
        if (s->shortest[j] < nearest || (s->shortest[j] == nearest && s->row_of[j] < 0)) {
            nearest = s->shortest[j];
            best = k;
        }
    }
    return best;
}

/* The path from row `start`: returns the free column at its end, *length its length. */
static int64_t find_path(search *s, int64_t start, double *length)
{
    int64_t i = start;

    s->n_left = s->n_cols;
    s->n_reached = 0;
    *length = 0.0;
    for (int64_t j = 0; j < s->n_cols; j++) {
        s->shortest[j] = INFINITY;
        s->columns[j] = s->n_cols - 1 - j;
    }
    for (;;) {
        int64_t k = relax(s, i, *length), j = s->columns[k];
        *length = s->shortest[j];
        if (s->row_of[j] < 0) return j;
        s->reached[s->n_reached++] = j;
        s->columns[k] = s->columns[--s->n_left];
        i = s->row_of[j];
    }
}

static void augment(search *s, int64_t start)
{
    double length;
    int64_t j = find_path(s, start, &length);

    s->u[start] += length;
    for (int64_t k = 0; k < s->n_reached; k++) {
        int64_t c = s->reached[k];
        s->u[s->row_of[c]] += length - s->shortest[c];
        s->v[c] -= length - s->shortest[c];
    }
    for (int64_t i = -1; i != start;) {
        i = s->from[j];
        s->row_of[j] = i;
        int64_t before = s->column_of[i];
        s->column_of[i] = j;
        j = before;
    }
}

scw_status assignment_solve(int64_t *column, const float *cost, int64_t n_rows, int64_t n_cols)
{
    scw_status st = SCW_OK;
    search s = {.cost = cost, .n_rows = n_rows, .n_cols = n_cols, .column_of = column};

    if (n_rows > n_cols)
        FAIL(SCW_EINVAL, "assignment: %lld rows for %lld columns", (long long)n_rows,
             (long long)n_cols);
    for (int64_t e = 0; e < n_rows * n_cols; e++)
        if (!isfinite(cost[e]))
            FAIL(SCW_EDATA, "assignment: the cost of row %lld and column %lld is not finite",
                 (long long)(e / n_cols), (long long)(e % n_cols));
    TRY(search_init(&s));
    begin(&s);
    for (int64_t i = 0; i < n_rows; i++)
        if (column[i] < 0) augment(&s, i);
done:
    search_clear(&s);
    return st;
}
