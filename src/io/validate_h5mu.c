/* SPDX-License-Identifier: BSD-3-Clause */
/* A multimodal file: each modality, and what ties them together. */
#include <string.h>

#include "base/alloc.h"
#include "io/validate.h"

/* How many cells of a modality are in the whole's obs. */
static scw_status check_cells(validation *v, const frame *own, const frame *global, const char *path)
{
    scw_status st = SCW_OK;
    name_index index = {0};
    int64_t n = 0;

    TRY(name_index_build(&index, (const char *const *)global->index.at, global->n_rows, NULL));
    for (int64_t i = 0; i < own->n_rows; i++) n += name_index_find(&index, own->index.at[i]) >= 0;
    if (n == 0 && own->n_rows)
        TRY(validate_find(v, RULE_CELLS_SHARED, path, "none of %lld cells is in /obs",
                          (long long)own->n_rows));
    else if (n < own->n_rows)
        TRY(validate_find(v, RULE_CELLS_COVERED, path, "%lld of %lld cells are not in /obs",
                          (long long)(own->n_rows - n), (long long)own->n_rows));
done:
    name_index_clear(&index);
    return st;
}

static scw_status check_map(validation *v, hid_t file, const char *name, const frame *own,
                            const frame *global)
{
    scw_status st = SCW_OK;
    textbuf where = {0};
    int64_t *rows = NULL;

    TRY(text_add(&where, "obsmap/%s", name));
    if (h5_find(file, text_get(&where)) == H5_ABSENT) goto done;
    text_clear(&where);
    TRY(text_add(&where, "/obsmap/%s", name));
    st = h5mu_read_map(&rows, file, name, own, global, NULL);
    if (st != SCW_OK)
        TRY(validate_failure(v, st, RULE_OBSMAP_VALID, text_get(&where)));
    else if (!rows)
        TRY(validate_find(v, RULE_OBSMAP_AGREES, text_get(&where),
                          "does not tie cells of one name"));
done:
    mem_free(rows);
    text_clear(&where);
    return st;
}

static scw_status check_modality(validation *v, hid_t file, hid_t mod, const char *name,
                                 const frame *global)
{
    scw_status st = SCW_OK;
    hid_t group = 0;
    frame own = {0};
    textbuf prefix = {0};

    TRY(text_add(&prefix, "/mod/%s", name));
    st = h5_open_group(&group, mod, name);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_ENCODING_FITS, text_get(&prefix)));
        goto done;
    }
    TRY(text_add(&prefix, "/"));
    TRY(validate_anndata(&own, v, group, text_get(&prefix)));
    if (!own.index_name || !global->index_name) goto done;
    text_clear(&prefix);
    TRY(text_add(&prefix, "/mod/%s/obs", name));
    TRY(check_cells(v, &own, global, text_get(&prefix)));
    TRY(check_map(v, file, name, &own, global));
done:
    text_clear(&prefix);
    frame_clear(&own);
    h5_close(&group);
    return st;
}

static scw_status check_order(validation *v, hid_t mod, const strings *names)
{
    scw_status st = SCW_OK;
    strings stated = {0};

    if (!h5_has_attr(mod, "mod-order")) goto done;
    st = h5_attr_strings(&stated, mod, "mod-order");
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_MOD_ORDER_AGREES, "/mod"));
        goto done;
    }
    bool agrees = stated.n == names->n;
    for (int64_t i = 0; agrees && i < names->n; i++)
        agrees = strcmp(stated.at[i], names->at[i]) == 0;
    if (!agrees)
        TRY(validate_find(v, RULE_MOD_ORDER_AGREES, "/mod", "lists %lld, there are %lld",
                          (long long)stated.n, (long long)names->n));
done:
    strings_clear(&stated);
    return st;
}

/* Frames and arrays over all modalities. */
static scw_status check_whole(frame *obs, validation *v, hid_t file, bool shared_cells)
{
    scw_status st = SCW_OK;
    frame var = {0};

    if (h5_find(file, "obs") != H5_ABSENT) {
        TRY(validate_frame(obs, v, file, "obs", "/obs", -1));
        if (obs->index_name && shared_cells) TRY(validate_names(v, &obs->index, true, "/obs"));
    }
    if (h5_find(file, "var") != H5_ABSENT)
        TRY(validate_frame(&var, v, file, "var", "/var", -1));
    const int64_t n_obs = obs->index_name ? obs->n_rows : -1;
    const int64_t n_vars = var.index_name ? var.n_rows : -1;
    TRY(validate_dict(v, file, "obsm", "/obsm", n_obs, -1, 1));
    TRY(validate_dict(v, file, "varm", "/varm", n_vars, -1, 1));
    TRY(validate_dict(v, file, "obsp", "/obsp", n_obs, n_obs, 1));
    TRY(validate_dict(v, file, "varp", "/varp", n_vars, n_vars, 1));
    TRY(validate_dict(v, file, "uns", "/uns", -1, -1, 1));
done:
    frame_clear(&var);
    return st;
}

scw_status validate_h5mu(validation *v, hid_t file)
{
    static const frame none = {0};
    scw_status st = SCW_OK;
    int64_t axis = 0;
    hid_t mod = 0;
    strings names = {0};
    frame obs = {0};

    TRY(validate_failure(v, h5mu_axis(&axis, file), RULE_AXIS_KNOWN, "/"));
    TRY(check_whole(&obs, v, file, axis != 1));
    st = h5_open_group(&mod, file, "mod");
    if (st == SCW_OK) st = h5mu_modalities(&names, mod);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_MODALITIES_PRESENT, "/mod"));
        goto done;
    }
    if (names.n == 0)
        TRY(validate_find(v, RULE_MODALITIES_PRESENT, "/mod", "there is none"));
    TRY(check_order(v, mod, &names));
    for (int64_t k = 0; k < names.n; k++)
        TRY(check_modality(v, file, mod, names.at[k], axis == 1 ? &none : &obs));
done:
    frame_clear(&obs);
    strings_clear(&names);
    h5_close(&mod);
    return st;
}
