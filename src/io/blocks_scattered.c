/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of rows of what is not stored by rows: csc elements, and entries in any order.
 *
 *   entries ──> group 0 (rows 0 .. g-1)   [buffer] ─┐ all buffers together over the limit:
 *           ──> group 1 (rows g .. 2g-1)  [buffer] ─┼──> spill file, one extent a group
 *           ──> ...                                 ┘
 *
 * The source is read through once, by the first read. A group is then sorted by row (stable, so that
 * entries stay in the order in which they came) and is a block. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/file_blocks.h"
#include "base/spill.h"

#define MOST_GROUPS 65536
#define AT_A_TIME 65536 /* entries asked of the source */

typedef struct entry32 {
    int32_t row, col; /* row within the group */
    float value;
} entry32;

typedef struct entry64 {
    int32_t row, col;
    double value;
} entry64;

typedef struct extent {
    int64_t at, n; /* bytes of the spill file */
} extent;

typedef struct group {
    uint8_t *buffer;
    int64_t used, room; /* bytes */
    extent *extents;
    int64_t n_extents, bytes; /* all bytes, buffer and extents */
} group;

typedef struct scattered {
    entry_source source;
    bool begun, complete;
    bool exact;
    int64_t entry_size;
    int shift; /* a group has 2^shift rows */
    int64_t n_groups, limit, held;
    group *groups;
    spill spill;
    uint8_t *loaded; /* entries of the group at hand */
    int64_t loaded_room;
    row_block current;
    int64_t current_group; /* -1: none */
    const scw_hooks *hooks;
} scattered;

/* ------------------------------------------------------------------ scattering */

static scw_status flush(scattered *s)
{
    scw_status st = SCW_OK;

    for (int64_t k = 0; k < s->n_groups; k++) {
        group *g = &s->groups[k];
        if (g->used == 0) continue;
        TRY(mem_resize(&g->extents, g->n_extents + 1));
        extent *e = &g->extents[g->n_extents];
        e->n = g->used;
        TRY(spill_append(&e->at, &s->spill, g->buffer, g->used));
        g->n_extents++;
        g->used = 0;
    }
    s->held = 0;
done:
    return st;
}

static scw_status grow(scattered *s, group *g)
{
    int64_t room = g->room ? g->room * 2 : 16 * s->entry_size;
    scw_status st = mem_resize(&g->buffer, room);
    if (st == SCW_OK) g->room = room;
    return st;
}

static scw_status add(scattered *s, const block_reader *r, int32_t row, int32_t col, double value)
{
    scw_status st = SCW_OK;

    if (row < 0 || row >= r->n_rows || col < 0 || col >= r->n_cols)
        FAIL(SCW_EFORMAT, "an entry at row %d, column %d of a matrix of %lld x %lld", row, col,
             (long long)r->n_rows, (long long)r->n_cols);
    group *g = &s->groups[row >> s->shift];
    const int32_t within = row & (int32_t)(((int64_t)1 << s->shift) - 1);
    if (g->used + s->entry_size > g->room) TRY(grow(s, g));
    if (s->exact) {
        entry64 e = {within, col, value};
        memcpy(g->buffer + g->used, &e, sizeof e);
    } else {
        entry32 e = {within, col, (float)value};
        memcpy(g->buffer + g->used, &e, sizeof e);
    }
    g->used += s->entry_size;
    g->bytes += s->entry_size;
    s->held += s->entry_size;
    if (s->held > s->limit) TRY(flush(s));
done:
    return st;
}

static scw_status read_through(block_reader *r)
{
    scw_status st = SCW_OK;
    scattered *s = r->state;
    int32_t *rows = NULL, *cols = NULL;
    double *values = NULL;
    int64_t n;

    if (s->complete) return SCW_OK;
    if (s->begun) FAIL(SCW_EINVAL, "a source that has failed cannot be read again");
    s->begun = true;
    TRY(mem_new(&rows, AT_A_TIME));
    TRY(mem_new(&cols, AT_A_TIME));
    TRY(mem_new(&values, AT_A_TIME));
    TRY(mem_new(&s->groups, s->n_groups));
    for (;;) {
        TRY(log_check_cancel(s->hooks));
        TRY(s->source.next(s->source.self, &n, rows, cols, values, AT_A_TIME));
        if (n == 0) break;
        for (int64_t k = 0; k < n; k++) TRY(add(s, r, rows[k], cols[k], values[k]));
    }
    s->complete = true;
done:
    mem_free(rows);
    mem_free(cols);
    mem_free(values);
    return st;
}

/* ------------------------------------------------------------------ groups as blocks */

static scw_status load(scattered *s, const group *g)
{
    scw_status st = SCW_OK;
    int64_t at = 0;

    if (g->bytes > s->loaded_room) {
        TRY(mem_resize(&s->loaded, g->bytes));
        s->loaded_room = g->bytes;
    }
    for (int64_t k = 0; k < g->n_extents; k++) {
        TRY(spill_read(s->loaded + at, &s->spill, g->extents[k].at, g->extents[k].n));
        at += g->extents[k].n;
    }
    if (g->used) memcpy(s->loaded + at, g->buffer, (size_t)g->used);
done:
    return st;
}

/* out = the n loaded entries, sorted by row. */
static void sort_entries(row_block *out, const scattered *s, int64_t n, int64_t n_rows)
{
    const entry32 *e32 = (const void *)s->loaded;
    const entry64 *e64 = (const void *)s->loaded;
    int64_t *p = out->x.indptr;

    memset(p, 0, (size_t)(n_rows + 1) * sizeof *p);
    for (int64_t k = 0; k < n; k++) p[(s->exact ? e64[k].row : e32[k].row) + 1]++;
    for (int64_t i = 0; i < n_rows; i++) p[i + 1] += p[i];
    for (int64_t k = 0; k < n; k++) {
        int64_t at = p[s->exact ? e64[k].row : e32[k].row]++;
        out->x.indices[at] = s->exact ? e64[k].col : e32[k].col;
        if (s->exact)
            out->exact[at] = e64[k].value;
        else
            out->x.values[at] = e32[k].value;
    }
    /* Each pointer has moved to the start of the next row. */
    for (int64_t i = n_rows; i > 0; i--) p[i] = p[i - 1];
    p[0] = 0;
}

static scw_status load_group(row_block *out, block_reader *r, int64_t k)
{
    scw_status st = SCW_OK;
    scattered *s = r->state;
    const group *g = &s->groups[k];
    const int64_t from = k << s->shift, rows = (int64_t)1 << s->shift;
    const int64_t n_rows = r->n_rows - from < rows ? r->n_rows - from : rows;
    const int64_t n = g->bytes / s->entry_size;

    TRY(load(s, g));
    TRY(row_block_reserve(out, n_rows, n, s->exact));
    sort_entries(out, s, n, n_rows);
    out->from = from;
    out->x.n_rows = n_rows;
    out->x.n_cols = r->n_cols;
    out->x.sparse = true;
    TRY(row_block_canonical(out));
done:
    return st;
}

/* Add rows [from, from + n) of the current group to the end of a block that has `have` rows. */
static scw_status append_rows(row_block *out, const scattered *s, int64_t have, int64_t from,
                              int64_t n)
{
    scw_status st = SCW_OK;
    const matrix *x = &s->current.x;
    const int64_t at = out->x.indptr[have], first = x->indptr[from];
    const int64_t count = x->indptr[from + n] - first;

    TRY(row_block_reserve(out, have + n, at + count, s->exact));
    for (int64_t i = 1; i <= n; i++) out->x.indptr[have + i] = at + x->indptr[from + i] - first;
    memcpy(out->x.indices + at, x->indices + first, (size_t)count * sizeof *x->indices);
    if (s->exact)
        memcpy(out->exact + at, s->current.exact + first, (size_t)count * sizeof *out->exact);
    else
        memcpy(out->x.values + at, x->values + first, (size_t)count * sizeof *x->values);
done:
    return st;
}

static scw_status read_scattered(row_block *out, block_reader *r, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    scattered *s = r->state;
    const int64_t rows = (int64_t)1 << s->shift;

    TRY(log_check_cancel(s->hooks));
    TRY(read_through(r));
    if (n > 0 && from % rows == 0 && (n == rows || (n < rows && from + n == r->n_rows))) {
        TRY(load_group(out, r, from >> s->shift));
        goto done;
    }
    TRY(row_block_reserve(out, n, 0, s->exact));
    out->x.indptr[0] = 0;
    for (int64_t have = 0; have < n;) {
        int64_t row = from + have, k = row >> s->shift;
        if (k != s->current_group) {
            s->current_group = -1;
            TRY(load_group(&s->current, r, k));
            s->current_group = k;
        }
        int64_t within = row - (k << s->shift), count = s->current.x.n_rows - within;
        if (count > n - have) count = n - have;
        TRY(append_rows(out, s, have, within, count));
        have += count;
    }
done:
    return st;
}

static void close_scattered(block_reader *r)
{
    scattered *s = r->state;

    if (!s) return;
    if (s->source.close) s->source.close(s->source.self);
    for (int64_t k = 0; s->groups && k < s->n_groups; k++) {
        mem_free(s->groups[k].buffer);
        mem_free(s->groups[k].extents);
    }
    mem_free(s->groups);
    mem_free(s->loaded);
    row_block_clear(&s->current);
    spill_clear(&s->spill);
    mem_free(s);
}

/* A third of the memory holds what is being scattered, a third a group with its block. */
static void plan_groups(scattered *s, const block_reader *r, int64_t n_entries, int64_t memory)
{
    double each = r->n_rows ? (double)n_entries / (double)r->n_rows : 0.0;
    int64_t rows = blocks_rows(memory / 3, 8.0 + each * 3.0 * (double)s->entry_size, r->n_rows);

    while (((int64_t)2 << s->shift) <= rows) s->shift++;
    while ((r->n_rows >> s->shift) >= MOST_GROUPS) s->shift++;
    s->n_groups = r->n_rows > 0 ? ((r->n_rows - 1) >> s->shift) + 1 : 0;
    s->limit = memory / 3;
}

scw_status block_reader_of_entries(block_reader **out, int64_t n_rows, int64_t n_cols,
                                   int64_t n_entries, const entry_source *source,
                                   const block_options *options)
{
    static const block_reader_kind kind = {"entries", read_scattered, close_scattered, NULL};
    static const block_options defaults = {0};
    scw_status st = SCW_OK;
    block_reader *r = NULL;
    scattered *s = NULL;
    const block_options *o = options ? options : &defaults;
    bool given = false; /* the reader has the source and closes it */

    *out = NULL;
    TRY(mem_new(&r, 1));
    *r = (block_reader){.kind = &kind, .n_rows = n_rows, .n_cols = n_cols, .nnz = n_entries,
                        .exact = o->exact};
    TRY(mem_new(&s, 1));
    r->state = s;
    s->source = *source;
    given = true;
    s->exact = o->exact;
    s->entry_size = s->exact ? (int64_t)sizeof(entry64) : (int64_t)sizeof(entry32);
    s->hooks = o->hooks;
    s->current_group = -1;
    if (n_rows < 0 || n_rows > INT32_MAX || n_cols < 0 || n_cols > INT32_MAX)
        FAIL(SCW_EFORMAT, "a matrix of %lld x %lld is out of range", (long long)n_rows,
             (long long)n_cols);
    TRY(spill_init(&s->spill, o->folder));
    plan_groups(s, r, n_entries, o->memory_bytes > 0 ? o->memory_bytes : BLOCKS_DEFAULT_MEMORY);
    r->block_rows = (int64_t)1 << s->shift;
    *out = r;
    r = NULL;
done:
    if (!given && source->close) source->close(source->self);
    block_reader_free(r);
    return st;
}
