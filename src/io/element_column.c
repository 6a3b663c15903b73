/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns of data frames: plain arrays, categoricals of both generations, arrays with a mask. */
#include <string.h>

#include "base/alloc.h"
#include "io/element.h"

/* Values of a one-dimensional dataset as a column of the kind that fits its type. */
scw_status element_array_column(column *out, hid_t element, const char *name, hid_t parent)
{
    scw_status st = SCW_OK;
    h5_info info;
    int32_t *bytes = NULL;

    (void)parent;
    *out = (column){0};
    TRY(h5_describe(&info, element));
    if (info.rank != 1 && !(info.rank == 2 && info.dim[1] == 1))
        FAIL(SCW_EUNSUPPORTED, "%s: has %d dimensions, expected a column", h5_where(element),
             info.rank);
    switch (info.class) {
    case H5_CLASS_FLOAT:
        TRY(column_init(out, name, COLUMN_FLOAT, info.n));
        TRY(h5_read_f64(out->f64, element, info.n));
        break;
    case H5_CLASS_INTEGER:
        TRY(column_init(out, name, COLUMN_INT, info.n));
        TRY(h5_read_i64(out->i64, element, info.n));
        break;
    case H5_CLASS_BOOL:
        TRY(column_init(out, name, COLUMN_BOOL, info.n));
        TRY(mem_new(&bytes, info.n));
        TRY(h5_read_i32(bytes, element, info.n));
        for (int64_t i = 0; i < info.n; i++) out->boolean[i] = bytes[i] != 0;
        break;
    case H5_CLASS_STRING:
        TRY(column_init(out, name, COLUMN_STRING, info.n));
        TRY(h5_read_strings(&out->text, element));
        break;
    case H5_CLASS_COMPOUND:
    case H5_CLASS_OTHER:
        FAIL(SCW_EUNSUPPORTED, "%s: holds %s values, which are not read as a column",
             h5_where(element), h5_type_name(&info));
    }
done:
    mem_free(bytes);
    if (st != SCW_OK) column_clear(out);
    return st;
}

/* Codes into categories; both are open datasets. */
static scw_status read_coded(column *out, const char *name, hid_t codes, hid_t categories)
{
    scw_status st = SCW_OK;
    h5_info info;
    column values = {0};

    TRY(h5_describe(&info, codes));
    if (info.rank != 1 || info.class != H5_CLASS_INTEGER)
        BREAK(RULE_CODES_IN_RANGE, SCW_EFORMAT,
              "%s: holds %s values in %d dimensions, expected a vector of integer codes",
              h5_where(codes), h5_type_name(&info), info.rank);
    /* Newer files mask missing strings even here; both readers stop at datasets, so a file cannot
     * nest categories in categories. */
    TRY(h5_kind_of(categories) == H5_GROUP ? element_nullable(&values, categories, name, 0)
                                           : element_array_column(&values, categories, name, 0));
    TRY(column_init(out, name, COLUMN_CATEGORICAL, info.n));
    TRY(column_texts(&out->categories, &values));
    TRY(h5_read_i32(out->codes, codes, info.n));
    for (int64_t i = 0; i < info.n; i++)
        if (out->codes[i] < -1 || out->codes[i] >= out->categories.n)
            BREAK(RULE_CODES_IN_RANGE, SCW_EFORMAT,
                  "%s: code %d of row %lld is out of range, there are %lld categories",
                  h5_where(codes), (int)out->codes[i], (long long)i,
                  (long long)out->categories.n);
done:
    column_clear(&values);
    return st;
}

static scw_status read_ordered(bool *out, hid_t object)
{
    scw_status st = SCW_OK;
    int64_t ordered = 0;

    if (h5_has_attr(object, "ordered")) TRY(h5_attr_ints(&ordered, object, "ordered", 1));
    *out = ordered != 0;
done:
    return st;
}

scw_status element_categorical(column *out, hid_t element, const char *name, hid_t parent)
{
    scw_status st = SCW_OK;
    hid_t codes = 0, categories = 0;

    (void)parent;
    *out = (column){0};
    TRY(h5_open(&codes, element, "codes"));
    TRY(h5_open(&categories, element, "categories"));
    TRY(read_coded(out, name, codes, categories));
    TRY(read_ordered(&out->ordered, element));
done:
    if (st != SCW_OK) column_clear(out);
    h5_close(&codes);
    h5_close(&categories);
    return st;
}

/* Before 2021: codes in the frame's group, categories under "__categories", tied by a reference. */
scw_status element_legacy_categorical(column *out, hid_t element, const char *name, hid_t parent)
{
    scw_status st = SCW_OK;
    hid_t all = 0, categories = 0;

    *out = (column){0};
    if (parent > 0 && h5_find(parent, "__categories") == H5_GROUP) {
        TRY(h5_open_group(&all, parent, "__categories"));
        if (h5_find(all, name) == H5_DATASET) TRY(h5_open(&categories, all, name));
    }
    if (!categories) TRY(h5_attr_dereference(&categories, element, "categories"));
    TRY(read_coded(out, name, element, categories));
    TRY(read_ordered(&out->ordered, categories));
done:
    if (st != SCW_OK) column_clear(out);
    h5_close(&categories);
    h5_close(&all);
    return st;
}

/* Values beside a mask: 1 where the value is missing. */
scw_status element_nullable(column *out, hid_t element, const char *name, hid_t parent)
{
    scw_status st = SCW_OK;
    hid_t values = 0, mask = 0;
    column missing = {0};

    *out = (column){0};
    TRY(h5_open(&values, element, "values"));
    TRY(element_array_column(out, values, name, parent));
    if (h5_find(element, "mask") != H5_ABSENT) {
        TRY(h5_open(&mask, element, "mask"));
        TRY(element_array_column(&missing, mask, "mask", parent));
        if (missing.kind != COLUMN_BOOL && missing.kind != COLUMN_INT)
            BREAK(RULE_MASK_AGREES, SCW_EFORMAT, "%s: is not a mask of booleans", h5_where(mask));
        if (missing.n != out->n)
            BREAK(RULE_MASK_AGREES, SCW_EFORMAT, "%s: has %lld values, expected %lld",
                  h5_where(mask), (long long)missing.n, (long long)out->n);
        TRY(mem_new(&out->missing, out->n));
        for (int64_t i = 0; i < out->n; i++)
            out->missing[i] = missing.boolean ? missing.boolean[i] : missing.i64[i] != 0;
    }
done:
    column_clear(&missing);
    if (st != SCW_OK) column_clear(out);
    h5_close(&values);
    h5_close(&mask);
    return st;
}
