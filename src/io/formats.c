/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/formats.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

void file_parts_clear(file_parts *f)
{
    for (int k = 0; k < f->n_parts; k++) dataset_part_clear(&f->parts[k]);
    mem_free(f->parts);
    frame_clear(&f->global);
    *f = (file_parts){0};
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

static bool is_h5mu(hid_t file)
{
    return has_encoding(file, "MuData") || h5_find(file, "mod") == H5_GROUP;
}

static bool is_h5ad(hid_t file)
{
    return has_encoding(file, "anndata") || h5_find(file, "obs") != H5_ABSENT ||
           h5_find(file, "X") != H5_ABSENT;
}

static bool is_cell_ranger(hid_t file)
{
    strings groups = {0};
    textbuf path = {0};
    bool yes = false;

    /* Version 3 has one group "matrix"; version 2 one group for each genome. */
    if (h5_list(&groups, file) != SCW_OK) return false;
    for (int64_t i = 0; i < groups.n && i < 8 && !yes; i++) {
        text_clear(&path);
        if (text_add(&path, "%s/barcodes", groups.at[i]) != SCW_OK) break;
        yes = h5_find(file, text_get(&path)) == H5_DATASET;
    }
    text_clear(&path);
    strings_clear(&groups);
    return yes;
}

static bool is_loom(hid_t file)
{
    return h5_find(file, "row_attrs") == H5_GROUP && h5_find(file, "col_attrs") == H5_GROUP;
}

static const file_format formats[] = {
    {"h5mu", is_h5mu, read_h5mu, true},
    {"h5ad", is_h5ad, read_h5ad, false},
    {"Cell Ranger HDF5", is_cell_ranger, NULL, false},
    {"loom", is_loom, NULL, false},
};

scw_status format_find(const file_format **out, hid_t file)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (!formats[i].recognises(file)) continue;
        *out = &formats[i];
        return SCW_OK;
    }
    *out = NULL;
    return status_fail(SCW_EFORMAT,
                       "%s: an HDF5 file, but neither .h5ad (it has no obs or X) nor .h5mu (no mod)",
                       h5_where(file));
}

/* ------------------------------------------------------------------ several files into one set */

static scw_status append_parts(file_parts *all, file_parts *more)
{
    scw_status st = SCW_OK;

    TRY(mem_resize(&all->parts, all->n_parts + more->n_parts));
    for (int k = 0; k < more->n_parts; k++) {
        for (int e = 0; e < all->n_parts; e++)
            if (strcmp(all->parts[e].m.name, more->parts[k].m.name) == 0)
                FAIL(SCW_EINVAL, "two files give a modality '%s'; name them apart",
                     all->parts[e].m.name);
        all->parts[all->n_parts++] = more->parts[k];
        more->parts[k] = (dataset_part){0};
    }
    if (more->has_global) {
        all->global = more->global;
        all->has_global = true;
        more->global = (frame){0};
    }
done:
    return st;
}

static scw_status read_one(file_parts *all, scw_dataset *d, hid_t file, const scw_source *source,
                           int n_sources, const scw_read_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const file_format *format;
    file_parts here = {0};

    TRY(log_check_cancel(hooks));
    TRY(format_find(&format, file));
    if (!format->read)
        FAIL(SCW_EUNSUPPORTED, "%s: a %s file, which this build does not read yet; convert it to "
             ".h5ad first", source->path, format->name);
    if (format->holds_all && n_sources > 1)
        FAIL(SCW_EINVAL, "%s: holds a whole set; only .h5ad files can be joined", source->path);
    TRY(format->read(&here, file, source, options, hooks));
    TRY(append_parts(all, &here));
    dataset_file *f = &d->files[d->n_files++];
    TRY(mem_strdup(&f->path, source->path));
    if (!format->holds_all) TRY(mem_strdup(&f->modality, all->parts[all->n_parts - 1].m.name));
done:
    file_parts_clear(&here);
    return st;
}

scw_status dataset_read(scw_dataset **out, const hid_t *files, const scw_source *sources,
                        int n_sources, const scw_read_options *options, const scw_hooks *hooks)
{
    static const scw_read_options defaults = {0};
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    file_parts all = {0};

    *out = NULL;
    if (!options) options = &defaults;
    TRY(mem_new(&d, 1));
    TRY(mem_new(&d->files, n_sources));
    for (int k = 0; k < n_sources; k++)
        TRY(read_one(&all, d, files[k], &sources[k], n_sources, options, hooks));
    TRY(dataset_join(d, all.parts, all.n_parts, all.has_global ? &all.global : NULL));
    for (int k = 0; k < d->n_modalities; k++) {
        const modality *m = &d->modalities[k];
        if (m->n_present == 0)
            FAIL(SCW_EDATA, "%s: no cell of modality '%s' is in the set's obs; are the cell names "
                 "written differently?", sources[0].path, m->name);
        if (m->n_present < m->x.n_rows && n_sources == 1)
            log_warning(hooks, "%s: %lld cells of modality '%s' are not in the set's obs and are "
                        "left out", sources[0].path, (long long)(m->x.n_rows - m->n_present),
                        m->name);
    }
    *out = d;
    d = NULL;
done:
    scw_dataset_free(d);
    file_parts_clear(&all);
    return st;
}

scw_status scw_dataset_open(scw_dataset **out, const scw_source *sources, int n_sources,
                            const scw_read_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    h5_session session;
    hid_t *files = NULL;

    if (!out) return status_fail(SCW_EINVAL, "no place for the data set");
    *out = NULL;
    h5_session_begin(&session);
    if (n_sources < 1 || !sources) FAIL(SCW_EINVAL, "no input file given");
    TRY(mem_new(&files, n_sources));
    for (int k = 0; k < n_sources; k++) TRY(h5_file_open(&files[k], sources[k].path));
    TRY(dataset_read(out, files, sources, n_sources, options, hooks));
    log_detail(hooks, "%s: %lld cells, %d modalities", sources[0].path, (long long)(*out)->n_obs,
               (*out)->n_modalities);
done:
    for (int k = 0; files && k < n_sources; k++) h5_close(&files[k]);
    mem_free(files);
    h5_session_end(&session);
    return st;
}
