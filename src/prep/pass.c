/* SPDX-License-Identifier: BSD-3-Clause */
#include "prep/pass.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"

static void report(const scw_hooks *hooks, const char *phase, int64_t done_rows, int64_t n_rows,
                   double started)
{
    double elapsed = clock_wall() - started;
    const scw_progress p = {.phase = phase,
                            .step = done_rows,
                            .n_steps = n_rows,
                            .seconds_elapsed = elapsed,
                            .seconds_left = done_rows > 0 ? elapsed / (double)done_rows *
                                                                (double)(n_rows - done_rows)
                                                          : -1.0};
    log_progress(hooks, &p);
}

scw_status blocks_each(block_reader *r, const char *phase, const scw_hooks *hooks,
                       block_visitor visit, void *state)
{
    scw_status st = SCW_OK;
    row_block b = {0};
    double started = clock_wall();
    bool more;

    for (;;) {
        TRY(log_check_cancel(hooks));
        TRY(block_reader_next(&b, r, &more));
        if (!more) break;
        TRY(visit(state, &b));
        report(hooks, phase, b.from + b.x.n_rows, r->n_rows, started);
    }
done:
    row_block_clear(&b);
    return st;
}

void block_row_sums(double *out, const row_block *b)
{
    const matrix *x = &b->x;

    PARALLEL_FOR_IF(x->n_rows > 256)
    for (int64_t i = 0; i < x->n_rows; i++) {
        double sum = 0.0;
        for (int64_t e = x->indptr[i]; e < x->indptr[i + 1]; e++)
            sum += (double)x->values[e];
        out[i] = sum;
    }
}

/* ------------------------------------------------------------------ chained readers */

typedef struct chained {
    block_reader *base;
    bool owned;
    block_map map; /* NULL: unchanged */
    const void *state;
} chained;

static scw_status read_chained(row_block *out, block_reader *r, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    const chained *c = r->state;

    TRY(block_reader_read(out, c->base, from, n));
    if (c->map) TRY(c->map(out, c->state));
done:
    return st;
}

static void close_chained(block_reader *r)
{
    chained *c = r->state;

    if (c->owned) block_reader_free(c->base);
    mem_free(c);
}

static void ahead_chained(block_reader *r, int64_t from, int64_t n)
{
    const chained *c = r->state;

    block_reader_ahead(c->base, from, n);
}

static scw_status chain(block_reader **out, const chained *link)
{
    static const block_reader_kind kind = {"mapped", read_chained, close_chained, ahead_chained};
    scw_status st = SCW_OK;
    block_reader *r = NULL;
    chained *c = NULL;

    *out = NULL;
    if (!link->base || link->base->exact)
        FAIL(SCW_EINTERNAL, "a chain of readers needs a reader of float values");
    TRY(mem_new(&c, 1));
    TRY(mem_new(&r, 1));
    *c = *link;
    *r = *link->base;
    r->kind = &kind;
    r->state = c;
    *out = r;
    r = NULL;
    c = NULL;
done:
    mem_free(r);
    mem_free(c);
    return st;
}

scw_status block_reader_mapped(block_reader **out, block_reader *base, block_map map,
                               const void *state)
{
    const chained link = {base, true, map, state};
    scw_status st = chain(out, &link);

    if (st != SCW_OK) block_reader_free(base);
    return st;
}

scw_status block_reader_borrowed(block_reader **out, block_reader *base)
{
    const chained link = {base, false, NULL, NULL};

    return chain(out, &link);
}
