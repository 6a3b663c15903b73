/* SPDX-License-Identifier: BSD-3-Clause */
/* An annotated matrix: obs (cells), var (features) and X or another layer.
 *
 *   /X          cells x features          /raw/X, /raw/var   the matrix before features were dropped
 *   /obs /var   data frames               /layers/<name>     other matrices of the same shape
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/formats.h"
#include "io/registry.h"

scw_status check_unique(const strings *names, const char *what, const char *where,
                        const char *remedy)
{
    scw_status st = SCW_OK;
    name_index index = {0};
    int64_t second;

    TRY(name_index_build(&index, (const char *const *)names->at, names->n, &second));
    if (second >= 0)
        FAIL(SCW_EDATA, "%s: %s name '%s' occurs twice (rows %lld and %lld); %s", where, what,
             names->at[second], (long long)name_index_find(&index, names->at[second]) + 1,
             (long long)second + 1, remedy);
done:
    name_index_clear(&index);
    return st;
}

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

/* ------------------------------------------------------------------ the modality's name */

static const char *kind_of_feature(const char *type)
{
    static const char *const table[][2] = {
        {"Gene Expression", "rna"}, {"GEX", "rna"},  {"RNA", "rna"},
        {"Antibody Capture", "adt"}, {"ADT", "adt"}, {"protein", "adt"},
        {"Peaks", "atac"},           {"ATAC", "atac"},
        {"Chromatin Accessibility", "atac"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcasecmp(type, table[i][0]) == 0) return table[i][1];
    return NULL;
}

scw_status guess_modality(char **out, const frame *var, const char *where,
                          const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    int32_t *codes = NULL;
    strings types = {0};
    const char *name = NULL;
    const column *c = frame_find(var, "feature_types");

    if (!c) c = frame_find(var, "feature_type");
    if (c) TRY(column_classes(c, &codes, &types));
    if (types.n == 1) name = kind_of_feature(types.at[0]);
    if (types.n > 1)
        log_warning(hooks, "%s: var['feature_types'] holds %lld kinds of features (%s, %s%s); all "
                    "are read as one modality 'rna'", where, (long long)types.n, types.at[0],
                    types.at[1], types.n > 2 ? ", ..." : "");
    TRY(mem_strdup(out, name ? name : "rna"));
done:
    mem_free(codes);
    strings_clear(&types);
    return st;
}

/* ------------------------------------------------------------------ reading */

/* The column that the user names takes the place of the features' names. */
static scw_status rename_features(frame *var, const char *key, const char *where)
{
    scw_status st = SCW_OK;
    const column *c = frame_find(var, key);
    strings names = {0};
    textbuf list = {0};

    if (!c) {
        for (int64_t i = 0; i < var->n_columns; i++)
            TRY(text_add(&list, "%s%s", i ? ", " : "", var->columns[i].name));
        FAIL(SCW_ENOTFOUND, "%s: var has no column '%s' to name the features; there is: %s", where,
             key, list.length ? text_get(&list) : "none");
    }
    TRY(column_texts(&names, c));
    strings_clear(&var->index);
    var->index = names;
    names = (strings){0};
done:
    strings_clear(&names);
    text_clear(&list);
    return st;
}

scw_status read_anndata(dataset_part *out, hid_t group, const char *name, const char *layer,
                        const scw_read_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    char *x_path = NULL, *var_path = NULL, *where = NULL;
    hid_t element = 0;
    modality *m = &out->m;

    *out = (dataset_part){0};
    TRY(mem_strdup(&where, h5_where(group)));
    TRY(read_frame_at(&out->obs, group, "obs", hooks));
    if (out->obs.n_rows == 0) FAIL(SCW_EDATA, "%s: has no cells", where);
    TRY(anndata_paths(&x_path, &var_path, group, layer));
    TRY(read_frame_at(&m->var, group, var_path, hooks));
    if (m->var.n_rows == 0) FAIL(SCW_EDATA, "%s: has no features", where);
    if (options->var_names) TRY(rename_features(&m->var, options->var_names, where));
    TRY(check_unique(&out->obs.index, "cell", where,
                     "make cell names unique first, e.g. adata.obs_names_make_unique()"));
    TRY(check_unique(&m->var.index, "feature", where,
                     "make feature names unique first, e.g. adata.var_names_make_unique()"));
    TRY(h5_open(&element, group, x_path));
    TRY(registry_read_matrix(&m->x, element, out->obs.n_rows, m->var.n_rows));
    if (name)
        TRY(mem_strdup(&m->name, name));
    else
        TRY(guess_modality(&m->name, &m->var, where, hooks));
done:
    mem_free(x_path);
    mem_free(var_path);
    mem_free(where);
    h5_close(&element);
    if (st != SCW_OK) dataset_part_clear(out);
    return st;
}

scw_status read_h5ad(file_parts *out, hid_t file, const scw_source *source,
                     const scw_read_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;

    TRY(mem_new(&out->parts, 1));
    TRY(read_anndata(&out->parts[0], file, source->modality, source->layer, options,
                     hooks));
    out->n_parts = 1;
done:
    return st;
}
