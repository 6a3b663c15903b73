/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/packed_rows.h"

#include <string.h>

#include "base/alloc.h"
#include "base/threads.h"

#define LONGEST_VARINT 5
#define MOST_COUNT 2147483648.0 /* beyond it a row keeps floats */

enum { ROW_COUNTS = 0, ROW_FLOATS };

/* ------------------------------------------------------------------ one row */

static uint8_t *put_varint(uint8_t *to, uint32_t v)
{
    for (; v >= 0x80; v >>= 7) *to++ = (uint8_t)(v | 0x80);
    *to++ = (uint8_t)v;
    return to;
}

static const uint8_t *get_varint(uint32_t *v, const uint8_t *from)
{
    uint32_t b = *from++;

    *v = b & 0x7f;
    for (int shift = 7; b & 0x80; shift += 7) {
        b = *from++;
        *v |= (b & 0x7f) << shift;
    }
    return from;
}

/* Whole numbers from 0 on. A negative zero is none: its sign would be lost. */
static bool are_counts(const float *values, int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        double v = (double)values[k];
        if (!(v >= 0.0 && v < MOST_COUNT) || (double)(uint32_t)v != v || __builtin_signbit(v))
            return false;
    }
    return true;
}

static uint8_t *put_row(uint8_t *to, const int32_t *indices, const float *values, int64_t n)
{
    const int form = are_counts(values, n) ? ROW_COUNTS : ROW_FLOATS;
    int32_t last = 0;

    *to++ = (uint8_t)form;
    for (int64_t k = 0; k < n; k++) {
        to = put_varint(to, (uint32_t)(indices[k] - last));
        last = indices[k];
        if (form == ROW_COUNTS) {
            to = put_varint(to, (uint32_t)values[k]);
        } else {
            memcpy(to, &values[k], sizeof *values);
            to += sizeof *values;
        }
    }
    return to;
}

static void get_row(int32_t *indices, float *values, int64_t n, const uint8_t *from)
{
    const int form = *from++;
    uint32_t column = 0, distance, count;

    for (int64_t k = 0; k < n; k++) {
        from = get_varint(&distance, from);
        column += distance;
        indices[k] = (int32_t)column;
        if (form == ROW_COUNTS) {
            from = get_varint(&count, from);
            values[k] = (float)count;
        } else {
            memcpy(&values[k], from, sizeof *values);
            from += sizeof *values;
        }
    }
}

/* ------------------------------------------------------------------ the file */

scw_status packed_rows_new(packed_rows **out, int64_t n_cols, const char *folder)
{
    scw_status st = SCW_OK;
    packed_rows *p = NULL;

    *out = NULL;
    TRY(mem_new(&p, 1));
    p->n_cols = n_cols;
    TRY(mem_new(&p->indptr, 1));
    TRY(mem_new(&p->at, 1));
    TRY(spill_init(&p->file, folder));
    *out = p;
    p = NULL;
done:
    packed_rows_free(p);
    return st;
}

void packed_rows_free(packed_rows *p)
{
    if (!p) return;
    mem_free(p->indptr);
    mem_free(p->at);
    spill_clear(&p->file);
    mem_free(p);
}

static scw_status make_room(packed_rows *p, int64_t n_rows)
{
    scw_status st = SCW_OK;
    int64_t room = p->room + p->room / 2;

    if (n_rows <= p->room) return SCW_OK;
    if (room < n_rows) room = n_rows;
    TRY(mem_resize(&p->indptr, room + 1));
    TRY(mem_resize(&p->at, room + 1));
    p->room = room;
done:
    return st;
}

scw_status packed_rows_add(packed_rows *p, const matrix *x)
{
    scw_status st = SCW_OK;
    const int64_t nnz = matrix_nnz(x);
    int64_t where;
    uint8_t *buffer = NULL;

    TRY(make_room(p, p->n_rows + x->n_rows));
    TRY(mem_new(&buffer, nnz * (LONGEST_VARINT + LONGEST_VARINT) + x->n_rows + 1));
    uint8_t *to = buffer;
    for (int64_t i = 0; i < x->n_rows; i++) {
        const int64_t from = x->indptr[i], n = x->indptr[i + 1] - from, next = p->n_rows + i + 1;
        uint8_t *end = put_row(to, x->indices + from, x->values + from, n);
        p->indptr[next] = p->indptr[next - 1] + n;
        p->at[next] = p->at[next - 1] + (end - to);
        to = end;
    }
    TRY(spill_append(&where, &p->file, buffer, to - buffer));
    p->n_rows += x->n_rows;
done:
    mem_free(buffer);
    return st;
}

int64_t packed_rows_bytes(const packed_rows *p, const int64_t *rows, int64_t n)
{
    int64_t bytes = 0;

    for (int64_t i = 0; i < n; i++)
        if (rows[i] >= 0) bytes += p->at[rows[i] + 1] - p->at[rows[i]];
    return bytes;
}

/* The bytes of the rows one behind the other; neighbours in the file are read together. */
static scw_status read_bytes(uint8_t *to, const packed_rows *p, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;

    for (int64_t i = 0, end; i < n; i = end) {
        end = i + 1;
        if (rows[i] < 0) continue;
        while (end < n && rows[end] == rows[end - 1] + 1) end++;
        const int64_t from = p->at[rows[i]], size = p->at[rows[end - 1] + 1] - from;
        TRY(spill_read(to, &p->file, from, size));
        to += size;
    }
done:
    return st;
}

scw_status packed_rows_get(int64_t *indptr, int32_t *indices, float *values, uint8_t *scratch,
                           const packed_rows *p, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t *start = NULL;

    TRY(mem_new(&start, n + 1));
    TRY(read_bytes(scratch, p, rows, n));
    indptr[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        const bool here = rows[i] >= 0;
        indptr[i + 1] = indptr[i] + (here ? p->indptr[rows[i] + 1] - p->indptr[rows[i]] : 0);
        start[i + 1] = start[i] + (here ? p->at[rows[i] + 1] - p->at[rows[i]] : 0);
    }
    PARALLEL_FOR_IF(indptr[n] > 65536)
    for (int64_t i = 0; i < n; i++)
        if (rows[i] >= 0)
            get_row(indices + indptr[i], values + indptr[i], indptr[i + 1] - indptr[i],
                    scratch + start[i]);
done:
    mem_free(start);
    return st;
}

void packed_rows_ahead(const packed_rows *p, const int64_t *rows, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (rows[i] >= 0) spill_ahead(&p->file, p->at[rows[i]], p->at[rows[i] + 1] - p->at[rows[i]]);
}

/* ------------------------------------------------------------------ lists of rows */

/* Rows [from, from + n) of the list, into buffers with room for them. */
static scw_status get_rows(matrix *out, const row_list *l, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    const matrix *x = l->x;
    const int64_t *rows = l->rows + from;
    uint8_t *scratch = NULL;

    if (l->packed) {
        TRY(mem_new(&scratch, packed_rows_bytes(l->packed, rows, n)));
        TRY(packed_rows_get(out->indptr, out->indices, out->values, scratch, l->packed, rows, n));
        goto done;
    }
    out->indptr[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t first = rows[i] < 0 ? 0 : x->indptr[rows[i]];
        const int64_t size = rows[i] < 0 ? 0 : x->indptr[rows[i] + 1] - first;
        memcpy(out->indices + out->indptr[i], x->indices + first, (size_t)size * sizeof *x->indices);
        memcpy(out->values + out->indptr[i], x->values + first, (size_t)size * sizeof *x->values);
        out->indptr[i + 1] = out->indptr[i] + size;
    }
done:
    mem_free(scratch);
    return st;
}

static int64_t count_entries(const row_list *l, int64_t from, int64_t n)
{
    const int64_t *indptr = l->packed ? l->packed->indptr : l->x->indptr;
    int64_t nnz = 0;

    for (int64_t i = from; i < from + n; i++)
        if (l->rows[i] >= 0) nnz += indptr[l->rows[i] + 1] - indptr[l->rows[i]];
    return nnz;
}

scw_status row_list_take(matrix *out, const row_list *l)
{
    scw_status st = SCW_OK;

    TRY(matrix_init_csr(out, l->n, l->x->n_cols, count_entries(l, 0, l->n)));
    TRY(get_rows(out, l, 0, l->n));
done:
    if (st != SCW_OK) matrix_clear(out);
    return st;
}

typedef struct listed {
    row_list list;
    int64_t *rows;
} listed;

static scw_status read_list(row_block *out, block_reader *r, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    const row_list *l = &((const listed *)r->state)->list;

    TRY(row_block_reserve(out, n, count_entries(l, from, n), false));
    TRY(get_rows(&out->x, l, from, n));
done:
    return st;
}

static void close_list(block_reader *r)
{
    listed *l = r->state;

    if (l) mem_free(l->rows);
    mem_free(l);
}

scw_status row_list_reader(block_reader **out, const row_list *l)
{
    static const block_reader_kind kind = {"rows", read_list, close_list, NULL};
    scw_status st = SCW_OK;
    listed *state = NULL;
    block_reader *r = NULL;

    *out = NULL;
    TRY(mem_new(&state, 1));
    TRY(mem_new(&r, 1));
    *r = (block_reader){.kind = &kind,
                        .state = state,
                        .n_rows = l->n,
                        .n_cols = l->x->n_cols,
                        .nnz = count_entries(l, 0, l->n),
                        .block_rows = BLOCK_READER_ROWS};
    TRY(mem_new(&state->rows, l->n));
    if (l->n > 0) memcpy(state->rows, l->rows, (size_t)l->n * sizeof *l->rows);
    state->list = (row_list){l->x, l->packed, state->rows, l->n};
    *out = r;
    r = NULL;
    state = NULL;
done:
    if (r) block_reader_free(r);
    else mem_free(state);
    return st;
}
