/* SPDX-License-Identifier: BSD-3-Clause */
/* The other HDF5 files: of Cell Ranger (read_tenx.c), loom and Matilda's (read_loom.c). */
#include <string.h>

#include "base/alloc.h"
#include "io/element.h"
#include "io/validate.h"

/* ------------------------------------------------------------------ pieces */

/* A list of names; *n: how many, -1: it cannot be read. `cells`, or features. */
static scw_status check_list(int64_t *n, validation *v, hid_t parent, const char *name,
                             const char *path, bool cells)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    column c = {0};
    strings names = {0};

    *n = -1;
    st = h5_open(&element, parent, name);
    if (st == SCW_OK) st = element_array_column(&c, element, name, parent);
    if (st == SCW_OK) st = column_texts(&names, &c);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_INDEX_PRESENT, path));
        goto done;
    }
    *n = names.n;
    TRY(validate_text(v, path));
    TRY(validate_names(v, &names, cells, path));
done:
    column_clear(&c);
    strings_clear(&names);
    h5_close(&element);
    return st;
}

/* ------------------------------------------------------------------ Cell Ranger */

typedef struct tenx_layout {
    const char *group, *features; /* where the names of features are, in the group */
} tenx_layout;

/* shape: features x cells, and as many names of both (-1: not known). */
static scw_status check_declared(int64_t shape[2], validation *v, hid_t group, const char *path,
                                 int64_t n_cells, int64_t n_features)
{
    scw_status st = SCW_OK;
    hid_t element = 0;

    shape[0] = n_features;
    shape[1] = n_cells;
    st = h5_open(&element, group, "shape");
    if (st == SCW_OK) st = h5_read_i64(shape, element, 2);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_SHAPE_DECLARED, path));
    } else if ((n_features >= 0 && shape[0] != n_features) || (n_cells >= 0 && shape[1] != n_cells)) {
        TRY(validate_find(v, RULE_SHAPE_AGREES, path, "is %lld x %lld, there are %lld features and "
                          "%lld barcodes", (long long)shape[0], (long long)shape[1],
                          (long long)n_features, (long long)n_cells));
        if (n_features >= 0) shape[0] = n_features;
        if (n_cells >= 0) shape[1] = n_cells;
    }
done:
    h5_close(&element);
    return st;
}

static scw_status check_tenx(validation *v, hid_t file, const tenx_layout *l)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    textbuf where = {0};
    int64_t n_cells, n_features, shape[2];
    value_tally values = {0};

    TRY(h5_open_group(&group, file, l->group));
    TRY(text_add(&where, "/%s/barcodes", l->group));
    TRY(check_list(&n_cells, v, group, "barcodes", text_get(&where), true));
    text_clear(&where);
    TRY(text_add(&where, "/%s/%s", l->group, l->features));
    TRY(check_list(&n_features, v, group, l->features, text_get(&where), false));
    text_clear(&where);
    TRY(text_add(&where, "/%s/shape", l->group));
    TRY(check_declared(shape, v, group, text_get(&where), n_cells, n_features));
    text_clear(&where);
    TRY(text_add(&where, "/%s", l->group));
    if (shape[0] < 0 || shape[1] < 0 || shape[0] > INT32_MAX || shape[1] > INT32_MAX)
        TRY(validate_find(v, RULE_SHAPE_IN_RANGE, text_get(&where), "%lld x %lld",
                          (long long)shape[0], (long long)shape[1]));
    else
        TRY(validate_vectors(&values, v, group, text_get(&where), shape[1], shape[0]));
    TRY(validate_finite(v, &values, text_get(&where)));
done:
    text_clear(&where);
    h5_close(&group);
    return st;
}

scw_status validate_tenx(validation *v, const input *in)
{
    bool named = h5_find(in->hdf5, "matrix/features/name") == H5_DATASET;
    const tenx_layout l = {"matrix", named ? "features/name" : "features/id"};

    return validate_failure(v, check_tenx(v, in->hdf5, &l), RULE_READABLE, "/matrix");
}

scw_status validate_tenx_old(validation *v, const input *in)
{
    scw_status st = SCW_OK;
    strings names = {0};

    TRY(tenx_genomes(&names, in->hdf5));
    for (int64_t k = 0; k < names.n; k++) {
        textbuf path = {0};
        st = text_add(&path, "%s/gene_names", names.at[k]);
        bool named = st == SCW_OK && h5_find(in->hdf5, text_get(&path)) == H5_DATASET;
        text_clear(&path);
        const tenx_layout l = {names.at[k], named ? "gene_names" : "genes"};
        if (st == SCW_OK)
            st = validate_failure(v, check_tenx(v, in->hdf5, &l), RULE_READABLE, names.at[k]);
        TRY(st);
    }
done:
    strings_clear(&names);
    return st;
}

/* ------------------------------------------------------------------ loom, Matilda */

static scw_status check_dense(int64_t shape[2], validation *v, hid_t parent, const char *name,
                              const char *path, int64_t n_rows, int64_t n_cols)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    h5_info info;
    value_tally values = {0};

    shape[0] = shape[1] = -1;
    st = h5_open(&element, parent, name);
    if (st == SCW_OK) st = h5_describe(&info, element);
    if (st == SCW_OK && info.rank != 2)
        st = rule_broken(NULL, RULE_VALUES_NUMERIC, SCW_EFORMAT, "has %d dimensions, expected 2",
                         info.rank);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_READABLE, path));
        goto done;
    }
    shape[0] = info.dim[0];
    shape[1] = info.dim[1];
    TRY(validate_matrix(&values, v, element, path, n_rows, n_cols));
    TRY(validate_finite(v, &values, path));
done:
    h5_close(&element);
    return st;
}

/* Attributes of rows or columns: columns of obs or var, as long as the matrix. */
static scw_status check_attrs(validation *v, hid_t file, bool cells, int64_t n)
{
    scw_status st = SCW_OK;
    const char *path = cells ? "col_attrs" : "row_attrs", *names;
    hid_t group = 0, element = 0;
    strings attrs = {0};
    textbuf where = {0};
    h5_info info;
    int64_t n_names;

    if (h5_find(file, path) == H5_ABSENT) goto done;
    TRY(h5_open_group(&group, file, path));
    TRY(h5_list(&attrs, group));
    names = loom_names(&attrs, cells);
    for (int64_t i = 0; i < attrs.n; i++) {
        h5_close(&element);
        text_clear(&where);
        TRY(text_add(&where, "/%s/%s", path, attrs.at[i]));
        st = h5_open(&element, group, attrs.at[i]);
        bool dataset = st == SCW_OK && h5_kind_of(element) == H5_DATASET;
        if (dataset) st = h5_describe(&info, element);
        if (st != SCW_OK || !dataset) {
            TRY(validate_failure(v, st, RULE_READABLE, text_get(&where)));
        } else if (info.rank == 2 && info.dim[1] != 1) { /* an array over the rows */
            if (n >= 0 && info.dim[0] != n)
                TRY(validate_find(v, RULE_SHAPE_AGREES, text_get(&where),
                                  "has %lld rows, expected %lld", (long long)info.dim[0],
                                  (long long)n));
        } else {
            TRY(validate_column(v, element, attrs.at[i], group, text_get(&where), n));
        }
        if (names == attrs.at[i])
            TRY(check_list(&n_names, v, group, names, text_get(&where), cells));
    }
done:
    text_clear(&where);
    strings_clear(&attrs);
    h5_close(&element);
    h5_close(&group);
    return st;
}

scw_status validate_loom(validation *v, const input *in)
{
    scw_status st = SCW_OK;
    hid_t layers = 0;
    strings names = {0};
    textbuf where = {0};
    int64_t shape[2], own[2];

    TRY(check_dense(shape, v, in->hdf5, "matrix", "/matrix", -1, -1));
    if (shape[0] == 0 || shape[1] == 0)
        TRY(validate_find(v, RULE_AXIS_NOT_EMPTY, "/matrix", "is %lld x %lld", (long long)shape[0],
                          (long long)shape[1]));
    TRY(validate_failure(v, check_attrs(v, in->hdf5, false, shape[0]), RULE_READABLE, "/row_attrs"));
    TRY(validate_failure(v, check_attrs(v, in->hdf5, true, shape[1]), RULE_READABLE, "/col_attrs"));
    if (h5_find(in->hdf5, "layers") != H5_GROUP) goto done;
    TRY(h5_open_group(&layers, in->hdf5, "layers"));
    TRY(h5_list(&names, layers));
    for (int64_t i = 0; i < names.n; i++) {
        text_clear(&where);
        TRY(text_add(&where, "/layers/%s", names.at[i]));
        TRY(check_dense(own, v, layers, names.at[i], text_get(&where), shape[0], shape[1]));
    }
done:
    text_clear(&where);
    strings_clear(&names);
    h5_close(&layers);
    return st;
}

scw_status validate_matilda(validation *v, const input *in)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    int64_t n_cells, n_features, shape[2];

    st = h5_open_group(&group, in->hdf5, "matrix");
    if (st != SCW_OK) return validate_failure(v, st, RULE_READABLE, "/matrix");
    TRY(check_list(&n_features, v, group, "features", "/matrix/features", false));
    TRY(check_list(&n_cells, v, group, "barcodes", "/matrix/barcodes", true));
    TRY(check_dense(shape, v, group, "data", "/matrix/data", -1, -1));
    bool known = shape[0] >= 0 && n_cells >= 0 && n_features >= 0;
    bool agrees = (shape[0] == n_features && shape[1] == n_cells) ||
                  (shape[1] == n_features && shape[0] == n_cells);
    if (known && !agrees)
        TRY(validate_find(v, RULE_SHAPE_AGREES, "/matrix/data",
                          "is %lld x %lld, there are %lld features and %lld barcodes",
                          (long long)shape[0], (long long)shape[1], (long long)n_features,
                          (long long)n_cells));
done:
    h5_close(&group);
    return st;
}
