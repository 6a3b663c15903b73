/* SPDX-License-Identifier: BSD-3-Clause */
/* Some rows of a matrix that is read in blocks. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "data/blocks.h"

typedef struct wanted {
    int64_t row, place; /* of the matrix, of the result */
} wanted;

static int by_row(const void *a, const void *b)
{
    const wanted *x = a, *y = b;

    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static scw_status list_wanted(wanted **out, int64_t *n, bool *in_order, const block_reader *r,
                              const int64_t *rows, int64_t n_rows)
{
    scw_status st = SCW_OK;

    *n = 0;
    *in_order = true;
    TRY(mem_new(out, n_rows));
    for (int64_t i = 0; i < n_rows; i++) {
        if (rows[i] < -1 || rows[i] >= r->n_rows)
            FAIL(SCW_EINVAL, "row %lld of %lld", (long long)rows[i], (long long)r->n_rows);
        if (rows[i] < 0) continue;
        if (*n && (*out)[*n - 1].row > rows[i]) *in_order = false;
        (*out)[(*n)++] = (wanted){rows[i], i};
    }
    if (!*in_order) qsort(*out, (size_t)*n, sizeof **out, by_row);
done:
    return st;
}

/* Rows from list[at] on that one block holds: how many of the list, and the last of them. */
static int64_t span(int64_t *last, const wanted *list, int64_t n, int64_t at, int64_t block_rows)
{
    int64_t end = at;

    while (end < n && list[end].row - list[at].row < block_rows) end++;
    *last = list[end - 1].row;
    return end;
}

/* Room for more entries in a CSR matrix under construction. */
static scw_status make_room(matrix *m, int64_t *room, int64_t wanted_room, int64_t most_bytes)
{
    scw_status st = SCW_OK;
    const int64_t each = (int64_t)(sizeof *m->indices + sizeof *m->values);

    if (wanted_room <= *room) return SCW_OK;
    int64_t fixed = (m->n_rows + 1) * (int64_t)sizeof *m->indptr;
    int64_t most = most_bytes > fixed ? (most_bytes - fixed) / each : 0;
    if (wanted_room > most)
        FAIL(SCW_ENOMEM, "%lld rows of %lld features take more than %lld MB; allow more with --mem",
             (long long)m->n_rows, (long long)m->n_cols, (long long)(most_bytes / 1000000));
    int64_t more = *room + *room / 2 > wanted_room ? *room + *room / 2 : wanted_room;
    if (more > most) more = most;
    TRY(mem_resize(&m->indices, more));
    TRY(mem_resize(&m->values, more));
    *room = more;
done:
    return st;
}

/* Append row `from` of a block as the next of m. */
static void append(matrix *m, int64_t next, const row_block *b, int64_t row)
{
    int64_t from = b->x.indptr[row - b->from], n = b->x.indptr[row - b->from + 1] - from;
    int64_t at = m->indptr[next];

    memcpy(m->indices + at, b->x.indices + from, (size_t)n * sizeof *m->indices);
    memcpy(m->values + at, b->x.values + from, (size_t)n * sizeof *m->values);
    m->indptr[next + 1] = at + n;
}

/* The listed rows, one behind the other, in the order of the list. */
static scw_status read_list(matrix *m, block_reader *r, const wanted *list, int64_t n,
                            int64_t most_bytes)
{
    scw_status st = SCW_OK;
    row_block b = {0};
    int64_t room = 0, last, next_last;

    TRY(matrix_init_csr(m, n, r->n_cols, 0));
    for (int64_t at = 0, end; at < n; at = end) {
        end = span(&last, list, n, at, r->block_rows);
        TRY(block_reader_read(&b, r, list[at].row, last - list[at].row + 1));
        if (end < n) {
            (void)span(&next_last, list, n, end, r->block_rows);
            block_reader_ahead(r, list[end].row, next_last - list[end].row + 1);
        }
        for (int64_t k = at; k < end; k++) {
            int64_t i = list[k].row - b.from;
            TRY(make_room(m, &room, m->indptr[k] + b.x.indptr[i + 1] - b.x.indptr[i], most_bytes));
            append(m, k, &b, list[k].row);
        }
    }
done:
    row_block_clear(&b);
    return st;
}

scw_status block_reader_take(matrix *out, block_reader *r, const int64_t *rows, int64_t n_rows,
                             int64_t most_bytes)
{
    scw_status st = SCW_OK;
    wanted *list = NULL;
    int64_t n, *source = NULL, *indptr = NULL;
    bool in_order;
    matrix got = {0};

    *out = (matrix){0};
    if (r->exact) FAIL(SCW_EINTERNAL, "rows cannot be taken from a reader of exact values");
    TRY(list_wanted(&list, &n, &in_order, r, rows, n_rows));
    TRY(read_list(&got, r, list, n, in_order ? most_bytes : most_bytes / 2));
    if (in_order) { /* only the empty rows are to be put in */
        TRY(mem_new(&indptr, n_rows + 1));
        for (int64_t k = 0; k < n; k++)
            indptr[list[k].place + 1] = got.indptr[k + 1] - got.indptr[k];
        for (int64_t i = 0; i < n_rows; i++) indptr[i + 1] += indptr[i];
        mem_free(got.indptr);
        got.indptr = indptr;
        got.n_rows = n_rows;
        indptr = NULL;
        *out = got;
        got = (matrix){0};
    } else {
        TRY(mem_new(&source, n_rows));
        for (int64_t i = 0; i < n_rows; i++) source[i] = -1;
        for (int64_t k = 0; k < n; k++) source[list[k].place] = k;
        TRY(matrix_rows_csr(out, &got, source, n_rows));
    }
done:
    mem_free(list);
    mem_free(source);
    mem_free(indptr);
    matrix_clear(&got);
    return st;
}
