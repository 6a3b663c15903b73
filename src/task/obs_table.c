/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns for obs out of a text table: labels from a CSV, names for clusters. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "data/dataset.h"
#include "data/results.h"
#include "scweave/dataset.h"
#include "task/table.h"

typedef struct job {
    const scw_dataset *data;
    const char *path;
    table t;
    int64_t key;   /* column of the table that says which cells a row is for */
    int64_t *rows; /* [n_obs] row of the table for each cell, -1: none */
} job;

static bool is_missing(const char *cell)
{
    return !*cell || strcmp(cell, "NA") == 0 || strcmp(cell, "NaN") == 0 || strcmp(cell, "nan") == 0;
}

/* The texts that rows are matched with: the cells' names, or what a column of obs says. */
static scw_status read_targets(strings *out, const scw_dataset *data, const char *by)
{
    scw_status st = SCW_OK;
    const column *c;

    *out = (strings){0};
    if (!by) return strings_copy(out, &data->obs.index);
    TRY(dataset_obs_column(&c, data, by));
    TRY(column_texts(out, c));
done:
    return st;
}

/* Which row is for which cell? */
static scw_status match(job *j, const char *by, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    strings targets = {0};
    name_index index = {0};
    const char **keys = NULL;
    uint8_t *used = NULL;
    int64_t twice, n_cells = 0, n_used = 0;

    TRY(mem_new(&keys, j->t.n_rows));
    TRY(mem_new(&used, j->t.n_rows));
    TRY(mem_new(&j->rows, j->data->n_obs));
    for (int64_t k = 0; k < j->t.n_rows; k++) keys[k] = table_cell(&j->t, k, j->key);
    TRY(name_index_build(&index, keys, j->t.n_rows, &twice));
    if (twice >= 0)
        FAIL(SCW_EDATA, "%s, line %lld: '%s' has a row already; expected one row each", j->path,
             (long long)j->t.line[twice], keys[twice]);
    TRY(read_targets(&targets, j->data, by));
    for (int64_t i = 0; i < j->data->n_obs; i++) {
        j->rows[i] = name_index_find(&index, targets.at[i]);
        if (j->rows[i] < 0) continue;
        n_cells++;
        n_used += !used[j->rows[i]];
        used[j->rows[i]] = 1;
    }
    if (n_cells == 0)
        FAIL(SCW_ENOTFOUND, "%s: no row is for a cell of the data: column '%s' has '%s', %s '%s'",
             j->path, j->t.header[j->key], j->t.n_rows ? keys[0] : "", by ? by : "the first cell is",
             targets.n ? targets.at[0] : "");
    if (n_cells < j->data->n_obs)
        log_warning(hooks, "%s: %lld of %lld cells have no row; their values are missing", j->path,
                    (long long)(j->data->n_obs - n_cells), (long long)j->data->n_obs);
    if (n_used < j->t.n_rows)
        log_info(hooks, "%s: %lld of %lld rows are for no cell of the data", j->path,
                 (long long)(j->t.n_rows - n_used), (long long)j->t.n_rows);
done:
    strings_clear(&targets);
    name_index_clear(&index);
    mem_free(keys);
    mem_free(used);
    return st;
}

/* ------------------------------------------------------------------ a column and its type */

/* Whole numbers, numbers, or else categories; only all rows together tell. */
static column_kind kind_of(const table *t, int64_t at)
{
    bool whole = true, number = true, any = false;
    int64_t i;
    double x;

    for (int64_t k = 0; k < t->n_rows && number; k++) {
        const char *cell = table_cell(t, k, at);
        if (is_missing(cell)) continue;
        any = true;
        whole = whole && text_to_int(&i, cell);
        number = whole || text_to_real(&x, cell);
    }
    return !any || !number ? COLUMN_CATEGORICAL : whole ? COLUMN_INT : COLUMN_FLOAT;
}

static scw_status fill_numbers(column *c, const table *t, int64_t at)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&c->missing, t->n_rows));
    for (int64_t k = 0; k < t->n_rows; k++) {
        const char *cell = table_cell(t, k, at);
        c->missing[k] = is_missing(cell);
        if (c->missing[k]) continue;
        bool read = c->kind == COLUMN_INT ? text_to_int(&c->i64[k], cell)
                                          : text_to_real(&c->f64[k], cell);
        if (!read) FAIL(SCW_EINTERNAL, "'%s' was a number before", cell);
    }
    column_drop_empty_mask(c);
done:
    return st;
}

/* Categories in byte order, whatever the order of the rows. */
static scw_status fill_categories(column *c, const table *t, int64_t at)
{
    scw_status st = SCW_OK;
    column texts = {0};
    strings classes = {0};
    int32_t *codes = NULL;

    TRY(column_init(&texts, c->name, COLUMN_STRING, t->n_rows));
    for (int64_t k = 0; k < t->n_rows; k++) {
        const char *cell = table_cell(t, k, at);
        TRY(strings_add(&texts.text, is_missing(cell) ? "" : cell));
    }
    TRY(column_classes(&texts, &codes, &classes));
    if (t->n_rows) memcpy(c->codes, codes, (size_t)t->n_rows * sizeof *codes);
    c->categories = classes;
    classes = (strings){0};
done:
    column_clear(&texts);
    strings_clear(&classes);
    mem_free(codes);
    return st;
}

static scw_status add_column(scw_results *r, const job *j, int64_t at)
{
    scw_status st = SCW_OK;
    column rows = {0}, cells = {0};
    const char *name = j->t.header[at];
    const column_kind kind = kind_of(&j->t, at);

    if (!*name || strchr(name, '/'))
        FAIL(SCW_EFORMAT, "%s: '%s' cannot be the name of a column of obs; name column %lld "
             "differently", j->path, name, (long long)at + 1);
    TRY(column_init(&rows, name, kind, j->t.n_rows));
    if (kind == COLUMN_CATEGORICAL)
        TRY(fill_categories(&rows, &j->t, at));
    else
        TRY(fill_numbers(&rows, &j->t, at));
    TRY(column_gather(&cells, &rows, name, j->rows, j->data->n_obs));
    TRY(results_add_column(r, &cells));
done:
    column_clear(&rows);
    column_clear(&cells);
    return st;
}

scw_status scw_obs_from_table(scw_results **out, const scw_dataset *dataset,
                              const scw_obs_request *request, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    job j = {.data = dataset, .path = request->table};

    *out = NULL;
    TRY(table_read(&j.t, request->table));
    if (request->key) TRY(table_need_column(&j.key, &j.t, request->key, request->table));
    if (j.t.n_columns < 2)
        FAIL(SCW_EFORMAT, "%s: has one column; expected the cells' names and a column to add",
             request->table);
    TRY(match(&j, request->by, hooks));
    TRY(results_new(out, dataset->n_obs));
    for (int64_t k = 0; k < j.t.n_columns; k++)
        if (k != j.key) TRY(add_column(*out, &j, k));
    log_info(hooks, "%lld columns added to obs", (long long)j.t.n_columns - 1);
done:
    table_clear(&j.t);
    mem_free(j.rows);
    if (st != SCW_OK) {
        scw_results_free(*out);
        *out = NULL;
    }
    return st;
}
