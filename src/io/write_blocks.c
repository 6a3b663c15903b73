/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/write_blocks.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/log.h"
#include "io/write_element.h"

#define DENSE_VALUES (1 << 22) /* of a piece that is made dense at a time */

/* Where the blocks of a csr_matrix go. */
typedef struct csr_writer {
    h5_growing data, indices;
    int64_t *indptr; /* [n_rows + 1] */
} csr_writer;

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

scw_status write_blocks_csr(hid_t parent, const char *name, block_reader *rows,
                            const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    csr_writer w = {0};
    row_block b = {0};
    const int64_t shape[2] = {rows->n_rows, rows->n_cols}, n_pointers = rows->n_rows + 1, any = 0;
    bool more;

    TRY(mem_new(&w.indptr, n_pointers));
    TRY(h5_remove(parent, name));
    TRY(h5_make_group(&group, parent, name));
    TRY(write_encoding(group, "csr_matrix", "0.1.0"));
    TRY(h5_put_attr_ints(group, "shape", shape, 2, false));
    TRY(h5_growing_open(&w.data, group, "data", rows->exact ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT,
                        1, &any));
    TRY(h5_growing_open(&w.indices, group, "indices", H5T_NATIVE_INT32, 1, &any));
    for (;;) {
        TRY(log_check_cancel(hooks));
        TRY(block_reader_next(&b, rows, &more));
        if (!more) break;
        TRY(add_block(&w, &b));
    }
    TRY(h5_growing_finish(&w.data));
    TRY(h5_growing_finish(&w.indices));
    TRY(h5_write_array(NULL, group, "indptr", H5T_NATIVE_INT64, 1, &n_pointers, w.indptr));
done:
    h5_growing_clear(&w.data);
    h5_growing_clear(&w.indices);
    mem_free(w.indptr);
    row_block_clear(&b);
    h5_close(&group);
    return st;
}

/* Rows first .. first + n of the block into dense [n, p]. */
static void fill_dense(float *dense, const row_block *b, int64_t first, int64_t n,
                       const double *shift)
{
    int64_t p = b->x.n_cols;

    for (int64_t i = 0; i < n; i++) {
        float *to = dense + i * p;
        for (int64_t j = 0; j < p; j++)
            to[j] = (float)shift[j];
        for (int64_t e = b->x.indptr[first + i]; e < b->x.indptr[first + i + 1]; e++)
            to[b->x.indices[e]] = (float)((double)b->x.values[e] + shift[b->x.indices[e]]);
    }
}

scw_status write_blocks_dense(hid_t parent, const char *name, block_reader *rows,
                              const double *shift, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    h5_growing g = {0};
    row_block b = {0};
    float *dense = NULL;
    const int64_t dim[2] = {0, rows->n_cols};
    int64_t piece = DENSE_VALUES / (rows->n_cols > 0 ? rows->n_cols : 1), size;
    bool more;

    if (piece < 1) piece = 1;
    if (!checked_mul(&size, piece, rows->n_cols)) FAIL(SCW_EINVAL, "'%s' is too large", name);
    TRY(mem_new(&dense, size));
    TRY(h5_remove(parent, name));
    TRY(h5_growing_open(&g, parent, name, H5T_NATIVE_FLOAT, 2, dim));
    TRY(write_encoding(g.dataset, "array", "0.2.0"));
    for (;;) {
        TRY(log_check_cancel(hooks));
        TRY(block_reader_next(&b, rows, &more));
        if (!more) break;
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
