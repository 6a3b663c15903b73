/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/splits.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "task/table.h"

void splits_clear(splits *s)
{
    mem_free(s->fold);
    strings_clear(&s->names);
    *s = (splits){0};
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* From line numbers to positions in the sorted list of distinct fold names. */
static scw_status name_folds(splits *out, const strings *fold_of, const char *path)
{
    scw_status st = SCW_OK;
    strings sorted = {0};
    name_index index = {0};

    TRY(strings_copy(&sorted, fold_of));
    if (sorted.n) qsort(sorted.at, (size_t)sorted.n, sizeof *sorted.at, compare_names);
    for (int64_t k = 0; k < sorted.n; k++)
        if (k == 0 || strcmp(sorted.at[k], sorted.at[k - 1]) != 0)
            TRY(strings_add(&out->names, sorted.at[k]));
    if (out->names.n < 2) FAIL(SCW_EFORMAT, "%s: fewer than two folds", path);
    TRY(name_index_build(&index, (const char *const *)out->names.at, out->names.n, NULL));
    for (int64_t i = 0; i < out->n_obs; i++)
        if (out->fold[i] >= 0)
            out->fold[i] = (int32_t)name_index_find(&index, fold_of->at[out->fold[i]]);
done:
    strings_clear(&sorted);
    name_index_clear(&index);
    return st;
}

scw_status splits_read(splits *out, const char *path, const scw_dataset *d)
{
    scw_status st = SCW_OK;
    table t = {0};
    strings fold_of = {0};
    name_index cells = {0};
    int64_t cell_at, fold_at;

    *out = (splits){.n_obs = d->n_obs};
    TRY(table_read(&t, path));
    TRY(table_need_column(&cell_at, &t, "cell", path));
    TRY(table_need_column(&fold_at, &t, "fold", path));
    TRY(mem_new(&out->fold, d->n_obs));
    for (int64_t i = 0; i < d->n_obs; i++)
        out->fold[i] = -1;
    TRY(name_index_build(&cells, (const char *const *)d->obs.index.at, d->n_obs, NULL));
    for (int64_t k = 0; k < t.n_rows; k++) {
        int64_t i = name_index_find(&cells, table_cell(&t, k, cell_at));
        if (i < 0)
            FAIL(SCW_ENOTFOUND, "%s, line %lld: the data has no cell '%s'", path,
                 (long long)t.line[k], table_cell(&t, k, cell_at));
        TRY(strings_add(&fold_of, table_cell(&t, k, fold_at)));
        out->fold[i] = (int32_t)(fold_of.n - 1);
    }
    TRY(name_folds(out, &fold_of, path));
done:
    table_clear(&t);
    strings_clear(&fold_of);
    name_index_clear(&cells);
    if (st != SCW_OK) splits_clear(out);
    return st;
}
