/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/join.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

void dataset_part_clear(dataset_part *p)
{
    modality_clear(&p->m);
    frame_clear(&p->obs);
    mem_free(p->row_of_obs);
    mem_free(p->batch);
    strings_clear(&p->unread);
    *p = (dataset_part){0};
}

/* Do two columns on the same axis agree wherever both have a value? */
static bool agree(const column *a, const column *b)
{
    if (a->kind != b->kind) return false;
    for (int64_t i = 0; i < a->n; i++) {
        if (column_is_missing(a, i) || column_is_missing(b, i)) continue;
        bool same = false;
        switch (a->kind) {
        case COLUMN_FLOAT:
            same = a->f64[i] == b->f64[i] || (isnan(a->f64[i]) && isnan(b->f64[i]));
            break;
        case COLUMN_INT: same = a->i64[i] == b->i64[i]; break;
        case COLUMN_BOOL: same = a->boolean[i] == b->boolean[i]; break;
        case COLUMN_STRING: same = strcmp(a->text.at[i], b->text.at[i]) == 0; break;
        case COLUMN_CATEGORICAL:
            same = strcmp(a->categories.at[a->codes[i]], b->categories.at[b->codes[i]]) == 0;
            break;
        }
        if (!same) return false;
    }
    return true;
}

/* Positions of the categories of `from` in those of `into`, which grows where it lacks one. */
static scw_status map_categories(int32_t **map, strings *into, const strings *from)
{
    scw_status st = SCW_OK;
    name_index index = {0};
    int64_t known = into->n;

    TRY(mem_new(map, from->n));
    for (int64_t k = 0; k < from->n; k++) (*map)[k] = -1;
    TRY(name_index_build(&index, (const char *const *)into->at, known, NULL));
    for (int64_t k = 0; k < from->n; k++) (*map)[k] = (int32_t)name_index_find(&index, from->at[k]);
    name_index_clear(&index);
    for (int64_t k = 0; k < from->n; k++) {
        if ((*map)[k] >= 0) continue;
        (*map)[k] = (int32_t)into->n;
        TRY(strings_add(into, from->at[k]));
    }
done:
    name_index_clear(&index);
    return st;
}

/* Give the missing values of `into` those of `from` (same kind, same axis). */
static scw_status fill(column *into, const column *from)
{
    scw_status st = SCW_OK;
    int32_t *map = NULL;

    if (into->kind == COLUMN_CATEGORICAL)
        TRY(map_categories(&map, &into->categories, &from->categories));
    for (int64_t i = 0; i < into->n; i++) {
        if (!column_is_missing(into, i) || column_is_missing(from, i)) continue;
        switch (into->kind) {
        case COLUMN_FLOAT: into->f64[i] = from->f64[i]; break;
        case COLUMN_INT: into->i64[i] = from->i64[i]; break;
        case COLUMN_BOOL: into->boolean[i] = from->boolean[i]; break;
        case COLUMN_STRING: {
            char *copy;
            TRY(mem_strdup(&copy, from->text.at[i]));
            mem_free(into->text.at[i]);
            into->text.at[i] = copy;
            break;
        }
        case COLUMN_CATEGORICAL: into->codes[i] = map[from->codes[i]]; break;
        }
        if (into->missing) into->missing[i] = 0;
    }
    column_drop_empty_mask(into);
done:
    mem_free(map);
    return st;
}

static const column *find_qualified(const frame *obs, const char *modality_name, const char *key)
{
    size_t n = strlen(modality_name);

    for (int64_t i = 0; i < obs->n_columns; i++) {
        const char *name = obs->columns[i].name;
        if (strncmp(name, modality_name, n) == 0 && name[n] == ':' &&
            strcmp(name + n + 1, key) == 0)
            return &obs->columns[i];
    }
    return NULL;
}

/* Add column `key` to obs if the modalities that have it agree. */
static scw_status merge_key(scw_dataset *d, const dataset_part *parts, int n_parts, int first,
                            const char *key)
{
    scw_status st = SCW_OK;
    column merged = {0};
    const column *c = frame_find(&parts[first].obs, key);

    TRY(column_gather(&merged, c, key, d->modalities[first].row_of_obs, d->n_obs));
    for (int k = first + 1; k < n_parts; k++) {
        if (!frame_find(&parts[k].obs, key)) continue;
        const column *other = find_qualified(&d->obs, d->modalities[k].name, key);
        if (!other) continue;
        if (!agree(&merged, other)) goto done;
        TRY(fill(&merged, other));
    }
    TRY(frame_add(&d->obs, &merged));
done:
    column_clear(&merged);
    return st;
}

static scw_status merge_columns(scw_dataset *d, const dataset_part *parts, int n_parts)
{
    scw_status st = SCW_OK;
    column c = {0};
    textbuf name = {0};

    for (int k = 0; k < n_parts; k++) {
        for (int64_t i = 0; i < parts[k].obs.n_columns; i++) {
            const column *own = &parts[k].obs.columns[i];
            text_clear(&name);
            TRY(text_add(&name, "%s:%s", d->modalities[k].name, own->name));
            if (frame_find(&d->obs, text_get(&name))) continue;
            TRY(column_gather(&c, own, text_get(&name), d->modalities[k].row_of_obs, d->n_obs));
            TRY(frame_add(&d->obs, &c));
        }
    }
    for (int k = 0; k < n_parts; k++) {
        for (int64_t i = 0; i < parts[k].obs.n_columns; i++) {
            const char *key = parts[k].obs.columns[i].name;
            bool earlier = false;
            for (int e = 0; e < k; e++) earlier |= frame_find(&parts[e].obs, key) != NULL;
            if (!earlier && !frame_find(&d->obs, key)) TRY(merge_key(d, parts, n_parts, k, key));
        }
    }
done:
    column_clear(&c);
    text_clear(&name);
    return st;
}

/* obs index = union of the parts' cells in order of appearance. */
static scw_status unite_cells(frame *obs, const dataset_part *parts, int n_parts)
{
    scw_status st = SCW_OK;
    strings all = {0};
    name_index index = {0};

    TRY(mem_strdup(&obs->index_name, "_index"));
    for (int k = 0; k < n_parts; k++)
        for (int64_t i = 0; i < parts[k].obs.n_rows; i++)
            TRY(strings_add(&all, parts[k].obs.index.at[i]));
    TRY(name_index_build(&index, (const char *const *)all.at, all.n, NULL));
    for (int64_t i = 0; i < all.n; i++)
        if (name_index_find(&index, all.at[i]) == i) TRY(strings_add(&obs->index, all.at[i]));
    obs->n_rows = obs->index.n;
done:
    name_index_clear(&index);
    strings_clear(&all);
    return st;
}

static scw_status place_rows(modality *m, const scw_dataset *d, dataset_part *part)
{
    scw_status st = SCW_OK;
    name_index index = {0};

    if (part->row_of_obs) {
        m->row_of_obs = part->row_of_obs;
        part->row_of_obs = NULL;
    } else {
        TRY(mem_new(&m->row_of_obs, d->n_obs));
        TRY(name_index_build(&index, (const char *const *)part->obs.index.at, part->obs.n_rows,
                             NULL));
        for (int64_t i = 0; i < d->n_obs; i++)
            m->row_of_obs[i] = name_index_find(&index, d->obs.index.at[i]);
    }
    m->n_present = 0;
    for (int64_t i = 0; i < d->n_obs; i++) m->n_present += m->row_of_obs[i] >= 0;
done:
    name_index_clear(&index);
    return st;
}

scw_status dataset_join(scw_dataset *d, dataset_part *parts, int n_parts, frame *global)
{
    scw_status st = SCW_OK;
    bool alone = n_parts == 1 && !global;

    TRY(mem_new(&d->modalities, n_parts));
    if (global) {
        d->obs = *global;
        *global = (frame){0};
    } else if (alone) {
        d->obs = parts[0].obs;
        parts[0].obs = (frame){0};
    } else {
        TRY(unite_cells(&d->obs, parts, n_parts));
    }
    d->n_obs = d->obs.n_rows;
    for (int k = 0; k < n_parts; k++) {
        d->modalities[k] = parts[k].m;
        d->n_modalities = k + 1;
        parts[k].m = (modality){0};
        if (alone) {
            modality *m = &d->modalities[0];
            TRY(mem_new(&m->row_of_obs, d->n_obs));
            for (int64_t i = 0; i < d->n_obs; i++) m->row_of_obs[i] = i;
            m->n_present = d->n_obs;
        } else {
            TRY(place_rows(&d->modalities[k], d, &parts[k]));
        }
    }
    if (!alone) TRY(merge_columns(d, parts, n_parts));
done:
    return st;
}
