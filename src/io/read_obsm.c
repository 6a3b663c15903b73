/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/read_obsm.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "io/registry.h"

static scw_status from_matrix(float **values, int64_t *n, int64_t *d, matrix *m)
{
    scw_status st = SCW_OK;
    int64_t size;

    *n = m->n_rows;
    *d = m->n_cols;
    if (!m->sparse) { /* the array itself moves out */
        *values = m->values;
        m->values = NULL;
        return SCW_OK;
    }
    if (!checked_mul(&size, m->n_rows, m->n_cols))
        FAIL(SCW_EFORMAT, "an array of %lld x %lld is too large", (long long)m->n_rows,
             (long long)m->n_cols);
    TRY(mem_new(values, size));
    for (int64_t i = 0; i < m->n_rows; i++)
        for (int64_t e = m->indptr[i]; e < m->indptr[i + 1]; e++)
            (*values)[i * m->n_cols + m->indices[e]] = m->values[e];
done:
    return st;
}

static scw_status from_frame(float **values, int64_t *n, int64_t *d, const frame *f)
{
    scw_status st = SCW_OK;

    *n = f->n_rows;
    *d = f->n_columns;
    TRY(mem_new(values, f->n_rows * f->n_columns));
    for (int64_t j = 0; j < f->n_columns; j++) {
        const column *c = &f->columns[j];
        if (c->kind != COLUMN_FLOAT && c->kind != COLUMN_INT)
            FAIL(SCW_EFORMAT, "column '%s' does not hold numbers", c->name);
        for (int64_t i = 0; i < f->n_rows; i++) {
            double v = c->kind == COLUMN_FLOAT ? c->f64[i] : (double)c->i64[i];
            (*values)[i * f->n_columns + j] = c->missing && c->missing[i] ? NAN : (float)v;
        }
    }
done:
    return st;
}

static scw_status read_element(float **values, int64_t *n, int64_t *d, hid_t element, hid_t parent)
{
    scw_status st = SCW_OK;
    const encoding *row;
    matrix m = {0};
    frame f = {0};

    TRY(registry_find(&row, element));
    if (row->read_frame) {
        TRY(registry_read_frame(&f, element, parent, NULL));
        TRY(from_frame(values, n, d, &f));
    } else {
        TRY(registry_read_matrix(&m, element, -1, -1, false));
        TRY(from_matrix(values, n, d, &m));
    }
done:
    matrix_clear(&m);
    frame_clear(&f);
    return st;
}

/* obsm of the file or the modality; *obsm stays 0 where the file has none. */
static scw_status open_obsm(hid_t *obsm, hid_t file, const char *modality)
{
    scw_status st = SCW_OK;
    textbuf where = {0};

    if (modality)
        TRY(text_add(&where, "mod/%s/obsm", modality));
    else
        TRY(text_add(&where, "obsm"));
    if (h5_find(file, text_get(&where)) == H5_GROUP)
        TRY(h5_open_group(obsm, file, text_get(&where)));
done:
    text_clear(&where);
    return st;
}

static bool is_among(const strings *names, const char *name)
{
    for (int64_t i = 0; i < names->n; i++)
        if (strcmp(names->at[i], name) == 0) return true;
    return false;
}

/* Add the arrays of one obsm to the list, those of a modality as <modality>:<key>. What an h5mu
 * keeps under the name of a modality is the cells that have it, no embedding. */
static scw_status list_arrays(textbuf *list, int64_t *n, hid_t file, const char *modality,
                              const strings *modalities)
{
    scw_status st = SCW_OK;
    strings names = {0};
    hid_t obsm = 0;

    TRY(open_obsm(&obsm, file, modality));
    if (obsm > 0) TRY(h5_list(&names, obsm));
    for (int64_t i = 0; i < names.n; i++) {
        if (!modality && is_among(modalities, names.at[i])) continue;
        TRY(text_add(list, "%s%s%s%s", (*n)++ ? ", " : "", modality ? modality : "",
                     modality ? ":" : "", names.at[i]));
    }
done:
    h5_close(&obsm);
    strings_clear(&names);
    return st;
}

static scw_status not_found(hid_t file, const char *modality, const char *key)
{
    scw_status st = SCW_OK;
    strings modalities = {0};
    textbuf list = {0};
    hid_t mod = 0;
    int64_t n = 0;

    if (h5_find(file, "mod") == H5_GROUP) {
        TRY(h5_open_group(&mod, file, "mod"));
        TRY(h5_list(&modalities, mod));
    }
    TRY(list_arrays(&list, &n, file, NULL, &modalities));
    for (int64_t k = 0; k < modalities.n; k++)
        TRY(list_arrays(&list, &n, file, modalities.at[k], &modalities));
    FAIL(SCW_ENOTFOUND, "no array '%s%s%s' in obsm; there %s: %s", modality ? modality : "",
         modality ? ":" : "", key, n == 1 ? "is" : "are", n ? text_get(&list) : "none at all");
done:
    h5_close(&mod);
    strings_clear(&modalities);
    text_clear(&list);
    return st;
}

scw_status io_read_obsm(float **values, int64_t *n, int64_t *d, const char *path,
                        const char *modality, const char *key)
{
    scw_status st = SCW_OK;
    h5_session session;
    hid_t file = 0, obsm = 0, element = 0;

    *values = NULL;
    *n = *d = 0;
    h5_session_begin(&session);
    TRY(h5_file_open(&file, path));
    TRY(open_obsm(&obsm, file, modality));
    if (obsm <= 0 || h5_find(obsm, key) == H5_ABSENT) {
        st = not_found(file, modality, key);
        status_prefix(st, "%s", path);
        goto done;
    }
    TRY(h5_open(&element, obsm, key));
    st = read_element(values, n, d, element, obsm);
    if (st != SCW_OK) status_prefix(st, "%s: obsm '%s'", path, key);
done:
    if (st != SCW_OK) {
        mem_free(*values);
        *values = NULL;
    }
    h5_close(&element);
    h5_close(&obsm);
    h5_close(&file);
    h5_session_end(&session);
    return st;
}

scw_status io_has_layer(bool *out, const char *path, const char *modality, const char *layer)
{
    scw_status st = SCW_OK;
    h5_session session;
    hid_t file = 0;
    textbuf element = {0};

    *out = false;
    h5_session_begin(&session);
    TRY(h5_file_open(&file, path));
    if (modality) TRY(text_add(&element, "mod/%s/", modality));
    TRY(text_add(&element, "layers/%s", layer));
    *out = h5_find(file, text_get(&element)) != H5_ABSENT;
done:
    text_clear(&element);
    h5_close(&file);
    h5_session_end(&session);
    return st;
}
