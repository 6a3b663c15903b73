/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of rows of a dense dataset; zeros are dropped. The same two steps as blocks_compressed.c. */
#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "base/worker.h"
#include "io/file_blocks.h"
#include "io/h5_array.h"

typedef struct dense {
    h5_array values;
    int64_t n_cols;
    bool exact;
    const scw_hooks *hooks;
    worker *worker;
    bool begun;
    int64_t from, n;
    h5_raw raw;
    void *all; /* [n, n_cols] f32 or f64 */
    int64_t room;
    row_block block;
} dense;

static int64_t count_row(const dense *d, int64_t i)
{
    const int64_t p = d->n_cols;
    int64_t n = 0;

    if (d->exact)
        for (int64_t j = 0; j < p; j++) n += ((const double *)d->all)[i * p + j] != 0.0;
    else
        for (int64_t j = 0; j < p; j++) n += ((const float *)d->all)[i * p + j] != 0.0f;
    return n;
}

static void take_row(dense *d, int64_t i)
{
    row_block *b = &d->block;
    int64_t at = b->x.indptr[i];

    for (int64_t j = 0; j < d->n_cols; j++) {
        int64_t k = i * d->n_cols + j;
        if (d->exact) {
            double value = ((const double *)d->all)[k];
            if (value == 0.0) continue;
            b->exact[at] = value;
        } else {
            float value = ((const float *)d->all)[k];
            if (value == 0.0f) continue;
            b->x.values[at] = value;
        }
        b->x.indices[at++] = (int32_t)j;
    }
}

static scw_status decode(void *self)
{
    scw_status st = SCW_OK;
    dense *d = self;
    row_block *b = &d->block;
    const int64_t size = d->exact ? (int64_t)sizeof(double) : (int64_t)sizeof(float);

    if (d->n * d->n_cols > d->room) {
        TRY(mem_resize_raw(&d->all, d->n * d->n_cols, (size_t)size));
        d->room = d->n * d->n_cols;
    }
    TRY(h5_decode(d->all, d->exact ? NUMBER_F64 : NUMBER_F32, &d->values, &d->raw));
    TRY(row_block_reserve(b, d->n, 0, d->exact));
    int64_t *p = b->x.indptr;
    p[0] = 0;
    PARALLEL_FOR
    for (int64_t i = 0; i < d->n; i++) p[i + 1] = count_row(d, i);
    for (int64_t i = 0; i < d->n; i++) p[i + 1] += p[i];
    TRY(row_block_reserve(b, d->n, p[d->n], d->exact));
    PARALLEL_FOR
    for (int64_t i = 0; i < d->n; i++) take_row(d, i);
done:
    return st;
}

static scw_status fetch(dense *d, int64_t from, int64_t n)
{
    d->from = from;
    d->n = n;
    return h5_fetch(&d->raw, &d->values, from, n);
}

static scw_status settle(dense *d)
{
    if (!d->begun) return SCW_OK;
    d->begun = false;
    return worker_wait(d->worker);
}

static scw_status read_dense(row_block *out, block_reader *r, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    dense *d = r->state;
    bool ready = d->begun && d->from == from && d->n == n;

    TRY(log_check_cancel(d->hooks));
    st = settle(d);
    if (!ready) {
        TRY(fetch(d, from, n));
        TRY(decode(d));
    }
    TRY(st);
    row_block got = d->block;
    d->block = *out;
    *out = got;
done:
    return st;
}

static void ahead_dense(block_reader *r, int64_t from, int64_t n)
{
    dense *d = r->state;

    if (d->begun && d->from == from && d->n == n) return;
    if (settle(d) != SCW_OK || fetch(d, from, n) != SCW_OK) {
        status_clear();
        return;
    }
    d->begun = true;
    worker_start(d->worker, decode, d);
}

static void close_dense(block_reader *r)
{
    dense *d = r->state;

    if (!d) return;
    worker_free(d->worker);
    h5_array_close(&d->values);
    h5_raw_clear(&d->raw);
    mem_free(d->all);
    row_block_clear(&d->block);
    mem_free(d);
}

/* Whole bands of chunks, where a few fit: no chunk is then decompressed twice. */
static int64_t in_bands(int64_t rows, const h5_array *a)
{
    return a->chunked && rows > a->chunk_rows ? rows / a->chunk_rows * a->chunk_rows : rows;
}

scw_status block_reader_of_dense(block_reader **out, hid_t dataset, int64_t n_cols,
                                 const block_options *options)
{
    static const block_reader_kind kind = {"dense", read_dense, close_dense, ahead_dense};
    scw_status st = SCW_OK;
    block_reader *r = NULL;
    dense *d = NULL;
    h5_info info;

    *out = NULL;
    TRY(h5_describe(&info, dataset));
    TRY(mem_new(&r, 1));
    r->kind = &kind;
    TRY(mem_new(&d, 1));
    r->state = d;
    d->exact = options->exact;
    d->hooks = options->hooks;
    TRY(worker_new(&d->worker));
    /* One feature is sometimes stored without its second dimension. */
    TRY(h5_array_open(&d->values, dataset, info.rank == 1 && n_cols == 1 ? 1 : 2));
    if (d->values.width > INT32_MAX)
        FAIL(SCW_EFORMAT, "%s: a matrix of %lld x %lld is out of range", d->values.where,
             (long long)d->values.n, (long long)d->values.width);
    d->n_cols = d->values.width;
    r->n_rows = d->values.n;
    r->n_cols = d->n_cols;
    r->nnz = -1;
    r->exact = d->exact;
    double each = (d->exact ? 8.0 + 24.0 : 4.0 + 16.0) + (double)info.size;
    r->block_rows = in_bands(blocks_rows(options->memory_bytes, 24.0 + each * (double)d->n_cols,
                                         r->n_rows), &d->values);
    *out = r;
    r = NULL;
done:
    block_reader_free(r);
    return st;
}
