/* SPDX-License-Identifier: BSD-3-Clause */
/* From any format that is read to .h5ad, .h5mu or a matrix folder.
 *
 * Between .h5ad and .h5mu the elements are copied as they are stored, whether this program reads them
 * or not; what changes is where they stand. Everything else is read with its exact values and written
 * in the current encodings. */
#include <string.h>

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "io/copy_tree.h"
#include "io/element.h"
#include "io/formats.h"
#include "io/merge.h"
#include "io/registry.h"
#include "io/write_element.h"
#include "io/write_h5mu.h"
#include "io/write_triplet.h"

typedef enum target { TO_H5AD, TO_H5MU, TO_MTX } target;

typedef struct conversion {
    const scw_source *sources;
    int n;
    const char *path;
    scw_convert_options o;
    target to;
    input *inputs;
    const file_format **formats;
    const scw_hooks *hooks;
} conversion;

/* ------------------------------------------------------------------ what is asked for */

static bool ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), e = strlen(ending);
    return n >= e && strcmp(text + n - e, ending) == 0;
}

static scw_status find_target(conversion *c)
{
    scw_status st = SCW_OK;
    const char *to = c->o.to, *path = c->path;

    if (!to)
        to = ends_with(path, ".h5ad") ? "h5ad" : ends_with(path, ".h5mu") ? "h5mu"
             : ends_with(path, "/") ? "mtx" : "";
    if (strcmp(to, "h5ad") == 0) c->to = TO_H5AD;
    else if (strcmp(to, "h5mu") == 0) c->to = TO_H5MU;
    else if (strcmp(to, "mtx") == 0) c->to = TO_MTX;
    else
        FAIL(SCW_EINVAL, "%s: does not say what to write: end it in .h5ad, .h5mu or, for a folder "
             "with a matrix.mtx, in /", path);
done:
    return st;
}

static bool is_format(const conversion *c, int k, const char *name)
{
    return strcmp(c->formats[k]->name, name) == 0;
}

/* Does what is asked for leave the elements as they are stored? */
static bool keeps_elements(const conversion *c)
{
    if (c->o.merge || (c->o.read && c->o.read->var_names)) return false;
    for (int k = 0; k < c->n; k++)
        if (!c->formats[k]->native || c->sources[k].layer) return false;
    return true;
}

static scw_status read_set(scw_dataset **out, const conversion *c, read_depth depth)
{
    const scw_read_options budget = read_budget(c->o.read);

    return dataset_read_as(out, c->inputs, c->sources, c->n, &budget, depth, c->hooks);
}

/* ------------------------------------------------------------------ elements as they are */

/* A frame stored as records cannot take columns; it goes without them. */
static scw_status add_global_columns(hid_t out, hid_t whole, hid_t own, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    hid_t element = 0, obs = 0;
    frame global = {0}, mine = {0};
    int64_t *rows = NULL;
    name_index index = {0};
    column c = {0};

    if (h5_find(whole, "obs") == H5_ABSENT || h5_find(out, "obs") != H5_GROUP) goto done;
    TRY(h5_open(&element, whole, "obs"));
    TRY(registry_read_frame(&global, element, whole, hooks));
    h5_close(&element);
    TRY(h5_open(&element, own, "obs"));
    TRY(registry_read_frame(&mine, element, own, NULL));
    TRY(h5_open_group(&obs, out, "obs"));
    TRY(name_index_build(&index, (const char *const *)global.index.at, global.n_rows, NULL));
    TRY(mem_new(&rows, mine.n_rows));
    for (int64_t i = 0; i < mine.n_rows; i++)
        rows[i] = name_index_find(&index, mine.index.at[i]);
    for (int64_t k = 0; k < global.n_columns; k++) {
        const char *name = global.columns[k].name;
        if (strchr(name, ':') || frame_find(&mine, name) ||
            strcmp(name, mine.index_name) == 0)
            continue;
        TRY(column_gather(&c, &global.columns[k], name, rows, mine.n_rows));
        TRY(write_into_frame(obs, &c));
        column_clear(&c);
    }
done:
    column_clear(&c);
    mem_free(rows);
    name_index_clear(&index);
    frame_clear(&global);
    frame_clear(&mine);
    h5_close(&obs);
    h5_close(&element);
    return st;
}

/* Which modality of an .h5mu becomes the .h5ad? */
static scw_status choose_modality(char **out, hid_t mod, const conversion *c)
{
    scw_status st = SCW_OK;
    strings names = {0};
    textbuf list = {0};
    const char *wanted = c->o.modality;

    TRY(h5mu_modalities(&names, mod));
    for (int64_t k = 0; k < names.n; k++) {
        TRY(text_add(&list, "%s%s", k ? ", " : "", names.at[k]));
        if (wanted && strcmp(names.at[k], wanted) == 0) *out = names.at[k];
    }
    if (!wanted && names.n == 1) *out = names.at[0];
    if (!*out && wanted)
        FAIL(SCW_ENOTFOUND, "%s: has no modality '%s'; there is: %s", c->inputs[0].path, wanted,
             text_get(&list));
    if (!*out)
        FAIL(SCW_EINVAL, "%s: an .h5ad holds one modality, this file %s; choose one with --modality "
             "or put all side by side with --merge", c->inputs[0].path, text_get(&list));
    TRY(mem_strdup(out, *out));
done:
    text_clear(&list);
    strings_clear(&names);
    return st;
}

/* What an .h5mu holds beyond its modalities and is left behind. */
static scw_status note_left_behind(hid_t whole, const scw_hooks *hooks)
{
    static const char *const groups[] = {"uns", "obsm", "obsp", "varp"};
    scw_status st = SCW_OK;
    hid_t group = 0;
    strings names = {0};
    textbuf list = {0};

    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (h5_find(whole, groups[i]) != H5_GROUP) continue;
        h5_close(&group);
        strings_clear(&names);
        TRY(h5_open_group(&group, whole, groups[i]));
        TRY(h5_list(&names, group));
        for (int64_t k = 0; k < names.n; k++) {
            textbuf mod = {0};
            TRY(text_add(&mod, "mod/%s", names.at[k]));
            bool mask = h5_find(whole, text_get(&mod)) != H5_ABSENT; /* which cells have it */
            text_clear(&mod);
            if (!mask)
                TRY(text_add(&list, "%s%s/%s", list.length ? ", " : "", groups[i], names.at[k]));
        }
    }
    if (list.length)
        log_warning(hooks, "of the whole set, left out: %s", text_get(&list));
done:
    text_clear(&list);
    strings_clear(&names);
    h5_close(&group);
    return st;
}

static scw_status extract_modality(hid_t file, const conversion *c)
{
    scw_status st = SCW_OK;
    hid_t mod = 0, group = 0, whole = c->inputs[0].hdf5;
    char *name = NULL;

    st = h5_open_group(&mod, whole, "mod");
    if (st == SCW_ENOTFOUND) st = SCW_EFORMAT;
    TRY(st);
    TRY(choose_modality(&name, mod, c));
    TRY(h5_open_group(&group, mod, name));
    TRY(copy_tree(group, file, c->o.compression, c->hooks));
    if (!h5_has_attr(file, "encoding-type")) TRY(write_encoding(file, "anndata", "0.1.0"));
    TRY(add_global_columns(file, whole, group, c->hooks));
    TRY(note_left_behind(whole, c->hooks));
done:
    mem_free(name);
    h5_close(&group);
    h5_close(&mod);
    return st;
}

static scw_status wrap_files(hid_t file, const conversion *c, const scw_dataset *d)
{
    scw_status st = SCW_OK;
    hid_t mod = 0, group = 0;

    TRY(h5_make_group(&mod, file, "mod"));
    for (int k = 0; k < c->n; k++) {
        h5_close(&group);
        TRY(h5_make_group(&group, mod, d->files[k].modality));
        TRY(copy_tree(c->inputs[k].hdf5, group, c->o.compression, c->hooks));
        if (!h5_has_attr(group, "encoding-type")) TRY(write_encoding(group, "anndata", "0.1.0"));
    }
    TRY(h5mu_write_around(file, d));
done:
    h5_close(&group);
    h5_close(&mod);
    return st;
}

/* ------------------------------------------------------------------ read and written */

/* Arrays over cells and uns of the one .h5ad whose features were split. */
static scw_status copy_rest(hid_t file, const conversion *c)
{
    static const char *const kept[] = {"uns", "obsm", "obsp"}, *const lost[] = {"raw", "varm", "varp"};
    scw_status st = SCW_OK;
    hid_t from = 0, to = 0;
    strings names = {0};

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (h5_find(c->inputs[0].hdf5, kept[i]) != H5_GROUP) continue;
        h5_close(&from);
        h5_close(&to);
        strings_clear(&names);
        TRY(h5_open_group(&from, c->inputs[0].hdf5, kept[i]));
        TRY(write_open_dict(&to, file, kept[i]));
        TRY(h5_list(&names, from));
        for (int64_t k = 0; k < names.n; k++)
            if (h5_find(to, names.at[k]) == H5_ABSENT)
                TRY(h5_copy(from, names.at[k], to, names.at[k]));
    }
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
        if (h5_find(c->inputs[0].hdf5, lost[i]) != H5_GROUP) continue;
        h5_close(&from);
        strings_clear(&names);
        TRY(h5_open_group(&from, c->inputs[0].hdf5, lost[i]));
        TRY(h5_list(&names, from));
        if (names.n)
            log_warning(c->hooks, "%s: /%s spans features of several kinds and is left out",
                        c->inputs[0].path, lost[i]);
    }
done:
    strings_clear(&names);
    h5_close(&from);
    h5_close(&to);
    return st;
}

/* Leave the one modality that is asked for. */
static scw_status keep_modality(scw_dataset *d, const char *name)
{
    scw_status st = SCW_OK;
    textbuf list = {0};
    int which = -1;

    for (int k = 0; k < d->n_modalities; k++) {
        TRY(text_add(&list, "%s%s", k ? ", " : "", d->modalities[k].name));
        if (strcmp(d->modalities[k].name, name) == 0) which = k;
    }
    if (which < 0)
        FAIL(SCW_ENOTFOUND, "%s: has no modality '%s'; there is: %s", d->files[0].path, name,
             text_get(&list));
    for (int k = 0; k < d->n_modalities; k++)
        if (k != which) modality_clear(&d->modalities[k]);
    d->modalities[0] = d->modalities[which];
    d->n_modalities = 1;
    TRY(dataset_own_cells(d));
done:
    text_clear(&list);
    return st;
}

static scw_status prepare(scw_dataset **d, const conversion *c)
{
    scw_status st = SCW_OK;

    TRY(read_set(d, c, READ_WHOLE));
    if (c->o.modality) TRY(keep_modality(*d, c->o.modality));
    bool one = (*d)->n_modalities == 1;
    if (!one && c->to == TO_H5AD && !c->o.merge)
        FAIL(SCW_EINVAL, "an .h5ad holds one modality, the input %d; choose one with --modality, put "
             "all side by side with --merge, or write an .h5mu", (*d)->n_modalities);
    if (!one && (c->o.merge || c->to == TO_MTX)) TRY(dataset_merge(*d, c->hooks));
    if ((*d)->n_modalities == 1) TRY(dataset_own_cells(*d));
done:
    return st;
}

static scw_status write_set(hid_t file, const conversion *c)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;

    TRY(prepare(&d, c));
    TRY(c->to == TO_H5AD ? dataset_write_h5ad_into(file, d) : dataset_write_h5mu_into(file, d));
    if (c->n == 1 && is_format(c, 0, "h5ad") && c->to == TO_H5MU && d->n_modalities > 1)
        TRY(copy_rest(file, c));
done:
    scw_dataset_free(d);
    return st;
}

/* ------------------------------------------------------------------ the ways */

static scw_status fill(hid_t file, const conversion *c)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;
    bool whole = c->n == 1 && keeps_elements(c);

    if (whole && !c->o.modality && is_format(c, 0, c->to == TO_H5AD ? "h5ad" : "h5mu"))
        return copy_tree(c->inputs[0].hdf5, file, c->o.compression, c->hooks);
    if (whole && is_format(c, 0, "h5mu") && c->to == TO_H5AD) return extract_modality(file, c);
    bool all_h5ad = keeps_elements(c) && !c->o.modality && c->to == TO_H5MU;
    for (int k = 0; k < c->n; k++) all_h5ad &= is_format(c, k, "h5ad");
    if (all_h5ad) {
        TRY(read_set(&d, c, READ_FRAMES));
        bool simple = !d->stacked;
        for (int k = 0; k < d->n_files; k++) simple &= d->files[k].n_parts == 1;
        if (simple) {
            TRY(wrap_files(file, c, d));
            goto done;
        }
    }
    TRY(write_set(file, c));
done:
    scw_dataset_free(d);
    return st;
}

static scw_status write_hdf5(const conversion *c)
{
    scw_status st = SCW_OK;
    atomic_file f = {0};
    hid_t file = 0;
    bool h5mu = c->to == TO_H5MU;

    TRY(atomic_file_begin(&f, c->path));
    TRY(h5_file_create(&file, f.temporary, h5mu ? H5MU_USERBLOCK : 0));
    TRY(fill(file, c));
    TRY(h5_file_finish(&file));
    if (h5mu) TRY(h5mu_write_userblock(f.temporary));
    TRY(atomic_file_commit(&f));
done:
    h5_close(&file);
    atomic_file_clear(&f);
    return st;
}

static scw_status write_mtx(const conversion *c)
{
    scw_status st = SCW_OK;
    scw_dataset *d = NULL;

    TRY(prepare(&d, c));
    TRY(write_triplet(d, c->path, c->hooks));
done:
    scw_dataset_free(d);
    return st;
}

scw_status scw_convert(const scw_source *sources, int n_sources, const char *path,
                       const scw_convert_options *options, const scw_hooks *hooks)
{
    static const h5_compression filters[] = {H5_GZIP, H5_GZIP, H5_LZF, H5_PLAIN};
    scw_status st = SCW_OK;
    h5_session session;
    conversion c = {.sources = sources, .n = n_sources, .path = path, .hooks = hooks};

    if (n_sources < 1 || !sources) return status_fail(SCW_EINVAL, "no input file given");
    if (!path || !*path) return status_fail(SCW_EINVAL, "no output named");
    h5_session_begin(&session);
    if (options) c.o = *options;
    h5_compress_with(filters[c.o.compression]);
    TRY(find_target(&c));
    TRY(mem_new(&c.inputs, n_sources));
    TRY(mem_new(&c.formats, n_sources));
    for (int k = 0; k < n_sources; k++) {
        TRY(input_open(&c.inputs[k], sources[k].path));
        TRY(format_find(&c.formats[k], &c.inputs[k]));
    }
    TRY(c.to == TO_MTX ? write_mtx(&c) : write_hdf5(&c));
done:
    for (int k = 0; c.inputs && k < n_sources; k++) input_close(&c.inputs[k]);
    mem_free(c.inputs);
    mem_free(c.formats);
    h5_compress_with(H5_GZIP);
    h5_session_end(&session);
    return st;
}
