/* SPDX-License-Identifier: BSD-3-Clause */
/* Making sparse matrices: from entries in any order, by exchanging rows and columns, by stacking. */
#include <string.h>

#include "base/alloc.h"
#include "data/matrix.h"

scw_status matrix_transpose(matrix *out, const matrix *m)
{
    scw_status st = SCW_OK;
    int64_t nnz = matrix_nnz(m);

    TRY(matrix_init(out, m->n_cols, m->n_rows, true, nnz, m->exact != NULL));
    out->stored = m->stored;
    for (int64_t k = 0; k < nnz; k++) out->indptr[m->indices[k] + 1]++;
    for (int64_t i = 0; i < out->n_rows; i++) out->indptr[i + 1] += out->indptr[i];
    for (int64_t j = 0; j < m->n_rows; j++) {
        for (int64_t k = m->indptr[j]; k < m->indptr[j + 1]; k++) {
            int64_t at = out->indptr[m->indices[k]]++;
            out->indices[at] = (int32_t)j;
            matrix_set_value(out, at, matrix_value(m, k));
        }
    }
    /* Each pointer has moved to the start of the next row. */
    for (int64_t i = out->n_rows; i > 0; i--) out->indptr[i] = out->indptr[i - 1];
    out->indptr[0] = 0;
done:
    return st;
}

/* ------------------------------------------------------------------ from entries */

void matrix_builder_clear(matrix_builder *b)
{
    matrix_clear(&b->m);
    mem_free(b->major);
    *b = (matrix_builder){0};
}

scw_status matrix_builder_init(matrix_builder *b, int64_t n_rows, int64_t n_cols, bool exact)
{
    *b = (matrix_builder){0};
    return matrix_init(&b->m, n_rows, n_cols, true, 0, exact);
}

static scw_status grow(matrix_builder *b)
{
    scw_status st = SCW_OK;
    int64_t capacity = b->capacity + b->capacity / 2 + 4096;

    TRY(mem_resize(&b->m.indices, capacity));
    if (b->m.exact) TRY(mem_resize(&b->m.exact, capacity));
    else TRY(mem_resize(&b->m.values, capacity));
    if (b->major) TRY(mem_resize(&b->major, capacity));
    b->capacity = capacity;
done:
    return st;
}

scw_status matrix_builder_grow_rows(matrix_builder *b, int64_t n_rows)
{
    scw_status st = SCW_OK;

    if (n_rows <= b->m.n_rows) return SCW_OK;
    TRY(mem_resize(&b->m.indptr, n_rows + 1));
    for (int64_t r = b->m.n_rows + 1; r <= n_rows; r++) b->m.indptr[r] = 0;
    b->m.n_rows = n_rows;
done:
    return st;
}

/* The rows of the entries so far, which were in order, by their counts. */
static scw_status begin_unordered(matrix_builder *b)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&b->major, b->capacity));
    for (int64_t r = 0, k = 0; r < b->m.n_rows; r++)
        for (int64_t end = k + b->m.indptr[r + 1]; k < end; k++) b->major[k] = (int32_t)r;
done:
    return st;
}

scw_status matrix_builder_add(matrix_builder *b, int64_t row, int64_t column, double value)
{
    scw_status st = SCW_OK;

    if (b->n == b->capacity) TRY(grow(b));
    if (!b->major && row < b->last) TRY(begin_unordered(b));
    if (b->major) b->major[b->n] = (int32_t)row;
    b->last = row;
    b->m.indices[b->n] = (int32_t)column;
    matrix_set_value(&b->m, b->n++, value);
    b->m.indptr[row + 1]++;
done:
    return st;
}

/* Put the entries into the order of their rows, equal rows in the order of arrival. */
static scw_status sort_rows(matrix *out, const matrix_builder *b)
{
    scw_status st = SCW_OK;
    int64_t *next = NULL;
    const matrix *m = &b->m;

    TRY(matrix_init(out, m->n_rows, m->n_cols, true, b->n, m->exact != NULL));
    out->stored = m->stored;
    memcpy(out->indptr, m->indptr, (size_t)(m->n_rows + 1) * sizeof *m->indptr);
    TRY(mem_new(&next, m->n_rows));
    if (m->n_rows) memcpy(next, m->indptr, (size_t)m->n_rows * sizeof *next);
    for (int64_t k = 0; k < b->n; k++) {
        int64_t at = next[b->major[k]]++;
        out->indices[at] = m->indices[k];
        matrix_set_value(out, at, matrix_value(m, k));
    }
done:
    mem_free(next);
    return st;
}

scw_status matrix_builder_finish(matrix *out, matrix_builder *b)
{
    scw_status st = SCW_OK;

    *out = (matrix){0};
    for (int64_t r = 0; r < b->m.n_rows; r++) b->m.indptr[r + 1] += b->m.indptr[r];
    if (b->major) {
        TRY(sort_rows(out, b));
    } else {
        *out = b->m;
        b->m = (matrix){0};
    }
    matrix_builder_clear(b);
    TRY(matrix_canonical(out));
done:
    matrix_builder_clear(b);
    if (st != SCW_OK) matrix_clear(out);
    return st;
}

/* ------------------------------------------------------------------ stacking */

static int bits_of(number_type t)
{
    switch (t) {
    case NUMBER_I8:
    case NUMBER_U8: return 8;
    case NUMBER_I16:
    case NUMBER_U16: return 16;
    case NUMBER_F32:
    case NUMBER_I32:
    case NUMBER_U32: return 32;
    case NUMBER_F64:
    case NUMBER_I64:
    case NUMBER_U64: return 64;
    }
    return 64;
}

static bool is_real(number_type t)
{
    return t == NUMBER_F32 || t == NUMBER_F64;
}

static bool is_unsigned(number_type t)
{
    return t == NUMBER_U8 || t == NUMBER_U16 || t == NUMBER_U32 || t == NUMBER_U64;
}

number_type number_type_join(number_type a, number_type b)
{
    static const number_type wider[] = {NUMBER_I16, NUMBER_I32, NUMBER_I64};

    if (a == b) return a;
    if (is_real(a) || is_real(b)) {
        /* 24 bits of a float hold the small integers. */
        bool small = (is_real(a) ? a == NUMBER_F32 : bits_of(a) <= 16) &&
                     (is_real(b) ? b == NUMBER_F32 : bits_of(b) <= 16);
        return small ? NUMBER_F32 : NUMBER_F64;
    }
    if (is_unsigned(a) == is_unsigned(b)) return bits_of(a) > bits_of(b) ? a : b;
    number_type natural = is_unsigned(a) ? a : b, whole = is_unsigned(a) ? b : a;
    if (bits_of(whole) > bits_of(natural)) return whole;
    int n = bits_of(natural);
    return n == 8 ? wider[0] : n == 16 ? wider[1] : n == 32 ? wider[2] : NUMBER_F64;
}

scw_status matrix_stack(matrix *out, const matrix *const *parts, const int64_t *const *to,
                        int n_parts, int64_t n_cols)
{
    scw_status st = SCW_OK;
    matrix_builder b = {0};
    int64_t n_rows = 0, at = 0;
    number_type stored = n_parts ? parts[0]->stored : NUMBER_F32;

    *out = (matrix){0};
    for (int k = 0; k < n_parts; k++) {
        n_rows += parts[k]->n_rows;
        stored = number_type_join(stored, parts[k]->stored);
    }
    TRY(matrix_builder_init(&b, n_rows, n_cols, n_parts && parts[0]->exact));
    b.m.stored = stored;
    for (int k = 0; k < n_parts; k++) {
        const matrix *m = parts[k];
        for (int64_t i = 0; i < m->n_rows; i++, at++) {
            int64_t from = m->sparse ? m->indptr[i] : i * m->n_cols;
            int64_t end = m->sparse ? m->indptr[i + 1] : from + m->n_cols;
            for (int64_t e = from; e < end; e++) {
                int64_t j = m->sparse ? m->indices[e] : e - from;
                double v = matrix_value(m, e);
                if (to[k]) j = to[k][j];
                if (j >= 0 && (m->sparse || v != 0)) TRY(matrix_builder_add(&b, at, j, v));
            }
        }
    }
    TRY(matrix_builder_finish(out, &b));
done:
    matrix_builder_clear(&b);
    return st;
}
