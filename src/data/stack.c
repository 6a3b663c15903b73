/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/stack.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "data/identity.h"
#include "data/store_stack.h"

/* ------------------------------------------------------------------ frames */

static column_kind common_kind(column_kind a, column_kind b)
{
    if (a == b) return a;
    bool numbers = (a == COLUMN_INT || a == COLUMN_FLOAT) && (b == COLUMN_INT || b == COLUMN_FLOAT);
    if (numbers) return COLUMN_FLOAT;
    bool words = (a == COLUMN_STRING || a == COLUMN_CATEGORICAL) &&
                 (b == COLUMN_STRING || b == COLUMN_CATEGORICAL);
    return words ? COLUMN_CATEGORICAL : COLUMN_STRING;
}

/* Code of a category in `out`, which grows where it lacks it. */
static scw_status code_of(int32_t *code, column *out, const char *name)
{
    scw_status st = SCW_OK;

    for (int64_t k = 0; k < out->categories.n; k++)
        if (strcmp(out->categories.at[k], name) == 0) {
            *code = (int32_t)k;
            return SCW_OK;
        }
    *code = (int32_t)out->categories.n;
    TRY(strings_add(&out->categories, name));
done:
    return st;
}

static scw_status append_codes(column *out, const column *c, int64_t at)
{
    scw_status st = SCW_OK;
    int32_t *map = NULL, *codes = c->codes;
    column as_classes = {0};
    const strings *names = &c->categories;

    if (c->kind == COLUMN_STRING) {
        TRY(column_classes(c, &as_classes.codes, &as_classes.categories));
        codes = as_classes.codes;
        names = &as_classes.categories;
    }
    TRY(mem_new(&map, names->n));
    for (int64_t k = 0; k < names->n; k++) TRY(code_of(&map[k], out, names->at[k]));
    for (int64_t i = 0; i < c->n; i++) out->codes[at + i] = codes[i] < 0 ? -1 : map[codes[i]];
done:
    mem_free(map);
    column_clear(&as_classes);
    return st;
}

/* The values of c as rows at, at + 1, ... of out. */
static scw_status append_values(column *out, const column *c, int64_t at)
{
    scw_status st = SCW_OK;
    strings texts = {0};

    if (out->kind == COLUMN_CATEGORICAL) return append_codes(out, c, at);
    if (out->kind == COLUMN_STRING) TRY(column_texts(&texts, c));
    for (int64_t i = 0; i < c->n; i++) {
        bool missing = column_is_missing(c, i);
        out->missing[at + i] = missing;
        if (out->kind == COLUMN_FLOAT)
            out->f64[at + i] = missing ? (double)NAN
                               : c->kind == COLUMN_INT ? (double)c->i64[i] : c->f64[i];
        else if (out->kind == COLUMN_INT) out->i64[at + i] = missing ? 0 : c->i64[i];
        else if (out->kind == COLUMN_BOOL) out->boolean[at + i] = missing ? 0 : c->boolean[i];
        else TRY(strings_add(&out->text, missing ? "" : texts.at[i]));
    }
done:
    strings_clear(&texts);
    return st;
}

static scw_status append_missing(column *out, int64_t at, int64_t n)
{
    scw_status st = SCW_OK;

    for (int64_t i = at; i < at + n; i++) {
        if (out->kind == COLUMN_CATEGORICAL) out->codes[i] = -1;
        else out->missing[i] = 1;
        if (out->kind == COLUMN_FLOAT) out->f64[i] = (double)NAN;
        if (out->kind == COLUMN_STRING) TRY(strings_add(&out->text, ""));
    }
done:
    return st;
}

static bool same_strings(const strings *a, const strings *b)
{
    if (a->n != b->n) return false;
    for (int64_t i = 0; i < a->n; i++)
        if (strcmp(a->at[i], b->at[i]) != 0) return false;
    return true;
}

static scw_status stack_column(frame *out, const char *name, const frame *const *frames, int n)
{
    scw_status st = SCW_OK;
    column c = {0};
    const column *first = NULL;
    column_kind kind = COLUMN_FLOAT;
    bool ordered = true;

    for (int k = 0; k < n; k++) {
        const column *own = frame_find(frames[k], name);
        if (!own) continue;
        kind = first ? common_kind(kind, own->kind) : own->kind;
        if (!first) first = own;
        ordered &= own->ordered && same_strings(&own->categories, &first->categories);
    }
    TRY(column_init(&c, name, kind, out->n_rows));
    c.ordered = kind == COLUMN_CATEGORICAL && ordered;
    if (kind != COLUMN_CATEGORICAL) TRY(mem_new(&c.missing, out->n_rows));
    int64_t at = 0;
    for (int k = 0; k < n; k++) {
        const column *own = frame_find(frames[k], name);
        TRY(own ? append_values(&c, own, at) : append_missing(&c, at, frames[k]->n_rows));
        at += frames[k]->n_rows;
    }
    column_drop_empty_mask(&c);
    TRY(frame_add(out, &c));
done:
    column_clear(&c);
    return st;
}

scw_status frame_stack(frame *out, const frame *const *frames, int n)
{
    scw_status st = SCW_OK;

    *out = (frame){0};
    TRY(mem_strdup(&out->index_name, n && frames[0]->index_name ? frames[0]->index_name : "_index"));
    for (int k = 0; k < n; k++)
        for (int64_t i = 0; i < frames[k]->n_rows; i++)
            TRY(strings_add(&out->index, frames[k]->index.at[i]));
    out->n_rows = out->index.n;
    for (int k = 0; k < n; k++)
        for (int64_t j = 0; j < frames[k]->n_columns; j++) {
            const char *name = frames[k]->columns[j].name;
            if (!frame_find(out, name)) TRY(stack_column(out, name, frames, n));
        }
done:
    if (st != SCW_OK) frame_clear(out);
    return st;
}

/* ------------------------------------------------------------------ features */

/* The features of the result: the first part's, then those that only later parts have; owner[j] = part,
 * row[j] = row there; to[k][i] = feature of the result that row i of part k is. */
typedef struct feature_union {
    int64_t n, capacity;
    int32_t *owner;
    int64_t *row;
    int64_t **to;
    int32_t *n_parts; /* [n] how many parts have it */
} feature_union;

static void union_clear(feature_union *u, int n)
{
    for (int k = 0; u->to && k < n; k++) mem_free(u->to[k]);
    mem_free(u->to);
    mem_free(u->owner);
    mem_free(u->row);
    mem_free(u->n_parts);
}

static scw_status union_add(feature_union *u, int part, int64_t row)
{
    scw_status st = SCW_OK;

    if (u->n == u->capacity) {
        int64_t capacity = 2 * u->capacity + 1024;
        TRY(mem_resize(&u->owner, capacity));
        TRY(mem_resize(&u->row, capacity));
        TRY(mem_resize(&u->n_parts, capacity));
        u->capacity = capacity;
    }
    u->owner[u->n] = (int32_t)part;
    u->row[u->n] = row;
    u->n_parts[u->n++] = 0;
done:
    return st;
}

/* The union so far as a frame, for matching the next part with it. */
static scw_status union_frame(frame *out, const feature_union *u, const dataset_part *parts, int n)
{
    scw_status st = SCW_OK;
    frame stacked = {0};
    const frame **all = NULL;
    int64_t *start = NULL, *rows = NULL;

    TRY(mem_new(&all, n));
    TRY(mem_new(&start, n + 1));
    TRY(mem_new(&rows, u->n));
    for (int k = 0; k < n; k++) {
        all[k] = &parts[k].m.var;
        start[k + 1] = start[k] + all[k]->n_rows;
    }
    for (int64_t j = 0; j < u->n; j++) rows[j] = start[u->owner[j]] + u->row[j];
    TRY(frame_stack(&stacked, all, n));
    TRY(frame_gather(out, &stacked, rows, u->n));
done:
    frame_clear(&stacked);
    mem_free(all);
    mem_free(start);
    mem_free(rows);
    return st;
}

static scw_status unite(feature_union *u, const dataset_part *parts, int n, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    frame known = {0};
    int64_t *at = NULL;

    TRY(mem_new(&u->to, n));
    for (int k = 0; k < n; k++) {
        const frame *var = &parts[k].m.var;
        features_how how = {0};
        TRY(mem_new(&u->to[k], var->n_rows));
        mem_free(at);
        at = NULL;
        TRY(mem_new(&at, var->n_rows));
        if (k == 0) {
            for (int64_t i = 0; i < var->n_rows; i++) at[i] = -1;
        } else {
            frame_clear(&known);
            TRY(union_frame(&known, u, parts, k));
            TRY(features_match(at, &how, var, &known));
        }
        if (how.wanted || how.there)
            log_info(hooks, "features of modality '%s' are matched by %s and %s", parts[0].m.name,
                     how.wanted ? how.wanted : "name", how.there ? how.there : "name");
        for (int64_t i = 0; i < var->n_rows; i++) {
            if (at[i] < 0) {
                at[i] = u->n;
                TRY(union_add(u, k, i));
            }
            u->to[k][i] = at[i];
            u->n_parts[at[i]]++;
        }
    }
done:
    mem_free(at);
    frame_clear(&known);
    return st;
}

/* Leave out what `join` does not ask for. */
static void choose(feature_union *u, const dataset_part *parts, int n, scw_join join, int64_t *place)
{
    int64_t kept = 0;

    for (int64_t j = 0; j < u->n; j++) {
        bool keep = join == SCW_JOIN_OUTER || (join == SCW_JOIN_REFERENCE && u->owner[j] == 0) ||
                    (join == SCW_JOIN_INNER && u->n_parts[j] == n);
        place[j] = keep ? kept : -1;
        if (!keep) continue;
        u->owner[kept] = u->owner[j];
        u->row[kept++] = u->row[j];
    }
    u->n = kept;
    for (int k = 0; k < n; k++)
        for (int64_t i = 0; i < parts[k].m.var.n_rows; i++) u->to[k][i] = place[u->to[k][i]];
}

/* ------------------------------------------------------------------ parts */

static const matrix *find_array(const dataset_part *p, const char *group, const char *name)
{
    for (int k = 0; k < p->m.n_arrays; k++)
        if (strcmp(p->m.arrays[k].group, group) == 0 && strcmp(p->m.arrays[k].name, name) == 0)
            return &p->m.arrays[k].x;
    return NULL;
}

/* Rows of dense arrays of one width below each other. */
static scw_status stack_dense(matrix *out, const matrix *const *parts, int n)
{
    scw_status st = SCW_OK;
    const int64_t width = parts[0]->n_cols;
    int64_t n_rows = 0, at = 0;

    for (int k = 0; k < n; k++) n_rows += parts[k]->n_rows;
    TRY(matrix_init(out, n_rows, width, false, 0, parts[0]->exact != NULL));
    out->stored = parts[0]->stored;
    for (int k = 0; k < n; k++) {
        out->stored = number_type_join(out->stored, parts[k]->stored);
        for (int64_t e = 0; e < parts[k]->n_rows * width; e++)
            matrix_set_value(out, at++, matrix_value(parts[k], e));
    }
done:
    return st;
}

/* Array `a` of the first part, when all parts have it in a form that can be joined; else *out stays empty. */
static scw_status stack_array(matrix *out, const dataset_part *parts, int n, int a,
                              const int64_t *const *to, int64_t n_features)
{
    scw_status st = SCW_OK;
    const modality_array *first = &parts[0].m.arrays[a];
    const bool layer = strcmp(first->group, "layers") == 0, obsm = strcmp(first->group, "obsm") == 0;
    const matrix **all = NULL;
    const int64_t **as_it_is = NULL;
    bool dense = true;

    if (!layer && !obsm) return SCW_OK;
    TRY(mem_new(&all, n));
    TRY(mem_new(&as_it_is, n));
    for (int k = 0; k < n; k++) {
        all[k] = find_array(&parts[k], first->group, first->name);
        if (!all[k] || (obsm && all[k]->n_cols != first->x.n_cols)) goto done;
        dense = dense && !all[k]->sparse;
    }
    if (layer) TRY(matrix_stack(out, all, to, n, n_features));
    else if (dense) TRY(stack_dense(out, all, n));
    else TRY(matrix_stack(out, all, as_it_is, n, first->x.n_cols));
done:
    mem_free(all);
    mem_free(as_it_is);
    return st;
}

static scw_status add_once(strings *list, const char *name)
{
    for (int64_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i], name) == 0) return SCW_OK;
    return strings_add(list, name);
}

/* The arrays that can be joined, and the names of everything else. */
static scw_status stack_arrays(dataset_part *out, const dataset_part *parts, int n,
                               const int64_t *const *to)
{
    scw_status st = SCW_OK;
    matrix x = {0};
    textbuf name = {0};

    for (int a = 0; a < parts[0].m.n_arrays; a++) {
        const modality_array *first = &parts[0].m.arrays[a];
        TRY(stack_array(&x, parts, n, a, to, out->m.var.n_rows));
        if (x.n_rows > 0) TRY(modality_add_array(&out->m, first->group, first->name, &x));
    }
    for (int k = 0; k < n; k++) {
        for (int a = 0; a < parts[k].m.n_arrays; a++) {
            const modality_array *own = &parts[k].m.arrays[a];
            if (find_array(out, own->group, own->name)) continue;
            text_clear(&name);
            TRY(text_add(&name, "%s/%s", own->group, own->name));
            TRY(add_once(&out->unread, text_get(&name)));
        }
        for (int64_t i = 0; i < parts[k].unread.n; i++)
            TRY(add_once(&out->unread, parts[k].unread.at[i]));
    }
done:
    matrix_clear(&x);
    text_clear(&name);
    return st;
}

/* Their rows below each other: in memory if they are there, else where they are. */
static scw_status stack_rows(dataset_part *out, dataset_part *parts, int n, int64_t **to,
                             int64_t n_cols)
{
    scw_status st = SCW_OK;
    const matrix **x = NULL;
    stack_part *rows = NULL;
    int64_t n_rows = 0, memory = 0;
    number_type stored = parts[0].m.x.stored;

    TRY(mem_new(&x, n));
    for (int k = 0; k < n; k++) {
        x[k] = &parts[k].m.x;
        n_rows += x[k]->n_rows;
        stored = number_type_join(stored, x[k]->stored);
        if (!parts[k].m.store) continue;
        const int64_t share = parts[k].m.store->memory_bytes;
        memory = memory > INT64_MAX - share ? INT64_MAX : memory + share;
    }
    if (memory == 0) {
        TRY(matrix_stack(&out->m.x, x, (const int64_t *const *)to, n, n_cols));
        goto done;
    }
    TRY(mem_new(&rows, n));
    for (int k = 0; k < n; k++) {
        rows[k] = (stack_part){parts[k].m.x, parts[k].m.store, to[k]};
        parts[k].m.x = (matrix){0};
        parts[k].m.store = NULL;
        to[k] = NULL;
    }
    TRY(row_store_stack(&out->m.store, rows, n, n_cols, memory));
    out->m.x = (matrix){.n_rows = n_rows, .n_cols = n_cols, .sparse = true, .stored = stored};
done:
    for (int k = 0; rows && k < n; k++) stack_part_clear(&rows[k]);
    mem_free(rows);
    mem_free(x);
    return st;
}

scw_status parts_stack(dataset_part *out, dataset_part *parts, int n, scw_join join,
                       const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    feature_union u = {0};
    int64_t *place = NULL;
    const frame **obs = NULL;

    *out = (dataset_part){0};
    TRY(unite(&u, parts, n, hooks));
    TRY(mem_new(&place, u.n));
    choose(&u, parts, n, join, place);
    if (u.n == 0)
        FAIL(SCW_EDATA, "modality '%s': the files have no feature in common; 'outer' joins them all "
             "the same", parts[0].m.name);
    TRY(union_frame(&out->m.var, &u, parts, n));
    TRY(mem_new(&obs, n));
    for (int k = 0; k < n; k++) obs[k] = &parts[k].obs;
    TRY(stack_arrays(out, parts, n, (const int64_t *const *)u.to));
    TRY(frame_stack(&out->obs, obs, n));
    TRY(stack_rows(out, parts, n, u.to, u.n));
    TRY(mem_strdup(&out->m.name, parts[0].m.name));
    for (int k = 0; k < n; k++) dataset_part_clear(&parts[k]);
done:
    union_clear(&u, n);
    mem_free(place);
    mem_free(obs);
    if (st != SCW_OK) dataset_part_clear(out);
    return st;
}
