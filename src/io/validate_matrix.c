/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrices, block after block:
 *
 *     indptr     first, in blocks of its own: only if it is sound do rows mean something
 *     indices    in rows, for order and repetition; without rows, for their range alone
 *     data       in the same blocks
 *     dense      in bands of rows */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/element.h"
#include "io/h5_array.h"
#include "io/validate.h"

#define POINTERS_A_BLOCK ((int64_t)1 << 18)
#define LEAST_ENTRIES ((int64_t)1 << 16)
#define MOST_ENTRIES ((int64_t)1 << 22) /* more are no faster */

/* Decoded indices and values of an entry, the bytes they come from, and a scratch copy of the indices. */
#define ENTRY_BYTES 40

static int64_t entries_a_block(const validation *v)
{
    int64_t n = v->memory / ENTRY_BYTES;
    return n < LEAST_ENTRIES ? LEAST_ENTRIES : n > MOST_ENTRIES ? MOST_ENTRIES : n;
}

static scw_status progress(const validation *v, const char *path, int64_t done, int64_t all)
{
    const scw_progress p = {.phase = path, .step = done, .n_steps = all, .seconds_left = -1};

    log_progress(v->hooks, &p);
    return log_check_cancel(v->hooks);
}

static void tally(value_tally *t, const double *values, int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        double x = values[k];
        if (isnan(x)) t->n_nan++;
        else if (isinf(x)) t->n_infinite++;
        else if (x < 0) t->n_negative++;
        else if (x != trunc(x)) t->n_fractional++;
    }
    t->n += n;
}

scw_status validate_finite(validation *v, const value_tally *t, const char *path)
{
    const bool layer = strstr(path, "/layers/") != NULL;

    if (t->n_nan + t->n_infinite == 0) return SCW_OK;
    return validate_find(v, layer ? RULE_LAYER_FINITE : RULE_VALUES_FINITE, path,
                         "%lld values are NaN, %lld infinite", (long long)t->n_nan,
                         (long long)t->n_infinite);
}

/* ------------------------------------------------------------------ compressed matrices */

typedef struct scan {
    validation *v;
    const char *path;
    h5_array indptr, indices, data;
    int64_t n_major, n_minor;
    int64_t room; /* entries the buffers hold */
    int64_t *p;   /* [POINTERS_A_BLOCK + 1] */
    int32_t *index, *sorted;
    double *value;
    value_tally *values;
    int64_t n_outside, n_unsorted, n_repeated; /* entries; rows */
    int64_t first_outside, first_row, repeated_row;
    int32_t outside;
} scan;

static void scan_clear(scan *s)
{
    h5_array_close(&s->indptr);
    h5_array_close(&s->indices);
    h5_array_close(&s->data);
    mem_free(s->p);
    mem_free(s->index);
    mem_free(s->sorted);
    mem_free(s->value);
}

static scw_status reserve(scan *s, int64_t n)
{
    scw_status st = SCW_OK;

    if (n <= s->room) goto done;
    TRY(mem_resize(&s->index, n));
    TRY(mem_resize(&s->sorted, n));
    TRY(mem_resize(&s->value, n));
    s->room = n;
done:
    return st;
}

static void judge_range(scan *s, const int32_t *index, int64_t n, int64_t at)
{
    for (int64_t k = 0; k < n; k++) {
        if (index[k] >= 0 && index[k] < s->n_minor) continue;
        if (s->n_outside++ > 0) continue;
        s->first_outside = at + k;
        s->outside = index[k];
    }
}

static int by_value(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void judge_row(scan *s, int64_t row, const int32_t *index, int64_t n, int64_t at)
{
    bool unsorted = false, repeated = false;
    row_order order = matrix_row_order(index, n, s->n_minor);

    if (order == ROW_TIDY) return;
    if (order == ROW_OUT_OF_RANGE) judge_range(s, index, n, at);
    for (int64_t k = 1; k < n; k++) unsorted |= index[k] < index[k - 1];
    memcpy(s->sorted, index, (size_t)n * sizeof *index);
    if (unsorted) qsort(s->sorted, (size_t)n, sizeof *s->sorted, by_value);
    for (int64_t k = 1; k < n; k++) repeated |= s->sorted[k] == s->sorted[k - 1];
    if (unsorted && s->n_unsorted++ == 0) s->first_row = row;
    if (repeated && s->n_repeated++ == 0) s->repeated_row = row;
}

/* Are all pointers sound? */
static scw_status scan_pointers(bool *sound, scan *s)
{
    scw_status st = SCW_OK;
    const int64_t n = s->indptr.n;
    const int64_t before = s->v->n_errors;

    *sound = n == s->n_major + 1;
    for (int64_t at = 0; at + 1 < n || at == 0; at += POINTERS_A_BLOCK) {
        int64_t left = n - at < POINTERS_A_BLOCK + 1 ? n - at : POINTERS_A_BLOCK + 1;
        if (left == 0) break;
        TRY(h5_array_read(s->p, NUMBER_I64, &s->indptr, at, left));
        TRY(element_check_pointers(&s->v->sink, s->indptr.where, s->p, at, left - 1, s->indices.n));
        TRY(log_check_cancel(s->v->hooks));
    }
    *sound &= s->v->n_errors == before && s->indices.n == s->data.n;
    if (*sound) {
        TRY(h5_array_read(s->p, NUMBER_I64, &s->indptr, n - 1, 1));
        if (s->p[0] < s->indices.n)
            TRY(rule_broken(&s->v->sink, RULE_ENTRIES_COVERED, SCW_EFORMAT,
                            "%s: ends at %lld, but there are %lld entries", s->indptr.where,
                            (long long)s->p[0], (long long)s->indices.n));
    }
done:
    return st;
}

/* Rows [row, row + n), whose pointers are s->p. */
static scw_status scan_rows(scan *s, int64_t row, int64_t n)
{
    scw_status st = SCW_OK;
    const int64_t most = entries_a_block(s->v);

    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && s->p[j + 1] - s->p[i] <= most; j++) continue;
        const int64_t from = s->p[i], count = s->p[j] - from;
        TRY(reserve(s, count));
        TRY(h5_array_read(s->index, NUMBER_I32, &s->indices, from, count));
        TRY(h5_array_read(s->value, NUMBER_F64, &s->data, from, count));
        for (int64_t k = i; k < j; k++)
            judge_row(s, row + k, s->index + (s->p[k] - from), s->p[k + 1] - s->p[k], s->p[k]);
        tally(s->values, s->value, count);
        TRY(progress(s->v, s->path, row + j, s->n_major));
    }
done:
    return st;
}

/* Without rows: the range of the indices, and the values. */
static scw_status scan_entries(scan *s)
{
    scw_status st = SCW_OK;
    const int64_t step = entries_a_block(s->v);

    TRY(reserve(s, step));
    for (int64_t at = 0; at < s->indices.n; at += step) {
        int64_t n = s->indices.n - at < step ? s->indices.n - at : step;
        TRY(h5_array_read(s->index, NUMBER_I32, &s->indices, at, n));
        judge_range(s, s->index, n, at);
        TRY(progress(s->v, s->path, at + n, s->indices.n));
    }
    for (int64_t at = 0; at < s->data.n; at += step) {
        int64_t n = s->data.n - at < step ? s->data.n - at : step;
        TRY(h5_array_read(s->value, NUMBER_F64, &s->data, at, n));
        tally(s->values, s->value, n);
        TRY(progress(s->v, s->path, at + n, s->data.n));
    }
done:
    return st;
}

static scw_status tell(scan *s)
{
    scw_status st = SCW_OK;
    const char *where = s->indices.where;

    if (s->n_outside)
        TRY(rule_broken(&s->v->sink, RULE_INDICES_IN_RANGE, SCW_EFORMAT,
                        "%s: %lld of %lld are out of range, first %d at position %lld; expected 0 to "
                        "%lld", where, (long long)s->n_outside, (long long)s->indices.n,
                        (int)s->outside, (long long)s->first_outside, (long long)s->n_minor - 1));
    if (s->n_unsorted)
        TRY(rule_broken(&s->v->sink, RULE_INDICES_SORTED, SCW_EFORMAT,
                        "%s: %lld of %lld rows are not sorted, first row %lld", where,
                        (long long)s->n_unsorted, (long long)s->n_major, (long long)s->first_row));
    if (s->n_repeated)
        TRY(rule_broken(&s->v->sink, RULE_INDICES_UNIQUE, SCW_EFORMAT,
                        "%s: %lld of %lld rows hold an index twice, first row %lld", where,
                        (long long)s->n_repeated, (long long)s->n_major, (long long)s->repeated_row));
    s->values->known = true;
done:
    return st;
}

static scw_status open_vector(bool *usable, h5_array *a, validation *v, hid_t group,
                              const char *name, bool integers, const char *path)
{
    scw_status st = SCW_OK;
    hid_t vector = 0;
    textbuf where = {0};

    TRY(text_add(&where, "%s/%s", path, name));
    st = h5_open(&vector, group, name);
    if (st == SCW_OK) st = h5_array_open(a, vector, 1);
    if (st != SCW_OK) {
        *usable = false;
        TRY(validate_failure(v, st, RULE_VECTORS_COMPLETE, text_get(&where)));
        goto done;
    }
    if (integers && a->info.class != H5_CLASS_INTEGER) {
        *usable = false;
        TRY(validate_find(v, RULE_VECTORS_COMPLETE, text_get(&where), "holds %s values",
                          h5_type_name(&a->info)));
    }
done:
    text_clear(&where);
    h5_close(&vector);
    return st;
}

scw_status validate_vectors(value_tally *out, validation *v, hid_t group, const char *path,
                            int64_t n_major, int64_t n_minor)
{
    scw_status st = SCW_OK;
    scan s = {.v = v, .path = path, .n_major = n_major, .n_minor = n_minor, .values = out};
    bool usable = true, sound;

    TRY(open_vector(&usable, &s.indptr, v, group, "indptr", true, path));
    TRY(open_vector(&usable, &s.indices, v, group, "indices", true, path));
    TRY(open_vector(&usable, &s.data, v, group, "data", false, path));
    if (!usable) goto done;
    const int64_t n[3] = {s.indptr.n, s.indices.n, s.data.n};
    TRY(element_check_lengths(&v->sink, s.indptr.where, s.data.where, n, n_major));
    TRY(mem_new(&s.p, POINTERS_A_BLOCK + 1));
    st = scan_pointers(&sound, &s);
    for (int64_t row = 0; st == SCW_OK && sound && row < n_major; row += POINTERS_A_BLOCK) {
        int64_t left = n_major - row < POINTERS_A_BLOCK ? n_major - row : POINTERS_A_BLOCK;
        st = h5_array_read(s.p, NUMBER_I64, &s.indptr, row, left + 1);
        if (st == SCW_OK) st = scan_rows(&s, row, left);
    }
    if (st == SCW_OK && !sound) st = scan_entries(&s);
    TRY(validate_failure(v, st, RULE_READABLE, path)); /* a damaged chunk */
    TRY(tell(&s));
done:
    scan_clear(&s);
    return st;
}

/* ------------------------------------------------------------------ dense matrices */

static scw_status scan_dense(value_tally *out, validation *v, hid_t dataset, int rank,
                             const char *path)
{
    scw_status st = SCW_OK;
    h5_array a = {0};
    double *block = NULL;

    TRY(h5_array_open(&a, dataset, rank));
    int64_t step = entries_a_block(v) / (a.width ? a.width : 1);
    if (step < 1) step = 1;
    if (a.chunked && step > a.chunk_rows) step -= step % a.chunk_rows;
    if (step > a.n) step = a.n;
    TRY(mem_new(&block, step * a.width));
    for (int64_t at = 0; at < a.n; at += step) {
        int64_t n = a.n - at < step ? a.n - at : step;
        TRY(h5_array_read(block, NUMBER_F64, &a, at, n));
        tally(out, block, n * a.width);
        TRY(progress(v, path, at + n, a.n));
    }
    out->known = true;
done:
    mem_free(block);
    h5_array_close(&a);
    return st;
}

static scw_status of_dataset(value_tally *out, validation *v, hid_t element, const char *path,
                             int64_t n_rows, int64_t n_cols)
{
    scw_status st = SCW_OK;
    h5_info info;
    int64_t shape[2];

    TRY(h5_describe(&info, element));
    if (info.class == H5_CLASS_STRING || info.class == H5_CLASS_COMPOUND ||
        info.class == H5_CLASS_OTHER)
        BREAK(RULE_VALUES_NUMERIC, SCW_EFORMAT, "holds %s values", h5_type_name(&info));
    TRY(element_dense_shape(shape, element, &info, n_cols));
    TRY(validate_failure(v, element_check_shape(element, shape, n_rows, n_cols), RULE_SHAPE_AGREES,
                         path));
    TRY(scan_dense(out, v, element, info.rank, path));
done:
    return validate_failure(v, st, RULE_READABLE, path);
}

static scw_status of_group(value_tally *out, validation *v, hid_t element, bool by_columns,
                           const char *path, int64_t n_rows, int64_t n_cols)
{
    scw_status st = SCW_OK;
    int64_t shape[2];
    bool in_range;

    st = element_sparse_shape(shape, element);
    if (st != SCW_OK) return validate_failure(v, st, RULE_SHAPE_DECLARED, path);
    in_range = element_check_shape(element, shape, -1, -1) == SCW_OK;
    TRY(validate_failure(v, element_check_shape(element, shape, n_rows, n_cols), RULE_SHAPE_AGREES,
                         path));
    /* Without a shape that can be, that of the axes is what the entries must hold to. */
    if (!in_range && (n_rows < 0 || n_cols < 0)) goto done;
    if (!in_range) {
        shape[0] = n_rows;
        shape[1] = n_cols;
    }
    TRY(validate_vectors(out, v, element, path, shape[by_columns], shape[!by_columns]));
done:
    return st;
}

scw_status validate_matrix(value_tally *out, validation *v, hid_t element, const char *path,
                           int64_t n_rows, int64_t n_cols)
{
    scw_status st = SCW_OK;
    const encoding *row;

    *out = (value_tally){0};
    st = registry_find(&row, element);
    if (st != SCW_OK) return validate_failure(v, st, RULE_ENCODING_READ, path);
    if (!row->read_matrix)
        return validate_find(v, RULE_ENCODING_READ, path, "is a %s, expected a matrix", row->type);
    return row->read_matrix == element_dense ? of_dataset(out, v, element, path, n_rows, n_cols)
                 : of_group(out, v, element, row->read_matrix == element_csc, path, n_rows, n_cols);
}
