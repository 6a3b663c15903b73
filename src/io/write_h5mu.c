/* SPDX-License-Identifier: BSD-3-Clause */
/* An h5mu as the mudata package lays it out:
 *
 *   user block   "MuData (format-version=0.1.0;...)"
 *   /mod/<name>  annotated matrices          /obsmap/<name>, /varmap/<name>   1 + row, or 0
 *   /obs, /var   frames over all of them     /obsm/<name>, /varm/<name>       presence
 */
#include "io/write_h5mu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "io/element.h"
#include "io/formats.h"
#include "io/registry.h"
#include "io/write_blocks.h"
#include "io/write_element.h"
#include "scweave/version.h"

static scw_status write_presence(hid_t file, const char *map_group, const char *mask_group,
                                 const char *name, int64_t n, const int64_t *rows)
{
    scw_status st = SCW_OK;
    hid_t maps = 0, masks = 0, d = 0;
    uint32_t *map = NULL;
    uint8_t *mask = NULL;

    TRY(mem_new(&map, n));
    TRY(mem_new(&mask, n));
    for (int64_t i = 0; i < n; i++) {
        map[i] = (uint32_t)(rows[i] + 1);
        mask[i] = rows[i] >= 0;
    }
    TRY(write_open_dict(&maps, file, map_group));
    TRY(write_open_dict(&masks, file, mask_group));
    TRY(h5_write_array(&d, maps, name, H5T_NATIVE_UINT32, 1, &n, map));
    TRY(write_encoding(d, "array", "0.2.0"));
    h5_close(&d);
    TRY(h5_write_bools(&d, masks, name, n, mask));
    TRY(write_encoding(d, "array", "0.2.0"));
done:
    mem_free(map);
    mem_free(mask);
    h5_close(&d);
    h5_close(&maps);
    h5_close(&masks);
    return st;
}

/* /var, /varmap, /varm: the features of all modalities, one after the other. */
static scw_status write_features(hid_t file, const scw_dataset *d, const strings *const *var_names)
{
    scw_status st = SCW_OK;
    frame var = {0};
    int64_t *rows = NULL, start = 0;

    for (int k = 0; k < d->n_modalities; k++)
        for (int64_t j = 0; j < var_names[k]->n; j++)
            TRY(strings_add(&var.index, var_names[k]->at[j]));
    var.n_rows = var.index.n;
    TRY(write_frame(file, "var", &var));
    TRY(mem_new(&rows, var.n_rows));
    for (int k = 0; k < d->n_modalities; k++) {
        int64_t n = var_names[k]->n;
        for (int64_t j = 0; j < var.n_rows; j++)
            rows[j] = j >= start && j < start + n ? j - start : -1;
        start += n;
        TRY(write_presence(file, "varmap", "varm", d->modalities[k].name, var.n_rows, rows));
    }
done:
    frame_clear(&var);
    mem_free(rows);
    return st;
}

scw_status h5mu_write_frame_of(hid_t file, const scw_dataset *d, const frame *obs,
                               const strings *const *var_names)
{
    static const char *const dicts[] = {"obsm", "obsp", "obsmap", "varm", "varp", "varmap", "uns"};
    scw_status st = SCW_OK;
    hid_t mod = 0, group = 0;
    strings order = {0};
    const int64_t axis = 0;

    TRY(write_encoding(file, "MuData", "0.1.0"));
    TRY(h5_put_attr_string(file, "encoder", "scweave"));
    TRY(h5_put_attr_string(file, "encoder-version", scw_version()));
    TRY(h5_put_attr_ints(file, "axis", &axis, 1, true));
    for (int k = 0; k < d->n_modalities; k++) TRY(strings_add(&order, d->modalities[k].name));
    if (h5_find(file, "mod") == H5_ABSENT)
        TRY(h5_make_group(&mod, file, "mod"));
    else
        TRY(h5_open_group(&mod, file, "mod"));
    TRY(h5_put_attr_strings(mod, "mod-order", &order));
    TRY(write_frame(file, "obs", obs));
    for (size_t i = 0; i < sizeof dicts / sizeof *dicts; i++) {
        TRY(write_open_dict(&group, file, dicts[i]));
        h5_close(&group);
    }
    for (int k = 0; k < d->n_modalities; k++)
        TRY(write_presence(file, "obsmap", "obsm", d->modalities[k].name, d->n_obs,
                           d->modalities[k].row_of_obs));
    TRY(write_features(file, d, var_names));
done:
    strings_clear(&order);
    h5_close(&group);
    h5_close(&mod);
    return st;
}

/* ------------------------------------------------------------------ one more modality */

static scw_status append_to_order(hid_t file, const char *name)
{
    scw_status st = SCW_OK;
    hid_t mod = 0;
    strings order = {0};
    bool known = false;

    TRY(h5_open_group(&mod, file, "mod"));
    TRY(h5mu_modalities(&order, mod));
    for (int64_t i = 0; i < order.n; i++) known |= strcmp(order.at[i], name) == 0;
    if (!known) TRY(strings_add(&order, name));
    TRY(h5_put_attr_strings(mod, "mod-order", &order));
done:
    strings_clear(&order);
    h5_close(&mod);
    return st;
}

/* /var gets the new features behind the others, with missing values in its columns. */
static scw_status append_features(int64_t *n_before, hid_t file, const strings *names,
                                  const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    frame old = {0}, all = {0};
    hid_t element = 0;
    int64_t *rows = NULL;
    column c = {0};

    *n_before = 0;
    if (h5_find(file, "var") != H5_ABSENT) {
        TRY(h5_open(&element, file, "var"));
        TRY(registry_read_frame(&old, element, file, hooks));
        h5_close(&element);
    }
    all.n_rows = old.n_rows + names->n;
    TRY(mem_new(&rows, all.n_rows));
    for (int64_t j = 0; j < all.n_rows; j++) {
        bool is_old = j < old.n_rows;
        TRY(strings_add(&all.index, is_old ? old.index.at[j] : names->at[j - old.n_rows]));
        rows[j] = is_old ? j : -1;
    }
    for (int64_t k = 0; k < old.n_columns; k++) {
        TRY(column_gather(&c, &old.columns[k], old.columns[k].name, rows, all.n_rows));
        TRY(frame_add(&all, &c));
    }
    TRY(h5_remove(file, "var"));
    TRY(write_frame(file, "var", &all));
    *n_before = old.n_rows;
done:
    column_clear(&c);
    mem_free(rows);
    frame_clear(&old);
    frame_clear(&all);
    h5_close(&element);
    return st;
}

/* The maps of the modalities that were there say that they lack the new features. */
static scw_status lengthen_map(hid_t file, const char *name, int64_t n_before, int64_t n)
{
    scw_status st = SCW_OK;
    hid_t maps = 0, masks = 0, d = 0;
    int64_t *rows = NULL;
    h5_info info;

    TRY(h5_open_group(&maps, file, "varmap"));
    TRY(h5_open(&d, maps, name));
    TRY(h5_describe(&info, d));
    if (info.n != n_before)
        FAIL(SCW_EFORMAT, "%s: has %lld values, /var has %lld rows", h5_where(d),
             (long long)info.n, (long long)n_before);
    TRY(mem_new(&rows, n));
    TRY(h5_read_i64(rows, d, n_before));
    h5_close(&d);
    for (int64_t j = 0; j < n; j++) rows[j] -= 1;
    TRY(h5_remove(maps, name));
    TRY(write_open_dict(&masks, file, "varm"));
    TRY(h5_remove(masks, name));
    TRY(write_presence(file, "varmap", "varm", name, n, rows));
done:
    mem_free(rows);
    h5_close(&d);
    h5_close(&masks);
    h5_close(&maps);
    return st;
}

scw_status h5mu_add_maps(hid_t file, const char *name, int64_t n_obs, const int64_t *row_of_obs,
                         const strings *var_names, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t maps = 0;
    strings known = {0};
    int64_t n_before, *rows = NULL;

    TRY(append_to_order(file, name));
    TRY(write_presence(file, "obsmap", "obsm", name, n_obs, row_of_obs));
    TRY(append_features(&n_before, file, var_names, hooks));
    TRY(write_open_dict(&maps, file, "varmap"));
    TRY(h5_list(&known, maps));
    for (int64_t i = 0; i < known.n; i++)
        TRY(lengthen_map(file, known.at[i], n_before, n_before + var_names->n));
    TRY(mem_new(&rows, n_before + var_names->n));
    for (int64_t j = 0; j < n_before + var_names->n; j++) rows[j] = j < n_before ? -1 : j - n_before;
    TRY(write_presence(file, "varmap", "varm", name, n_before + var_names->n, rows));
done:
    mem_free(rows);
    strings_clear(&known);
    h5_close(&maps);
    return st;
}

scw_status h5mu_write_userblock(const char *path)
{
    scw_status st = SCW_OK;
    char block[H5MU_USERBLOCK] = {0};

    (void)snprintf(block, sizeof block,
                   "MuData (format-version=0.1.0;creator=scweave;creator-version=%s)",
                   scw_version());
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) FAIL(SCW_EIO, "%s: cannot write: %s", path, strerror(errno));
    ssize_t n = pwrite(fd, block, sizeof block, 0);
    int failed = n != (ssize_t)sizeof block, why = errno;
    failed |= close(fd) != 0;
    if (failed) FAIL(SCW_EIO, "%s: cannot write: %s", path, strerror(why));
done:
    return st;
}

/* Modality that a column name "<modality>:<key>" belongs to, or -1. */
static int owner_of(const scw_dataset *d, const char *name, const char **key)
{
    for (int k = 0; k < d->n_modalities; k++) {
        size_t n = strlen(d->modalities[k].name);
        if (strncmp(name, d->modalities[k].name, n) != 0 || name[n] != ':') continue;
        *key = name + n + 1;
        return k;
    }
    return -1;
}

scw_status h5mu_global_columns(frame *out, const scw_dataset *d)
{
    scw_status st = SCW_OK;
    const char *key;

    *out = (frame){.n_rows = d->obs.n_rows, .index = d->obs.index};
    TRY(mem_new(&out->columns, d->obs.n_columns));
    for (int64_t i = 0; i < d->obs.n_columns; i++)
        if (owner_of(d, d->obs.columns[i].name, &key) < 0)
            out->columns[out->n_columns++] = d->obs.columns[i];
done:
    return st;
}

/* The modality's own cells and columns, in the order of its rows. */
static scw_status own_obs(frame *out, const scw_dataset *d, int which)
{
    scw_status st = SCW_OK;
    const modality *m = &d->modalities[which];
    int64_t *cells = NULL; /* obs position of each row */
    column c = {0};
    textbuf name = {0};

    *out = (frame){.n_rows = m->x.n_rows};
    TRY(mem_new(&cells, m->x.n_rows));
    for (int64_t r = 0; r < m->x.n_rows; r++) cells[r] = -1;
    for (int64_t i = 0; i < d->n_obs; i++)
        if (m->row_of_obs[i] >= 0) cells[m->row_of_obs[i]] = i;
    for (int64_t r = 0; r < m->x.n_rows; r++) {
        text_clear(&name);
        if (cells[r] < 0) TRY(text_add(&name, "unlisted_%lld", (long long)r));
        TRY(strings_add(&out->index, cells[r] < 0 ? text_get(&name) : d->obs.index.at[cells[r]]));
    }
    for (int64_t i = 0; i < d->obs.n_columns; i++) {
        const char *key = NULL;
        if (owner_of(d, d->obs.columns[i].name, &key) != which) continue;
        TRY(column_gather(&c, &d->obs.columns[i], key, cells, m->x.n_rows));
        TRY(frame_add(out, &c));
    }
done:
    column_clear(&c);
    text_clear(&name);
    mem_free(cells);
    if (st != SCW_OK) frame_clear(out);
    return st;
}

/* X in blocks, wherever it is: the same bytes. Values that were read for computing are floats. */
static scw_status write_x(hid_t group, const modality *m)
{
    scw_status st = SCW_OK;
    block_reader *rows = NULL;
    const bool dense = m->store ? m->store->dense : !m->x.sparse;

    if (!m->store && !m->x.exact) return write_matrix(group, "X", &m->x);
    TRY(modality_rows_exact(&rows, m));
    TRY(write_blocks_exact(group, "X", rows, m->x.stored, dense, NULL));
done:
    block_reader_free(rows);
    return st;
}

/* The content of an annotated matrix, into the root of a file or the group of a modality. */
static scw_status write_anndata(hid_t group, const modality *m, const frame *obs)
{
    static const char *const dicts[] = {"layers", "obsm", "obsp", "varm", "varp", "uns"};
    scw_status st = SCW_OK;
    hid_t dict = 0;

    TRY(write_encoding(group, "anndata", "0.1.0"));
    TRY(write_x(group, m));
    TRY(write_frame(group, "obs", obs));
    TRY(write_frame(group, "var", &m->var));
    for (size_t i = 0; i < sizeof dicts / sizeof *dicts; i++) {
        TRY(write_open_dict(&dict, group, dicts[i]));
        for (int k = 0; k < m->n_arrays; k++) {
            const modality_array *a = &m->arrays[k];
            if (strcmp(a->group, dicts[i]) == 0) TRY(write_matrix(dict, a->name, &a->x));
        }
        h5_close(&dict);
    }
done:
    h5_close(&dict);
    return st;
}

static scw_status write_modality(hid_t file, const scw_dataset *d, int which)
{
    scw_status st = SCW_OK;
    hid_t mod = 0, group = 0;
    frame obs = {0};

    TRY(own_obs(&obs, d, which));
    TRY(h5_open_group(&mod, file, "mod"));
    TRY(h5_make_group(&group, mod, d->modalities[which].name));
    TRY(write_anndata(group, &d->modalities[which], &obs));
done:
    frame_clear(&obs);
    h5_close(&group);
    h5_close(&mod);
    return st;
}

static scw_status write_uns(hid_t file, const char *record)
{
    scw_status st = SCW_OK;
    hid_t uns = 0;

    if (!record) return SCW_OK;
    TRY(write_open_dict(&uns, file, "uns"));
    TRY(write_record(uns, "scweave", record));
done:
    h5_close(&uns);
    return st;
}

/* Names of the features as the copied modality holds them. */
static scw_status copied_var_names(strings *out, hid_t file, const char *name)
{
    scw_status st = SCW_OK;
    hid_t mod = 0, group = 0, var = 0;
    frame f = {0};

    *out = (strings){0};
    TRY(h5_open_group(&mod, file, "mod"));
    TRY(h5_open_group(&group, mod, name));
    TRY(h5_open(&var, group, "var"));
    TRY(h5_kind_of(var) == H5_GROUP ? element_frame_index(&f, var)
                                    : element_records_as_stored(&f, var));
    *out = f.index;
    f.index = (strings){0};
done:
    frame_clear(&f);
    h5_close(&var);
    h5_close(&group);
    h5_close(&mod);
    return st;
}

scw_status h5mu_write_around(hid_t file, const scw_dataset *d)
{
    scw_status st = SCW_OK;
    strings *names = NULL;
    const strings **borrowed = NULL;
    frame obs = {0};

    TRY(mem_new(&names, d->n_modalities));
    TRY(mem_new(&borrowed, d->n_modalities));
    TRY(h5mu_global_columns(&obs, d));
    for (int k = 0; k < d->n_modalities; k++) {
        TRY(copied_var_names(&names[k], file, d->modalities[k].name));
        borrowed[k] = &names[k];
    }
    TRY(h5mu_write_frame_of(file, d, &obs, borrowed));
done:
    for (int k = 0; names && k < d->n_modalities; k++) strings_clear(&names[k]);
    mem_free(names);
    mem_free(borrowed);
    mem_free(obs.columns);
    return st;
}

scw_status dataset_write_h5mu_into(hid_t file, const scw_dataset *d)
{
    scw_status st = SCW_OK;
    const strings **var_names = NULL;
    frame obs = {0};

    TRY(mem_new(&var_names, d->n_modalities));
    for (int k = 0; k < d->n_modalities; k++) var_names[k] = &d->modalities[k].var.index;
    TRY(h5mu_global_columns(&obs, d));
    TRY(h5mu_write_frame_of(file, d, &obs, var_names));
    for (int k = 0; k < d->n_modalities; k++) TRY(write_modality(file, d, k));
done:
    mem_free(obs.columns);
    mem_free(var_names);
    return st;
}

/* The one modality's rows are the cells of the set, in its order. */
scw_status dataset_write_h5ad_into(hid_t file, const scw_dataset *d)
{
    scw_status st = SCW_OK;
    const modality *m = &d->modalities[0];
    bool in_order = d->n_modalities == 1 && m->x.n_rows == d->n_obs;

    for (int64_t i = 0; in_order && i < d->n_obs; i++) in_order = m->row_of_obs[i] == i;
    if (!in_order)
        FAIL(SCW_EINVAL, "%s: a set of %d modalities needs an .h5mu",
             d->n_files ? d->files[0].path : "the result", d->n_modalities);
    TRY(write_anndata(file, m, &d->obs));
done:
    return st;
}

/* A new file, an .h5mu or an .h5ad. */
static scw_status write_new(const scw_dataset *d, const char *record, const char *path, bool h5ad)
{
    scw_status st = SCW_OK;
    h5_session session;
    atomic_file f = {0};
    hid_t file = 0;

    h5_session_begin(&session);
    TRY(atomic_file_begin(&f, path));
    TRY(h5_file_create(&file, f.temporary, h5ad ? 0 : H5MU_USERBLOCK));
    TRY(h5ad ? dataset_write_h5ad_into(file, d) : dataset_write_h5mu_into(file, d));
    TRY(write_uns(file, record));
    TRY(h5_file_finish(&file));
    if (!h5ad) TRY(h5mu_write_userblock(f.temporary));
    TRY(atomic_file_commit(&f));
done:
    h5_close(&file);
    atomic_file_clear(&f);
    h5_session_end(&session);
    return st;
}

scw_status dataset_write_h5mu(const scw_dataset *d, const char *record, const char *path)
{
    return write_new(d, record, path, false);
}

scw_status dataset_write_h5ad(const scw_dataset *d, const char *record, const char *path)
{
    return write_new(d, record, path, true);
}
