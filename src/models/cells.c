/* SPDX-License-Identifier: BSD-3-Clause */
#include "models/cells.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops.h"

void cells_clear(cells *c)
{
    for (int m = 0; m < MODEL_MAX_MODALITIES; m++)
        prepared_clear(&c->x[m]);
    mem_free(c->labels);
    mem_free(c->weight);
    mem_free(c->known_batch);
    mem_free(c->batch);
    for (int m = 0; m < MODEL_MAX_MODALITIES; m++) mem_free(c->shift[m]);
    *c = (cells){0};
}

uint32_t cells_mask(const cells *c, int64_t i)
{
    uint32_t mask = 0;

    for (int m = 0; m < c->n_modalities; m++)
        if (!c->x[m].present || c->x[m].present[i] > 0.0f) mask |= 1u << m;
    return mask;
}

scw_status cells_with(int64_t **out, int64_t *n_out, uint32_t mask, const cells *c,
                      const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;

    *n_out = 0;
    TRY(mem_new(out, n));
    for (int64_t i = 0; i < n; i++)
        if ((cells_mask(c, rows[i]) & mask) == mask) (*out)[(*n_out)++] = rows[i];
done:
    return st;
}

/* values[rows[i]] for each i, as real; NULL for NULL. */
static const real *gather_vector(tape *t, const float *values, const int64_t *rows, int64_t n)
{
    if (!values) return NULL;
    real *out = tape_alloc(t, n, sizeof *out);
    if (!out) return NULL;
    for (int64_t i = 0; i < n; i++)
        out[i] = (real)values[rows[i]];
    return out;
}

static const int32_t *gather_codes(tape *t, const int32_t *codes, const int64_t *rows, int64_t n)
{
    int32_t *out = codes ? tape_alloc(t, n, sizeof *out) : NULL;

    for (int64_t i = 0; out && i < n; i++) out[i] = codes[rows[i]];
    return out;
}

/* Column vectors are the same for every batch: in the float build they are borrowed as they are. */
static const real *column_vector(tape *t, const float *values, int64_t n)
{
#ifdef SCW_REAL_DOUBLE
    real *out = values ? tape_alloc(t, n, sizeof *out) : NULL;
    for (int64_t j = 0; out && j < n; j++)
        out[j] = (real)values[j];
    return out;
#else
    (void)t;
    (void)n;
    return values;
#endif
}

/* Packed rows under a transform, or as they are without one. */
static bool gather_packed(tape *t, const row_list *l, const transform *prep, affine_sparse *x)
{
    int64_t nnz = 0;

    for (int64_t i = 0; i < l->n; i++)
        nnz += l->packed->indptr[l->rows[i] + 1] - l->packed->indptr[l->rows[i]];
    uint8_t *scratch = tape_alloc(t, packed_rows_bytes(l->packed, l->rows, l->n) + 1, 1);
    int64_t *indptr = tape_alloc(t, l->n + 1, sizeof *indptr);
    int32_t *indices = tape_alloc(t, nnz, sizeof *indices);
    float *counts = tape_alloc(t, nnz, sizeof *counts);
    if (!scratch || !indptr || !indices || !counts) return false;
    scw_status st = packed_rows_get(indptr, indices, counts, scratch, l->packed, l->rows, l->n);
    if (st != SCW_OK) {
        tape_fail(t, st, "%s", scw_error_message());
        return false;
    }
    matrix y = {.n_rows = l->n, .n_cols = l->x->n_cols, .sparse = true, .indptr = indptr,
                .indices = indices, .values = counts};
    if (prep) transform_values(prep, &y);
    *x = (affine_sparse){.n_rows = l->n, .n_cols = l->x->n_cols, .indptr = indptr, .indices = indices};
    x->values = column_vector(t, counts, nnz);
    return nnz == 0 || x->values;
}

bool cells_gather_counts(tape *t, const row_list *l, affine_sparse *x)
{
    const matrix *y = l->x;
    const int64_t *rows = l->rows, n = l->n;
    int64_t nnz = 0, at = 0;

    if (l->packed) return gather_packed(t, l, NULL, x);

    for (int64_t i = 0; i < n; i++)
        nnz += y->indptr[rows[i] + 1] - y->indptr[rows[i]];
    int64_t *indptr = tape_alloc(t, n + 1, sizeof *indptr);
    int32_t *indices = tape_alloc(t, nnz, sizeof *indices);
    real *values = tape_alloc(t, nnz, sizeof *values);
    if (!indptr || !indices || !values) return false;
    for (int64_t i = 0; i < n; i++) {
        int64_t from = y->indptr[rows[i]], size = y->indptr[rows[i] + 1] - from;
        indptr[i] = at;
        memcpy(indices + at, y->indices + from, (size_t)size * sizeof *indices);
        for (int64_t e = 0; e < size; e++)
            values[at + e] = (real)y->values[from + e];
        at += size;
    }
    indptr[n] = at;
    *x = (affine_sparse){
        .n_rows = n, .n_cols = y->n_cols, .indptr = indptr, .indices = indices, .values = values};
    return true;
}

/* y of the listed cells. */
static bool gather_y(tape *t, const prepared *p, const int64_t *rows, int64_t n, affine_sparse *x)
{
    if (!p->packed.packed) return cells_gather_counts(t, &(row_list){&p->y, NULL, rows, n}, x);
    int64_t *packed = tape_alloc(t, n, sizeof *packed);
    if (!packed) return false;
    for (int64_t i = 0; i < n; i++) packed[i] = p->packed.rows[rows[i]];
    return gather_packed(t, &(row_list){&p->y, p->packed.packed, packed, n}, p->prep, x);
}

void cells_gather(tape *t, const cells *c, const int64_t *rows, int64_t n, model_batch *batch)
{
    *batch = (model_batch){.n = n, .n_modalities = c->n_modalities};
    for (int m = 0; m < c->n_modalities; m++) {
        const prepared *p = &c->x[m];
        affine_sparse *x = &batch->x[m];
        if (!gather_y(t, p, rows, n, x)) {
            batch->n = 0;
            return;
        }
        x->row_scale = gather_vector(t, p->row_scale, rows, n);
        x->row_shift = gather_vector(t, p->row_shift, rows, n);
        x->row_weight = gather_vector(t, p->present, rows, n);
        x->col_scale = column_vector(t, p->col_scale, x->n_cols);
        x->col_shift = column_vector(t, p->col_shift, x->n_cols);
    }
    batch->weight = gather_vector(t, c->weight, rows, n);
    batch->labels = gather_codes(t, c->labels, rows, n);
    batch->batch = gather_codes(t, c->known_batch, rows, n);
}

/* Background of column j in row i: its value where y is zero. */
static double background(const prepared *p, int64_t i, int64_t j)
{
    double b = p->row_shift ? (double)p->row_shift[i] : 0.0;
    return b + (p->col_shift ? (double)p->col_shift[j] : 0.0);
}

/* Cell i of p, whose y is row k of the block. */
static void row_range(const prepared *p, int64_t i, const matrix *y, int64_t k, double *low,
                      double *high)
{
    double a = p->row_scale ? (double)p->row_scale[i] : 1.0;
    int64_t e = y->indptr[k];

    for (int64_t j = 0; j < y->n_cols; j++) {
        double v = background(p, i, j);
        if (e < y->indptr[k + 1] && y->indices[e] == j) {
            double c = p->col_scale ? (double)p->col_scale[j] : 1.0;
            v += a * c * (double)y->values[e];
            e++;
        }
        *low = fmin(*low, v);
        *high = fmax(*high, v);
    }
}

scw_status cells_range(const cells *c, const int64_t *rows, int64_t n, double *low, double *high)
{
    scw_status st = SCW_OK;
    block_reader *y = NULL;
    row_block b = {0};

    *low = INFINITY;
    *high = -INFINITY;
    for (int m = 0; m < c->n_modalities; m++) {
        const prepared *p = &c->x[m];
        bool more;
        TRY(prepared_reader(&y, p, rows, n));
        for (;;) {
            TRY(block_reader_next(&b, y, &more));
            if (!more) break;
            for (int64_t k = 0; k < b.x.n_rows; k++)
                if (!p->present || p->present[rows[b.from + k]] > 0.0f)
                    row_range(p, rows[b.from + k], &b.x, k, low, high);
        }
        row_block_clear(&b);
        block_reader_free(y);
        y = NULL;
    }
done:
    row_block_clear(&b);
    block_reader_free(y);
    return st;
}
