/* SPDX-License-Identifier: BSD-3-Clause */
/* Data frames: the index, and one column after the other. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/element.h"
#include "io/validate.h"

static bool is_among(const strings *names, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (strcmp(names->at[i], name) == 0) return true;
    return false;
}

/* ------------------------------------------------------------------ columns */

static scw_status judge_column(validation *v, const column *c, const char *path, int64_t n)
{
    scw_status st = SCW_OK;
    name_index index = {0};
    int64_t second;

    if (n >= 0 && c->n != n)
        TRY(validate_find(v, RULE_COLUMN_LENGTH, path, "has %lld values, the index has %lld",
                          (long long)c->n, (long long)n));
    if (c->kind != COLUMN_CATEGORICAL) goto done;
    TRY(name_index_build(&index, (const char *const *)c->categories.at, c->categories.n, &second));
    if (second >= 0)
        TRY(validate_find(v, RULE_CATEGORIES_UNIQUE, path, "category '%.100s' occurs twice",
                          c->categories.at[second]));
done:
    name_index_clear(&index);
    return st;
}

/* A categorical without its parts is told apart from one that cannot be read. */
static scw_status check_parts(bool *whole, validation *v, hid_t element, const char *path)
{
    scw_status st = SCW_OK;
    const encoding *row;

    *whole = true;
    if (registry_find(&row, element) != SCW_OK || strcmp(row->type, "categorical") != 0 ||
        h5_kind_of(element) != H5_GROUP)
        goto done;
    *whole = h5_find(element, "codes") != H5_ABSENT && h5_find(element, "categories") != H5_ABSENT;
    if (!*whole)
        TRY(validate_find(v, RULE_CATEGORIES_PRESENT, path, "has no '%s'",
                          h5_find(element, "codes") == H5_ABSENT ? "codes" : "categories"));
done:
    return st;
}

scw_status validate_column(validation *v, hid_t element, const char *name, hid_t parent,
                           const char *path, int64_t n)
{
    scw_status st = SCW_OK;
    column c = {0};
    bool whole;

    TRY(check_parts(&whole, v, element, path));
    if (!whole) goto done;
    st = registry_read_column(&c, element, name, parent);
    /* What is left out is a warning, whatever names the reason. */
    if (st == SCW_EUNSUPPORTED) (void)rule_name_failure(st, RULE_COLUMN_READ);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_READABLE, path));
        goto done;
    }
    TRY(validate_text(v, path));
    TRY(judge_column(v, &c, path, n));
done:
    column_clear(&c);
    return st;
}

static scw_status check_named(validation *v, hid_t group, const char *name, const char *path,
                              int64_t n)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    textbuf where = {0};

    TRY(log_check_cancel(v->hooks));
    TRY(text_add(&where, "%s/%s", path, name));
    st = h5_open(&element, group, name);
    if (st == SCW_OK) st = validate_column(v, element, name, group, text_get(&where), n);
    else st = validate_failure(v, st, RULE_COLUMNS_PRESENT, text_get(&where));
done:
    text_clear(&where);
    h5_close(&element);
    return st;
}

/* Columns that the frame lists, and those that it should. */
static scw_status check_columns(validation *v, hid_t group, const frame *f, const char *path)
{
    scw_status st = SCW_OK;
    strings order = {0}, there = {0};

    st = element_column_order(&order, group, f->index_name);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_COLUMNS_PRESENT, path));
        goto done;
    }
    for (int64_t i = 0; i < order.n; i++) {
        if (is_among(&order, i, order.at[i])) {
            TRY(validate_find(v, RULE_COLUMNS_UNIQUE, path, "column-order lists '%.100s' twice",
                              order.at[i]));
            continue;
        }
        TRY(check_named(v, group, order.at[i], path, f->n_rows));
    }
    TRY(h5_list(&there, group));
    for (int64_t i = 0; i < there.n; i++)
        if (strcmp(there.at[i], f->index_name) != 0 && strcmp(there.at[i], "__categories") != 0 &&
            !is_among(&order, order.n, there.at[i]))
            TRY(validate_find(v, RULE_COLUMNS_LISTED, path, "'%.100s' is not in column-order",
                              there.at[i]));
done:
    strings_clear(&order);
    strings_clear(&there);
    return st;
}

/* ------------------------------------------------------------------ frames */

/* The index as it is stored must be text. */
static scw_status check_index_type(validation *v, hid_t group, const frame *f, const char *path)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    h5_info info;
    textbuf where = {0};

    TRY(text_add(&where, "%s/%s", path, f->index_name));
    TRY(validate_text(v, text_get(&where)));
    TRY(h5_open(&element, group, f->index_name));
    if (h5_kind_of(element) == H5_DATASET && h5_describe(&info, element) == SCW_OK &&
        info.class != H5_CLASS_STRING)
        TRY(validate_find(v, RULE_INDEX_TEXT, text_get(&where), "holds %s values",
                          h5_type_name(&info)));
done:
    text_clear(&where);
    h5_close(&element);
    return st;
}

static scw_status of_group(frame *f, validation *v, hid_t group, const char *path)
{
    scw_status st = SCW_OK;

    st = element_frame_index(f, group);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_INDEX_PRESENT, path));
        goto done;
    }
    TRY(check_index_type(v, group, f, path));
    TRY(check_columns(v, group, f, path));
done:
    return st;
}

/* Records of the oldest files; their reader takes all members or none. */
static scw_status of_records(frame *f, validation *v, hid_t element, hid_t parent, const char *path)
{
    scw_status st = SCW_OK;

    st = registry_read_frame(f, element, parent, NULL);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_READABLE, path));
        goto done;
    }
    TRY(validate_text(v, path));
    for (int64_t i = 0; i < f->n_columns; i++) TRY(judge_column(v, &f->columns[i], path, f->n_rows));
done:
    return st;
}

scw_status validate_frame(frame *out, validation *v, hid_t parent, const char *name,
                          const char *path, int64_t n_rows)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    const encoding *row;
    frame f = {0};

    if (out) *out = (frame){0};
    st = h5_open(&element, parent, name);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_FRAME_PRESENT, path));
        goto done;
    }
    st = registry_find(&row, element);
    if (st != SCW_OK || !row->read_frame) {
        if (st == SCW_OK)
            TRY(validate_find(v, RULE_ENCODING_READ, path, "is a %s, expected a data frame", row->type));
        else
            TRY(validate_failure(v, st, RULE_ENCODING_READ, path));
        goto done;
    }
    TRY(row->read_frame == element_records_frame ? of_records(&f, v, element, parent, path) : of_group(&f, v, element, path));
    if (f.index_name && n_rows >= 0 && f.n_rows != n_rows)
        TRY(validate_find(v, RULE_SHAPE_AGREES, path, "has %lld rows, expected %lld",
                          (long long)f.n_rows, (long long)n_rows));
    if (out) {
        *out = f;
        f = (frame){0};
    }
done:
    frame_clear(&f);
    h5_close(&element);
    return st;
}
