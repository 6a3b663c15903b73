/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in a file, and what is wrong with it. Each element is looked at by itself, so that one that
 * is damaged does not hide the others: its failure becomes an entry of "problems". */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "io/formats.h"
#include "io/inspect.h"
#include "io/registry.h"

#define MOST_BYTES ((int64_t)256 << 20) /* of the matrix of another format */

typedef struct report {
    json_t *root;
    json_t *problems;
    bool *labels; /* some column could serve as labels */
    const scw_hooks *hooks;
} report;

/* A failure to read something is a finding; a failure of this program is passed on. */
static scw_status found(const report *r, scw_status st, const char *element)
{
    if (st == SCW_OK || st == SCW_ENOMEM || st == SCW_ECANCELLED || st == SCW_EINTERNAL) return st;
    return inspect_problem(r->problems, "error", element, "%s", scw_error_message());
}

/* Names in a group as a JSON list; nothing if the group is absent. */
static scw_status list_group(json_t *object, const char *key, hid_t group, const char *name)
{
    scw_status st = SCW_OK;
    hid_t child = 0;
    strings names = {0};

    if (h5_find(group, name) != H5_GROUP) goto done;
    TRY(h5_open_group(&child, group, name));
    TRY(h5_list(&names, child));
    json_t *list = json_array();
    TRY(inspect_set(object, key, list));
    for (int64_t i = 0; i < names.n; i++)
        if (json_array_append_new(list, inspect_text(names.at[i])) != 0)
            FAIL(SCW_ENOMEM, "out of memory: report");
done:
    strings_clear(&names);
    h5_close(&child);
    return st;
}

static scw_status add_columns(json_t *object, const frame *f)
{
    scw_status st = SCW_OK;
    json_t *list = json_array(), *one = NULL;

    TRY(inspect_set(object, "obs", list));
    for (int64_t i = 0; i < f->n_columns; i++) {
        TRY(inspect_column(&one, &f->columns[i]));
        if (json_array_append_new(list, one) != 0) FAIL(SCW_ENOMEM, "out of memory: report");
    }
done:
    return st;
}

/* Read a frame and check its names. A frame that cannot be read stays empty. */
static scw_status look_at_frame(frame *out, const report *r, hid_t group, const char *name,
                                const char *what, const char *where)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    textbuf path = {0};

    *out = (frame){0};
    TRY(text_add(&path, "%s%s", where, name));
    st = h5_open(&element, group, name);
    if (st == SCW_OK) st = registry_read_frame(out, element, group, r->hooks);
    if (st != SCW_OK) {
        TRY(found(r, st, text_get(&path)));
        goto done;
    }
    if (out->n_rows == 0)
        TRY(inspect_problem(r->problems, "error", text_get(&path), "has no %ss", what));
    st = check_unique(&out->index, what, text_get(&path), "make the names unique first");
    TRY(found(r, st, text_get(&path)));
done:
    text_clear(&path);
    h5_close(&element);
    return st;
}

static scw_status look_at_matrix(json_t *object, const report *r, hid_t group, int64_t n_obs,
                                 int64_t n_vars, const char *where)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    textbuf path = {0};
    json_t *x = NULL;

    TRY(text_add(&path, "%sX", where));
    if (h5_find(group, "X") == H5_ABSENT) {
        TRY(inspect_problem(r->problems, "warning", text_get(&path),
                            "there is no X; name a layer to read"));
        goto done;
    }
    st = h5_open(&element, group, "X");
    if (st != SCW_OK) {
        TRY(found(r, st, text_get(&path)));
        goto done;
    }
    x = json_object();
    TRY(inspect_set(object, "x", x));
    TRY(found(r, inspect_encoding(x, element), text_get(&path)));
    if (n_obs < 0 || n_vars < 0) goto done; /* without its axes the shape cannot be trusted */
    st = inspect_matrix(x, r->problems, element, n_obs, n_vars, text_get(&path), r->hooks);
    TRY(found(r, st, text_get(&path)));
done:
    text_clear(&path);
    h5_close(&element);
    return st;
}

/* The root of an h5ad or a modality of an h5mu. `obs` receives its frame of cells. */
static scw_status look_at_anndata(json_t *object, frame *obs, const report *r, hid_t group,
                                  const char *where)
{
    scw_status st = SCW_OK;
    frame var = {0};
    strings kinds = {0};
    int32_t *code = NULL;
    textbuf name = {0};

    TRY(look_at_frame(obs, r, group, "obs", "cell", where));
    TRY(look_at_frame(&var, r, group, "var", "feature", where));
    if (!json_object_get(object, "name")) {
        TRY(feature_kinds(&kinds, &code, &var));
        for (int64_t k = 0; k < kinds.n; k++)
            TRY(text_add(&name, "%s%s", k ? " + " : "", kinds.at[k]));
        TRY(inspect_set(object, "name", inspect_text(text_get(&name))));
    }
    bool have_obs = obs->index_name != NULL, have_var = var.index_name != NULL;
    if (have_obs) TRY(inspect_set(object, "n_obs", json_integer(obs->n_rows)));
    if (have_var) TRY(inspect_set(object, "n_vars", json_integer(var.n_rows)));
    TRY(look_at_matrix(object, r, group, have_obs ? obs->n_rows : -1, have_var ? var.n_rows : -1,
                       where));
    TRY(found(r, list_group(object, "layers", group, "layers"), where));
    TRY(found(r, list_group(object, "obsm", group, "obsm"), where));
    bool raw = h5_find(group, "raw/X") != H5_ABSENT || h5_find(group, "raw.X") != H5_ABSENT;
    TRY(inspect_set(object, "raw", json_boolean(raw)));
    json_t *columns = json_array();
    TRY(inspect_set(object, "var", columns));
    for (int64_t j = 0; j < var.n_columns; j++)
        if (json_array_append_new(columns, inspect_text(var.columns[j].name)) != 0)
            FAIL(SCW_ENOMEM, "out of memory: report");
done:
    mem_free(code);
    strings_clear(&kinds);
    text_clear(&name);
    frame_clear(&var);
    return st;
}

/* uns['scweave'], as an object of texts. */
static scw_status look_at_record(const report *r, hid_t file)
{
    scw_status st = SCW_OK;
    hid_t group = 0, element = 0;
    strings names = {0};
    column c = {0};
    strings texts = {0};

    if (h5_find(file, "uns/scweave") != H5_GROUP) goto done;
    TRY(h5_open_group(&group, file, "uns/scweave"));
    TRY(h5_list(&names, group));
    json_t *record = json_object();
    TRY(inspect_set(r->root, "scweave", record));
    for (int64_t i = 0; i < names.n; i++) {
        h5_info info;
        h5_close(&element);
        strings_clear(&texts);
        if (h5_open(&element, group, names.at[i]) != SCW_OK) continue;
        if (h5_kind_of(element) != H5_DATASET || h5_describe(&info, element) != SCW_OK ||
            info.n != 1)
            continue;
        double number;
        if (info.class == H5_CLASS_STRING) {
            TRY(h5_read_strings(&texts, element));
            TRY(inspect_set(record, names.at[i], inspect_text(texts.at[0])));
        } else if (h5_read_f64(&number, element, 1) == SCW_OK) {
            TRY(inspect_set(record, names.at[i], info.class == H5_CLASS_INTEGER
                                ? json_integer((json_int_t)number) : json_real(number)));
        }
    }
done:
    strings_clear(&texts);
    column_clear(&c);
    strings_clear(&names);
    h5_close(&element);
    h5_close(&group);
    return st;
}

/* ------------------------------------------------------------------ the two kinds of files */

static scw_status new_modality(json_t **out, json_t *list, const char *name)
{
    *out = json_object();
    if (!*out || json_array_append_new(list, *out) != 0)
        return status_fail(SCW_ENOMEM, "out of memory: report");
    return name ? inspect_set(*out, "name", inspect_text(name)) : SCW_OK;
}

static scw_status look_at_h5ad(const report *r, hid_t file, json_t *modalities)
{
    scw_status st = SCW_OK;
    json_t *object;
    frame obs = {0};

    TRY(new_modality(&object, modalities, NULL));
    TRY(look_at_anndata(object, &obs, r, file, "/"));
    if (!obs.index_name) goto done;
    TRY(inspect_set(object, "n_present", json_integer(obs.n_rows)));
    TRY(inspect_set(r->root, "n_obs", json_integer(obs.n_rows)));
    TRY(add_columns(r->root, &obs));
    TRY(inspect_labels(r->labels, r->problems, &obs, "/obs"));
done:
    frame_clear(&obs);
    return st;
}

/* How many cells of the whole set have the modality, as its names say. */
static scw_status count_present(json_t *object, const report *r, const frame *global,
                                const frame *own, const char *where)
{
    scw_status st = SCW_OK;
    name_index index = {0};
    int64_t n = 0;

    TRY(name_index_build(&index, (const char *const *)own->index.at, own->n_rows, NULL));
    for (int64_t i = 0; i < global->n_rows; i++)
        n += name_index_find(&index, global->index.at[i]) >= 0;
    TRY(inspect_set(object, "n_present", json_integer(n)));
    if (n == 0)
        TRY(inspect_problem(r->problems, "error", where, "none of its cells is in /obs"));
    else if (n < own->n_rows)
        TRY(inspect_problem(r->problems, "warning", where, "%lld of its cells are not in /obs",
                            (long long)(own->n_rows - n)));
done:
    name_index_clear(&index);
    return st;
}

static scw_status look_at_modality(json_t *list, const report *r, hid_t file, hid_t mod,
                                   const char *name, const frame *global)
{
    scw_status st = SCW_OK;
    json_t *object;
    hid_t group = 0;
    frame obs = {0};
    textbuf where = {0};
    int64_t *rows = NULL;

    TRY(text_add(&where, "/mod/%s/", name));
    TRY(new_modality(&object, list, name));
    st = h5_open_group(&group, mod, name);
    if (st != SCW_OK) {
        TRY(found(r, st, text_get(&where)));
        goto done;
    }
    TRY(look_at_anndata(object, &obs, r, group, text_get(&where)));
    TRY(add_columns(object, &obs));
    TRY(inspect_labels(r->labels, r->problems, &obs, text_get(&where)));
    if (global->index_name && obs.index_name) {
        TRY(count_present(object, r, global, &obs, text_get(&where)));
        TRY(found(r, h5mu_read_map(&rows, file, name, &obs, global, r->hooks), "/obsmap"));
    }
done:
    mem_free(rows);
    frame_clear(&obs);
    text_clear(&where);
    h5_close(&group);
    return st;
}

static scw_status look_at_h5mu(const report *r, hid_t file, json_t *modalities)
{
    scw_status st = SCW_OK;
    int64_t axis = 0;
    frame obs = {0};
    hid_t mod = 0;
    strings names = {0};

    st = h5mu_axis(&axis, file);
    TRY(found(r, st, "/"));
    if (st == SCW_OK && axis == 1)
        TRY(inspect_problem(r->problems, "note", "/", "the modalities share features, not cells "
                            "(axis 1): they are read as batches of one modality"));
    if (h5_find(file, "obs") != H5_ABSENT) {
        TRY(look_at_frame(&obs, r, file, "obs", "cell", "/"));
    } else {
        TRY(inspect_problem(r->problems, "note", "/obs", "absent; the cells of the modalities are "
                            "joined by name"));
    }
    if (obs.index_name) {
        TRY(inspect_set(r->root, "n_obs", json_integer(obs.n_rows)));
        TRY(add_columns(r->root, &obs));
    }
    st = h5_open_group(&mod, file, "mod");
    if (st == SCW_OK) st = h5mu_modalities(&names, mod);
    if (st != SCW_OK) {
        TRY(found(r, st, "/mod"));
        goto done;
    }
    if (names.n == 0) TRY(inspect_problem(r->problems, "error", "/mod", "has no modalities"));
    for (int64_t k = 0; k < names.n; k++) {
        TRY(log_check_cancel(r->hooks));
        TRY(look_at_modality(modalities, r, file, mod, names.at[k], &obs));
    }
    if (obs.index_name) TRY(inspect_labels(r->labels, r->problems, &obs, "/obs"));
    TRY(found(r, list_group(r->root, "obsm", file, "obsm"), "/obsm"));
done:
    frame_clear(&obs);
    strings_clear(&names);
    h5_close(&mod);
    return st;
}

/* A file of another format: what reading it gives. */
static scw_status look_at_parts(const report *r, const input *in, const file_format *format,
                                json_t *modalities)
{
    static const scw_read_options options = {.memory_bytes = MOST_BYTES};
    const scw_source source = {.path = in->path};
    scw_status st = SCW_OK;
    file_parts parts = {0};
    json_t *object, *x, *columns;

    st = format->read(&parts, in, &(read_request){&source, &options, READ_VALUES, r->hooks, NULL});
    if (st != SCW_OK) {
        TRY(found(r, st, "/"));
        goto done;
    }
    for (int k = 0; k < parts.n_parts; k++) {
        const dataset_part *p = &parts.parts[k];
        const modality *m = &p->m;
        TRY(new_modality(&object, modalities, m->name));
        TRY(inspect_set(object, "n_obs", json_integer(p->obs.n_rows)));
        TRY(inspect_set(object, "n_vars", json_integer(m->var.n_rows)));
        TRY(inspect_set(object, "n_present", json_integer(p->obs.n_rows)));
        x = json_object();
        TRY(inspect_set(object, "x", x));
        TRY(inspect_set(x, "encoding", json_string(format->name)));
        TRY(inspect_values(x, r->problems, m, m->name));
        columns = json_array();
        TRY(inspect_set(object, "var", columns));
        for (int64_t j = 0; j < m->var.n_columns; j++)
            if (json_array_append_new(columns, inspect_text(m->var.columns[j].name)) != 0)
                FAIL(SCW_ENOMEM, "out of memory: report");
    }
    if (parts.n_parts) {
        const frame *obs = &parts.parts[0].obs;
        TRY(inspect_set(r->root, "n_obs", json_integer(obs->n_rows)));
        TRY(add_columns(r->root, obs));
        TRY(inspect_labels(r->labels, r->problems, obs, "obs"));
    }
done:
    file_parts_clear(&parts);
    return st;
}

static scw_status look_at_file(const report *r, const input *in)
{
    scw_status st = SCW_OK;
    const file_format *format;
    json_t *modalities = json_array();
    hid_t file = in->hdf5;

    st = format_find(&format, in);
    if (st != SCW_OK) {
        json_decref(modalities);
        return found(r, st, "/");
    }
    TRY(inspect_set(r->root, "kind", json_string(format->name)));
    TRY(inspect_set(r->root, "modalities", modalities));
    if (!format->native) {
        TRY(look_at_parts(r, in, format, modalities));
        goto done;
    }
    char *text = NULL;
    static const char *const marks[][2] = {{"encoding-type", "encoding"},
                                           {"encoding-version", "encoding_version"},
                                           {"encoder", "encoder"},
                                           {"encoder-version", "encoder_version"}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (!h5_has_attr(file, marks[i][0])) continue;
        if (h5_attr_string(&text, file, marks[i][0]) == SCW_OK)
            st = inspect_set(r->root, marks[i][1], inspect_text(text));
        mem_free(text);
        TRY(st);
    }
    if (!h5_has_attr(file, "encoding-type"))
        TRY(inspect_problem(r->problems, "note", "/", "written before anndata 0.8: the encodings "
                            "are told from the shape of the elements"));
    TRY(format->holds_all ? look_at_h5mu(r, file, modalities) : look_at_h5ad(r, file, modalities));
    TRY(found(r, look_at_record(r, file), "/uns/scweave"));
    if (!*r->labels)
        TRY(inspect_problem(r->problems, "note", "/obs", "no column could serve as labels (text with "
                            "at least two values, shared by cells)"));
done:
    return st;
}

scw_status inspect_file(json_t **out, const input *in, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    bool labels = false;
    report r = {json_object(), json_array(), &labels, hooks};

    *out = NULL;
    if (!r.root || !r.problems) FAIL(SCW_ENOMEM, "out of memory: report");
    TRY(inspect_set(r.root, "path", inspect_text(in->path)));
    TRY(look_at_file(&r, in));
    TRY(inspect_set(r.root, "problems", json_incref(r.problems)));
    *out = json_incref(r.root);
done:
    json_decref(r.problems);
    json_decref(r.root);
    return st;
}

scw_status scw_inspect(char **out, const char *path, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    h5_session session;
    input in = {0};
    json_t *root = NULL;

    if (!out) return status_fail(SCW_EINVAL, "no place for the report");
    *out = NULL;
    h5_session_begin(&session);
    TRY(input_open(&in, path));
    TRY(inspect_file(&root, &in, hooks));
    /* jansson's memory comes from malloc, as scw_free expects. */
    *out = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    if (!*out) FAIL(SCW_ENOMEM, "out of memory: report");
done:
    json_decref(root);
    input_close(&in);
    h5_session_end(&session);
    return st;
}
