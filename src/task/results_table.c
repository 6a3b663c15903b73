/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns of results as a table of text, for those who read them elsewhere. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "data/dataset.h"
#include "data/results.h"
#include "scweave/preprocess.h"

static scw_status add_value(textbuf *t, const column *c, int64_t i)
{
    if (column_is_missing(c, i) || (c->kind == COLUMN_FLOAT && isnan(c->f64[i])))
        return text_add(t, "\t");
    switch (c->kind) {
    case COLUMN_FLOAT:
        return text_add(t, "\t%.10g", c->f64[i]);
    case COLUMN_INT:
        return text_add(t, "\t%lld", (long long)c->i64[i]);
    case COLUMN_BOOL:
        return text_add(t, "\t%s", c->boolean[i] ? "True" : "False");
    case COLUMN_STRING:
        return text_add(t, "\t%s", c->text.at[i]);
    case COLUMN_CATEGORICAL:
        return text_add(t, "\t%s", c->categories.at[c->codes[i]]);
    }
    return SCW_OK;
}

/* obs position of each of the modality's own rows, -1: none. */
static scw_status own_cells(int64_t **out, const scw_dataset *d, const modality *m)
{
    scw_status st = SCW_OK;

    TRY(mem_new(out, m->x.n_rows));
    for (int64_t r = 0; r < m->x.n_rows; r++)
        (*out)[r] = -1;
    for (int64_t i = 0; i < d->n_obs; i++)
        if (m->row_of_obs[i] >= 0) (*out)[m->row_of_obs[i]] = i;
done:
    return st;
}

/* The columns of all parts, each name once: a panel of 20 proteins has no top 50. */
static scw_status all_columns(strings *out, const scw_results *r, int of_features)
{
    scw_status st = SCW_OK;

    for (int64_t k = 0; k < r->n_parts; k++) {
        const frame *f = of_features ? &r->parts[k].var : &r->parts[k].obs;
        for (int64_t c = 0; c < f->n_columns; c++) {
            bool known = false;
            for (int64_t e = 0; e < out->n; e++)
                known |= strcmp(out->at[e], f->columns[c].name) == 0;
            if (!known) TRY(strings_add(out, f->columns[c].name));
        }
    }
done:
    return st;
}

static scw_status add_part(textbuf *t, const scw_dataset *d, const results_part *p, int of_features,
                           const strings *names)
{
    scw_status st = SCW_OK;
    const modality *m = dataset_find_modality(d, p->modality);
    const frame *f = of_features ? &p->var : &p->obs;
    const column **columns = NULL;
    int64_t *cells = NULL;

    if (f->n_columns == 0 || !m) goto done;
    TRY(mem_new(&columns, names->n));
    for (int64_t k = 0; k < names->n; k++)
        columns[k] = frame_find(f, names->at[k]);
    if (!of_features) TRY(own_cells(&cells, d, m));
    for (int64_t i = 0; i < f->n_rows; i++) {
        if (cells && cells[i] < 0) continue;
        TRY(text_add(t, "%s\t%s", of_features ? m->var.index.at[i] : d->obs.index.at[cells[i]],
                     p->modality));
        for (int64_t k = 0; k < names->n; k++)
            TRY(columns[k] ? add_value(t, columns[k], i) : text_add(t, "\t"));
        TRY(text_add(t, "\n"));
    }
done:
    mem_free(columns);
    mem_free(cells);
    return st;
}

scw_status scw_results_write_table(const scw_results *results, const scw_dataset *dataset,
                                   int of_features, const char *path)
{
    scw_status st = SCW_OK;
    textbuf t = {0};
    strings names = {0};

    if (!results || !dataset) FAIL(SCW_EINVAL, "nothing to write");
    TRY(all_columns(&names, results, of_features));
    if (names.n == 0)
        FAIL(SCW_EINVAL, "the results add no columns to %s", of_features ? "var" : "obs");
    TRY(text_add(&t, "%s\tmodality", of_features ? "feature" : "cell"));
    for (int64_t k = 0; k < names.n; k++)
        TRY(text_add(&t, "\t%s", names.at[k]));
    TRY(text_add(&t, "\n"));
    for (int64_t k = 0; k < results->n_parts; k++)
        TRY(add_part(&t, dataset, &results->parts[k], of_features, &names));
    TRY(atomic_file_write(path, text_get(&t), t.length));
done:
    text_clear(&t);
    strings_clear(&names);
    return st;
}
