/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/results.h"

#include <string.h>

#include "base/alloc.h"

const char *const results_ranking_names[RESULTS_RANKING_VALUES] = {
    "scores", "scores_se", "logfoldchanges", "pvals", "pvals_adj"};

scw_status results_new(scw_results **out, int64_t n_obs)
{
    scw_status st = SCW_OK;

    TRY(mem_new(out, 1));
    (*out)->n_obs = n_obs;
done:
    return st;
}

void results_array_clear(results_array *a)
{
    mem_free(a->name);
    mem_free(a->values);
    strings_clear(&a->col_names);
    *a = (results_array){0};
}

scw_status results_add_column(scw_results *r, column *c)
{
    scw_status st = SCW_OK;
    int64_t at = 0;

    if (c->n != r->n_obs)
        FAIL(SCW_EINTERNAL, "result column '%s' has %lld rows, expected %lld", c->name,
             (long long)c->n, (long long)r->n_obs);
    while (at < r->n_columns && strcmp(r->columns[at].name, c->name) != 0) at++;
    if (at == r->n_columns) {
        TRY(mem_resize(&r->columns, r->n_columns + 1));
        r->n_columns++;
    } else {
        column_clear(&r->columns[at]);
    }
    r->columns[at] = *c;
    *c = (column){0};
done:
    return st;
}

scw_status results_add_array(scw_results *r, results_array *a)
{
    scw_status st = SCW_OK;
    int64_t at = 0;

    if (a->n_rows != r->n_obs || (a->col_names.n && a->col_names.n != a->n_cols))
        FAIL(SCW_EINTERNAL, "result array '%s' is %lld x %lld with %lld names, expected %lld rows",
             a->name, (long long)a->n_rows, (long long)a->n_cols, (long long)a->col_names.n,
             (long long)r->n_obs);
    while (at < r->n_arrays && strcmp(r->arrays[at].name, a->name) != 0) at++;
    if (at == r->n_arrays) {
        TRY(mem_resize(&r->arrays, r->n_arrays + 1));
        r->n_arrays++;
    } else {
        results_array_clear(&r->arrays[at]);
    }
    r->arrays[at] = *a;
    *a = (results_array){0};
done:
    return st;
}

void results_ranking_free(results_ranking *r)
{
    if (!r) return;
    mem_free(r->name);
    mem_free(r->params_json);
    strings_clear(&r->groups);
    strings_clear(&r->features);
    strings_clear(&r->modalities);
    for (int k = 0; k < RESULTS_RANKING_VALUES; k++) mem_free(r->values[k]);
    mem_free(r);
}

/* ------------------------------------------------------------------ parts */

scw_status results_part_of(results_part **out, scw_results *r, const char *modality, int64_t n_obs,
                           int64_t n_vars)
{
    scw_status st = SCW_OK;
    int64_t at = 0;

    while (at < r->n_parts && strcmp(r->parts[at].modality, modality) != 0) at++;
    if (at == r->n_parts) {
        TRY(mem_resize(&r->parts, r->n_parts + 1));
        r->parts[at] = (results_part){.obs = {.n_rows = n_obs}, .var = {.n_rows = n_vars}};
        r->n_parts++;
        TRY(mem_strdup(&r->parts[at].modality, modality));
    }
    *out = &r->parts[at];
done:
    return st;
}

scw_status results_part_column(frame *to, column *c)
{
    scw_status st = SCW_OK;

    if (c->n != to->n_rows)
        FAIL(SCW_EINTERNAL, "result column '%s' has %lld rows, expected %lld", c->name,
             (long long)c->n, (long long)to->n_rows);
    for (int64_t k = 0; k < to->n_columns; k++) {
        if (strcmp(to->columns[k].name, c->name) != 0) continue;
        column_clear(&to->columns[k]);
        to->columns[k] = *c;
        *c = (column){0};
        goto done;
    }
    TRY(frame_add(to, c));
done:
    return st;
}

static scw_status add_to(results_array **list, int64_t *n, results_array *a, int64_t n_rows)
{
    scw_status st = SCW_OK;
    int64_t at = 0;

    if (a->n_rows != n_rows)
        FAIL(SCW_EINTERNAL, "result array '%s' has %lld rows, expected %lld", a->name,
             (long long)a->n_rows, (long long)n_rows);
    while (at < *n && strcmp((*list)[at].name, a->name) != 0) at++;
    if (at == *n) {
        TRY(mem_resize(list, *n + 1));
        ++*n;
    } else {
        results_array_clear(&(*list)[at]);
    }
    (*list)[at] = *a;
    *a = (results_array){0};
done:
    return st;
}

scw_status results_part_obsm(results_part *p, results_array *a)
{
    return add_to(&p->obsm, &p->n_obsm, a, p->obs.n_rows);
}

scw_status results_part_varm(results_part *p, results_array *a)
{
    return add_to(&p->varm, &p->n_varm, a, p->var.n_rows);
}

scw_status results_part_matrix(results_part *p, results_matrix *m)
{
    scw_status st = SCW_OK;

    TRY(mem_resize(&p->matrices, p->n_matrices + 1));
    p->matrices[p->n_matrices++] = *m;
    *m = (results_matrix){0};
done:
    return st;
}

scw_status results_part_record(results_part *p, const char *name, const char *json)
{
    scw_status st = SCW_OK;
    results_record r = {0};

    TRY(mem_strdup(&r.name, name));
    TRY(mem_strdup(&r.json, json));
    TRY(mem_resize(&p->records, p->n_records + 1));
    p->records[p->n_records++] = r;
    r = (results_record){0};
done:
    mem_free(r.name);
    mem_free(r.json);
    return st;
}

scw_status results_part_vector(results_part *p, const char *dict, const char *key,
                               const double *values, int64_t n)
{
    scw_status st = SCW_OK;
    results_vector v = {.n = n};

    TRY(mem_strdup(&v.dict, dict));
    TRY(mem_strdup(&v.key, key));
    TRY(mem_new(&v.values, n));
    if (n > 0) memcpy(v.values, values, (size_t)n * sizeof *values);
    TRY(mem_resize(&p->vectors, p->n_vectors + 1));
    p->vectors[p->n_vectors++] = v;
    v = (results_vector){0};
done:
    mem_free(v.dict);
    mem_free(v.key);
    mem_free(v.values);
    return st;
}

static void part_clear(results_part *p)
{
    mem_free(p->modality);
    mem_free(p->source_layer);
    frame_clear(&p->obs);
    frame_clear(&p->var);
    for (int64_t k = 0; k < p->n_obsm; k++) results_array_clear(&p->obsm[k]);
    for (int64_t k = 0; k < p->n_varm; k++) results_array_clear(&p->varm[k]);
    for (int64_t k = 0; k < p->n_matrices; k++) {
        mem_free(p->matrices[k].layer);
        mem_free(p->matrices[k].shift);
        block_reader_free(p->matrices[k].rows);
    }
    for (int64_t k = 0; k < p->n_records; k++) {
        mem_free(p->records[k].name);
        mem_free(p->records[k].json);
    }
    for (int64_t k = 0; k < p->n_vectors; k++) {
        mem_free(p->vectors[k].dict);
        mem_free(p->vectors[k].key);
        mem_free(p->vectors[k].values);
    }
    mem_free(p->obsm);
    mem_free(p->varm);
    mem_free(p->matrices);
    mem_free(p->records);
    mem_free(p->vectors);
    mem_free(p->row_of_obs);
    if (p->keep_free) p->keep_free(p->keep);
}

void scw_results_free(scw_results *r)
{
    if (!r) return;
    for (int64_t k = 0; k < r->n_parts; k++) part_clear(&r->parts[k]);
    mem_free(r->parts);
    for (int64_t i = 0; i < r->n_columns; i++) column_clear(&r->columns[i]);
    for (int64_t i = 0; i < r->n_arrays; i++) results_array_clear(&r->arrays[i]);
    mem_free(r->columns);
    mem_free(r->arrays);
    results_ranking_free(r->ranking);
    mem_free(r->record_json);
    mem_free(r->record_name);
    mem_free(r);
}
