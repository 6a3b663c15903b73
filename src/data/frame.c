/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/frame.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void column_clear(column *c)
{
    mem_free(c->name);
    mem_free(c->missing);
    mem_free(c->f64);
    mem_free(c->i64);
    mem_free(c->boolean);
    strings_clear(&c->text);
    mem_free(c->codes);
    strings_clear(&c->categories);
    *c = (column){0};
}

void frame_clear(frame *f)
{
    mem_free(f->index_name);
    strings_clear(&f->index);
    for (int64_t i = 0; i < f->n_columns; i++) column_clear(&f->columns[i]);
    mem_free(f->columns);
    *f = (frame){0};
}

scw_status column_init(column *c, const char *name, column_kind kind, int64_t n)
{
    scw_status st = SCW_OK;

    *c = (column){.kind = kind, .n = n};
    TRY(mem_strdup(&c->name, name));
    switch (kind) {
    case COLUMN_FLOAT: TRY(mem_new(&c->f64, n)); break;
    case COLUMN_INT: TRY(mem_new(&c->i64, n)); break;
    case COLUMN_BOOL: TRY(mem_new(&c->boolean, n)); break;
    case COLUMN_STRING: break;
    case COLUMN_CATEGORICAL: TRY(mem_new(&c->codes, n)); break;
    }
done:
    if (st != SCW_OK) column_clear(c);
    return st;
}

scw_status frame_add(frame *f, column *c)
{
    scw_status st = SCW_OK;

    if (c->n != f->n_rows)
        FAIL(SCW_EINVAL, "column '%s' has %lld values, the frame has %lld rows", c->name,
             (long long)c->n, (long long)f->n_rows);
    if (frame_find(f, c->name)) FAIL(SCW_EINVAL, "column '%s' is there already", c->name);
    TRY(mem_resize(&f->columns, f->n_columns + 1));
    f->columns[f->n_columns++] = *c;
    *c = (column){0};
done:
    return st;
}

const column *frame_find(const frame *f, const char *name)
{
    for (int64_t i = 0; i < f->n_columns; i++)
        if (strcmp(f->columns[i].name, name) == 0) return &f->columns[i];
    return NULL;
}

/* ------------------------------------------------------------------ rows */

bool column_is_missing(const column *c, int64_t i)
{
    if (c->kind == COLUMN_CATEGORICAL) return c->codes[i] < 0;
    return c->missing && c->missing[i];
}

void column_drop_empty_mask(column *c)
{
    if (c->missing && !memchr(c->missing, 1, (size_t)c->n)) {
        mem_free(c->missing);
        c->missing = NULL;
    }
}

scw_status column_gather(column *out, const column *c, const char *name, const int64_t *rows,
                         int64_t n)
{
    scw_status st = SCW_OK;

    TRY(column_init(out, name, c->kind, n));
    out->ordered = c->ordered;
    if (c->kind == COLUMN_CATEGORICAL)
        TRY(strings_copy(&out->categories, &c->categories));
    else
        TRY(mem_new(&out->missing, n));
    for (int64_t i = 0; i < n; i++) {
        int64_t r = rows[i];
        bool missing = r < 0 || column_is_missing(c, r);
        if (out->missing) out->missing[i] = missing;
        switch (c->kind) {
        case COLUMN_FLOAT: out->f64[i] = missing ? (double)NAN : c->f64[r]; break;
        case COLUMN_INT: out->i64[i] = missing ? 0 : c->i64[r]; break;
        case COLUMN_BOOL: out->boolean[i] = missing ? 0 : c->boolean[r]; break;
        case COLUMN_STRING: TRY(strings_add(&out->text, missing ? "" : c->text.at[r])); break;
        case COLUMN_CATEGORICAL: out->codes[i] = missing ? -1 : c->codes[r]; break;
        }
    }
    column_drop_empty_mask(out);
done:
    if (st != SCW_OK) column_clear(out);
    return st;
}

scw_status frame_gather(frame *out, const frame *f, const int64_t *rows, int64_t n)
{
    scw_status st = SCW_OK;
    column c = {0};

    *out = (frame){.n_rows = n};
    TRY(mem_strdup(&out->index_name, f->index_name));
    for (int64_t i = 0; i < n; i++) TRY(strings_add(&out->index, f->index.at[rows[i]]));
    for (int64_t k = 0; k < f->n_columns; k++) {
        TRY(column_gather(&c, &f->columns[k], f->columns[k].name, rows, n));
        TRY(frame_add(out, &c));
    }
done:
    column_clear(&c);
    if (st != SCW_OK) frame_clear(out);
    return st;
}

/* ------------------------------------------------------------------ columns as classes */

static scw_status real_text(strings *out, double v)
{
    char text[40];

    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    return strings_add(out, text);
}

scw_status column_texts(strings *out, const column *c)
{
    scw_status st = SCW_OK;
    char text[40];

    *out = (strings){0};
    for (int64_t i = 0; i < c->n; i++) {
        bool missing = c->missing && c->missing[i];
        switch (c->kind) {
        case COLUMN_FLOAT:
            if (missing || isnan(c->f64[i])) TRY(strings_add(out, ""));
            else TRY(real_text(out, c->f64[i] == 0 ? 0.0 : c->f64[i])); /* -0 and 0 are one */
            break;
        case COLUMN_INT:
            (void)snprintf(text, sizeof text, "%lld", (long long)c->i64[i]);
            TRY(strings_add(out, missing ? "" : text));
            break;
        case COLUMN_BOOL:
            TRY(strings_add(out, missing ? "" : c->boolean[i] ? "True" : "False"));
            break;
        case COLUMN_STRING: TRY(strings_add(out, missing ? "" : c->text.at[i])); break;
        case COLUMN_CATEGORICAL: {
            bool known = c->codes[i] >= 0 && c->codes[i] < c->categories.n;
            TRY(strings_add(out, known ? c->categories.at[c->codes[i]] : ""));
            break;
        }
        }
    }
done:
    if (st != SCW_OK) strings_clear(out);
    return st;
}

/* Name of the class of row i, or NULL: missing. */
static const char *row_name(const column *c, const strings *texts, int64_t i)
{
    if (c->kind == COLUMN_CATEGORICAL) {
        int32_t code = c->codes[i];
        return code >= 0 && code < c->categories.n ? c->categories.at[code] : NULL;
    }
    if (c->kind == COLUMN_STRING) {
        const char *s = c->text.at[i];
        bool missing = (c->missing && c->missing[i]) || !*s || strcmp(s, "nan") == 0;
        return missing ? NULL : s;
    }
    return *texts->at[i] ? texts->at[i] : NULL;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

scw_status column_classes(const column *c, int32_t **codes, strings *classes)
{
    scw_status st = SCW_OK;
    strings texts = {0};
    const char **names = NULL;
    name_index index = {0};
    int64_t n_names = 0;

    *codes = NULL;
    *classes = (strings){0};
    if (c->kind != COLUMN_CATEGORICAL && c->kind != COLUMN_STRING) TRY(column_texts(&texts, c));
    TRY(mem_new(&names, c->n));
    TRY(mem_new(codes, c->n));
    /* Consecutive equal names are dropped early: a sorted or categorical column sorts little. */
    for (int64_t i = 0; i < c->n; i++) {
        const char *name = row_name(c, &texts, i);
        if (name && (n_names == 0 || names[n_names - 1] != name)) names[n_names++] = name;
    }
    if (n_names) qsort(names, (size_t)n_names, sizeof *names, by_bytes);
    for (int64_t i = 0; i < n_names; i++)
        if (i == 0 || strcmp(names[i - 1], names[i]) != 0) TRY(strings_add(classes, names[i]));
    TRY(name_index_build(&index, (const char *const *)classes->at, classes->n, NULL));
    for (int64_t i = 0; i < c->n; i++) {
        const char *name = row_name(c, &texts, i);
        (*codes)[i] = name ? (int32_t)name_index_find(&index, name) : -1;
    }
done:
    if (st != SCW_OK) {
        mem_free(*codes);
        *codes = NULL;
        strings_clear(classes);
    }
    name_index_clear(&index);
    mem_free(names);
    strings_clear(&texts);
    return st;
}
