/* SPDX-License-Identifier: BSD-3-Clause */
/* Which block reader serves an element of a file. */
#include <string.h>

#include "base/alloc.h"
#include "io/element.h"
#include "io/file_blocks.h"

#define MOST_ENTRIES_BYTES ((int64_t)128 << 20) /* a larger block is no faster */

int64_t blocks_rows(int64_t memory_bytes, double row_bytes, int64_t n_rows)
{
    int64_t memory = memory_bytes < MOST_ENTRIES_BYTES ? memory_bytes : MOST_ENTRIES_BYTES;
    double rows = (double)memory / row_bytes;

    if (rows >= (double)n_rows) return n_rows > 0 ? n_rows : 1;
    return rows < 1.0 ? 1 : (int64_t)rows;
}

static block_options or_defaults(const block_options *options)
{
    block_options o = options ? *options : (block_options){0};

    if (o.memory_bytes <= 0) o.memory_bytes = BLOCKS_DEFAULT_MEMORY;
    return o;
}

/* ------------------------------------------------------------------ csc as a source of entries */

typedef struct columns {
    block_reader *reader; /* its rows are the columns */
    row_block block;
    int64_t column, at; /* in the block */
} columns;

static scw_status next_entries(void *self, int64_t *n, int32_t *rows, int32_t *cols, double *values,
                               int64_t room)
{
    scw_status st = SCW_OK;
    columns *c = self;
    bool more = true;

    *n = 0;
    while (*n < room) {
        const matrix *x = &c->block.x;
        while (c->column < x->n_rows && c->at == x->indptr[c->column + 1]) c->column++;
        if (c->column == x->n_rows) {
            if (*n > 0) break;
            TRY(block_reader_next(&c->block, c->reader, &more));
            if (!more) break;
            c->column = c->at = 0;
            continue;
        }
        int64_t to = x->indptr[c->column + 1];
        for (; c->at < to && *n < room; c->at++, ++*n) {
            rows[*n] = x->indices[c->at];
            cols[*n] = (int32_t)(c->block.from + c->column);
            values[*n] = c->block.exact ? c->block.exact[c->at] : (double)x->values[c->at];
        }
    }
done:
    return st;
}

static void close_columns(void *self)
{
    columns *c = self;

    block_reader_free(c->reader);
    row_block_clear(&c->block);
    mem_free(c);
}

static scw_status open_columns(block_reader **out, const compressed_vectors *v,
                               const block_options *o)
{
    scw_status st = SCW_OK;
    columns *c = NULL;
    block_options part = *o;

    TRY(mem_new(&c, 1));
    part.memory_bytes = o->memory_bytes / 3;
    TRY(block_reader_of_csr(&c->reader, v, &part));
    entry_source source = {c, next_entries, close_columns};
    int64_t nnz = c->reader->nnz;
    c = NULL;
    TRY(block_reader_of_entries(out, v->n_minor, v->n_major, nnz, &source, o));
done:
    if (c) close_columns(c);
    return st;
}

scw_status block_reader_of_vectors(block_reader **out, const compressed_vectors *v,
                                   const block_options *options)
{
    const block_options o = or_defaults(options);

    *out = NULL;
    if (v->n_major < 0 || v->n_minor < 0 || v->n_major > INT32_MAX || v->n_minor > INT32_MAX)
        return status_fail(SCW_EFORMAT, "%s: a matrix of %lld x %lld is out of range",
                           h5_where(v->data), (long long)v->n_major, (long long)v->n_minor);
    return v->by_columns ? open_columns(out, v, &o) : block_reader_of_csr(out, v, &o);
}

/* ------------------------------------------------------------------ elements */

static scw_status of_vectors(block_reader **out, hid_t element, int64_t n_major, int64_t n_minor,
                             bool by_columns, const block_options *o)
{
    scw_status st = SCW_OK;
    compressed_vectors v = {.n_major = n_major, .n_minor = n_minor, .by_columns = by_columns};

    TRY(h5_open(&v.indptr, element, "indptr"));
    TRY(h5_open(&v.indices, element, "indices"));
    TRY(h5_open(&v.data, element, "data"));
    TRY(block_reader_of_vectors(out, &v, o));
done:
    if (st == SCW_ENOTFOUND) st = SCW_EFORMAT; /* not something the user named */
    h5_close(&v.indptr);
    h5_close(&v.indices);
    h5_close(&v.data);
    return st;
}

/* turned: rows and columns of a csc element change places. */
static scw_status of_group(block_reader **out, hid_t element, bool by_columns, bool turned,
                           const block_options *o)
{
    scw_status st = SCW_OK;
    int64_t shape[2];

    TRY(element_sparse_shape(shape, element));
    TRY(of_vectors(out, element, shape[by_columns], shape[!by_columns], by_columns && turned, o));
done:
    return st;
}

scw_status block_reader_of_element(block_reader **out, hid_t element, int64_t n_rows,
                                   int64_t n_cols, const block_options *options)
{
    scw_status st = SCW_OK;
    const encoding *row;
    const block_options o = or_defaults(options);
    block_reader *r = NULL;

    *out = NULL;
    if (o.bare) return of_vectors(out, element, n_rows, n_cols, false, &o);
    TRY(registry_find(&row, element));
    if (!row->read_matrix)
        FAIL(SCW_EFORMAT, "%s: is a %s, expected a matrix", h5_where(element), row->type);
    if (h5_kind_of(element) == H5_DATASET)
        TRY(block_reader_of_dense(&r, element, n_cols, &o));
    else
        TRY(of_group(&r, element, row->read_matrix == element_csc, true, &o));
    const int64_t shape[2] = {r->n_rows, r->n_cols};
    TRY(element_check_shape(element, shape, n_rows, n_cols));
    *out = r;
    r = NULL;
done:
    block_reader_free(r);
    return st;
}

scw_status block_reader_as_stored(block_reader **out, bool *by_columns, hid_t element,
                                  const block_options *options)
{
    scw_status st = SCW_OK;
    const encoding *row;
    const block_options o = or_defaults(options);

    *out = NULL;
    TRY(registry_find(&row, element));
    *by_columns = row->read_matrix == element_csc;
    if (*by_columns)
        TRY(of_group(out, element, true, false, &o));
    else
        TRY(block_reader_of_element(out, element, -1, -1, &o));
done:
    return st;
}

/* ------------------------------------------------------------------ with a file of its own */

typedef struct owned {
    hid_t file;
    block_reader *inner;
} owned;

static scw_status read_owned(row_block *out, block_reader *r, int64_t from, int64_t n)
{
    owned *o = r->state;
    return block_reader_read(out, o->inner, from, n);
}

static void ahead_owned(block_reader *r, int64_t from, int64_t n)
{
    owned *o = r->state;
    block_reader_ahead(o->inner, from, n);
}

static void close_owned(block_reader *r)
{
    owned *o = r->state;

    if (!o) return;
    block_reader_free(o->inner);
    h5_close(&o->file);
    mem_free(o);
}

scw_status block_reader_open(block_reader **out, const char *path, const char *element,
                             int64_t n_rows, int64_t n_cols, const block_options *options)
{
    static const block_reader_kind kind = {"file", read_owned, close_owned, ahead_owned};
    scw_status st = SCW_OK;
    h5_session session;
    block_reader *r = NULL;
    owned *o = NULL;
    hid_t id = 0;

    *out = NULL;
    h5_session_begin(&session);
    TRY(mem_new(&r, 1));
    r->kind = &kind;
    TRY(mem_new(&o, 1));
    r->state = o;
    TRY(h5_file_open(&o->file, path));
    TRY(h5_open(&id, o->file, element));
    TRY(block_reader_of_element(&o->inner, id, n_rows, n_cols, options));
    r->n_rows = o->inner->n_rows;
    r->n_cols = o->inner->n_cols;
    r->nnz = o->inner->nnz;
    r->block_rows = o->inner->block_rows;
    r->exact = o->inner->exact;
    *out = r;
    r = NULL;
done:
    h5_close(&id);
    block_reader_free(r);
    h5_session_end(&session);
    return st;
}
