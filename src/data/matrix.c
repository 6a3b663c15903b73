/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/matrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "data/rules.h"

void matrix_clear(matrix *m)
{
    mem_free(m->indptr);
    mem_free(m->indices);
    mem_free(m->values);
    mem_free(m->exact);
    *m = (matrix){0};
}

scw_status matrix_init(matrix *m, int64_t n_rows, int64_t n_cols, bool sparse, int64_t nnz,
                       bool exact)
{
    scw_status st = SCW_OK;
    int64_t n = nnz;

    *m = (matrix){.n_rows = n_rows, .n_cols = n_cols, .sparse = sparse};
    if (n_rows < 0 || n_cols < 0 || (sparse && (n_cols > INT32_MAX || nnz < 0)) ||
        (!sparse && !checked_mul(&n, n_rows, n_cols)))
        FAIL(SCW_EINVAL, "a %s matrix of %lld x %lld is out of range", sparse ? "sparse" : "dense",
             (long long)n_rows, (long long)n_cols);
    if (sparse) {
        TRY(mem_new(&m->indptr, n_rows + 1));
        TRY(mem_new(&m->indices, n));
    }
    if (exact) TRY(mem_new(&m->exact, n));
    else TRY(mem_new(&m->values, n));
done:
    if (st != SCW_OK) matrix_clear(m);
    return st;
}

scw_status matrix_init_csr(matrix *m, int64_t n_rows, int64_t n_cols, int64_t nnz)
{
    return matrix_init(m, n_rows, n_cols, true, nnz, false);
}

scw_status matrix_init_dense(matrix *m, int64_t n_rows, int64_t n_cols)
{
    return matrix_init(m, n_rows, n_cols, false, 0, false);
}

/* ------------------------------------------------------------------ canonical form */

typedef struct entry {
    int32_t column;
    double value;
    int64_t order; /* position in the file: equal columns are added up in file order */
} entry;

static int by_column(const void *a, const void *b)
{
    const entry *x = a, *y = b;

    if (x->column != y->column) return x->column < y->column ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* n values of one matrix into another of the same kind; within one matrix they may overlap. */
static void copy_values(matrix *to, int64_t at, const matrix *from, int64_t first, int64_t n)
{
    if (n == 0) return;
    if (from->exact)
        memmove(to->exact + at, from->exact + first, (size_t)n * sizeof *to->exact);
    else
        memmove(to->values + at, from->values + first, (size_t)n * sizeof *to->values);
}

/* Sort entries [from, to) in place and add up duplicates; returns how many remain. */
static int64_t tidy_row(matrix *m, int64_t from, int64_t to, entry *scratch)
{
    int64_t n = to - from, kept = 0;

    for (int64_t k = 0; k < n; k++)
        scratch[k] = (entry){m->indices[from + k], matrix_value(m, from + k), k};
    qsort(scratch, (size_t)n, sizeof *scratch, by_column);
    for (int64_t k = 0; k < n; k++) {
        if (kept && m->indices[from + kept - 1] == scratch[k].column) {
            int64_t last = from + kept - 1;
            matrix_set_value(m, last, matrix_value(m, last) + scratch[k].value);
        } else {
            m->indices[from + kept] = scratch[k].column;
            matrix_set_value(m, from + kept++, scratch[k].value);
        }
    }
    return kept;
}

static scw_status check_csr(const matrix *m, int64_t *longest, bool *tidy)
{
    scw_status st = SCW_OK;

    *longest = 0;
    *tidy = true;
    if (m->indptr[0] != 0)
        FAIL(SCW_EFORMAT, "indptr starts at %lld, expected 0", (long long)m->indptr[0]);
    for (int64_t i = 0; i < m->n_rows; i++)
        if (m->indptr[i + 1] < m->indptr[i])
            FAIL(SCW_EFORMAT, "indptr decreases at row %lld", (long long)i);
    for (int64_t i = 0; i < m->n_rows; i++) {
        int64_t from = m->indptr[i], to = m->indptr[i + 1];
        if (to - from > *longest) *longest = to - from;
        row_order order = matrix_row_order(m->indices + from, to - from, m->n_cols);
        if (order == ROW_TIDY) continue;
        *tidy = false;
        for (int64_t k = from; order == ROW_OUT_OF_RANGE; k++)
            if (m->indices[k] < 0 || m->indices[k] >= m->n_cols)
                BREAK(RULE_INDICES_IN_RANGE, SCW_EFORMAT,
                      "row %lld has column index %d, expected 0 to %lld", (long long)i,
                      (int)m->indices[k], (long long)m->n_cols - 1);
    }
done:
    return st;
}

scw_status matrix_canonical(matrix *m)
{
    scw_status st = SCW_OK;
    entry *scratch = NULL;
    int64_t longest, written = 0;
    bool tidy;

    if (!m->sparse) return SCW_OK;
    TRY(check_csr(m, &longest, &tidy));
    if (tidy) goto done;
    TRY(mem_new(&scratch, longest));
    for (int64_t i = 0; i < m->n_rows; i++) {
        int64_t from = m->indptr[i], to = m->indptr[i + 1];
        int64_t kept = to > from ? tidy_row(m, from, to, scratch) : 0;
        if (written != from && kept) {
            memmove(m->indices + written, m->indices + from, (size_t)kept * sizeof *m->indices);
            copy_values(m, written, m, from, kept);
        }
        m->indptr[i] = written;
        written += kept;
    }
    m->indptr[m->n_rows] = written;
done:
    mem_free(scratch);
    return st;
}

/* ------------------------------------------------------------------ selections */

static int64_t count_row(const matrix *m, int64_t i)
{
    if (i < 0) return 0;
    if (m->sparse) return m->indptr[i + 1] - m->indptr[i];
    int64_t n = 0;
    for (int64_t j = 0; j < m->n_cols; j++) n += matrix_value(m, i * m->n_cols + j) != 0;
    return n;
}

static void copy_row(matrix *out, int64_t at, const matrix *m, int64_t i)
{
    if (i < 0) return;
    if (m->sparse) {
        int64_t from = m->indptr[i], n = m->indptr[i + 1] - from;
        if (n == 0) return;
        memcpy(out->indices + at, m->indices + from, (size_t)n * sizeof *m->indices);
        copy_values(out, at, m, from, n);
        return;
    }
    for (int64_t j = 0; j < m->n_cols; j++) {
        double v = matrix_value(m, i * m->n_cols + j);
        if (v == 0) continue;
        out->indices[at] = (int32_t)j;
        matrix_set_value(out, at++, v);
    }
}

scw_status matrix_rows_csr(matrix *out, const matrix *m, const int64_t *rows, int64_t n_rows)
{
    scw_status st = SCW_OK;
    int64_t n = rows ? n_rows : m->n_rows, nnz = 0;

    *out = (matrix){0};
    for (int64_t r = 0; r < n; r++) {
        if (rows && (rows[r] < -1 || rows[r] >= m->n_rows))
            FAIL(SCW_EINVAL, "row %lld of %lld", (long long)rows[r], (long long)m->n_rows);
        nnz += count_row(m, rows ? rows[r] : r);
    }
    TRY(matrix_init(out, n, m->n_cols, true, nnz, m->exact != NULL));
    out->stored = m->stored;
    for (int64_t r = 0; r < n; r++) {
        int64_t i = rows ? rows[r] : r;
        copy_row(out, out->indptr[r], m, i);
        out->indptr[r + 1] = out->indptr[r] + count_row(m, i);
    }
done:
    return st;
}

/* Where each source column goes: targets[start[s] .. start[s + 1]). */
static scw_status invert_selection(int64_t **start, int32_t **targets, int64_t n_source,
                                   const int64_t *from, int64_t n_cols)
{
    scw_status st = SCW_OK;

    TRY(mem_new(start, n_source + 2));
    TRY(mem_new(targets, n_cols));
    for (int64_t j = 0; j < n_cols; j++) {
        if (from[j] < -1 || from[j] >= n_source)
            FAIL(SCW_EINVAL, "column %lld of %lld", (long long)from[j], (long long)n_source);
        if (from[j] >= 0) (*start)[from[j] + 2]++;
    }
    for (int64_t s = 0; s < n_source; s++) (*start)[s + 2] += (*start)[s + 1];
    /* start[s + 1] is now the first free place of s, and ends as the first place of s + 1. */
    for (int64_t j = 0; j < n_cols; j++)
        if (from[j] >= 0) (*targets)[(*start)[from[j] + 1]++] = (int32_t)j;
done:
    return st;
}

static scw_status select_dense(matrix *out, const matrix *m, const int64_t *from, int64_t n_cols)
{
    scw_status st = SCW_OK;
    int64_t nnz = 0;

    for (int64_t j = 0; j < n_cols; j++)
        if (from[j] < -1 || from[j] >= m->n_cols)
            FAIL(SCW_EINVAL, "column %lld of %lld", (long long)from[j], (long long)m->n_cols);
    for (int64_t i = 0; i < m->n_rows; i++)
        for (int64_t j = 0; j < n_cols; j++)
            nnz += from[j] >= 0 && matrix_value(m, i * m->n_cols + from[j]) != 0;
    TRY(matrix_init(out, m->n_rows, n_cols, true, nnz, m->exact != NULL));
    out->stored = m->stored;
    for (int64_t i = 0, k = 0; i < m->n_rows; i++) {
        for (int64_t j = 0; j < n_cols; j++) {
            double v = from[j] >= 0 ? matrix_value(m, i * m->n_cols + from[j]) : 0;
            if (v == 0) continue;
            out->indices[k] = (int32_t)j;
            matrix_set_value(out, k++, v);
        }
        out->indptr[i + 1] = k;
    }
done:
    return st;
}

scw_status matrix_select_columns(matrix *out, const matrix *m, const int64_t *from, int64_t n_cols)
{
    scw_status st = SCW_OK;
    int64_t *start = NULL;
    int32_t *targets = NULL;
    int64_t nnz = 0;

    *out = (matrix){0};
    if (!m->sparse) return select_dense(out, m, from, n_cols);
    TRY(invert_selection(&start, &targets, m->n_cols, from, n_cols));
    for (int64_t k = 0; k < matrix_nnz(m); k++)
        nnz += start[m->indices[k] + 1] - start[m->indices[k]];
    TRY(matrix_init(out, m->n_rows, n_cols, true, nnz, m->exact != NULL));
    out->stored = m->stored;
    for (int64_t i = 0, at = 0; i < m->n_rows; i++) {
        for (int64_t k = m->indptr[i]; k < m->indptr[i + 1]; k++) {
            int32_t s = m->indices[k];
            for (int64_t t = start[s]; t < start[s + 1]; t++) {
                out->indices[at] = targets[t];
                matrix_set_value(out, at++, matrix_value(m, k));
            }
        }
        out->indptr[i + 1] = at;
    }
    TRY(matrix_canonical(out)); /* the new order of columns may differ */
done:
    if (st != SCW_OK) matrix_clear(out);
    mem_free(start);
    mem_free(targets);
    return st;
}

/* ------------------------------------------------------------------ summary */

static void summarise_value(matrix_summary *s, float v, bool *any)
{
    if (v != 0) s->nnz++;
    if (isnan(v)) {
        s->n_nan++;
        return;
    }
    s->n_infinite += isinf(v) != 0;
    s->n_negative += v < 0;
    s->n_fractional += isfinite(v) && v != truncf(v);
    s->sum += (double)v;
    if (!*any || (double)v < s->minimum) s->minimum = (double)v;
    if (!*any || (double)v > s->maximum) s->maximum = (double)v;
    *any = true;
}

void matrix_summarise_part(matrix_summary *s, uint8_t *seen, bool *any, const matrix *m)
{
    for (int64_t i = 0; i < m->n_rows; i++) {
        int64_t before = s->nnz;
        int64_t from = m->sparse ? m->indptr[i] : i * m->n_cols;
        int64_t to = m->sparse ? m->indptr[i + 1] : from + m->n_cols;
        for (int64_t k = from; k < to; k++) {
            summarise_value(s, m->values[k], any);
            if (m->values[k] != 0) seen[m->sparse ? m->indices[k] : k - from] = 1;
        }
        if (m->sparse && to - from < m->n_cols) summarise_value(s, 0.0f, any);
        s->n_empty_rows += s->nnz == before;
    }
}

scw_status matrix_summarise(matrix_summary *out, const matrix *m)
{
    scw_status st = SCW_OK;
    uint8_t *seen = NULL;
    bool any = false;

    *out = (matrix_summary){0};
    TRY(mem_new(&seen, m->n_cols));
    matrix_summarise_part(out, seen, &any, m);
    for (int64_t j = 0; j < m->n_cols; j++) out->n_empty_cols += !seen[j];
done:
    mem_free(seen);
    return st;
}
