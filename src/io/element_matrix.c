/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrices: dense arrays and the compressed sparse forms.
 *
 *   csr group          n_rows + 1 pointers into two arrays of nnz entries
 *     indptr  [0 2 2 5]
 *     indices [1 4 0 1 3]   columns      csc is the same with rows and columns exchanged; it is
 *     data    [. . . . .]                turned into csr here
 */
#include <math.h>

#include "base/alloc.h"
#include "io/element.h"
#include "io/h5_array.h"

scw_status element_check_shape(hid_t element, const int64_t shape[2], int64_t n_rows,
                               int64_t n_cols)
{
    scw_status st = SCW_OK;

    if ((n_rows >= 0 && shape[0] != n_rows) || (n_cols >= 0 && shape[1] != n_cols))
        BREAK(RULE_SHAPE_AGREES, SCW_EFORMAT,
              "%s: is %lld x %lld, expected %lld cells x %lld features", h5_where(element),
              (long long)shape[0], (long long)shape[1], (long long)n_rows, (long long)n_cols);
    if (shape[0] < 0 || shape[1] < 0 || shape[1] > INT32_MAX || shape[0] > INT32_MAX)
        BREAK(RULE_SHAPE_IN_RANGE, SCW_EFORMAT, "%s: a matrix of %lld x %lld is out of range",
              h5_where(element), (long long)shape[0], (long long)shape[1]);
done:
    return st;
}

scw_status element_values(matrix *m, hid_t dataset, const h5_info *info)
{
    scw_status st = SCW_OK;

    m->stored = h5_number_type(info, info->is_signed && info->class != H5_CLASS_BOOL);
    if (!m->exact) return h5_read_f32(m->values, dataset, info->n);
    TRY(h5_read_f64(m->exact, dataset, info->n));
    for (int64_t k = 0; (m->stored == NUMBER_I64 || m->stored == NUMBER_U64) && k < info->n; k++)
        if (fabs(m->exact[k]) > 9007199254740992.0)
            FAIL(SCW_EUNSUPPORTED, "%s: holds %.17g; integers beyond 2^53 can only be copied whole",
                 h5_where(dataset), m->exact[k]);
done:
    return st;
}

scw_status element_dense_shape(int64_t shape[2], hid_t element, const h5_info *info, int64_t n_cols)
{
    scw_status st = SCW_OK;

    /* One feature is sometimes stored without its second dimension. */
    if (info->rank != 2 && !(info->rank == 1 && n_cols == 1))
        BREAK(RULE_VALUES_NUMERIC, SCW_EFORMAT, "%s: has %d dimension%s, expected 2",
              h5_where(element), info->rank, info->rank == 1 ? "" : "s");
    shape[0] = info->dim[0];
    shape[1] = info->rank == 2 ? info->dim[1] : 1;
done:
    return st;
}

scw_status element_dense(matrix *out, hid_t element, int64_t n_rows, int64_t n_cols, bool exact)
{
    scw_status st = SCW_OK;
    h5_info info;
    int64_t shape[2];

    *out = (matrix){0};
    TRY(h5_describe(&info, element));
    if (info.class == H5_CLASS_STRING || info.class == H5_CLASS_COMPOUND ||
        info.class == H5_CLASS_OTHER)
        BREAK(RULE_VALUES_NUMERIC, SCW_EFORMAT, "%s: holds %s values, expected numbers",
              h5_where(element), h5_type_name(&info));
    TRY(element_dense_shape(shape, element, &info, n_cols));
    TRY(element_check_shape(element, shape, n_rows, n_cols));
    TRY(matrix_init(out, shape[0], shape[1], false, 0, exact));
    TRY(element_values(out, element, &info));
done:
    if (st != SCW_OK) matrix_clear(out);
    return st;
}

scw_status element_sparse_shape(int64_t shape[2], hid_t element)
{
    bool legacy = !h5_has_attr(element, "shape") && h5_has_attr(element, "h5sparse_shape");
    scw_status st = h5_attr_ints(shape, element, legacy ? "h5sparse_shape" : "shape", 2);
    if (st == SCW_ENOTFOUND) st = SCW_EFORMAT; /* not something the user named */
    return st == SCW_EFORMAT ? rule_name_failure(st, RULE_SHAPE_DECLARED) : st;
}

/* Open a vector of the group and look at it. */
static scw_status open_vector(hid_t *out, h5_info *info, hid_t element, const char *name,
                              bool integers)
{
    scw_status st = SCW_OK;

    TRY(h5_open(out, element, name));
    TRY(h5_describe(info, *out));
    if (info->rank != 1)
        BREAK(RULE_VECTORS_COMPLETE, SCW_EFORMAT, "%s: has %d dimensions, expected 1",
              h5_where(*out), info->rank);
    if (integers && info->class != H5_CLASS_INTEGER)
        BREAK(RULE_VECTORS_COMPLETE, SCW_EFORMAT, "%s: holds %s values, expected integers",
              h5_where(*out), h5_type_name(info));
    if (info->class != H5_CLASS_INTEGER && info->class != H5_CLASS_FLOAT &&
        info->class != H5_CLASS_BOOL)
        BREAK(RULE_VALUES_NUMERIC, SCW_EFORMAT, "%s: holds %s values, expected numbers",
              h5_where(*out), h5_type_name(info));
done:
    return st;
}

scw_status element_check_lengths(const rule_sink *sink, const char *indptr, const char *data,
                                 const int64_t n[3], int64_t n_major)
{
    scw_status st = SCW_OK;

    if (n[0] != n_major + 1)
        TRY(rule_broken(sink, RULE_INDPTR_LENGTH, SCW_EFORMAT, "%s: has %lld values, expected %lld",
                        indptr, (long long)n[0], (long long)n_major + 1));
    if (n[1] != n[2])
        TRY(rule_broken(sink, RULE_VECTORS_EQUAL, SCW_EFORMAT,
                        "%s: has %lld values and indices %lld; they must be equal", data,
                        (long long)n[2], (long long)n[1]));
done:
    return st;
}

scw_status element_check_pointers(const rule_sink *sink, const char *where, const int64_t *p,
                                  int64_t from, int64_t n, int64_t n_entries)
{
    scw_status st = SCW_OK;
    int64_t falls = -1, beyond = -1;

    if (from == 0 && p[0] != 0)
        TRY(rule_broken(sink, RULE_INDPTR_START, SCW_EFORMAT, "%s: starts at %lld, expected 0", where,
                        (long long)p[0]));
    for (int64_t i = 0; i < n && falls < 0; i++)
        if (p[i + 1] < p[i]) falls = i + 1;
    for (int64_t i = 0; i <= n && beyond < 0; i++)
        if (p[i] < 0 || p[i] > n_entries) beyond = i;
    if (falls >= 0)
        TRY(rule_broken(sink, RULE_INDPTR_MONOTONE, SCW_EFORMAT,
                        "%s: decreases at position %lld, from %lld to %lld", where,
                        (long long)(from + falls), (long long)p[falls - 1], (long long)p[falls]));
    if (beyond >= 0)
        TRY(rule_broken(sink, RULE_INDPTR_END, SCW_EFORMAT,
                        "%s: reaches %lld at position %lld, but there are %lld entries", where,
                        (long long)p[beyond], (long long)(from + beyond), (long long)n_entries));
done:
    return st;
}

scw_status element_compressed(matrix *out, hid_t element, int64_t n_major, int64_t n_minor,
                              bool exact)
{
    scw_status st = SCW_OK;
    hid_t data = 0, indices = 0, indptr = 0;
    h5_info data_info, indices_info, indptr_info;
    char *where[2] = {NULL, NULL};

    TRY(open_vector(&indptr, &indptr_info, element, "indptr", true));
    TRY(open_vector(&indices, &indices_info, element, "indices", true));
    TRY(open_vector(&data, &data_info, element, "data", false));
    TRY(mem_strdup(&where[0], h5_where(indptr)));
    TRY(mem_strdup(&where[1], h5_where(data)));
    const int64_t n[3] = {indptr_info.n, indices_info.n, data_info.n};
    TRY(element_check_lengths(NULL, where[0], where[1], n, n_major));
    TRY(matrix_init(out, n_major, n_minor, true, data_info.n, exact));
    TRY(h5_read_i64(out->indptr, indptr, n_major + 1));
    TRY(element_check_pointers(NULL, where[0], out->indptr, 0, n_major, data_info.n));
    TRY(h5_read_i32(out->indices, indices, indices_info.n));
    TRY(element_values(out, data, &data_info));
done:
    mem_free(where[0]);
    mem_free(where[1]);
    h5_close(&data);
    h5_close(&indices);
    h5_close(&indptr);
    return st;
}

scw_status element_csr(matrix *out, hid_t element, int64_t n_rows, int64_t n_cols, bool exact)
{
    scw_status st = SCW_OK;
    int64_t shape[2];

    *out = (matrix){0};
    TRY(element_sparse_shape(shape, element));
    TRY(element_check_shape(element, shape, n_rows, n_cols));
    TRY(element_compressed(out, element, shape[0], shape[1], exact));
    st = matrix_canonical(out);
    if (st == SCW_EFORMAT) TRY(status_prefix(st, "%s", h5_where(element)));
done:
    if (st != SCW_OK) matrix_clear(out);
    return st;
}

scw_status element_csc(matrix *out, hid_t element, int64_t n_rows, int64_t n_cols, bool exact)
{
    scw_status st = SCW_OK;
    matrix columns = {0};
    int64_t shape[2];

    *out = (matrix){0};
    TRY(element_sparse_shape(shape, element));
    TRY(element_check_shape(element, shape, n_rows, n_cols));
    TRY(element_compressed(&columns, element, shape[1], shape[0], exact));
    st = matrix_canonical(&columns);
    if (st == SCW_EFORMAT) st = status_prefix(st, "%s (rows and columns exchanged)", h5_where(element));
    TRY(st);
    TRY(matrix_transpose(out, &columns));
done:
    matrix_clear(&columns);
    if (st != SCW_OK) matrix_clear(out);
    return st;
}
