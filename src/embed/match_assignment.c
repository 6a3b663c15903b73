/* SPDX-License-Identifier: BSD-3-Clause */
/* One-to-one matching of the least total cost; of the larger side some cells stay alone. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/dense.h"
#include "base/threads.h"
#include "embed/assignment.h"
#include "embed/match.h"

#define ROW_BLOCK 64

/* cost [a->n, b->n] in float; blocks of rows to threads. */
static scw_status fill(float *cost, const cost_rows *a, const cost_rows *b)
{
    scw_status st = SCW_OK;
    int64_t n_blocks = (a->n + ROW_BLOCK - 1) / ROW_BLOCK, n_threads = threads_get();
    double *room = NULL;

    if (n_threads > n_blocks) n_threads = n_blocks;
    TRY(mem_new(&room, n_threads * ROW_BLOCK * b->n));
    int before = dense_enter();
    PARALLEL_FOR
    for (int64_t t = 0; t < n_threads; t++)
        for (int64_t k = t; k < n_blocks; k += n_threads) {
            double *own = room + t * ROW_BLOCK * b->n;
            int64_t first = k * ROW_BLOCK, n = a->n - first < ROW_BLOCK ? a->n - first : ROW_BLOCK;
            cost_block(own, b->n, a, first, n, b, 0, b->n);
            for (int64_t e = 0; e < n * b->n; e++) cost[first * b->n + e] = (float)own[e];
        }
    dense_leave(before);
done:
    mem_free(room);
    return st;
}

scw_status match_assignment(matrix_builder *out, const match_batch *b, const scw_match_options *o,
                            const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    cost_rows x = {0}, y = {0};
    float *cost = NULL;
    int64_t *column = NULL, bytes, free_bytes = memory_available_bytes();
    bool turned = b->n_x > b->n_y; /* rows are those of the smaller side */
    (void)o, (void)hooks;

    if (!checked_mul(&bytes, b->n_x, b->n_y) || !checked_mul(&bytes, bytes, 4) ||
        bytes > free_bytes)
        FAIL(SCW_ENOMEM,
             "assignment: the costs of %lld x %lld cells do not fit in the %lld MiB that are free; match batch by "
             "batch (--batch-key), or use the engine shared or transport",
             (long long)b->n_x, (long long)b->n_y, (long long)(free_bytes >> 20));
    TRY(cost_rows_init(&x, b->x, b->n_x, b->d, b->cosine));
    TRY(cost_rows_init(&y, b->y, b->n_y, b->d, b->cosine));
    const cost_rows *rows = turned ? &y : &x, *columns = turned ? &x : &y;
    TRY(mem_new(&cost, rows->n * columns->n));
    TRY(mem_new(&column, rows->n));
    TRY(fill(cost, rows, columns));
    TRY(assignment_solve(column, cost, rows->n, columns->n));
    for (int64_t i = 0; i < rows->n; i++)
        TRY(turned ? matrix_builder_add(out, column[i], i, 1.0)
                   : matrix_builder_add(out, i, column[i], 1.0));
done:
    cost_rows_clear(&x);
    cost_rows_clear(&y);
    mem_free(cost);
    mem_free(column);
    return st;
}
