/* SPDX-License-Identifier: BSD-3-Clause */
/* Data frames: a group with an index and columns, or, before 2020, one dataset of records. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/element.h"

scw_status element_index_name(char **out, hid_t group)
{
    scw_status st = SCW_OK;

    *out = NULL;
    if (h5_has_attr(group, "_index")) return h5_attr_string(out, group, "_index");
    if (h5_find(group, "_index") == H5_DATASET) return mem_strdup(out, "_index");
    if (h5_find(group, "index") == H5_DATASET) return mem_strdup(out, "index");
    BREAK(RULE_INDEX_PRESENT, SCW_EFORMAT, "%s: has no attribute '_index' that names its index",
          h5_where(group));
done:
    return st;
}

scw_status element_frame_index(frame *out, hid_t group)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    column c = {0};

    *out = (frame){0};
    TRY(element_index_name(&out->index_name, group));
    TRY(h5_open(&element, group, out->index_name));
    TRY(registry_read_column(&c, element, out->index_name, group));
    if (c.kind == COLUMN_STRING) {
        out->index = c.text;
        c.text = (strings){0};
    } else {
        TRY(column_texts(&out->index, &c));
    }
    out->n_rows = out->index.n;
done:
    column_clear(&c);
    h5_close(&element);
    if (st != SCW_OK) frame_clear(out);
    return st;
}

/* Columns in the order the frame states, or, if it states none, by name. */
scw_status element_column_order(strings *out, hid_t group, const char *index_name)
{
    scw_status st = SCW_OK;
    strings all = {0};

    *out = (strings){0};
    if (h5_has_attr(group, "column-order")) return h5_attr_strings(out, group, "column-order");
    TRY(h5_list(&all, group));
    for (int64_t i = 0; i < all.n; i++)
        if (strcmp(all.at[i], index_name) != 0 && strcmp(all.at[i], "__categories") != 0)
            TRY(strings_add(out, all.at[i]));
done:
    strings_clear(&all);
    return st;
}

static scw_status add_column(frame *out, hid_t group, const char *name, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    column c = {0};

    TRY(h5_open(&element, group, name));
    st = registry_read_column(&c, element, name, group);
    if (st == SCW_EUNSUPPORTED) {
        log_warning(hooks, "column left out: %s", scw_error_message());
        st = SCW_OK;
        goto done;
    }
    TRY(st);
    if (c.n != out->n_rows)
        BREAK(RULE_COLUMN_LENGTH, SCW_EFORMAT, "%s: has %lld values, the index has %lld",
              h5_where(element), (long long)c.n, (long long)out->n_rows);
    TRY(frame_add(out, &c));
done:
    column_clear(&c);
    h5_close(&element);
    return st;
}

scw_status element_frame(frame *out, hid_t element, hid_t parent, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    strings order = {0};

    (void)parent;
    *out = (frame){0};
    if (h5_kind_of(element) != H5_GROUP)
        FAIL(SCW_EFORMAT, "%s: is a dataset, expected the group of a data frame",
             h5_where(element));
    TRY(element_frame_index(out, element));
    TRY(element_column_order(&order, element, out->index_name));
    for (int64_t i = 0; i < order.n; i++)
        if (!frame_find(out, order.at[i])) TRY(add_column(out, element, order.at[i], hooks));
done:
    strings_clear(&order);
    if (st != SCW_OK) frame_clear(out);
    return st;
}

/* ------------------------------------------------------------------ records */

static scw_status add_member(frame *out, hid_t element, const char *name)
{
    scw_status st = SCW_OK;
    h5_info info;
    int64_t width;
    column c = {0};

    TRY(h5_member_describe(&info, &width, element, name));
    if (width != 1) goto done; /* arrays do not occur in obs and var */
    if (info.class == H5_CLASS_STRING) {
        TRY(column_init(&c, name, COLUMN_STRING, info.n));
        TRY(h5_member_strings(&c.text, element, name));
    } else if (info.class == H5_CLASS_FLOAT) {
        TRY(column_init(&c, name, COLUMN_FLOAT, info.n));
        TRY(h5_member_f64(c.f64, element, name, info.n));
    } else {
        bool truth = info.class == H5_CLASS_BOOL;
        TRY(column_init(&c, name, COLUMN_INT, info.n));
        TRY(h5_member_i64(c.i64, element, name, info.n));
        if (truth) {
            TRY(mem_new(&c.boolean, info.n));
            for (int64_t i = 0; i < info.n; i++) c.boolean[i] = c.i64[i] != 0;
            mem_free(c.i64);
            c.i64 = NULL;
            c.kind = COLUMN_BOOL;
        }
    }
    TRY(frame_add(out, &c));
done:
    column_clear(&c);
    return st;
}

scw_status element_records_as_stored(frame *out, hid_t element)
{
    scw_status st = SCW_OK;
    strings members = {0};
    h5_info info;

    *out = (frame){0};
    TRY(h5_describe(&info, element));
    if (info.rank != 1)
        FAIL(SCW_EFORMAT, "%s: has %d dimensions, expected a vector of records",
             h5_where(element), info.rank);
    TRY(h5_members(&members, element));
    int64_t index = 0;
    for (int64_t i = members.n - 1; i >= 0; i--)
        if (strcmp(members.at[i], "index") == 0 || strcmp(members.at[i], "_index") == 0) index = i;
    TRY(h5_member_strings(&out->index, element, members.at[index]));
    TRY(mem_strdup(&out->index_name, members.at[index]));
    out->n_rows = out->index.n;
    for (int64_t i = 0; i < members.n; i++)
        if (i != index) TRY(add_member(out, element, members.at[i]));
done:
    strings_clear(&members);
    if (st != SCW_OK) frame_clear(out);
    return st;
}

/* Integers of the oldest files are codes when uns has "<column>_categories" that covers them. */
static scw_status apply_categories(column *c, hid_t uns)
{
    scw_status st = SCW_OK;
    textbuf name = {0};
    hid_t element = 0;
    column values = {0}, coded = {0};

    if (c->kind != COLUMN_INT) goto done;
    TRY(text_add(&name, "%s_categories", c->name));
    if (h5_find(uns, text_get(&name)) != H5_DATASET) goto done;
    TRY(h5_open(&element, uns, text_get(&name)));
    TRY(element_array_column(&values, element, c->name, uns));
    for (int64_t i = 0; i < c->n; i++)
        if (c->i64[i] < -1 || c->i64[i] >= values.n) goto done;
    TRY(column_init(&coded, c->name, COLUMN_CATEGORICAL, c->n));
    TRY(column_texts(&coded.categories, &values));
    for (int64_t i = 0; i < c->n; i++) coded.codes[i] = (int32_t)c->i64[i];
    column_clear(c);
    *c = coded;
    coded = (column){0};
done:
    column_clear(&values);
    column_clear(&coded);
    h5_close(&element);
    text_clear(&name);
    return st;
}

scw_status element_records_frame(frame *out, hid_t element, hid_t parent, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t uns = 0;

    (void)hooks;
    TRY(element_records_as_stored(out, element));
    if (h5_find(parent, "uns") == H5_GROUP) {
        TRY(h5_open_group(&uns, parent, "uns"));
        for (int64_t i = 0; i < out->n_columns; i++) TRY(apply_categories(&out->columns[i], uns));
    }
done:
    h5_close(&uns);
    if (st != SCW_OK) frame_clear(out);
    return st;
}
