/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/write_part.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/element.h"
#include "io/write_blocks.h"
#include "io/write_element.h"
#include "io/write_h5mu.h"

int64_t write_parts_bytes(const scw_results *r)
{
    int64_t bytes = 0;

    for (int64_t k = 0; k < r->n_parts; k++) {
        const results_part *p = &r->parts[k];
        bytes += 65536 + 16 * (p->obs.n_rows * (p->obs.n_columns + 1) +
                               p->var.n_rows * (p->var.n_columns + 1));
        for (int64_t a = 0; a < p->n_obsm; a++)
            bytes += 4 * p->obsm[a].n_rows * p->obsm[a].n_cols;
        for (int64_t a = 0; a < p->n_varm; a++)
            bytes += 4 * p->varm[a].n_rows * p->varm[a].n_cols;
        for (int64_t a = 0; a < p->n_vectors; a++)
            bytes += 8 * p->vectors[a].n + 4096;
        for (int64_t m = 0; m < p->n_matrices; m++) {
            const block_reader *x = p->matrices[m].rows;
            /* What is compressed is hard to foresee; what cannot be stored is found while writing.
             */
            if (!p->matrices[m].shift && x->nnz > 0) bytes += 2 * x->nnz;
        }
    }
    return bytes;
}

/* ------------------------------------------------------------------ pieces */

static scw_status add_columns(hid_t group, const char *name, const frame *columns,
                              const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    frame there = {0};

    if (columns->n_columns == 0) goto done;
    TRY(convert_frame_records(group, name, hooks));
    TRY(h5_open_group(&element, group, name));
    TRY(element_frame_index(&there, element));
    if (there.n_rows != columns->n_rows)
        FAIL(SCW_EDATA, "%s: has changed since it was read (%lld rows, %lld results)",
             h5_where(element), (long long)there.n_rows, (long long)columns->n_rows);
    for (int64_t k = 0; k < columns->n_columns; k++)
        TRY(write_into_frame(element, &columns->columns[k]));
done:
    frame_clear(&there);
    h5_close(&element);
    return st;
}

static scw_status add_arrays(hid_t group, const char *name, const results_array *arrays, int64_t n)
{
    scw_status st = SCW_OK;
    hid_t dict = 0;

    if (n == 0) goto done;
    TRY(convert_array_records(group, name));
    TRY(write_open_dict(&dict, group, name));
    for (int64_t k = 0; k < n; k++)
        TRY(write_obsm(dict, &arrays[k], NULL));
done:
    h5_close(&dict);
    return st;
}

static scw_status add_vector(hid_t uns, const results_vector *v)
{
    scw_status st = SCW_OK;
    hid_t dict = 0, d = 0;
    char *name = NULL, *key = NULL;

    TRY(write_safe_key(&name, v->dict));
    TRY(write_safe_key(&key, v->key));
    TRY(write_open_dict(&dict, uns, name));
    TRY(h5_remove(dict, key));
    TRY(h5_write_array(&d, dict, key, H5T_NATIVE_DOUBLE, 1, &v->n, v->values));
    TRY(write_encoding(d, "array", "0.2.0"));
done:
    mem_free(name);
    mem_free(key);
    h5_close(&d);
    h5_close(&dict);
    return st;
}

static scw_status add_uns(hid_t group, const results_part *p)
{
    scw_status st = SCW_OK;
    hid_t uns = 0;

    if (p->n_records + p->n_vectors == 0) goto done;
    TRY(write_open_dict(&uns, group, "uns"));
    for (int64_t k = 0; k < p->n_records; k++)
        TRY(write_record(uns, p->records[k].name, p->records[k].json));
    for (int64_t k = 0; k < p->n_vectors; k++)
        TRY(add_vector(uns, &p->vectors[k]));
done:
    h5_close(&uns);
    return st;
}

/* The counts that X holds move to layers['counts'] without being copied. */
static scw_status make_way(hid_t group, const results_part *p)
{
    scw_status st = SCW_OK;
    hid_t layers = 0;

    if (p->source_layer || h5_find(group, "X") == H5_ABSENT) {
        TRY(h5_remove(group, "X"));
        goto done;
    }
    TRY(write_open_dict(&layers, group, "layers"));
    if (h5_find(layers, "counts") != H5_ABSENT)
        FAIL(SCW_EINVAL,
             "%s: has layers['counts'] already, so X cannot be kept there; start from "
             "that layer, or rename it",
             h5_where(group));
    TRY(h5_rename(group, "X", "layers/counts"));
done:
    h5_close(&layers);
    return st;
}

static scw_status add_matrix(hid_t group, const results_part *p, const results_matrix *m,
                             const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t layers = 0;
    char *name = NULL;

    if (m->layer) {
        TRY(write_safe_key(&name, m->layer));
        TRY(write_open_dict(&layers, group, "layers"));
    } else {
        TRY(mem_strdup(&name, "X"));
        TRY(make_way(group, p));
    }
    hid_t parent = layers ? layers : group;
    TRY(m->shift ? write_blocks_dense(parent, name, m->rows, m->shift, hooks)
                 : write_blocks_csr(parent, name, m->rows, hooks));
done:
    mem_free(name);
    h5_close(&layers);
    return st;
}

/* Matrices first: they are what may fail for long files. */
static scw_status write_part(hid_t group, const results_part *p, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    bool of_raw = p->source_layer && strcmp(p->source_layer, "raw") == 0;

    if (of_raw && p->var.n_columns + p->n_varm + p->n_matrices > 0)
        FAIL(SCW_EINVAL, "%s: raw has features of its own, beside which results cannot be written",
             h5_where(group));
    for (int64_t k = 0; k < p->n_matrices; k++)
        TRY(add_matrix(group, p, &p->matrices[k], hooks));
    TRY(add_columns(group, "obs", &p->obs, hooks));
    TRY(add_columns(group, "var", &p->var, hooks));
    TRY(add_arrays(group, "obsm", p->obsm, p->n_obsm));
    TRY(add_arrays(group, "varm", p->varm, p->n_varm));
    TRY(add_uns(group, p));
done:
    return st;
}

/* ------------------------------------------------------------------ a new modality */

static scw_status make_modality(hid_t mod, const results_part *p)
{
    static const char *const dicts[] = {"layers", "obsm", "obsp", "varm", "varp", "uns"};
    scw_status st = SCW_OK;
    hid_t group = 0, dict = 0;
    const frame obs = {.n_rows = p->obs.n_rows, .index = p->obs.index};
    const frame var = {.n_rows = p->var.n_rows, .index = p->var.index};

    if (h5_find(mod, p->modality) != H5_ABSENT)
        FAIL(SCW_EINVAL, "%s: has a modality '%s' already; give the new one another name",
             h5_where(mod), p->modality);
    TRY(h5_make_group(&group, mod, p->modality));
    TRY(write_encoding(group, "anndata", "0.1.0"));
    TRY(write_frame(group, "obs", &obs));
    TRY(write_frame(group, "var", &var));
    for (size_t i = 0; i < sizeof dicts / sizeof *dicts; i++) {
        TRY(write_open_dict(&dict, group, dicts[i]));
        h5_close(&dict);
    }
done:
    h5_close(&dict);
    h5_close(&group);
    return st;
}

scw_status write_parts_check(const scw_dataset *d)
{
    scw_status st = SCW_OK;

    if (d->n_files < 1)
        FAIL(SCW_EINVAL, "the data set was not read from a file, so there is none to add to");
    for (int k = 0; k < d->n_files; k++) {
        const dataset_file *f = &d->files[k];
        if (f->native && f->modality && f->n_parts > 1 && !d->stacked)
            FAIL(SCW_EUNSUPPORTED,
                 "%s: holds features of %d kinds in one matrix; convert it to an "
                 ".h5mu first",
                 f->path, f->n_parts);
    }
done:
    return st;
}

scw_status write_parts(hid_t file, const scw_results *r, const scw_dataset *d,
                       const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t mod = 0, group = 0;

    if (r->n_parts == 0) goto done;
    TRY(write_parts_check(d));
    bool multimodal = h5_find(file, "mod") == H5_GROUP;
    if (multimodal) TRY(h5_open_group(&mod, file, "mod"));
    for (int64_t k = 0; k < r->n_parts; k++) {
        const results_part *p = &r->parts[k];
        if (p->row_of_obs) {
            if (!multimodal)
                FAIL(SCW_EINVAL, "%s: a modality can be added to an .h5mu only", h5_where(file));
            TRY(make_modality(mod, p));
            TRY(h5mu_add_maps(file, p->modality, d->n_obs, p->row_of_obs, &p->var.index, hooks));
        }
        if (multimodal) TRY(h5_open_group(&group, mod, p->modality));
        TRY(write_part(multimodal ? group : file, p, hooks));
        h5_close(&group);
    }
done:
    h5_close(&group);
    h5_close(&mod);
    return st;
}
