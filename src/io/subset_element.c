/* SPDX-License-Identifier: BSD-3-Clause */
/* Cutting arrays, sparse matrices and frames. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/log.h"
#include "io/element.h"
#include "io/subset.h"

#define PIECE_BYTES (8 << 20)
#define PIECE_ENTRIES (1 << 20)

/* ------------------------------------------------------------------ attributes */

static scw_status copy_attribute(hid_t to, hid_t from, const char *name)
{
    scw_status st = SCW_OK;
    hid_t attr = -1, type = -1, space = -1, copy = -1;
    char *values = NULL;
    bool read = false;

    attr = H5Aopen(from, name, H5P_DEFAULT);
    type = attr < 0 ? -1 : H5Aget_type(attr);
    space = attr < 0 ? -1 : H5Aget_space(attr);
    if (type < 0 || space < 0)
        FAIL(SCW_EFORMAT, "%s: attribute '%s' is damaged", h5_where(from), name);
    if (H5Tget_class(type) == H5T_REFERENCE) goto done;
    hssize_t n = H5Sget_simple_extent_npoints(space);
    TRY(mem_new(&values, (int64_t)H5Tget_size(type) * (n > 0 ? n : 1)));
    if (n > 0 && H5Aread(attr, type, values) < 0)
        FAIL(SCW_EFORMAT, "%s: attribute '%s' is damaged", h5_where(from), name);
    read = n > 0;
    copy = H5Acreate2(to, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (copy < 0 || (n > 0 && H5Awrite(copy, type, values) < 0))
        FAIL(SCW_EIO, "%s: cannot write attribute '%s': %s", h5_where(to), name, h5_reason());
done:
    if (read) (void)H5Dvlen_reclaim(type, space, H5P_DEFAULT, values);
    mem_free(values);
    h5_close(&copy);
    h5_close(&space);
    h5_close(&type);
    h5_close(&attr);
    return st;
}

typedef struct listing {
    strings names;
    scw_status st;
} listing;

static herr_t take_name(hid_t object, const char *name, const H5A_info_t *info, void *user)
{
    listing *l = user;

    (void)object, (void)info;
    l->st = strings_add(&l->names, name);
    return l->st == SCW_OK ? 0 : -1;
}

scw_status subset_attributes(hid_t to, hid_t from)
{
    scw_status st = SCW_OK;
    listing l = {0};
    hsize_t at = 0;

    if (H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, &at, take_name, &l) < 0) {
        TRY(l.st);
        FAIL(SCW_EFORMAT, "%s: cannot list the attributes (%s)", h5_where(from), h5_reason());
    }
    for (int64_t k = 0; k < l.names.n; k++)
        TRY(copy_attribute(to, from, l.names.at[k]));
done:
    strings_clear(&l.names);
    return st;
}

/* ------------------------------------------------------------------ arrays */

/* Rows from .. from + n of a data set as they are stored. */
static scw_status read_rows(void *out, hid_t dataset, hid_t type, const h5_info *info, int64_t from,
                            int64_t n)
{
    scw_status st = SCW_OK;
    hsize_t start[H5_MAX_RANK] = {0}, count[H5_MAX_RANK];
    hid_t space = 0, memory = 0;

    for (int i = 0; i < info->rank; i++)
        count[i] = (hsize_t)info->dim[i];
    start[0] = (hsize_t)from;
    count[0] = (hsize_t)n;
    space = H5Dget_space(dataset);
    memory = H5Screate_simple(info->rank, count, NULL);
    if (space < 0 || memory < 0 ||
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
        H5Dread(dataset, type, memory, space, H5P_DEFAULT, out) < 0)
        FAIL(SCW_EFORMAT, "%s: cannot read the values (%s)", h5_where(dataset), h5_reason());
done:
    h5_close(&space);
    h5_close(&memory);
    return st;
}

static void reclaim(void *values, hid_t type, int64_t n)
{
    hsize_t count = (hsize_t)n;
    hid_t space = H5Screate_simple(1, &count, NULL);

    if (space > 0) (void)H5Dvlen_reclaim(type, space, H5P_DEFAULT, values);
    h5_close(&space);
}

/* May values of the type lead to memory of their own? */
static bool has_pointers(hid_t type)
{
    return H5Tdetect_class(type, H5T_VLEN) > 0 || H5Tdetect_class(type, H5T_STRING) > 0;
}

typedef struct array_cut {
    h5_info info;
    hid_t type;
    int64_t cell_bytes; /* of an element along the first two axes: rank 3 and more stay whole */
    int64_t n_cols;     /* along the second axis, 1 without */
    const axis_choice *cols; /* NULL: all */
    char *piece, *kept;
} array_cut;

/* Kept rows of the piece [from, from + n) to c->kept; how many. *next: the first row of the choice
 * that is not done. */
static int64_t pick(array_cut *c, const axis_choice *rows, int64_t *next, int64_t from, int64_t n)
{
    const int64_t row_bytes = c->n_cols * c->cell_bytes;
    char *to = c->kept;
    int64_t picked = 0;

    for (; *next < rows->n && rows->kept[*next] < from + n; ++*next, picked++) {
        const char *row = c->piece + (rows->kept[*next] - from) * row_bytes;
        if (!c->cols) {
            memcpy(to, row, (size_t)row_bytes);
            to += row_bytes;
            continue;
        }
        for (int64_t k = 0; k < c->cols->n; k++, to += c->cell_bytes)
            memcpy(to, row + c->cols->kept[k] * c->cell_bytes, (size_t)c->cell_bytes);
    }
    return picked;
}

static scw_status cut_pieces(h5_growing *g, hid_t source, array_cut *c, const axis_choice *rows,
                             const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const int64_t row_bytes = c->n_cols * c->cell_bytes, n_rows = c->info.dim[0];
    const bool pointers = has_pointers(c->type);
    int64_t piece = row_bytes > 0 ? PIECE_BYTES / row_bytes : n_rows, next = 0, bytes;

    if (piece < 1) piece = 1;
    if (piece > n_rows) piece = n_rows;
    if (!checked_mul(&bytes, piece, row_bytes))
        FAIL(SCW_EFORMAT, "%s: a row is too large", h5_where(source));
    TRY(mem_new(&c->piece, bytes));
    TRY(mem_new(&c->kept, bytes));
    for (int64_t from = 0; from < n_rows && next < rows->n; from += piece) {
        int64_t n = n_rows - from < piece ? n_rows - from : piece;
        if (rows->kept[next] >= from + n) continue;
        TRY(log_check_cancel(hooks));
        TRY(read_rows(c->piece, source, c->type, &c->info, from, n));
        int64_t picked = pick(c, rows, &next, from, n);
        st = h5_growing_add(g, c->kept, picked);
        if (pointers) reclaim(c->piece, c->type, n * row_bytes / (int64_t)H5Tget_size(c->type));
        TRY(st);
    }
done:
    return st;
}

static scw_status cut_array(hid_t to, hid_t source, const char *name, const axis_choice *rows,
                            const axis_choice *cols, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    array_cut c = {.n_cols = 1};
    h5_growing g = {0};
    int64_t dim[H5_MAX_RANK];

    TRY(h5_describe(&c.info, source));
    if (c.info.rank < 1 || c.info.dim[0] != rows->n_before ||
        (cols && c.info.rank > 1 && c.info.dim[1] != cols->n_before))
        FAIL(SCW_EFORMAT, "%s: has %lld rows, expected %lld", h5_where(source),
             (long long)(c.info.rank ? c.info.dim[0] : 0), (long long)rows->n_before);
    c.type = H5Dget_type(source);
    if (c.type < 0) FAIL(SCW_EFORMAT, "%s: damaged (%s)", h5_where(source), h5_reason());
    c.cols = cols && c.info.rank > 1 && cols->n != cols->n_before ? cols : NULL;
    c.cell_bytes = (int64_t)H5Tget_size(c.type);
    for (int i = 0; i < c.info.rank; i++) {
        dim[i] = c.info.dim[i];
        if (i == 1) c.n_cols = dim[i];
        if (i > 1 && !checked_mul(&c.cell_bytes, c.cell_bytes, dim[i]))
            FAIL(SCW_EFORMAT, "%s: the declared size overflows", h5_where(source));
    }
    dim[0] = rows->n;
    if (c.cols) dim[1] = c.cols->n;
    TRY(h5_growing_open(&g, to, name, c.type, c.info.rank, dim));
    TRY(cut_pieces(&g, source, &c, rows, hooks));
    TRY(subset_attributes(g.dataset, source));
    TRY(h5_growing_finish(&g));
done:
    h5_growing_clear(&g);
    mem_free(c.piece);
    mem_free(c.kept);
    h5_close(&c.type);
    return st;
}

/* ------------------------------------------------------------------ sparse matrices */

typedef struct sparse_cut {
    hid_t data, indices;
    hid_t data_type;
    int64_t value_bytes;
    int64_t *indptr;   /* [n_major + 1] */
    int64_t *renumber; /* [n_minor] new position or -1; NULL: all are kept */
    int64_t n_minor;
    char *values;    /* [room] */
    int64_t *places; /* [room] */
    int64_t room;
} sparse_cut;

static void sparse_cut_clear(sparse_cut *c)
{
    h5_close(&c->data);
    h5_close(&c->indices);
    h5_close(&c->data_type);
    mem_free(c->indptr);
    mem_free(c->renumber);
    mem_free(c->values);
    mem_free(c->places);
}

static scw_status open_sparse(sparse_cut *c, hid_t group, const axis_choice *major,
                              const axis_choice *minor)
{
    scw_status st = SCW_OK;
    hid_t indptr = 0;
    h5_info info, data, indices;

    TRY(h5_open(&indptr, group, "indptr"));
    TRY(h5_open(&c->data, group, "data"));
    TRY(h5_open(&c->indices, group, "indices"));
    TRY(h5_describe(&info, indptr));
    TRY(h5_describe(&data, c->data));
    TRY(h5_describe(&indices, c->indices));
    if (info.n != major->n_before + 1 || data.n != indices.n || info.rank != 1 || data.rank != 1 ||
        indices.rank != 1)
        FAIL(SCW_EFORMAT,
             "%s: %lld pointers, %lld values and %lld indices do not make a sparse "
             "matrix of %lld rows",
             h5_where(group), (long long)info.n, (long long)data.n, (long long)indices.n,
             (long long)major->n_before);
    TRY(mem_new(&c->indptr, info.n));
    TRY(h5_read_i64(c->indptr, indptr, info.n));
    for (int64_t i = 0; i < major->n_before; i++)
        if (c->indptr[i] < 0 || c->indptr[i + 1] < c->indptr[i] || c->indptr[i + 1] > data.n)
            FAIL(SCW_EFORMAT, "%s: damaged at position %lld", h5_where(indptr), (long long)i);
    c->data_type = H5Dget_type(c->data);
    if (c->data_type < 0 || has_pointers(c->data_type))
        FAIL(SCW_EFORMAT, "%s: damaged", h5_where(c->data));
    c->value_bytes = (int64_t)H5Tget_size(c->data_type);
    c->n_minor = minor->n_before;
    if (minor->n == minor->n_before) goto done;
    TRY(mem_new(&c->renumber, minor->n_before));
    for (int64_t j = 0; j < minor->n_before; j++)
        c->renumber[j] = -1;
    for (int64_t j = 0; j < minor->n; j++)
        c->renumber[minor->kept[j]] = j;
done:
    h5_close(&indptr);
    return st;
}

/* Entries [from, from + n) of the file. */
static scw_status read_entries(sparse_cut *c, int64_t from, int64_t n)
{
    scw_status st = SCW_OK;
    const h5_info one = {.rank = 1};

    if (n > c->room) {
        TRY(mem_resize(&c->places, n));
        TRY(mem_resize_raw((void **)&c->values, n, (size_t)c->value_bytes));
        c->room = n;
    }
    if (n == 0) goto done;
    TRY(read_rows(c->values, c->data, c->data_type, &one, from, n));
    TRY(read_rows(c->places, c->indices, H5T_NATIVE_INT64, &one, from, n));
    for (int64_t e = 0; e < n; e++)
        if (c->places[e] < 0 || c->places[e] >= c->n_minor)
            FAIL(SCW_EFORMAT, "%s: index %lld is out of range, expected 0 to %lld",
                 h5_where(c->indices), (long long)c->places[e], (long long)c->n_minor - 1);
done:
    return st;
}

/* Keep the entries first .. last of the piece whose place is kept, at position `to`; how many. */
static int64_t squeeze(sparse_cut *c, int64_t first, int64_t last, int64_t to)
{
    int64_t begin = to;

    for (int64_t e = first; e < last; e++) {
        int64_t place = c->renumber ? c->renumber[c->places[e]] : c->places[e];
        if (place < 0) continue;
        c->places[to] = place;
        memmove(c->values + to * c->value_bytes, c->values + e * c->value_bytes,
                (size_t)c->value_bytes);
        to++;
    }
    return to - begin;
}

/* Rows (of the major axis) that are kept, as many at a time as fit a piece. */
static scw_status cut_entries(h5_growing *data, h5_growing *indices, int64_t *indptr, sparse_cut *c,
                              const axis_choice *major, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    int64_t k = 0;

    while (k < major->n) {
        int64_t first = major->kept[k], start = c->indptr[first], next = k, kept = 0;
        /* At least one row; then those that are near and small enough. */
        do
            next++;
        while (next < major->n && c->indptr[major->kept[next] + 1] - start <= PIECE_ENTRIES);
        int64_t end = c->indptr[major->kept[next - 1] + 1];
        TRY(log_check_cancel(hooks));
        TRY(read_entries(c, start, end - start));
        for (; k < next; k++) {
            int64_t row = major->kept[k];
            kept += squeeze(c, c->indptr[row] - start, c->indptr[row + 1] - start, kept);
            indptr[k + 1] = data->dim[0] + kept;
        }
        TRY(h5_growing_add(data, c->values, kept));
        TRY(h5_growing_add(indices, c->places, kept));
    }
done:
    return st;
}

/* A growing vector in the type of element `name`, given int64. */
static scw_status open_like(h5_growing *g, hid_t to, hid_t from, const char *name)
{
    scw_status st = SCW_OK;
    hid_t source = 0, type = -1;
    const int64_t any = 0;

    TRY(h5_open(&source, from, name));
    type = H5Dget_type(source);
    if (type < 0) FAIL(SCW_EFORMAT, "%s: damaged", h5_where(source));
    TRY(h5_growing_open(g, to, name, type, 1, &any));
    h5_close(&g->type);
    g->type = H5Tcopy(H5T_NATIVE_INT64);
    TRY(subset_attributes(g->dataset, source));
done:
    h5_close(&type);
    h5_close(&source);
    return st;
}

static scw_status cut_sparse(hid_t to, hid_t from, const char *name, const axis_choice *rows,
                             const axis_choice *cols, bool by_columns, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const axis_choice *major = by_columns ? cols : rows, *minor = by_columns ? rows : cols;
    const int64_t shape[2] = {rows->n, cols->n}, any = 0;
    sparse_cut c = {0};
    h5_growing data = {0}, indices = {0}, pointers = {0};
    int64_t *indptr = NULL;
    hid_t group = 0;

    TRY(open_sparse(&c, from, major, minor));
    TRY(mem_new(&indptr, major->n + 1));
    TRY(h5_make_group(&group, to, name));
    TRY(subset_attributes(group, from));
    TRY(h5_put_attr_ints(group, h5_has_attr(from, "shape") ? "shape" : "h5sparse_shape", shape, 2,
                         false));
    TRY(h5_growing_open(&data, group, "data", c.data_type, 1, &any));
    TRY(subset_attributes(data.dataset, c.data));
    TRY(open_like(&indices, group, from, "indices"));
    TRY(cut_entries(&data, &indices, indptr, &c, major, hooks));
    TRY(open_like(&pointers, group, from, "indptr"));
    TRY(h5_growing_add(&pointers, indptr, major->n + 1));
    TRY(h5_growing_finish(&data));
    TRY(h5_growing_finish(&indices));
    TRY(h5_growing_finish(&pointers));
done:
    h5_growing_clear(&data);
    h5_growing_clear(&indices);
    h5_growing_clear(&pointers);
    sparse_cut_clear(&c);
    mem_free(indptr);
    h5_close(&group);
    return st;
}

/* ------------------------------------------------------------------ frames and dispatch */

/* Columns in groups of their own: what runs along the rows is cut, the categories are not. */
static scw_status cut_column_group(hid_t to, hid_t from, const char *name, const axis_choice *rows,
                                   const scw_hooks *hooks)
{
    static const char *const along[] = {"codes", "values", "mask"};
    scw_status st = SCW_OK;
    hid_t group = 0;
    strings members = {0};

    TRY(h5_make_group(&group, to, name));
    TRY(subset_attributes(group, from));
    TRY(h5_list(&members, from));
    for (int64_t k = 0; k < members.n; k++) {
        bool cut = false;
        for (size_t a = 0; a < sizeof along / sizeof *along; a++)
            cut |= strcmp(members.at[k], along[a]) == 0;
        /* They are arrays; a group there may be this very one. */
        cut = cut && h5_find(from, members.at[k]) == H5_DATASET;
        TRY(cut ? subset_element(group, from, members.at[k], rows, NULL, hooks)
                : h5_copy(from, members.at[k], group, members.at[k]));
    }
done:
    strings_clear(&members);
    h5_close(&group);
    return st;
}

/* Codes of older files point to their categories. */
static scw_status restore_reference(hid_t group, hid_t source, const char *name)
{
    scw_status st = SCW_OK;
    hid_t all = 0, copy = 0;

    if (!h5_has_attr(source, "categories") || h5_find(group, "__categories") != H5_GROUP) return st;
    TRY(h5_open_group(&all, group, "__categories"));
    if (h5_find(all, name) == H5_ABSENT) goto done;
    TRY(h5_open(&copy, group, name));
    TRY(h5_put_attr_reference(copy, "categories", all, name));
done:
    h5_close(&copy);
    h5_close(&all);
    return st;
}

static scw_status cut_frame(hid_t to, hid_t from, const char *name, const axis_choice *rows,
                            const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t group = 0, source = 0;
    strings members = {0};

    TRY(h5_make_group(&group, to, name));
    TRY(subset_attributes(group, from));
    if (h5_find(from, "__categories") != H5_ABSENT)
        TRY(h5_copy(from, "__categories", group, "__categories"));
    TRY(h5_list(&members, from));
    for (int64_t k = 0; k < members.n; k++) {
        const char *one = members.at[k];
        if (strcmp(one, "__categories") == 0) continue;
        h5_close(&source);
        TRY(h5_open(&source, from, one));
        if (h5_kind_of(source) == H5_GROUP) {
            TRY(cut_column_group(group, source, one, rows, hooks));
        } else {
            TRY(cut_array(group, source, one, rows, NULL, hooks));
            TRY(restore_reference(group, source, one));
        }
    }
done:
    strings_clear(&members);
    h5_close(&source);
    h5_close(&group);
    return st;
}

scw_status subset_frame(hid_t to, hid_t from, const char *name, const axis_choice *rows,
                        const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t element = 0;

    TRY(h5_open(&element, from, name));
    TRY(h5_kind_of(element) == H5_GROUP ? cut_frame(to, element, name, rows, hooks)
                                        : cut_array(to, element, name, rows, NULL, hooks));
done:
    h5_close(&element);
    return st;
}

scw_status subset_element(hid_t to, hid_t from, const char *name, const axis_choice *first,
                          const axis_choice *second, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    const encoding *row;
    int64_t shape[2];
    axis_choice columns = {0};

    TRY(h5_open(&element, from, name));
    if (h5_kind_of(element) == H5_DATASET) {
        TRY(cut_array(to, element, name, first, second, hooks));
        goto done;
    }
    TRY(registry_find(&row, element));
    if (row->read_frame) {
        TRY(cut_frame(to, element, name, first, hooks));
    } else if (row->read_matrix) {
        TRY(element_sparse_shape(shape, element));
        if (!second) TRY(axis_choice_of(&columns, NULL, shape[1]));
        const axis_choice *other = second ? second : &columns;
        if (shape[0] != first->n_before || shape[1] != other->n_before)
            FAIL(SCW_EFORMAT, "%s: is %lld x %lld, expected %lld x %lld", h5_where(element),
                 (long long)shape[0], (long long)shape[1], (long long)first->n_before,
                 (long long)other->n_before);
        TRY(cut_sparse(to, element, name, first, other, row->read_matrix == element_csc, hooks));
    } else {
        TRY(cut_column_group(to, element, name, first, hooks));
    }
done:
    axis_choice_clear(&columns);
    h5_close(&element);
    return st;
}
