/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "io/inspect.h"

#define MOST_FREQUENT 10 /* values of a column that are listed */

scw_status inspect_set(json_t *object, const char *key, json_t *value)
{
    if (!value || json_object_set_new_nocheck(object, key, value) != 0)
        return status_fail(SCW_ENOMEM, "out of memory: report");
    return SCW_OK;
}

json_t *inspect_text(const char *text)
{
    json_t *value = json_string(text);
    char *copy = NULL;

    if (value || mem_strdup(&copy, text) != SCW_OK) return value;
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p >= 0x80) *p = '?';
    value = json_string(copy);
    mem_free(copy);
    return value;
}

scw_status inspect_problem(json_t *problems, const char *severity, const char *element,
                           const char *format, ...)
{
    scw_status st = SCW_OK;
    char text[1200];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *problem = json_object();
    if (!problem || json_array_append_new(problems, problem) != 0)
        FAIL(SCW_ENOMEM, "out of memory: report");
    TRY(inspect_set(problem, "severity", json_string(severity)));
    TRY(inspect_set(problem, "element", inspect_text(element)));
    TRY(inspect_set(problem, "text", inspect_text(text)));
done:
    return st;
}

/* ------------------------------------------------------------------ columns */

static const char *kind_name(column_kind kind)
{
    switch (kind) {
    case COLUMN_FLOAT: return "float";
    case COLUMN_INT: return "integer";
    case COLUMN_BOOL: return "boolean";
    case COLUMN_STRING: return "string";
    case COLUMN_CATEGORICAL: return "categorical";
    }
    return "";
}

typedef struct tally {
    const char *name;
    int64_t count;
} tally;

static int by_count(const void *a, const void *b)
{
    const tally *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Counts of the classes of a column, largest first. */
static scw_status tally_classes(tally **out, strings *classes, int64_t *n_missing, const column *c)
{
    scw_status st = SCW_OK;
    int32_t *codes = NULL;

    *n_missing = 0;
    TRY(column_classes(c, &codes, classes));
    TRY(mem_new(out, classes->n));
    for (int64_t k = 0; k < classes->n; k++) (*out)[k].name = classes->at[k];
    for (int64_t i = 0; i < c->n; i++) {
        if (codes[i] < 0) (*n_missing)++;
        else (*out)[codes[i]].count++;
    }
    if (classes->n) qsort(*out, (size_t)classes->n, sizeof **out, by_count);
done:
    mem_free(codes);
    return st;
}

static scw_status add_classes(json_t *object, const column *c)
{
    scw_status st = SCW_OK;
    tally *counts = NULL;
    strings classes = {0};
    int64_t n_missing;

    TRY(tally_classes(&counts, &classes, &n_missing, c));
    TRY(inspect_set(object, "n_missing", json_integer(n_missing)));
    TRY(inspect_set(object, "n_values", json_integer(classes.n)));
    json_t *top = json_array();
    TRY(inspect_set(object, "most_frequent", top));
    for (int64_t k = 0; k < classes.n && k < MOST_FREQUENT; k++) {
        json_t *one = json_object();
        if (!one || json_array_append_new(top, one) != 0)
            FAIL(SCW_ENOMEM, "out of memory: report");
        TRY(inspect_set(one, "value", inspect_text(counts[k].name)));
        TRY(inspect_set(one, "count", json_integer(counts[k].count)));
    }
done:
    mem_free(counts);
    strings_clear(&classes);
    return st;
}

static scw_status add_range(json_t *object, const column *c)
{
    scw_status st = SCW_OK;
    double lowest = INFINITY, highest = -INFINITY;
    int64_t n_missing = 0;

    for (int64_t i = 0; i < c->n; i++) {
        double v = c->kind == COLUMN_INT ? (double)c->i64[i] : c->f64[i];
        if (column_is_missing(c, i) || isnan(v)) {
            n_missing++;
            continue;
        }
        if (v < lowest) lowest = v;
        if (v > highest) highest = v;
    }
    TRY(inspect_set(object, "n_missing", json_integer(n_missing)));
    if (isfinite(lowest)) TRY(inspect_set(object, "minimum", json_real(lowest)));
    if (isfinite(highest)) TRY(inspect_set(object, "maximum", json_real(highest)));
done:
    return st;
}

scw_status inspect_column(json_t **out, const column *c)
{
    scw_status st = SCW_OK;

    *out = json_object();
    TRY(inspect_set(*out, "name", inspect_text(c->name)));
    TRY(inspect_set(*out, "kind", json_string(kind_name(c->kind))));
    if (c->kind == COLUMN_CATEGORICAL)
        TRY(inspect_set(*out, "n_categories", json_integer(c->categories.n)));
    TRY(c->kind == COLUMN_FLOAT || c->kind == COLUMN_INT ? add_range(*out, c)
                                                         : add_classes(*out, c));
done:
    if (st != SCW_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return st;
}

scw_status inspect_labels(bool *any, json_t *problems, const frame *obs, const char *where)
{
    scw_status st = SCW_OK;
    tally *counts = NULL;
    strings classes = {0};

    for (int64_t i = 0; i < obs->n_columns; i++) {
        const column *c = &obs->columns[i];
        int64_t n_missing, n_single = 0;
        if (c->kind != COLUMN_CATEGORICAL && c->kind != COLUMN_STRING) continue;
        mem_free(counts);
        counts = NULL;
        strings_clear(&classes);
        TRY(tally_classes(&counts, &classes, &n_missing, c));
        if (classes.n < 2 || classes.n > obs->n_rows / 2) continue;
        *any = true;
        for (int64_t k = 0; k < classes.n; k++) n_single += counts[k].count == 1;
        if (n_single)
            TRY(inspect_problem(problems, "note", where, "column '%s': %lld of %lld values occur "
                                "in one cell only, e.g. '%s'", c->name, (long long)n_single,
                                (long long)classes.n, counts[classes.n - 1].name));
    }
done:
    mem_free(counts);
    strings_clear(&classes);
    return st;
}

/* ------------------------------------------------------------------ matrices */

scw_status inspect_encoding(json_t *object, hid_t element)
{
    scw_status st = SCW_OK;
    char *type = NULL, *version = NULL;
    hid_t data = 0;
    h5_info info;

    if (h5_has_attr(element, "encoding-type")) {
        TRY(h5_attr_string(&type, element, "encoding-type"));
        TRY(inspect_set(object, "encoding", inspect_text(type)));
    }
    if (h5_has_attr(element, "encoding-version")) {
        TRY(h5_attr_string(&version, element, "encoding-version"));
        TRY(inspect_set(object, "encoding_version", inspect_text(version)));
    }
    if (!type) {
        bool sparse = h5_has_attr(element, "h5sparse_format");
        if (sparse) TRY(h5_attr_string(&type, element, "h5sparse_format"));
        TRY(inspect_set(object, "encoding",
                        inspect_text(type ? type
                                     : h5_kind_of(element) == H5_GROUP ? "group" : "dataset")));
    }
    if (h5_kind_of(element) == H5_DATASET) {
        TRY(h5_describe(&info, element));
        TRY(inspect_set(object, "dtype", json_string(h5_type_name(&info))));
    } else if (h5_find(element, "data") == H5_DATASET) {
        TRY(h5_open(&data, element, "data"));
        TRY(h5_describe(&info, data));
        TRY(inspect_set(object, "dtype", json_string(h5_type_name(&info))));
    }
done:
    h5_close(&data);
    mem_free(type);
    mem_free(version);
    return st;
}
