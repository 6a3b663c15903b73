/* SPDX-License-Identifier: BSD-3-Clause */
/* From a matrix with its cells and features to modalities. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/log.h"
#include "data/store_stack.h"
#include "io/formats.h"

void file_parts_clear(file_parts *f)
{
    for (int k = 0; k < f->n_parts; k++) dataset_part_clear(&f->parts[k]);
    mem_free(f->parts);
    frame_clear(&f->global);
    *f = (file_parts){0};
}

/* ------------------------------------------------------------------ names */

scw_status check_unique(const strings *names, const char *what, const char *where,
                        const char *remedy)
{
    scw_status st = SCW_OK;
    name_index index = {0};
    int64_t second;

    TRY(name_index_build(&index, (const char *const *)names->at, names->n, &second));
    if (second >= 0)
        BREAK(RULE_CELL_NAMES_UNIQUE, SCW_EDATA,
              "%s: %s name '%s' occurs twice (rows %lld and %lld); %s", where, what,
              names->at[second], (long long)name_index_find(&index, names->at[second]) + 1,
              (long long)second + 1, remedy);
done:
    name_index_clear(&index);
    return st;
}

/* The column that the user names takes the place of the features' names. */
static scw_status rename_features(frame *var, const char *key, const char *where)
{
    scw_status st = SCW_OK;
    const column *c = frame_find(var, key);
    strings names = {0};
    textbuf list = {0};

    if (!c) {
        for (int64_t i = 0; i < var->n_columns; i++)
            TRY(text_add(&list, "%s%s", i ? ", " : "", var->columns[i].name));
        FAIL(SCW_ENOTFOUND, "%s: var has no column '%s' to name the features; there is: %s", where,
             key, list.length ? text_get(&list) : "none");
    }
    TRY(column_texts(&names, c));
    strings_clear(&var->index);
    var->index = names;
    names = (strings){0};
done:
    strings_clear(&names);
    text_clear(&list);
    return st;
}

scw_status parts_check(dataset_part *part, const char *where, const read_request *q)
{
    scw_status st = SCW_OK;
    frame *var = &part->m.var;
    int64_t n_changed;

    if (part->obs.n_rows == 0)
        BREAK(RULE_AXIS_NOT_EMPTY, SCW_EDATA, "%s: has no cells", where);
    if (var->n_rows == 0) BREAK(RULE_AXIS_NOT_EMPTY, SCW_EDATA, "%s: has no features", where);
    TRY(check_unique(&part->obs.index, "cell", where,
                     "make cell names unique first, e.g. adata.obs_names_make_unique()"));
    if (q->options->var_names) TRY(rename_features(var, q->options->var_names, where));
    TRY(strings_make_unique(&var->index, &n_changed));
    if (n_changed && q->faults)
        TRY(rule_broken(q->faults, RULE_FEATURE_NAMES_UNIQUE, SCW_EDATA,
                        "%s: %lld features have the name of an earlier one", where,
                        (long long)n_changed));
    else if (n_changed)
        log_info(q->hooks, "%s: %lld features have the name of an earlier one and get numbers, "
                 "e.g. NAME-1", where, (long long)n_changed);
done:
    return st;
}

/* ------------------------------------------------------------------ kinds of features */

static const char *known_kind(const char *type)
{
    static const char *const table[][2] = {
        {"Gene Expression", "rna"},  {"GEX", "rna"},  {"RNA", "rna"},      {"Gene", "rna"},
        {"Antibody Capture", "adt"}, {"ADT", "adt"},  {"protein", "adt"},  {"Antibody", "adt"},
        {"Peaks", "atac"},           {"ATAC", "atac"}, {"Peak", "atac"},
        {"Chromatin Accessibility", "atac"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcasecmp(type, table[i][0]) == 0) return table[i][1];
    return NULL;
}

/* "CRISPR Guide Capture" becomes "crispr_guide_capture". */
static scw_status clean_kind(textbuf *out, const char *type)
{
    scw_status st = SCW_OK;
    const char *known = known_kind(type);

    text_clear(out);
    if (known) return text_add(out, "%s", known);
    for (const char *p = type; *p; p++) {
        char c = (char)tolower((unsigned char)*p);
        bool plain = isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
        if (plain || (out->length && out->data[out->length - 1] != '_'))
            TRY(text_add_bytes(out, plain ? &c : "_", 1));
    }
    while (out->length && out->data[out->length - 1] == '_') out->data[--out->length] = '\0';
    if (!out->length) TRY(text_add(out, "other"));
done:
    return st;
}

static scw_status kind_of(int32_t *out, strings *kinds, const char *type)
{
    scw_status st = SCW_OK;
    textbuf name = {0};

    TRY(clean_kind(&name, type));
    for (*out = 0; *out < kinds->n; ++*out)
        if (strcmp(kinds->at[*out], text_get(&name)) == 0) goto done;
    TRY(strings_add(kinds, text_get(&name)));
done:
    text_clear(&name);
    return st;
}

scw_status feature_kinds(strings *kinds, int32_t **code, const frame *var)
{
    scw_status st = SCW_OK;
    strings types = {0};
    int32_t *type_of = NULL, *kind_of_type = NULL;
    const column *c = frame_find(var, "feature_types");

    *kinds = (strings){0};
    *code = NULL;
    if (!c) c = frame_find(var, "feature_type");
    TRY(mem_new(code, var->n_rows));
    if (c) TRY(column_classes(c, &type_of, &types));
    TRY(mem_new(&kind_of_type, types.n));
    for (int64_t t = 0; t < types.n; t++) kind_of_type[t] = -1;
    for (int64_t j = 0; types.n && j < var->n_rows; j++) {
        int32_t t = type_of[j], *kind = t < 0 ? &(*code)[j] : &kind_of_type[t];
        if (t < 0 || *kind < 0) TRY(kind_of(kind, kinds, t < 0 ? "other" : types.at[t]));
        (*code)[j] = *kind;
    }
    if (kinds->n == 0) TRY(strings_add(kinds, "rna"));
done:
    mem_free(type_of);
    mem_free(kind_of_type);
    strings_clear(&types);
    if (st != SCW_OK) {
        strings_clear(kinds);
        mem_free(*code);
        *code = NULL;
    }
    return st;
}

/* ------------------------------------------------------------------ splitting */

static scw_status append(file_parts *out, dataset_part *part)
{
    scw_status st = SCW_OK;

    TRY(mem_resize(&out->parts, out->n_parts + 1));
    out->parts[out->n_parts++] = *part;
    *part = (dataset_part){0};
done:
    return st;
}

/* Layers and arrays over features go with their features; those over cells stay with the first part. */
static scw_status take_arrays(dataset_part *out, dataset_part *whole, const int64_t *from, int64_t n,
                              bool first)
{
    scw_status st = SCW_OK;
    matrix cut = {0};

    for (int k = 0; k < whole->m.n_arrays; k++) {
        modality_array *a = &whole->m.arrays[k];
        if (strcmp(a->group, "layers") == 0) {
            TRY(matrix_select_columns(&cut, &a->x, from, n));
        } else if (strcmp(a->group, "varm") == 0) {
            TRY(matrix_rows_csr(&cut, &a->x, from, n));
        } else if (strncmp(a->group, "obs", 3) == 0 && first) {
            cut = a->x;
            a->x = (matrix){0};
        } else {
            continue;
        }
        TRY(modality_add_array(&out->m, a->group, a->name, &cut));
    }
done:
    matrix_clear(&cut);
    return st;
}

/* The n columns of one kind of a matrix that is in its file, where they stay. */
static scw_status select_stored(modality *out, const modality *whole, const int32_t *code,
                                int32_t kind, int64_t n)
{
    scw_status st = SCW_OK;
    stack_part part = {.x = {.n_rows = whole->x.n_rows, .n_cols = whole->x.n_cols, .sparse = true}};
    int64_t at = 0;

    TRY(mem_new(&part.to, whole->x.n_cols));
    for (int64_t j = 0; j < whole->x.n_cols; j++) part.to[j] = code[j] == kind ? at++ : -1;
    part.store = row_store_share(whole->store);
    TRY(row_store_stack(&out->store, &part, 1, n, whole->store->memory_bytes));
    out->x = (matrix){
        .n_rows = whole->x.n_rows, .n_cols = n, .sparse = true, .stored = whole->x.stored};
done:
    stack_part_clear(&part);
    return st;
}

/* The features of one kind. The columns of obs stay with the first part that asks for them. */
static scw_status cut_kind(dataset_part *out, dataset_part *whole, const int32_t *code, int32_t kind,
                           bool first, bool values)
{
    scw_status st = SCW_OK;
    int64_t *from = NULL, n = 0;

    *out = (dataset_part){0};
    TRY(mem_new(&from, whole->m.var.n_rows));
    for (int64_t j = 0; j < whole->m.var.n_rows; j++)
        if (code[j] == kind) from[n++] = j;
    TRY(frame_gather(&out->m.var, &whole->m.var, from, n));
    if (values && whole->m.store) TRY(select_stored(&out->m, &whole->m, code, kind, n));
    else if (values) TRY(matrix_select_columns(&out->m.x, &whole->m.x, from, n));
    TRY(take_arrays(out, whole, from, n, first));
    out->obs.n_rows = whole->obs.n_rows;
    TRY(mem_strdup(&out->obs.index_name, whole->obs.index_name));
    TRY(strings_copy(&out->obs.index, &whole->obs.index));
    if (first) { /* the columns move */
        out->obs.columns = whole->obs.columns;
        out->obs.n_columns = whole->obs.n_columns;
        whole->obs.columns = NULL;
        whole->obs.n_columns = 0;
    }
done:
    mem_free(from);
    if (st != SCW_OK) dataset_part_clear(out);
    return st;
}

static scw_status split(file_parts *out, dataset_part *whole, const strings *kinds,
                        const int32_t *code, const char *where, const read_request *q)
{
    scw_status st = SCW_OK;
    dataset_part part = {0};
    textbuf list = {0};
    const char *wanted = q->source->modality;
    bool first = true;

    for (int64_t k = 0; k < kinds->n; k++)
        TRY(text_add(&list, "%s%s", k ? ", " : "", kinds->at[k]));
    for (int64_t k = 0; k < kinds->n; k++) {
        if (wanted && strcmp(kinds->at[k], wanted) != 0) continue;
        TRY(cut_kind(&part, whole, code, (int32_t)k, first, q->depth != READ_FRAMES));
        TRY(mem_strdup(&part.m.name, kinds->at[k]));
        TRY(append(out, &part));
        first = false;
    }
    if (first)
        FAIL(SCW_EINVAL, "%s: holds several kinds of features (%s), none of them '%s'", where,
             text_get(&list), wanted);
    if (wanted) log_info(q->hooks, "%s: of %s only '%s' is read", where, text_get(&list), wanted);
    else log_detail(q->hooks, "%s: features of several kinds: %s", where, text_get(&list));
done:
    text_clear(&list);
    dataset_part_clear(&part);
    return st;
}

scw_status parts_add(file_parts *out, dataset_part *part, const char *where, const read_request *q)
{
    scw_status st = SCW_OK;
    strings kinds = {0};
    int32_t *code = NULL;

    TRY(parts_check(part, where, q));
    TRY(feature_kinds(&kinds, &code, &part->m.var));
    if (kinds.n > 1) {
        TRY(split(out, part, &kinds, code, where, q));
    } else {
        TRY(mem_strdup(&part->m.name, q->source->modality ? q->source->modality : kinds.at[0]));
        TRY(append(out, part));
    }
done:
    mem_free(code);
    strings_clear(&kinds);
    dataset_part_clear(part);
    return st;
}
