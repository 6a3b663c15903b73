/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of rows of a csr element.
 *
 *   read(block k)   waits for block k if it was begun, else does it now; the buffers change hands
 *   ahead(block k+1)  this thread fetches the raw bytes, the worker decodes and checks them */
#include "base/alloc.h"
#include "base/log.h"
#include "base/worker.h"
#include "io/element.h"
#include "io/file_blocks.h"
#include "io/h5_array.h"

typedef struct compressed {
    h5_array indptr, indices, data;
    int64_t n_minor;
    bool exact;
    const scw_hooks *hooks;
    worker *worker;
    /* The block at hand: being decoded, or decoded and not yet asked for. */
    bool begun;
    int64_t from, n;
    h5_raw raw_indices, raw_data;
    row_block block;
} compressed;

/* indptr of the block's rows, counted from its first entry, which is *first. */
static scw_status read_pointers(int64_t *first, compressed *c)
{
    scw_status st = SCW_OK;
    int64_t *p = c->block.x.indptr;

    TRY(h5_array_read(p, NUMBER_I64, &c->indptr, c->from, c->n + 1));
    TRY(element_check_pointers(NULL, c->indptr.where, p, c->from, c->n, c->indices.n));
    *first = p[0];
    for (int64_t i = c->n; i >= 0; i--) p[i] -= *first;
done:
    return st;
}

/* By the caller's thread: all that needs HDF5. */
static scw_status fetch(compressed *c, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    int64_t first = 0;

    c->from = from;
    c->n = n;
    TRY(row_block_reserve(&c->block, n, 0, c->exact));
    TRY(read_pointers(&first, c));
    TRY(h5_fetch(&c->raw_indices, &c->indices, first, c->block.x.indptr[n]));
    TRY(h5_fetch(&c->raw_data, &c->data, first, c->block.x.indptr[n]));
done:
    return st;
}

/* By any thread. */
static scw_status decode(void *self)
{
    scw_status st = SCW_OK;
    compressed *c = self;
    row_block *b = &c->block;

    TRY(row_block_reserve(b, c->n, b->x.indptr[c->n], c->exact));
    b->from = c->from;
    b->x.n_rows = c->n;
    b->x.n_cols = c->n_minor;
    b->x.sparse = true;
    TRY(h5_decode(b->x.indices, NUMBER_I32, &c->indices, &c->raw_indices));
    TRY(h5_decode(c->exact ? (void *)b->exact : (void *)b->x.values,
                  c->exact ? NUMBER_F64 : NUMBER_F32, &c->data, &c->raw_data));
    st = row_block_canonical(b);
    if (st == SCW_EFORMAT) status_prefix(st, "%s", c->indices.where);
done:
    return st;
}

/* Whatever was begun comes to its end. */
static scw_status settle(compressed *c)
{
    if (!c->begun) return SCW_OK;
    c->begun = false;
    return worker_wait(c->worker);
}

static scw_status read_compressed(row_block *out, block_reader *r, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    compressed *c = r->state;
    bool ready = c->begun && c->from == from && c->n == n;

    TRY(log_check_cancel(c->hooks));
    st = settle(c);
    if (!ready) { /* what came of another block does not matter */
        TRY(fetch(c, from, n));
        TRY(decode(c));
    }
    TRY(st);
    row_block got = c->block;
    c->block = *out;
    *out = got;
done:
    return st;
}

/* A failure here shows when the block is asked for. */
static void ahead_compressed(block_reader *r, int64_t from, int64_t n)
{
    compressed *c = r->state;

    if (c->begun && c->from == from && c->n == n) return;
    if (settle(c) != SCW_OK || fetch(c, from, n) != SCW_OK) {
        status_clear();
        return;
    }
    c->begun = true;
    worker_start(c->worker, decode, c);
}

static void close_compressed(block_reader *r)
{
    compressed *c = r->state;

    if (!c) return;
    worker_free(c->worker);
    h5_array_close(&c->indptr);
    h5_array_close(&c->indices);
    h5_array_close(&c->data);
    h5_raw_clear(&c->raw_indices);
    h5_raw_clear(&c->raw_data);
    row_block_clear(&c->block);
    mem_free(c);
}

static scw_status open_vectors(compressed *c, const compressed_vectors *v)
{
    scw_status st = SCW_OK;

    TRY(h5_array_open(&c->indptr, v->indptr, 1));
    TRY(h5_array_open(&c->indices, v->indices, 1));
    TRY(h5_array_open(&c->data, v->data, 1));
    for (int k = 0; k < 2; k++) {
        const h5_array *a = k ? &c->indices : &c->indptr;
        if (a->info.class != H5_CLASS_INTEGER)
            BREAK(RULE_VECTORS_COMPLETE, SCW_EFORMAT, "%s: holds %s values, expected integers",
                  a->where, h5_type_name(&a->info));
    }
    const int64_t n[3] = {c->indptr.n, c->indices.n, c->data.n};
    TRY(element_check_lengths(NULL, c->indptr.where, c->data.where, n, v->n_major));
done:
    return st;
}

scw_status block_reader_of_csr(block_reader **out, const compressed_vectors *v,
                               const block_options *options)
{
    static const block_reader_kind kind = {"csr", read_compressed, close_compressed,
                                           ahead_compressed};
    scw_status st = SCW_OK;
    block_reader *r = NULL;
    compressed *c = NULL;
    int64_t end;

    *out = NULL;
    TRY(mem_new(&r, 1));
    r->kind = &kind;
    TRY(mem_new(&c, 1));
    r->state = c;
    c->n_minor = v->n_minor;
    c->exact = options->exact;
    c->hooks = options->hooks;
    TRY(worker_new(&c->worker));
    TRY(open_vectors(c, v));
    TRY(h5_array_read(&end, NUMBER_I64, &c->indptr, v->n_major, 1));
    if (end < 0 || end > c->indices.n)
        FAIL(SCW_EFORMAT, "%s: ends at %lld, but there are %lld entries", c->indptr.where,
             (long long)end, (long long)c->indices.n);
    r->n_rows = v->n_major;
    r->n_cols = v->n_minor;
    r->nnz = end;
    r->exact = c->exact;
    /* Two decoded blocks and, at worst, the bytes of one as they are. */
    double each = r->n_rows ? (double)end / (double)r->n_rows : 0.0;
    r->block_rows = blocks_rows(options->memory_bytes, 24.0 + each * (c->exact ? 36.0 : 28.0),
                                r->n_rows);
    *out = r;
    r = NULL;
done:
    block_reader_free(r);
    return st;
}
