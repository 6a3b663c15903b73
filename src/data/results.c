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

void scw_results_free(scw_results *r)
{
    if (!r) return;
    for (int64_t i = 0; i < r->n_columns; i++) column_clear(&r->columns[i]);
    for (int64_t i = 0; i < r->n_arrays; i++) results_array_clear(&r->arrays[i]);
    mem_free(r->columns);
    mem_free(r->arrays);
    results_ranking_free(r->ranking);
    mem_free(r->record_json);
    mem_free(r->record_name);
    mem_free(r);
}
