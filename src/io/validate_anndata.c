/* SPDX-License-Identifier: BSD-3-Clause */
/* One annotated matrix: every element that anndata's description of its files names, in its order.
 * Source: "On-disk format" in the documentation of anndata 0.12; for older files read_h5ad.c. */
#include <string.h>

#include "base/alloc.h"
#include "io/element.h"
#include "io/h5_tree.h"
#include "io/validate.h"

/* Encodings and versions that are defined; what does not stand here is copied all the same. */
static const char *const defined[][2] = {
    {"anndata", "0.1.0"},          {"MuData", "0.1.0"},
    {"raw", "0.1.0"},              {"dict", "0.1.0"},
    {"array", "0.2.0"},            {"string-array", "0.2.0"},
    {"csr_matrix", "0.1.0"},       {"csc_matrix", "0.1.0"},
    {"dataframe", "0.1.0"},        {"dataframe", "0.2.0"},
    {"categorical", "0.2.0"},      {"nullable-integer", "0.1.0"},
    {"nullable-boolean", "0.1.0"}, {"nullable-string-array", "0.1.0"},
    {"string", "0.2.0"},           {"numeric-scalar", "0.2.0"},
    {"rec-array", "0.2.0"},        {"awkward-array", "0.1.0"},
    {"null", "0.1.0"},             {"bytes", "0.2.0"},
};

/* *type: the encoding of an element, NULL: it has none. *known: it is defined. */
static scw_status find_encoding(char **type, bool *known, validation *v, hid_t element,
                                const char *path)
{
    scw_status st = SCW_OK;
    char *version = NULL;

    *type = NULL;
    *known = true;
    if (!h5_has_attr(element, "encoding-type") || !h5_has_attr(element, "encoding-version")) goto done;
    st = h5_attr_string(type, element, "encoding-type");
    if (st == SCW_OK) st = h5_attr_string(&version, element, "encoding-version");
    if (st != SCW_OK) {
        *known = false;
        TRY(validate_failure(v, st, RULE_ENCODING_KNOWN, path));
        goto done;
    }
    *known = false;
    for (size_t k = 0; k < sizeof defined / sizeof *defined; k++)
        *known |= strcmp(*type, defined[k][0]) == 0 && strcmp(version, defined[k][1]) == 0;
    if (!*known)
        TRY(validate_find(v, RULE_ENCODING_KNOWN, path, "encoding '%.60s' version %.60s", *type,
                          version));
done:
    mem_free(version);
    return st;
}

/* ------------------------------------------------------------------ what dictionaries hold */

/* An array along cells or features, of any number of dimensions. */
static scw_status check_array(validation *v, hid_t element, const char *path, int64_t n_rows,
                              int64_t n_cols)
{
    scw_status st = SCW_OK;
    h5_info info;

    st = h5_describe(&info, element);
    if (st != SCW_OK) return validate_failure(v, st, RULE_READABLE, path);
    if (n_rows >= 0 && (info.rank < 1 || info.dim[0] != n_rows))
        return validate_find(v, RULE_SHAPE_AGREES, path, "has %lld rows, expected %lld",
                             info.rank < 1 ? 0LL : (long long)info.dim[0], (long long)n_rows);
    if (n_cols >= 0 && (info.rank < 2 || info.dim[1] != n_cols))
        return validate_find(v, RULE_SHAPE_AGREES, path, "has %lld columns, expected %lld",
                             info.rank < 2 ? 0LL : (long long)info.dim[1], (long long)n_cols);
    return SCW_OK;
}

/* Groups that say by their encoding, or, in older files, by their members what they are. */
static bool is_dict(const char *type, const encoding *row, hid_t element)
{
    if (type) return strcmp(type, "dict") == 0 || strcmp(type, "raw") == 0 ||
                     strcmp(type, "anndata") == 0;
    return !row && h5_kind_of(element) == H5_GROUP;
}

static scw_status check_group(validation *v, hid_t element, const char *name, hid_t parent,
                              const char *path, int64_t n_rows, int64_t n_cols, int depth)
{
    scw_status st = SCW_OK;
    char *type = NULL;
    const encoding *row = NULL;
    value_tally values;
    bool known;

    TRY(find_encoding(&type, &known, v, element, path));
    if (!known) goto done;
    if (registry_find(&row, element) != SCW_OK) row = NULL;
    if (is_dict(type, row, element)) {
        if (depth < H5_MAX_DEPTH)
            TRY(validate_dict(v, parent, name, path, n_rows, n_cols, depth + 1));
    } else if (!row) {
        goto done; /* defined, and never read: awkward arrays, null */
    } else if (row->read_frame) {
        TRY(validate_frame(NULL, v, parent, name, path, n_rows));
    } else if (row->read_matrix) {
        TRY(validate_matrix(&values, v, element, path, n_rows, n_cols));
    } else if (row->read_column) {
        TRY(validate_column(v, element, name, parent, path, n_rows));
    }
done:
    mem_free(type);
    return st;
}

static scw_status check_member(validation *v, hid_t dict, const char *name, const char *path,
                               int64_t n_rows, int64_t n_cols, int depth)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    char *type = NULL;
    bool known;

    st = h5_open(&element, dict, name);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_READABLE, path));
        goto done;
    }
    if (h5_kind_of(element) == H5_GROUP) {
        TRY(check_group(v, element, name, dict, path, n_rows, n_cols, depth));
        goto done;
    }
    TRY(find_encoding(&type, &known, v, element, path));
    if (known) TRY(check_array(v, element, path, n_rows, n_cols));
done:
    mem_free(type);
    h5_close(&element);
    return st;
}

scw_status validate_dict(validation *v, hid_t parent, const char *name, const char *path,
                         int64_t n_rows, int64_t n_cols, int depth)
{
    scw_status st = SCW_OK;
    hid_t dict = 0;
    strings names = {0};
    textbuf where = {0};

    const h5_kind kind = h5_find(parent, name);
    if (kind == H5_ABSENT) goto done;
    if (kind == H5_DATASET) { /* records with a field an array, before 2019 */
        TRY(h5_open(&dict, parent, name));
        TRY(check_array(v, dict, path, n_rows, -1));
        goto done;
    }
    st = h5_open_group(&dict, parent, name);
    if (st == SCW_OK) st = h5_list(&names, dict);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_READABLE, path));
        goto done;
    }
    /* Groups that hold each other have more paths than can be walked: of these only the first step. */
    bool tree = true;
    if (depth == 1 && (h5_tree_measure(&tree, dict) != SCW_OK || !tree)) depth = H5_MAX_DEPTH;
    for (int64_t i = 0; i < names.n; i++) {
        text_clear(&where);
        TRY(text_add(&where, "%s/%s", path, names.at[i]));
        TRY(check_member(v, dict, names.at[i], text_get(&where), n_rows, n_cols, depth));
    }
done:
    text_clear(&where);
    strings_clear(&names);
    h5_close(&dict);
    return st;
}

/* ------------------------------------------------------------------ matrices */

/* The matrices among which counts should be. */
typedef struct counts {
    bool any;      /* one of them holds counts */
    value_tally x; /* of X */
} counts;

static scw_status check_matrix(counts *c, validation *v, hid_t group, const char *name,
                               const char *path, int64_t n_rows, int64_t n_cols)
{
    scw_status st = SCW_OK;
    hid_t element = 0;
    value_tally t = {0};

    st = h5_open(&element, group, name);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_READABLE, path));
        goto done;
    }
    TRY(validate_matrix(&t, v, element, path, n_rows, n_cols));
    TRY(validate_finite(v, &t, path));
    if (t.known && t.n_nan + t.n_infinite + t.n_negative + t.n_fractional == 0) c->any = true;
    if (strcmp(name, "X") == 0) c->x = t;
done:
    h5_close(&element);
    return st;
}

static scw_status check_layers(counts *c, validation *v, hid_t group, const char *prefix,
                               int64_t n_rows, int64_t n_cols)
{
    scw_status st = SCW_OK;
    hid_t layers = 0;
    strings names = {0};
    textbuf where = {0};

    if (h5_find(group, "layers") == H5_ABSENT) goto done;
    TRY(text_add(&where, "%slayers", prefix));
    st = h5_open_group(&layers, group, "layers");
    if (st == SCW_OK) st = h5_list(&names, layers);
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_READABLE, text_get(&where)));
        goto done;
    }
    for (int64_t i = 0; i < names.n; i++) {
        text_clear(&where);
        TRY(text_add(&where, "%slayers/%s", prefix, names.at[i]));
        TRY(check_matrix(c, v, layers, names.at[i], text_get(&where), n_rows, n_cols));
    }
done:
    text_clear(&where);
    strings_clear(&names);
    h5_close(&layers);
    return st;
}

/* raw/X and raw/var; in the oldest files raw.X and raw.var. */
static scw_status check_raw(counts *c, validation *v, hid_t group, const char *prefix, int64_t n_rows)
{
    scw_status st = SCW_OK;
    const bool old = h5_find(group, "raw.X") != H5_ABSENT;
    const char *const between = old ? "." : "/";
    textbuf where = {0}, name = {0};
    frame var = {0};
    hid_t raw = 0;

    if (!old && h5_find(group, "raw") == H5_ABSENT) goto done;
    TRY(text_add(&where, "%sraw%svar", prefix, between));
    TRY(text_add(&name, "raw%svar", between));
    TRY(validate_frame(&var, v, group, text_get(&name), text_get(&where), -1));
    text_clear(&where);
    TRY(text_add(&where, "%sraw%sX", prefix, between));
    const int64_t n_cols = var.index_name ? var.n_rows : -1;
    if (old) {
        TRY(check_matrix(c, v, group, "raw.X", text_get(&where), n_rows, n_cols));
        goto done;
    }
    st = h5_open_group(&raw, group, "raw");
    if (st != SCW_OK) {
        TRY(validate_failure(v, st, RULE_READABLE, text_get(&where)));
        goto done;
    }
    value_tally x = c->x;
    TRY(check_matrix(c, v, raw, "X", text_get(&where), n_rows, n_cols));
    c->x = x;
    text_clear(&where);
    TRY(text_add(&where, "%sraw/varm", prefix));
    TRY(validate_dict(v, raw, "varm", text_get(&where), n_cols, -1, 1));
done:
    text_clear(&where);
    text_clear(&name);
    frame_clear(&var);
    h5_close(&raw);
    return st;
}

static scw_status check_values(validation *v, hid_t group, const char *prefix, int64_t n_obs,
                               int64_t n_vars)
{
    scw_status st = SCW_OK;
    counts c = {0};
    textbuf where = {0};

    TRY(text_add(&where, "%sX", prefix));
    if (h5_find(group, "X") == H5_ABSENT)
        TRY(validate_find(v, RULE_MATRIX_PRESENT, text_get(&where), "there is no X"));
    else
        TRY(check_matrix(&c, v, group, "X", text_get(&where), n_obs, n_vars));
    TRY(check_layers(&c, v, group, prefix, n_obs, n_vars));
    TRY(check_raw(&c, v, group, prefix, n_obs));
    if (c.x.known && !c.any && c.x.n_negative + c.x.n_fractional > 0)
        TRY(validate_find(v, RULE_COUNTS_INTEGER, text_get(&where),
                          "%lld of %lld values are fractions, %lld are negative",
                          (long long)c.x.n_fractional, (long long)c.x.n,
                          (long long)c.x.n_negative));
done:
    text_clear(&where);
    return st;
}

scw_status validate_anndata(frame *obs, validation *v, hid_t group, const char *prefix)
{
    static const struct {
        const char *name;
        int rows, cols; /* 0: cells, 1: features, 2: any */
    } dicts[] = {{"obsm", 0, 2}, {"varm", 1, 2}, {"obsp", 0, 0}, {"varp", 1, 1}, {"uns", 2, 2}};
    scw_status st = SCW_OK;
    frame var = {0};
    textbuf where = {0};

    *obs = (frame){0};
    TRY(text_add(&where, "%sobs", prefix));
    TRY(validate_frame(obs, v, group, "obs", text_get(&where), -1));
    if (obs->index_name) TRY(validate_names(v, &obs->index, true, text_get(&where)));
    text_clear(&where);
    TRY(text_add(&where, "%svar", prefix));
    TRY(validate_frame(&var, v, group, "var", text_get(&where), -1));
    if (var.index_name) TRY(validate_names(v, &var.index, false, text_get(&where)));
    const int64_t n[3] = {obs->index_name ? obs->n_rows : -1, var.index_name ? var.n_rows : -1, -1};
    TRY(check_values(v, group, prefix, n[0], n[1]));
    for (size_t k = 0; k < sizeof dicts / sizeof *dicts; k++) {
        text_clear(&where);
        TRY(text_add(&where, "%s%s", prefix, dicts[k].name));
        TRY(validate_dict(v, group, dicts[k].name, text_get(&where), n[dicts[k].rows],
                          n[dicts[k].cols], 1));
    }
done:
    text_clear(&where);
    frame_clear(&var);
    return st;
}
