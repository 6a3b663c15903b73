/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/write_element.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "io/element.h"

scw_status write_encoding(hid_t object, const char *type, const char *version)
{
    scw_status st = SCW_OK;

    TRY(h5_put_attr_string(object, "encoding-type", type));
    TRY(h5_put_attr_string(object, "encoding-version", version));
done:
    return st;
}

scw_status write_open_dict(hid_t *out, hid_t parent, const char *name)
{
    scw_status st = SCW_OK;

    if (h5_find(parent, name) != H5_ABSENT) return h5_open_group(out, parent, name);
    TRY(h5_make_group(out, parent, name));
    TRY(write_encoding(*out, "dict", "0.1.0"));
done:
    return st;
}

scw_status write_safe_key(char **out, const char *key)
{
    scw_status st = SCW_OK;

    bool plain = *key && strcmp(key, ".") != 0 && strcmp(key, "..") != 0;
    TRY(mem_strdup(out, plain ? key : "_"));
    for (char *p = *out; *p; p++)
        if (*p == '/') *p = '_';
done:
    return st;
}

/* ------------------------------------------------------------------ columns */

static scw_status encode(hid_t *dataset, const char *type)
{
    scw_status st = write_encoding(*dataset, type, "0.2.0");
    h5_close(dataset);
    return st;
}

static scw_status write_encoded_array(hid_t parent, const char *name, hid_t type, int rank,
                                      const int64_t *dim, const void *values)
{
    scw_status st = SCW_OK;
    hid_t d = 0;

    TRY(h5_write_array(&d, parent, name, type, rank, dim, values));
    TRY(encode(&d, "array"));
done:
    h5_close(&d);
    return st;
}

static scw_status write_encoded_bools(hid_t parent, const char *name, int64_t n,
                                      const uint8_t *values)
{
    scw_status st = SCW_OK;
    hid_t d = 0;

    TRY(h5_write_bools(&d, parent, name, n, values));
    TRY(encode(&d, "array"));
done:
    h5_close(&d);
    return st;
}

static scw_status write_encoded_strings(hid_t parent, const char *name, const strings *values)
{
    scw_status st = SCW_OK;
    hid_t d = 0;

    TRY(h5_write_strings(&d, parent, name, values));
    TRY(encode(&d, "string-array"));
done:
    h5_close(&d);
    return st;
}

/* Codes in the narrowest integers that hold them, as pandas does. */
static scw_status write_codes(hid_t *out, hid_t parent, const char *name, const column *c)
{
    scw_status st = SCW_OK;
    int8_t *narrow = NULL;
    int16_t *middle = NULL;

    if (c->categories.n <= INT8_MAX) {
        TRY(mem_new(&narrow, c->n));
        for (int64_t i = 0; i < c->n; i++) narrow[i] = (int8_t)c->codes[i];
        TRY(h5_write_array(out, parent, name, H5T_NATIVE_INT8, 1, &c->n, narrow));
    } else if (c->categories.n <= INT16_MAX) {
        TRY(mem_new(&middle, c->n));
        for (int64_t i = 0; i < c->n; i++) middle[i] = (int16_t)c->codes[i];
        TRY(h5_write_array(out, parent, name, H5T_NATIVE_INT16, 1, &c->n, middle));
    } else {
        TRY(h5_write_array(out, parent, name, H5T_NATIVE_INT32, 1, &c->n, c->codes));
    }
done:
    mem_free(narrow);
    mem_free(middle);
    return st;
}

static scw_status write_categorical(hid_t parent, const char *name, const column *c)
{
    scw_status st = SCW_OK;
    hid_t group = 0, codes = 0;

    TRY(h5_make_group(&group, parent, name));
    TRY(write_encoding(group, "categorical", "0.2.0"));
    TRY(h5_put_attr_bool(group, "ordered", c->ordered));
    TRY(write_encoded_strings(group, "categories", &c->categories));
    TRY(write_codes(&codes, group, "codes", c));
    TRY(encode(&codes, "array"));
done:
    h5_close(&codes);
    h5_close(&group);
    return st;
}

static scw_status write_nullable(hid_t parent, const char *name, const column *c)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    bool integers = c->kind == COLUMN_INT;

    TRY(h5_make_group(&group, parent, name));
    TRY(write_encoding(group, integers ? "nullable-integer" : "nullable-boolean", "0.1.0"));
    TRY(integers ? write_encoded_array(group, "values", H5T_NATIVE_INT64, 1, &c->n, c->i64)
                 : write_encoded_bools(group, "values", c->n, c->boolean));
    TRY(write_encoded_bools(group, "mask", c->n, c->missing));
done:
    h5_close(&group);
    return st;
}

/* Strings of which some are missing have no plain encoding: as categories they have. */
static scw_status as_categorical(column *out, const column *c)
{
    scw_status st = SCW_OK;

    *out = (column){.kind = COLUMN_CATEGORICAL, .n = c->n};
    TRY(mem_strdup(&out->name, c->name));
    TRY(column_classes(c, &out->codes, &out->categories));
done:
    if (st != SCW_OK) column_clear(out);
    return st;
}

/* Numbers with missing values as floats with NaN, for frames that know no masks. */
static scw_status write_as_floats(hid_t parent, const char *name, const column *c)
{
    scw_status st = SCW_OK;
    double *values = NULL;

    TRY(mem_new(&values, c->n));
    for (int64_t i = 0; i < c->n; i++)
        values[i] = column_is_missing(c, i) ? (double)NAN
                    : c->kind == COLUMN_INT ? (double)c->i64[i] : (double)c->boolean[i];
    TRY(h5_write_array(NULL, parent, name, H5T_NATIVE_DOUBLE, 1, &c->n, values));
done:
    mem_free(values);
    return st;
}

static scw_status write_column(hid_t group, const char *name, const column *c)
{
    scw_status st = SCW_OK;
    column categorical = {0};

    switch (c->kind) {
    case COLUMN_FLOAT:
        TRY(write_encoded_array(group, name, H5T_NATIVE_DOUBLE, 1, &c->n, c->f64));
        break;
    case COLUMN_INT:
        TRY(c->missing ? write_nullable(group, name, c)
                       : write_encoded_array(group, name, H5T_NATIVE_INT64, 1, &c->n, c->i64));
        break;
    case COLUMN_BOOL:
        TRY(c->missing ? write_nullable(group, name, c)
                       : write_encoded_bools(group, name, c->n, c->boolean));
        break;
    case COLUMN_STRING:
        if (!c->missing) {
            TRY(write_encoded_strings(group, name, &c->text));
            break;
        }
        TRY(as_categorical(&categorical, c));
        TRY(write_categorical(group, name, &categorical));
        break;
    case COLUMN_CATEGORICAL: TRY(write_categorical(group, name, c)); break;
    }
done:
    column_clear(&categorical);
    return st;
}

static scw_status write_legacy_categorical(hid_t group, const char *name, const column *c)
{
    scw_status st = SCW_OK;
    hid_t all = 0, categories = 0, codes = 0;

    if (h5_find(group, "__categories") == H5_ABSENT)
        TRY(h5_make_group(&all, group, "__categories"));
    else
        TRY(h5_open_group(&all, group, "__categories"));
    TRY(h5_write_strings(&categories, all, name, &c->categories));
    TRY(h5_put_attr_bool(categories, "ordered", c->ordered));
    TRY(write_codes(&codes, group, name, c));
    TRY(h5_put_attr_reference(codes, "categories", all, name));
done:
    h5_close(&codes);
    h5_close(&categories);
    h5_close(&all);
    return st;
}

static scw_status write_legacy_column(hid_t group, const char *name, const column *c)
{
    scw_status st = SCW_OK;
    column categorical = {0};

    switch (c->kind) {
    case COLUMN_FLOAT:
        TRY(h5_write_array(NULL, group, name, H5T_NATIVE_DOUBLE, 1, &c->n, c->f64));
        break;
    case COLUMN_INT:
        TRY(c->missing ? write_as_floats(group, name, c)
                       : h5_write_array(NULL, group, name, H5T_NATIVE_INT64, 1, &c->n, c->i64));
        break;
    case COLUMN_BOOL:
        TRY(c->missing ? write_as_floats(group, name, c)
                       : h5_write_bools(NULL, group, name, c->n, c->boolean));
        break;
    case COLUMN_STRING:
        if (!c->missing) {
            TRY(h5_write_strings(NULL, group, name, &c->text));
            break;
        }
        TRY(as_categorical(&categorical, c));
        TRY(write_legacy_categorical(group, name, &categorical));
        break;
    case COLUMN_CATEGORICAL: TRY(write_legacy_categorical(group, name, c)); break;
    }
done:
    column_clear(&categorical);
    return st;
}

/* ------------------------------------------------------------------ frames */

static scw_status is_legacy_frame(bool *out, hid_t group)
{
    scw_status st = SCW_OK;
    char *version = NULL;

    *out = true;
    if (!h5_has_attr(group, "encoding-version")) goto done;
    TRY(h5_attr_string(&version, group, "encoding-version"));
    *out = strcmp(version, "0.1.0") == 0;
done:
    mem_free(version);
    return st;
}

scw_status write_into_frame(hid_t group, const column *c)
{
    scw_status st = SCW_OK;
    char *name = NULL, *index_name = NULL;
    hid_t categories = 0;
    strings order = {0};
    bool legacy, known = false;

    TRY(write_safe_key(&name, c->name));
    TRY(element_index_name(&index_name, group));
    if (strcmp(name, index_name) == 0 || strcmp(name, "__categories") == 0)
        FAIL(SCW_EINVAL, "%s: a column cannot be named '%s'", h5_where(group), name);
    TRY(is_legacy_frame(&legacy, group));
    TRY(h5_remove(group, name));
    if (h5_find(group, "__categories") == H5_GROUP) {
        TRY(h5_open_group(&categories, group, "__categories"));
        TRY(h5_remove(categories, name));
    }
    TRY(legacy ? write_legacy_column(group, name, c) : write_column(group, name, c));
    TRY(element_column_order(&order, group, index_name));
    for (int64_t i = 0; i < order.n; i++) known |= strcmp(order.at[i], name) == 0;
    if (!known) TRY(strings_add(&order, name));
    if (!known || !h5_has_attr(group, "column-order"))
        TRY(h5_put_attr_strings(group, "column-order", &order));
done:
    strings_clear(&order);
    h5_close(&categories);
    mem_free(name);
    mem_free(index_name);
    return st;
}

static scw_status write_frame_as(hid_t parent, const char *name, const frame *f, bool legacy)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    const strings none = {0};

    TRY(h5_make_group(&group, parent, name));
    TRY(write_encoding(group, "dataframe", legacy ? "0.1.0" : "0.2.0"));
    TRY(h5_put_attr_string(group, "_index", "_index"));
    TRY(h5_put_attr_strings(group, "column-order", &none));
    TRY(legacy ? h5_write_strings(NULL, group, "_index", &f->index)
               : write_encoded_strings(group, "_index", &f->index));
    for (int64_t i = 0; i < f->n_columns; i++) TRY(write_into_frame(group, &f->columns[i]));
done:
    h5_close(&group);
    return st;
}

scw_status write_frame(hid_t parent, const char *name, const frame *f)
{
    return write_frame_as(parent, name, f, false);
}

scw_status write_legacy_frame(hid_t parent, const char *name, const frame *f)
{
    return write_frame_as(parent, name, f, true);
}

/* ------------------------------------------------------------------ matrices and arrays */

/* Little-endian types of files. */
hid_t write_number_type(number_type t)
{
    switch (t) {
    case NUMBER_F32: return H5T_IEEE_F32LE;
    case NUMBER_F64: return H5T_IEEE_F64LE;
    case NUMBER_I8: return H5T_STD_I8LE;
    case NUMBER_I16: return H5T_STD_I16LE;
    case NUMBER_I32: return H5T_STD_I32LE;
    case NUMBER_I64: return H5T_STD_I64LE;
    case NUMBER_U8: return H5T_STD_U8LE;
    case NUMBER_U16: return H5T_STD_U16LE;
    case NUMBER_U32: return H5T_STD_U32LE;
    case NUMBER_U64: return H5T_STD_U64LE;
    }
    return H5T_IEEE_F64LE;
}

/* Exact values in the type they came in; others are floats. */
static scw_status write_values(hid_t *out, hid_t parent, const char *name, const matrix *m, int rank,
                               const int64_t *dim)
{
    if (m->exact)
        return h5_write_as(out, parent, name, write_number_type(m->stored), H5T_NATIVE_DOUBLE, rank, dim,
                           m->exact);
    return h5_write_array(out, parent, name, H5T_NATIVE_FLOAT, rank, dim, m->values);
}

/* Indices and pointers are of one type, as scipy has them: 64 bits where 32 do not reach. */
static scw_status write_csr(hid_t parent, const char *name, const matrix *m)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    int64_t shape[2] = {m->n_rows, m->n_cols}, nnz = matrix_nnz(m), n_pointers = m->n_rows + 1;
    hid_t index = nnz > INT32_MAX ? H5T_STD_I64LE : H5T_STD_I32LE;

    TRY(h5_make_group(&group, parent, name));
    TRY(write_encoding(group, "csr_matrix", "0.1.0"));
    TRY(h5_put_attr_ints(group, "shape", shape, 2, false));
    TRY(write_values(NULL, group, "data", m, 1, &nnz));
    TRY(h5_write_as(NULL, group, "indices", index, H5T_NATIVE_INT32, 1, &nnz, m->indices));
    TRY(h5_write_as(NULL, group, "indptr", index, H5T_NATIVE_INT64, 1, &n_pointers, m->indptr));
done:
    h5_close(&group);
    return st;
}

scw_status write_matrix(hid_t parent, const char *name, const matrix *m)
{
    scw_status st = SCW_OK;
    int64_t dim[2] = {m->n_rows, m->n_cols};
    hid_t d = 0;

    if (m->sparse) return write_csr(parent, name, m);
    TRY(write_values(&d, parent, name, m, 2, dim));
    TRY(encode(&d, "array"));
done:
    h5_close(&d);
    return st;
}

static scw_status write_named_columns(hid_t obsm, const char *name, const results_array *a,
                                      const strings *index)
{
    scw_status st = SCW_OK;
    frame f = {.n_rows = a->n_rows, .index = *index};
    hid_t group = 0, d = 0;
    strings order = {0};
    float *values = NULL;
    textbuf key = {0};
    char *safe = NULL;

    TRY(write_frame(obsm, name, &f));
    TRY(h5_open_group(&group, obsm, name));
    TRY(mem_new(&values, a->n_rows));
    for (int64_t j = 0; j < a->n_cols; j++) {
        mem_free(safe);
        TRY(write_safe_key(&safe, a->col_names.at[j]));
        text_clear(&key);
        TRY(text_add(&key, "%s", safe));
        for (int k = 2; h5_find(group, text_get(&key)) != H5_ABSENT; k++) {
            text_clear(&key);
            TRY(text_add(&key, "%s_%d", safe, k));
        }
        for (int64_t i = 0; i < a->n_rows; i++) values[i] = a->values[i * a->n_cols + j];
        TRY(write_encoded_array(group, text_get(&key), H5T_NATIVE_FLOAT, 1, &a->n_rows, values));
        TRY(strings_add(&order, text_get(&key)));
    }
    TRY(h5_put_attr_strings(group, "column-order", &order));
done:
    mem_free(safe);
    text_clear(&key);
    mem_free(values);
    strings_clear(&order);
    h5_close(&d);
    h5_close(&group);
    return st;
}

scw_status write_obsm(hid_t obsm, const results_array *a, const strings *index)
{
    scw_status st = SCW_OK;
    char *name = NULL;
    int64_t dim[2] = {a->n_rows, a->n_cols};

    TRY(write_safe_key(&name, a->name));
    TRY(h5_remove(obsm, name));
    TRY(a->col_names.n ? write_named_columns(obsm, name, a, index)
                       : write_encoded_array(obsm, name, H5T_NATIVE_FLOAT, 2, dim, a->values));
done:
    mem_free(name);
    return st;
}

/* ------------------------------------------------------------------ records */

static scw_status write_value(hid_t group, const char *name, const json_t *value)
{
    scw_status st = SCW_OK;
    hid_t d = 0;
    char *text = NULL;

    if (json_is_string(value)) {
        TRY(h5_write_string(&d, group, name, json_string_value(value)));
        TRY(encode(&d, "string"));
    } else if (json_is_integer(value)) {
        int64_t v = json_integer_value(value);
        TRY(h5_write_array(&d, group, name, H5T_NATIVE_INT64, 0, NULL, &v));
        TRY(encode(&d, "numeric-scalar"));
    } else if (json_is_real(value)) {
        double v = json_real_value(value);
        TRY(h5_write_array(&d, group, name, H5T_NATIVE_DOUBLE, 0, NULL, &v));
        TRY(encode(&d, "numeric-scalar"));
    } else { /* lists, objects, true, false and null keep their JSON text */
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
        if (!text) FAIL(SCW_ENOMEM, "out of memory: record '%s'", name);
        TRY(h5_write_string(&d, group, name, text));
        TRY(encode(&d, "string"));
    }
done:
    mem_free(text);
    h5_close(&d);
    return st;
}

scw_status write_record(hid_t parent, const char *name, const char *json)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    char *key = NULL, *stored = NULL;
    json_error_t error;
    json_t *record = json_loads(json, 0, &error);

    if (!json_is_object(record)) FAIL(SCW_EINTERNAL, "the record is no JSON object: %s", error.text);
    TRY(write_safe_key(&stored, name));
    TRY(h5_remove(parent, stored));
    TRY(h5_make_group(&group, parent, stored));
    TRY(write_encoding(group, "dict", "0.1.0"));
    for (void *at = json_object_iter(record); at; at = json_object_iter_next(record, at)) {
        mem_free(key);
        TRY(write_safe_key(&key, json_object_iter_key(at)));
        TRY(write_value(group, key, json_object_iter_value(at)));
    }
done:
    mem_free(key);
    mem_free(stored);
    h5_close(&group);
    json_decref(record);
    return st;
}
