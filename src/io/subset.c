/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/subset.h"

#include <string.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "io/write_h5mu.h"
#include "io/write_part.h"

scw_status axis_choice_of(axis_choice *out, const uint8_t *mask, int64_t n_before)
{
    scw_status st = SCW_OK;

    *out = (axis_choice){.n_before = n_before};
    TRY(mem_new(&out->kept, n_before));
    for (int64_t i = 0; i < n_before; i++)
        if (!mask || mask[i]) out->kept[out->n++] = i;
done:
    return st;
}

void axis_choice_clear(axis_choice *a)
{
    mem_free(a->kept);
    *a = (axis_choice){0};
}

/* ------------------------------------------------------------------ one annotated matrix */

/* Every member of the dict `name`. */
static scw_status cut_dict(hid_t to, hid_t from, const char *name, const axis_choice *first,
                           const axis_choice *second, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t source = 0, group = 0;
    strings members = {0};

    TRY(h5_open(&source, from, name));
    if (h5_kind_of(source) == H5_DATASET) { /* arrays as records, before 2020 */
        TRY(subset_element(to, from, name, first, NULL, hooks));
        goto done;
    }
    TRY(h5_make_group(&group, to, name));
    TRY(subset_attributes(group, source));
    TRY(h5_list(&members, source));
    for (int64_t k = 0; k < members.n; k++)
        TRY(subset_element(group, source, members.at[k], first, second, hooks));
done:
    strings_clear(&members);
    h5_close(&group);
    h5_close(&source);
    return st;
}

/* raw has features of its own, all of which stay. */
static scw_status cut_raw(hid_t to, hid_t from, const axis_choice *obs, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t source = 0, group = 0;
    strings members = {0};

    TRY(h5_open_group(&source, from, "raw"));
    TRY(h5_make_group(&group, to, "raw"));
    TRY(subset_attributes(group, source));
    TRY(h5_list(&members, source));
    for (int64_t k = 0; k < members.n; k++) {
        const char *name = members.at[k];
        TRY(strcmp(name, "X") == 0 ? subset_element(group, source, name, obs, NULL, hooks)
                                   : h5_copy(source, name, group, name));
    }
done:
    strings_clear(&members);
    h5_close(&group);
    h5_close(&source);
    return st;
}

static scw_status cut_member(hid_t to, hid_t from, const char *name, const axis_choice *obs,
                             const axis_choice *var, const scw_hooks *hooks)
{
    static const struct {
        const char *name;
        bool dict;
        int first, second; /* 0: obs, 1: var, -1: none */
    } members[] = {
        {"X", false, 0, 1},      {"layers", true, 0, 1}, {"obsm", true, 0, -1},
        {"varm", true, 1, -1},   {"obsp", true, 0, 0},   {"varp", true, 1, 1},
        {"raw.X", false, 0, -1},
    };
    const axis_choice *const axes[] = {obs, var};

    if (strcmp(name, "obs") == 0) return subset_frame(to, from, name, obs, hooks);
    if (strcmp(name, "var") == 0) return subset_frame(to, from, name, var, hooks);
    if (strcmp(name, "raw") == 0 && h5_find(from, "raw") == H5_GROUP)
        return cut_raw(to, from, obs, hooks);
    for (size_t k = 0; k < sizeof members / sizeof *members; k++) {
        if (strcmp(members[k].name, name) != 0) continue;
        const axis_choice *first = axes[members[k].first];
        const axis_choice *second = members[k].second < 0 ? NULL : axes[members[k].second];
        return members[k].dict ? cut_dict(to, from, name, first, second, hooks)
                               : subset_element(to, from, name, first, second, hooks);
    }
    return h5_copy(from, name, to, name);
}

static scw_status cut_anndata(hid_t to, hid_t from, const axis_choice *obs, const axis_choice *var,
                              const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    strings members = {0};

    TRY(subset_attributes(to, from));
    TRY(h5_list(&members, from));
    for (int64_t k = 0; k < members.n; k++)
        TRY(cut_member(to, from, members.at[k], obs, var, hooks));
done:
    strings_clear(&members);
    return st;
}

/* ------------------------------------------------------------------ a multimodal file */

typedef struct multimodal {
    hid_t to, from;
    axis_choice obs, var;           /* of the whole set; var.kept NULL: there is no /var */
    axis_choice *own_obs, *own_var; /* [n_modalities] */
    const scw_dataset *d;
    const scw_hooks *hooks;
} multimodal;

static scw_status choose_own(multimodal *m, const uint8_t *keep_obs, int which,
                             const uint8_t *keep_var)
{
    scw_status st = SCW_OK;
    uint8_t *mask = NULL;

    TRY(mem_new(&m->own_obs, m->d->n_modalities));
    TRY(mem_new(&m->own_var, m->d->n_modalities));
    for (int k = 0; k < m->d->n_modalities; k++) {
        const modality *one = &m->d->modalities[k];
        mem_free(mask);
        TRY(mem_new(&mask, one->x.n_rows));
        for (int64_t i = 0; i < m->d->n_obs; i++)
            if (keep_obs[i] && one->row_of_obs[i] >= 0) mask[one->row_of_obs[i]] = 1;
        TRY(axis_choice_of(&m->own_obs[k], mask, one->x.n_rows));
        TRY(axis_choice_of(&m->own_var[k], k == which ? keep_var : NULL, one->x.n_cols));
    }
done:
    mem_free(mask);
    return st;
}

/* Row numbers (from 1, 0: none) of a map in the file. */
static scw_status read_map(int64_t **out, hid_t from, const char *maps, const char *name, int64_t n)
{
    scw_status st = SCW_OK;
    hid_t group = 0, element = 0;
    h5_info info;

    *out = NULL;
    TRY(h5_open_group(&group, from, maps));
    TRY(h5_open(&element, group, name));
    TRY(h5_describe(&info, element));
    if (info.n != n)
        FAIL(SCW_EFORMAT, "%s: has %lld values, expected %lld", h5_where(element),
             (long long)info.n, (long long)n);
    TRY(mem_new(out, n));
    TRY(h5_read_i64(*out, element, n));
done:
    h5_close(&element);
    h5_close(&group);
    return st;
}

/* A feature of the whole set stays if it does in a modality. */
static scw_status choose_var(multimodal *m, int which, const uint8_t *keep_var)
{
    scw_status st = SCW_OK;
    uint8_t *mask = NULL;
    int64_t *rows = NULL, n = 0;
    const modality *one = &m->d->modalities[which];

    if (h5_find(m->from, "var") == H5_ABSENT) goto done;
    for (int k = 0; k < m->d->n_modalities; k++)
        n += m->d->modalities[k].x.n_cols;
    TRY(mem_new(&mask, n));
    TRY(read_map(&rows, m->from, "varmap", one->name, n));
    for (int64_t j = 0; j < n; j++) {
        if (rows[j] > one->x.n_cols)
            FAIL(SCW_EFORMAT, "%s: varmap of '%s' leads out of its features", h5_where(m->from),
                 one->name);
        mask[j] = rows[j] < 1 || !keep_var || keep_var[rows[j] - 1];
    }
    TRY(axis_choice_of(&m->var, mask, n));
done:
    mem_free(mask);
    mem_free(rows);
    return st;
}

/* /obsmap or /varmap: the kept rows, numbered anew. */
static scw_status cut_maps(multimodal *m, const char *name, const axis_choice *axis,
                           const axis_choice *own)
{
    scw_status st = SCW_OK;
    hid_t source = 0, group = 0, d = 0;
    int64_t *rows = NULL, *number = NULL;
    uint32_t *map = NULL;

    TRY(h5_open_group(&source, m->from, name));
    TRY(h5_make_group(&group, m->to, name));
    TRY(subset_attributes(group, source));
    for (int k = 0; k < m->d->n_modalities; k++) {
        const char *which = m->d->modalities[k].name;
        if (h5_find(source, which) == H5_ABSENT) continue;
        mem_free(rows);
        mem_free(number);
        mem_free(map);
        map = NULL, number = NULL;
        TRY(read_map(&rows, m->from, name, which, axis->n_before));
        TRY(mem_new(&number, own[k].n_before + 1));
        TRY(mem_new(&map, axis->n));
        for (int64_t r = 0; r < own[k].n; r++)
            number[own[k].kept[r] + 1] = r + 1;
        for (int64_t i = 0; i < axis->n; i++) {
            int64_t row = rows[axis->kept[i]];
            if (row < 0 || row > own[k].n_before)
                FAIL(SCW_EFORMAT, "%s: '%s' leads to row %lld of %lld", h5_where(source), which,
                     (long long)row, (long long)own[k].n_before);
            map[i] = (uint32_t)number[row];
        }
        h5_close(&d);
        TRY(h5_write_array(&d, group, which, H5T_NATIVE_UINT32, 1, &axis->n, map));
        hid_t before = 0;
        TRY(h5_open(&before, source, which));
        st = subset_attributes(d, before);
        h5_close(&before);
        TRY(st);
    }
done:
    mem_free(rows);
    mem_free(number);
    mem_free(map);
    h5_close(&d);
    h5_close(&group);
    h5_close(&source);
    return st;
}

static scw_status cut_modalities(multimodal *m)
{
    scw_status st = SCW_OK;
    hid_t source = 0, mod = 0, from = 0, to = 0;

    TRY(h5_open_group(&source, m->from, "mod"));
    TRY(h5_make_group(&mod, m->to, "mod"));
    TRY(subset_attributes(mod, source));
    for (int k = 0; k < m->d->n_modalities; k++) {
        h5_close(&from);
        h5_close(&to);
        TRY(h5_open_group(&from, source, m->d->modalities[k].name));
        TRY(h5_make_group(&to, mod, m->d->modalities[k].name));
        TRY(cut_anndata(to, from, &m->own_obs[k], &m->own_var[k], m->hooks));
    }
done:
    h5_close(&to);
    h5_close(&from);
    h5_close(&mod);
    h5_close(&source);
    return st;
}

static scw_status cut_multimodal(multimodal *m)
{
    scw_status st = SCW_OK;
    strings members = {0};

    TRY(subset_attributes(m->to, m->from));
    TRY(h5_list(&members, m->from));
    for (int64_t k = 0; k < members.n; k++) {
        const char *name = members.at[k];
        if (strcmp(name, "mod") == 0)
            TRY(cut_modalities(m));
        else if (strcmp(name, "obsmap") == 0)
            TRY(cut_maps(m, name, &m->obs, m->own_obs));
        else if (strcmp(name, "varmap") == 0 && m->var.kept)
            TRY(cut_maps(m, name, &m->var, m->own_var));
        else
            TRY(cut_member(m->to, m->from, name, &m->obs, &m->var, m->hooks));
    }
done:
    strings_clear(&members);
    return st;
}

static scw_status write_multimodal(hid_t to, hid_t from, const scw_dataset *d,
                                   const uint8_t *keep_obs, int which, const uint8_t *keep_var,
                                   const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    multimodal m = {.to = to, .from = from, .d = d, .hooks = hooks};

    TRY(axis_choice_of(&m.obs, keep_obs, d->n_obs));
    TRY(choose_own(&m, keep_obs, which, keep_var));
    TRY(choose_var(&m, which, keep_var));
    TRY(cut_multimodal(&m));
done:
    for (int k = 0; k < d->n_modalities; k++) {
        if (m.own_obs) axis_choice_clear(&m.own_obs[k]);
        if (m.own_var) axis_choice_clear(&m.own_var[k]);
    }
    mem_free(m.own_obs);
    mem_free(m.own_var);
    axis_choice_clear(&m.obs);
    axis_choice_clear(&m.var);
    return st;
}

static scw_status write_single(hid_t to, hid_t from, const scw_dataset *d, const uint8_t *keep_obs,
                               const uint8_t *keep_var, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    axis_choice obs = {0}, var = {0};

    TRY(axis_choice_of(&obs, keep_obs, d->n_obs));
    TRY(axis_choice_of(&var, keep_var, d->modalities[0].x.n_cols));
    TRY(cut_anndata(to, from, &obs, &var, hooks));
done:
    axis_choice_clear(&obs);
    axis_choice_clear(&var);
    return st;
}

static bool ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), e = strlen(ending);
    return n >= e && strcmp(path + n - e, ending) == 0;
}

static scw_status write_cut(const scw_dataset *d, const uint8_t *keep_obs, int which,
                            const uint8_t *keep_var, const char *path, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    atomic_file f = {0};
    hid_t from = 0, to = 0;
    const bool whole_set = d->files[0].modality == NULL;

    TRY(h5_file_open(&from, d->files[0].path));
    TRY(atomic_file_begin(&f, path));
    TRY(h5_file_create(&to, f.temporary, whole_set ? H5MU_USERBLOCK : 0));
    TRY(whole_set ? write_multimodal(to, from, d, keep_obs, which, keep_var, hooks)
                  : write_single(to, from, d, keep_obs, keep_var, hooks));
    TRY(h5_file_finish(&to));
    if (whole_set) TRY(h5mu_write_userblock(f.temporary));
    TRY(atomic_file_commit(&f));
done:
    h5_close(&to);
    h5_close(&from);
    atomic_file_clear(&f);
    return st;
}

static bool same_names(const strings *a, const strings *b)
{
    if (a->n != b->n) return false;
    for (int64_t i = 0; i < a->n; i++)
        if (strcmp(a->at[i], b->at[i]) != 0) return false;
    return true;
}

/* The set as one file beside the target, which is cut in its place. */
static scw_status cut_by_way(const scw_dataset *d, const uint8_t *keep_obs, int which,
                             const uint8_t *keep_var, const char *path, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    atomic_file stage = {0};
    scw_dataset *one = NULL;
    const bool h5ad = ends_with(path, ".h5ad");
    const scw_read_options names_only = {.leave_matrices = 1};
    int there = -1;

    if (h5ad && d->n_modalities > 1)
        FAIL(SCW_EINVAL, "%s: an .h5ad holds one modality, the set %d; write an .h5mu", path,
             d->n_modalities);
    TRY(atomic_file_begin(&stage, path));
    TRY(dataset_write_native(d, stage.temporary, h5ad, hooks));
    const scw_source source = {.path = stage.temporary, .modality = d->modalities[0].name};
    TRY(scw_dataset_open(&one, &source, 1, &names_only, NULL));
    for (int k = 0; k < one->n_modalities; k++)
        if (strcmp(one->modalities[k].name, d->modalities[which].name) == 0) there = k;
    if (there < 0 || !same_names(&one->obs.index, &d->obs.index) ||
        !same_names(&one->modalities[there].var.index, &d->modalities[which].var.index))
        FAIL(SCW_EDATA, "%s: has changed since it was read", d->files[0].path);
    TRY(write_cut(one, keep_obs, there, keep_var, path, hooks));
done:
    scw_dataset_free(one);
    atomic_file_clear(&stage);
    return st;
}

scw_status dataset_write_subset(const scw_dataset *d, const uint8_t *keep_obs, int which,
                                const uint8_t *keep_var, const char *path, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    h5_session session;

    h5_session_begin(&session);
    TRY(write_parts_check(d));
    TRY(d->n_files == 1 && d->files[0].native && !d->stacked
            ? write_cut(d, keep_obs, which, keep_var, path, hooks)
            : cut_by_way(d, keep_obs, which, keep_var, path, hooks));
done:
    h5_session_end(&session);
    return st;
}
