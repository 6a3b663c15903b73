/* SPDX-License-Identifier: BSD-3-Clause */
/* An annotated matrix: obs (cells), var (features) and X or another layer.
 *
 *   /X          cells x features          /raw/X, /raw/var   the matrix before features were dropped
 *   /obs /var   data frames               /layers/<name>     other matrices of the same shape
 */
#include <string.h>

#include "base/alloc.h"
#include "io/file_store.h"
#include "io/formats.h"
#include "io/registry.h"

/* ------------------------------------------------------------------ where things stand */

static scw_status list_matrices(textbuf *out, hid_t group)
{
    scw_status st = SCW_OK;
    hid_t layers = 0;
    strings names = {0};

    if (h5_find(group, "X") != H5_ABSENT) TRY(text_add(out, "X"));
    if (h5_find(group, "raw") == H5_GROUP || h5_find(group, "raw.X") != H5_ABSENT)
        TRY(text_add(out, "%sraw", out->length ? ", " : ""));
    if (h5_find(group, "layers") == H5_GROUP) {
        TRY(h5_open_group(&layers, group, "layers"));
        TRY(h5_list(&names, layers));
        for (int64_t i = 0; i < names.n; i++)
            TRY(text_add(out, "%s%s", out->length ? ", " : "", names.at[i]));
    }
done:
    strings_clear(&names);
    h5_close(&layers);
    return st;
}

scw_status anndata_paths(char **x, char **var, hid_t group, const char *layer)
{
    scw_status st = SCW_OK;
    textbuf path = {0}, there = {0};

    *x = *var = NULL;
    if (!layer || strcmp(layer, "X") == 0) {
        TRY(text_add(&path, "X"));
    } else if (strcmp(layer, "raw") == 0) {
        bool old = h5_find(group, "raw") != H5_GROUP && h5_find(group, "raw.X") != H5_ABSENT;
        TRY(text_add(&path, old ? "raw.X" : "raw/X"));
        TRY(mem_strdup(var, old ? "raw.var" : "raw/var"));
    } else {
        TRY(text_add(&path, "layers/%s", layer));
    }
    if (!*var) TRY(mem_strdup(var, "var"));
    if (h5_find(group, text_get(&path)) == H5_ABSENT) {
        TRY(list_matrices(&there, group));
        FAIL(SCW_ENOTFOUND, "%s: has no matrix '%s'; there is: %s", h5_where(group),
             layer ? layer : "X", there.length ? text_get(&there) : "none");
    }
    *x = text_take(&path);
done:
    if (st != SCW_OK) {
        mem_free(*x);
        mem_free(*var);
        *x = *var = NULL;
    }
    text_clear(&path);
    text_clear(&there);
    return st;
}

static scw_status read_frame_at(frame *out, hid_t group, const char *path, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t element = 0;

    st = h5_open(&element, group, path);
    if (st == SCW_ENOTFOUND) st = SCW_EFORMAT; /* not something the user named */
    TRY(st);
    TRY(registry_read_frame(out, element, group, hooks));
done:
    h5_close(&element);
    return st;
}

/* ------------------------------------------------------------------ reading */

/* The other matrices of the same features; one that cannot be read fails only when it is asked for. */
static scw_status read_layers(modality *m, hid_t group, const char *chosen)
{
    scw_status st = SCW_OK;
    hid_t layers = 0, element = 0;
    strings names = {0};
    matrix x = {0};

    if (h5_find(group, "layers") != H5_GROUP) goto done;
    TRY(h5_open_group(&layers, group, "layers"));
    TRY(h5_list(&names, layers));
    for (int64_t i = 0; i < names.n; i++) {
        if (chosen && strcmp(names.at[i], chosen) == 0) continue;
        h5_close(&element);
        TRY(h5_open(&element, layers, names.at[i]));
        TRY(registry_read_matrix(&x, element, m->x.n_rows, m->x.n_cols, true));
        TRY(modality_add_array(m, "layers", names.at[i], &x));
    }
done:
    matrix_clear(&x);
    strings_clear(&names);
    h5_close(&element);
    h5_close(&layers);
    return st;
}

static scw_status name_unread(dataset_part *part, const char *group, const char *name)
{
    scw_status st = SCW_OK;
    textbuf path = {0};

    TRY(text_add(&path, "%s%s%s", group, *name ? "/" : "", name));
    TRY(strings_add(&part->unread, text_get(&path)));
done:
    text_clear(&path);
    return st;
}

/* Can an element of obsm be read as a matrix of numbers? Frames cannot. */
static bool is_array(hid_t element)
{
    const encoding *row;
    h5_info info;
    bool yes = registry_find(&row, element) == SCW_OK && row->read_matrix;

    if (yes && h5_kind_of(element) == H5_DATASET)
        yes = h5_describe(&info, element) == SCW_OK && info.rank == 2 &&
              (info.class == H5_CLASS_INTEGER || info.class == H5_CLASS_FLOAT);
    status_clear();
    return yes;
}

/* The arrays of obsm, and the names of what is not read. */
static scw_status read_beside(dataset_part *part, hid_t group)
{
    static const char *const groups[] = {"obsm", "obsp", "varm", "varp", "uns"};
    scw_status st = SCW_OK;
    hid_t members = 0, element = 0;
    strings names = {0};
    matrix x = {0};

    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        const h5_kind kind = h5_find(group, groups[g]);
        if (kind == H5_DATASET) TRY(name_unread(part, groups[g], ""));
        if (kind != H5_GROUP) continue;
        h5_close(&members);
        strings_clear(&names);
        TRY(h5_open_group(&members, group, groups[g]));
        TRY(h5_list(&names, members));
        for (int64_t i = 0; i < names.n; i++) {
            h5_close(&element);
            const h5_kind member = h5_find(members, names.at[i]);
            const bool wanted = g == 0 && (member == H5_DATASET || member == H5_GROUP);
            if (wanted) TRY(h5_open(&element, members, names.at[i]));
            if (wanted && is_array(element)) {
                TRY(registry_read_matrix(&x, element, part->obs.n_rows, -1, true));
                TRY(modality_add_array(&part->m, "obsm", names.at[i], &x));
            } else {
                TRY(name_unread(part, groups[g], names.at[i]));
            }
        }
    }
done:
    matrix_clear(&x);
    strings_clear(&names);
    h5_close(&element);
    h5_close(&members);
    return st;
}

scw_status read_anndata(dataset_part *out, hid_t group, const char *layer, const read_request *q)
{
    scw_status st = SCW_OK;
    char *x_path = NULL, *var_path = NULL;
    hid_t element = 0;
    modality *m = &out->m;

    *out = (dataset_part){0};
    TRY(read_frame_at(&out->obs, group, "obs", q->hooks));
    if (out->obs.n_rows == 0) FAIL(SCW_EDATA, "%s: has no cells", h5_where(group));
    st = anndata_paths(&x_path, &var_path, group, layer);
    if (st == SCW_ENOTFOUND && q->depth == READ_FRAMES) st = mem_strdup(&var_path, "var");
    TRY(st);
    if (layer && strcmp(layer, "X") != 0) TRY(mem_strdup(&m->layer, layer));
    TRY(read_frame_at(&m->var, group, var_path, q->hooks));
    if (m->var.n_rows == 0) FAIL(SCW_EDATA, "%s: has no features", h5_where(group));
    m->x = (matrix){.n_rows = out->obs.n_rows, .n_cols = m->var.n_rows, .sparse = true};
    if (q->depth == READ_FRAMES) goto done;
    TRY(h5_open(&element, group, x_path));
    TRY(file_store_read(m, element, out->obs.n_rows, m->var.n_rows, q));
    if (q->depth == READ_WHOLE && strcmp(var_path, "var") == 0) TRY(read_layers(m, group, layer));
    if (q->depth == READ_WHOLE) TRY(read_beside(out, group));
done:
    mem_free(x_path);
    mem_free(var_path);
    h5_close(&element);
    if (st != SCW_OK) dataset_part_clear(out);
    return st;
}

static bool has_encoding(hid_t file, const char *expected)
{
    char *type = NULL;
    bool yes = h5_has_attr(file, "encoding-type") &&
               h5_attr_string(&type, file, "encoding-type") == SCW_OK &&
               strcmp(type, expected) == 0;
    mem_free(type);
    return yes;
}

bool is_h5mu(const input *in)
{
    return in->kind == INPUT_HDF5 &&
           (has_encoding(in->hdf5, "MuData") || h5_find(in->hdf5, "mod") == H5_GROUP);
}

bool is_h5ad(const input *in)
{
    return in->kind == INPUT_HDF5 &&
           (has_encoding(in->hdf5, "anndata") || h5_find(in->hdf5, "obs") != H5_ABSENT ||
            h5_find(in->hdf5, "X") != H5_ABSENT);
}

scw_status read_h5ad(file_parts *out, const input *in, const read_request *q)
{
    scw_status st = SCW_OK;
    dataset_part part = {0};

    TRY(read_anndata(&part, in->hdf5, q->source->layer, q));
    TRY(parts_add(out, &part, in->path, q));
done:
    dataset_part_clear(&part);
    return st;
}
