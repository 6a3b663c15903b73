/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/dataset.h"

#include <string.h>

#include "base/alloc.h"

void modality_clear(modality *m)
{
    mem_free(m->name);
    mem_free(m->layer);
    frame_clear(&m->var);
    matrix_clear(&m->x);
    mem_free(m->row_of_obs);
    for (int k = 0; k < m->n_arrays; k++) {
        mem_free(m->arrays[k].name);
        matrix_clear(&m->arrays[k].x);
    }
    mem_free(m->arrays);
    modality_close_store(m);
    *m = (modality){0};
}

void modality_close_store(modality *m)
{
    if (!m->store) return;
    row_store_close(m->store);
    m->store = NULL;
}

scw_status modality_add_array(modality *m, const char *group, const char *name, matrix *x)
{
    scw_status st = SCW_OK;
    modality_array *a;

    TRY(mem_resize(&m->arrays, m->n_arrays + 1));
    a = &m->arrays[m->n_arrays++];
    *a = (modality_array){.group = group, .x = *x};
    *x = (matrix){0};
    TRY(mem_strdup(&a->name, name));
done:
    return st;
}

/* ------------------------------------------------------------------ rows of a modality */

/* A matrix has its name only when the file is read. */
static const char *name_of(const modality *m)
{
    return m->name ? m->name : "X";
}

scw_status modality_rows(block_reader **out, const modality *m)
{
    scw_status st =
        m->store ? m->store->open(out, m->store, false) : block_reader_of_matrix(out, &m->x);
    return st == SCW_OK ? st : status_prefix(st, "modality '%s'", name_of(m));
}

scw_status modality_rows_exact(block_reader **out, const modality *m)
{
    scw_status st =
        m->store ? m->store->open(out, m->store, true) : block_reader_of_matrix(out, &m->x);
    return st == SCW_OK ? st : status_prefix(st, "modality '%s'", name_of(m));
}

/* Whoever takes a run of rows is likely to take the next. */
static void begin_behind(block_reader *r, const int64_t *rows, int64_t n)
{
    if (n < 1 || rows[0] < 0 || rows[n - 1] - rows[0] != n - 1) return;
    int64_t next = rows[n - 1] + 1, left = r->n_rows - next;
    int64_t most = r->block_rows < n ? r->block_rows : n;
    block_reader_ahead(r, next, left < most ? left : most);
}

scw_status modality_take(matrix *out, const modality *m, const int64_t *rows, int64_t n_rows)
{
    scw_status st = SCW_OK;

    if (!m->store) return matrix_rows_csr(out, &m->x, rows, n_rows);
    *out = (matrix){0};
    if (!m->store->reader) TRY(modality_rows(&m->store->reader, m));
    st = block_reader_take(out, m->store->reader, rows, n_rows, m->store->memory_bytes);
    if (st != SCW_OK) TRY(status_prefix(st, "modality '%s'", name_of(m)));
    begin_behind(m->store->reader, rows, n_rows);
done:
    return st;
}

scw_status modality_load(const matrix **out, matrix *room, const modality *m)
{
    scw_status st = SCW_OK;
    int64_t *rows = NULL;

    *out = &m->x;
    *room = (matrix){0};
    if (!m->store) return SCW_OK;
    if (m->store->bytes > m->store->memory_bytes)
        FAIL(SCW_ENOMEM, "modality '%s': %lld cells x %lld features take %lld MB in memory, and "
             "this needs them all at once; allow more than the %lld MB it has with --mem", name_of(m),
             (long long)m->x.n_rows, (long long)m->x.n_cols, (long long)(m->store->bytes / 1000000),
             (long long)(m->store->memory_bytes / 1000000));
    TRY(mem_new(&rows, m->x.n_rows));
    for (int64_t i = 0; i < m->x.n_rows; i++) rows[i] = i;
    TRY(modality_take(room, m, rows, m->x.n_rows));
    *out = room;
done:
    mem_free(rows);
    return st;
}

void scw_dataset_free(scw_dataset *d)
{
    if (!d) return;
    frame_clear(&d->obs);
    for (int k = 0; k < d->n_modalities; k++) modality_clear(&d->modalities[k]);
    mem_free(d->modalities);
    for (int k = 0; k < d->n_files; k++) {
        mem_free(d->files[k].path);
        mem_free(d->files[k].modality);
        mem_free(d->files[k].wanted);
        mem_free(d->files[k].layer);
        mem_free(d->files[k].batch);
    }
    mem_free(d->var_names);
    mem_free(d->batch_key);
    mem_free(d->spill_folder);
    mem_free(d->files);
    mem_free(d);
}

int64_t scw_dataset_n_obs(const scw_dataset *d)
{
    return d ? d->n_obs : -1;
}

int scw_dataset_n_modalities(const scw_dataset *d)
{
    return d ? d->n_modalities : -1;
}

static const modality *modality_at(const scw_dataset *d, int k)
{
    return d && k >= 0 && k < d->n_modalities ? &d->modalities[k] : NULL;
}

const char *scw_dataset_modality_name(const scw_dataset *d, int k)
{
    const modality *m = modality_at(d, k);
    return m ? m->name : NULL;
}

int64_t scw_dataset_modality_n_vars(const scw_dataset *d, int k)
{
    const modality *m = modality_at(d, k);
    return m ? m->x.n_cols : -1;
}

int64_t scw_dataset_modality_n_present(const scw_dataset *d, int k)
{
    const modality *m = modality_at(d, k);
    return m ? m->n_present : -1;
}

const char *scw_dataset_obs_name(const scw_dataset *d, int64_t i)
{
    return d && i >= 0 && i < d->obs.index.n ? d->obs.index.at[i] : NULL;
}

const modality *dataset_find_modality(const scw_dataset *d, const char *name)
{
    for (int k = 0; k < d->n_modalities; k++)
        if (strcmp(d->modalities[k].name, name) == 0) return &d->modalities[k];
    return NULL;
}

/* Comma-separated names of the obs columns; only those that end in ":<key>" if key is given. */
static scw_status list_columns(textbuf *out, const scw_dataset *d, const char *key)
{
    scw_status st = SCW_OK;

    for (int64_t i = 0; i < d->obs.n_columns; i++) {
        const char *name = d->obs.columns[i].name;
        if (key) {
            const char *tail = strchr(name, ':');
            if (!tail || strcmp(tail + 1, key) != 0) continue;
        }
        TRY(text_add(out, "%s%s", out->length ? ", " : "", name));
    }
done:
    return st;
}

scw_status dataset_obs_column(const column **out, const scw_dataset *d, const char *key)
{
    scw_status st = SCW_OK;
    textbuf list = {0};

    *out = frame_find(&d->obs, key);
    if (*out) return SCW_OK;
    TRY(list_columns(&list, d, key));
    if (list.length)
        FAIL(SCW_ENOTFOUND, "obs column '%s' differs between the modalities: name one of %s", key,
             text_get(&list));
    TRY(list_columns(&list, d, NULL));
    FAIL(SCW_ENOTFOUND, "no obs column '%s'; there %s: %s", key,
         d->obs.n_columns == 1 ? "is" : "are", list.length ? text_get(&list) : "none at all");
done:
    text_clear(&list);
    return st;
}
