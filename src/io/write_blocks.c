/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/write_blocks.h"

#include <math.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/log.h"
#include "io/write_element.h"

#define DENSE_VALUES (1 << 22) /* of a piece that is made dense at a time */

/* Where the blocks of a csr_matrix go, in which types. */
typedef struct csr_writer {
    hid_t value, value_in, index, pointer; /* `value_in`: in memory */
    h5_growing data, indices;
    int64_t *indptr; /* [n_rows + 1] */
} csr_writer;

static scw_status check_exact(const row_block *b, number_type stored)
{
    const int64_t nnz = b->x.indptr[b->x.n_rows];

    if (stored != NUMBER_I64 && stored != NUMBER_U64) return SCW_OK;
    for (int64_t e = 0; e < nnz; e++)
        if (fabs(b->exact[e]) > 9007199254740992.0)
            return status_fail(SCW_EUNSUPPORTED, "the matrix holds %.17g; integers beyond 2^53 can only "
                               "be copied whole", b->exact[e]);
    return SCW_OK;
}

static scw_status add_block(csr_writer *w, const row_block *b)
{
    scw_status st = SCW_OK;
    int64_t nnz = b->x.indptr[b->x.n_rows], before = w->indptr[b->from];

    TRY(h5_growing_add(&w->data, b->exact ? (const void *)b->exact : b->x.values, nnz));
    TRY(h5_growing_add(&w->indices, b->x.indices, nnz));
    for (int64_t i = 0; i < b->x.n_rows; i++)
        w->indptr[b->from + i + 1] = before + b->x.indptr[i + 1];
done:
    return st;
}

/* A growing vector of `type` that is given values of another. */
static scw_status open_vector(h5_growing *g, hid_t group, const char *name, hid_t type, hid_t given)
{
    scw_status st = SCW_OK;
    const int64_t any = 0;

    TRY(h5_growing_open(g, group, name, type, 1, &any));
    h5_close(&g->type);
    g->type = H5Tcopy(given);
done:
    return st;
}

static scw_status write_csr(hid_t parent, const char *name, block_reader *rows, csr_writer *w,
                            number_type stored, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    row_block b = {0};
    const int64_t shape[2] = {rows->n_rows, rows->n_cols}, n_pointers = rows->n_rows + 1;
    bool more;

    TRY(mem_new(&w->indptr, n_pointers));
    TRY(h5_remove(parent, name));
    TRY(h5_make_group(&group, parent, name));
    TRY(write_encoding(group, "csr_matrix", "0.1.0"));
    TRY(h5_put_attr_ints(group, "shape", shape, 2, false));
    TRY(open_vector(&w->data, group, "data", w->value, w->value_in));
    TRY(open_vector(&w->indices, group, "indices", w->index, H5T_NATIVE_INT32));
    for (;;) {
        TRY(log_check_cancel(hooks));
        TRY(block_reader_next(&b, rows, &more));
        if (!more) break;
        if (rows->exact) TRY(check_exact(&b, stored));
        TRY(add_block(w, &b));
    }
    TRY(h5_growing_finish(&w->data));
    TRY(h5_growing_finish(&w->indices));
    TRY(h5_write_as(NULL, group, "indptr", w->pointer, H5T_NATIVE_INT64, 1, &n_pointers, w->indptr));
done:
    h5_growing_clear(&w->data);
    h5_growing_clear(&w->indices);
    mem_free(w->indptr);
    row_block_clear(&b);
    h5_close(&group);
    return st;
}

scw_status write_blocks_csr(hid_t parent, const char *name, block_reader *rows,
                            const scw_hooks *hooks)
{
    csr_writer w = {.value = H5T_NATIVE_FLOAT,
                    .value_in = H5T_NATIVE_FLOAT,
                    .index = H5T_NATIVE_INT32,
                    .pointer = H5T_NATIVE_INT64};

    return write_csr(parent, name, rows, &w, NUMBER_F32, hooks);
}

/* Rows first .. first + n of the block into dense [n, p] of floats, with the shift, or of doubles. */
static void fill_dense(void *dense, const row_block *b, int64_t first, int64_t n,
                       const double *shift)
{
    const int64_t p = b->x.n_cols;

    for (int64_t i = 0; i < n; i++) {
        float *to = (float *)dense + i * p;
        double *exact = (double *)dense + i * p;
        for (int64_t j = 0; j < p; j++)
            if (shift) to[j] = (float)shift[j];
            else exact[j] = 0.0;
        for (int64_t e = b->x.indptr[first + i]; e < b->x.indptr[first + i + 1]; e++) {
            const int32_t j = b->x.indices[e];
            if (shift) to[j] = (float)((double)b->x.values[e] + shift[j]);
            else exact[j] = b->exact[e];
        }
    }
}

/* `shift` NULL: exact values as `stored`. */
static scw_status write_dense(hid_t parent, const char *name, block_reader *rows,
                              const double *shift, number_type stored, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    h5_growing g = {0};
    row_block b = {0};
    double *dense = NULL; /* room for either */
    const int64_t dim[2] = {0, rows->n_cols};
    int64_t piece = DENSE_VALUES / (rows->n_cols > 0 ? rows->n_cols : 1), size;
    bool more;

    if (piece < 1) piece = 1;
    if (!checked_mul(&size, piece, rows->n_cols)) FAIL(SCW_EINVAL, "'%s' is too large", name);
    TRY(mem_new(&dense, size));
    TRY(h5_remove(parent, name));
    TRY(h5_growing_open(&g, parent, name, shift ? H5T_NATIVE_FLOAT : write_number_type(stored), 2, dim));
    if (!shift) {
        h5_close(&g.type);
        g.type = H5Tcopy(H5T_NATIVE_DOUBLE);
    }
    TRY(write_encoding(g.dataset, "array", "0.2.0"));
    for (;;) {
        TRY(log_check_cancel(hooks));
        TRY(block_reader_next(&b, rows, &more));
        if (!more) break;
        if (!shift) TRY(check_exact(&b, stored));
        for (int64_t i = 0; i < b.x.n_rows; i += piece) {
            int64_t n = b.x.n_rows - i < piece ? b.x.n_rows - i : piece;
            fill_dense(dense, &b, i, n, shift);
            TRY(h5_growing_add(&g, dense, n));
        }
    }
    TRY(h5_growing_finish(&g));
done:
    h5_growing_clear(&g);
    mem_free(dense);
    row_block_clear(&b);
    return st;
}

scw_status write_blocks_dense(hid_t parent, const char *name, block_reader *rows,
                              const double *shift, const scw_hooks *hooks)
{
    return write_dense(parent, name, rows, shift, NUMBER_F32, hooks);
}

/* Indices and pointers are of one type, as scipy has them. */
scw_status write_blocks_exact(hid_t parent, const char *name, block_reader *rows,
                              number_type stored, bool dense, const scw_hooks *hooks)
{
    int64_t most = rows->nnz;

    if (dense) return write_dense(parent, name, rows, NULL, stored, hooks);
    if (most < 0 && !checked_mul(&most, rows->n_rows, rows->n_cols)) most = INT64_MAX;
    const hid_t index = most > INT32_MAX ? H5T_STD_I64LE : H5T_STD_I32LE;
    csr_writer w = {.value = write_number_type(stored),
                    .value_in = H5T_NATIVE_DOUBLE,
                    .index = index,
                    .pointer = index};

    return write_csr(parent, name, rows, &w, stored, hooks);
}
