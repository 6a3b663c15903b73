/* SPDX-License-Identifier: BSD-3-Clause */
/* A multimodal file: annotated matrices under /mod, and frames over all of them.
 *
 *   /mod/<name>     as the root of an h5ad         /obs      all cells
 *   /mod 'mod-order' the order of the names        /obsmap/<name>[i]: 1 + row of cell i in the
 *                                                  modality, 0: the cell lacks it
 */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/file_store.h"
#include "io/formats.h"
#include "io/registry.h"

scw_status h5mu_modalities(strings *out, hid_t mod)
{
    scw_status st = SCW_OK;
    strings stated = {0}, there = {0};

    *out = (strings){0};
    TRY(h5_list(&there, mod));
    if (h5_has_attr(mod, "mod-order")) TRY(h5_attr_strings(&stated, mod, "mod-order"));
    for (int pass = 0; pass < 2; pass++) {
        const strings *from = pass ? &there : &stated;
        for (int64_t i = 0; i < from->n; i++) {
            bool known = h5_find(mod, from->at[i]) != H5_ABSENT;
            for (int64_t e = 0; e < out->n; e++) known &= strcmp(out->at[e], from->at[i]) != 0;
            if (known) TRY(strings_add(out, from->at[i]));
        }
    }
done:
    strings_clear(&stated);
    strings_clear(&there);
    if (st != SCW_OK) strings_clear(out);
    return st;
}

scw_status h5mu_axis(int64_t *out, hid_t file)
{
    scw_status st = SCW_OK;

    *out = 0;
    if (h5_has_attr(file, "axis")) TRY(h5_attr_ints(out, file, "axis", 1));
    if (*out < -1 || *out > 1)
        BREAK(RULE_AXIS_KNOWN, SCW_EFORMAT,
              "%s: joins its modalities along axis %lld, expected 0, 1 or -1", h5_where(file),
              (long long)*out);
done:
    return st;
}

/* Does the map tie cells of one name? A map left over from before a file was filtered does not. */
static bool map_agrees(const int64_t *rows, const frame *global, const frame *own)
{
    for (int64_t i = 0; i < global->n_rows; i++)
        if (rows[i] >= 0 && strcmp(global->index.at[i], own->index.at[rows[i]]) != 0) return false;
    return true;
}

scw_status h5mu_read_map(int64_t **rows, hid_t file, const char *name, const frame *own,
                         const frame *global, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t maps = 0, element = 0;
    h5_info info;
    uint8_t *used = NULL;

    *rows = NULL;
    if (h5_find(file, "obsmap") != H5_GROUP) goto done;
    TRY(h5_open_group(&maps, file, "obsmap"));
    if (h5_find(maps, name) != H5_DATASET) goto done;
    TRY(h5_open(&element, maps, name));
    TRY(h5_describe(&info, element));
    if (info.class != H5_CLASS_INTEGER || info.n != global->n_rows)
        BREAK(RULE_OBSMAP_VALID, SCW_EFORMAT,
              "%s: holds %lld %s values, expected %lld row numbers", h5_where(element),
              (long long)info.n, h5_type_name(&info), (long long)global->n_rows);
    TRY(mem_new(rows, info.n));
    TRY(mem_new(&used, own->n_rows));
    TRY(h5_read_i64(*rows, element, info.n));
    for (int64_t i = 0; i < info.n; i++) {
        int64_t row = (*rows)[i];
        if (row < 0 || row > own->n_rows)
            BREAK(RULE_OBSMAP_VALID, SCW_EFORMAT,
                  "%s: row %lld of cell %lld is out of range, modality '%s' has %lld cells",
                  h5_where(element), (long long)row, (long long)i, name, (long long)own->n_rows);
        if (row > 0 && used[row - 1]++)
            BREAK(RULE_OBSMAP_VALID, SCW_EFORMAT, "%s: two cells share row %lld",
                  h5_where(element), (long long)row);
        (*rows)[i] = row - 1;
    }
    if (!map_agrees(*rows, global, own)) {
        log_warning(hooks, "%s: does not fit the cell names; joining by name", h5_where(element));
        mem_free(*rows);
        *rows = NULL;
    }
done:
    if (st != SCW_OK) {
        mem_free(*rows);
        *rows = NULL;
    }
    mem_free(used);
    h5_close(&element);
    h5_close(&maps);
    return st;
}

static scw_status read_global(file_parts *out, hid_t file, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t element = 0;

    if (h5_find(file, "obs") == H5_ABSENT) goto done;
    TRY(h5_open(&element, file, "obs"));
    TRY(registry_read_frame(&out->global, element, file, hooks));
    TRY(check_unique(&out->global.index, "cell", h5_where(element),
                     "make cell names unique first, e.g. mdata.obs_names_make_unique()"));
    if (out->global.n_rows == 0) FAIL(SCW_EDATA, "%s: has no cells", h5_where(element));
    out->has_global = true;
done:
    h5_close(&element);
    return st;
}

/* A layer that one modality lacks (counts of the proteins may stand in X) is read from X there. */
static scw_status layer_of(const char **out, hid_t group, const char *layer, bool *found,
                           const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    char *x = NULL, *var = NULL;

    *out = layer;
    st = anndata_paths(&x, &var, group, layer);
    if (st == SCW_OK) *found = true;
    if (st == SCW_ENOTFOUND && layer) {
        log_warning(hooks, "%s: has no layer '%s'; X is read", h5_where(group), layer);
        *out = NULL;
        st = SCW_OK;
    }
    mem_free(x);
    mem_free(var);
    return st;
}

static scw_status read_modality(dataset_part *part, hid_t mod, const char *name, bool *found,
                                const read_request *q)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    const char *layer;
    char *where = NULL;

    TRY(h5_open_group(&group, mod, name));
    TRY(mem_strdup(&where, h5_where(group)));
    TRY(layer_of(&layer, group, q->source->layer, found, q->hooks));
    TRY(read_anndata(part, group, layer, q));
    TRY(parts_check(part, where, q));
    TRY(mem_strdup(&part->m.name, name));
done:
    mem_free(where);
    h5_close(&group);
    return st;
}

/* Modalities that share features are batches of one modality: each keeps its name as that of the batch. */
static scw_status as_batch(dataset_part *part)
{
    scw_status st = SCW_OK;
    strings kinds = {0};
    int32_t *code = NULL;

    TRY(feature_kinds(&kinds, &code, &part->m.var));
    part->batch = part->m.name;
    part->m.name = NULL;
    TRY(mem_strdup(&part->m.name, kinds.at[0]));
done:
    mem_free(code);
    strings_clear(&kinds);
    return st;
}

/* What a modality's matrix takes in memory; 0 where that cannot be told, which reading it will say. */
static int64_t size_of(hid_t mod, const char *name, const char *layer)
{
    hid_t group = 0, element = 0;
    char *x = NULL, *var = NULL;
    int64_t shape[2], bytes = 0;

    if (h5_open_group(&group, mod, name) != SCW_OK ||
        (anndata_paths(&x, &var, group, layer) != SCW_OK &&
         anndata_paths(&x, &var, group, NULL) != SCW_OK) ||
        h5_open(&element, group, x) != SCW_OK ||
        element_measure(shape, &bytes, element, -1) != SCW_OK)
        bytes = 0;
    mem_free(x);
    mem_free(var);
    h5_close(&element);
    h5_close(&group);
    status_clear();
    return bytes;
}

static scw_status share_memory(int64_t **out, hid_t mod, const strings *names,
                               const read_request *q)
{
    scw_status st = SCW_OK;
    int64_t *size = NULL;

    TRY(mem_new(out, names->n));
    if (q->options->memory_bytes <= 0) goto done;
    TRY(mem_new(&size, names->n));
    for (int64_t k = 0; k < names->n; k++) size[k] = size_of(mod, names->at[k], q->source->layer);
    read_shares(*out, size, names->n, q->options->memory_bytes);
done:
    mem_free(size);
    return st;
}

scw_status read_h5mu(file_parts *out, const input *in, const read_request *q)
{
    scw_status st = SCW_OK;
    hid_t mod = 0, file = in->hdf5;
    strings names = {0};
    scw_read_options each = *q->options;
    const read_request one = {q->source, &each, q->depth == READ_WHOLE, q->hooks, NULL};
    bool found = false;
    int64_t axis, *share = NULL;

    TRY(h5mu_axis(&axis, file));
    st = h5_open_group(&mod, file, "mod");
    if (st == SCW_ENOTFOUND) st = SCW_EFORMAT;
    TRY(st);
    TRY(h5mu_modalities(&names, mod));
    if (names.n == 0) FAIL(SCW_EDATA, "%s: has no modalities", h5_where(mod));
    if (axis != 1) TRY(read_global(out, file, q->hooks));
    TRY(mem_new(&out->parts, names.n));
    TRY(share_memory(&share, mod, &names, q));
    for (int64_t k = 0; k < names.n; k++) {
        dataset_part *part = &out->parts[k];
        TRY(log_check_cancel(q->hooks));
        out->n_parts = (int)k + 1;
        each.memory_bytes = share[k];
        TRY(read_modality(part, mod, names.at[k], &found, &one));
        if (axis == 1) TRY(as_batch(part));
        if (out->has_global)
            TRY(h5mu_read_map(&part->row_of_obs, file, names.at[k], &part->obs, &out->global,
                              q->hooks));
    }
    if (q->source->layer && !found)
        FAIL(SCW_ENOTFOUND, "%s: no modality has a layer '%s'", in->path, q->source->layer);
done:
    mem_free(share);
    strings_clear(&names);
    h5_close(&mod);
    return st;
}
