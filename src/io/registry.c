/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/registry.h"

#include <string.h>

#include "base/alloc.h"
#include "io/element.h"

static const encoding encodings[] = {
    {"array", "0.2.0", element_dense, element_array_column, NULL},
    {"csr_matrix", "0.1.0", element_csr, NULL, NULL},
    {"csc_matrix", "0.1.0", element_csc, NULL, NULL},
    {"dataframe", "0.1.0", NULL, NULL, element_frame},
    {"dataframe", "0.2.0", NULL, NULL, element_frame},
    {"categorical", "0.2.0", NULL, element_categorical, NULL},
    {"string-array", "0.2.0", NULL, element_array_column, NULL},
    {"nullable-integer", "0.1.0", NULL, element_nullable, NULL},
    {"nullable-boolean", "0.1.0", NULL, element_nullable, NULL},
    {"nullable-string-array", "0.1.0", NULL, element_nullable, NULL},
};

/* Elements without attributes. The first rule that holds decides. */
typedef struct rule {
    bool (*holds)(hid_t element);
    encoding row;
} rule;

static bool is_referring_codes(hid_t element)
{
    return h5_kind_of(element) == H5_DATASET && h5_has_attr(element, "categories");
}

static bool is_records(hid_t element)
{
    h5_info info;
    return h5_kind_of(element) == H5_DATASET && h5_describe(&info, element) == SCW_OK &&
           info.class == H5_CLASS_COMPOUND;
}

static bool is_dataset(hid_t element)
{
    return h5_kind_of(element) == H5_DATASET;
}

static bool is_codes_and_categories(hid_t element)
{
    return h5_find(element, "codes") == H5_DATASET && h5_find(element, "categories") == H5_DATASET;
}

static bool is_frame_group(hid_t element)
{
    return h5_has_attr(element, "_index") || h5_find(element, "_index") == H5_DATASET ||
           h5_find(element, "index") == H5_DATASET;
}

static const rule rules[] = {
    {is_referring_codes, {"categorical", "", NULL, element_legacy_categorical, NULL}},
    {is_records, {"dataframe", "", NULL, NULL, element_records_frame}},
    {is_dataset, {"array", "", element_dense, element_array_column, NULL}},
    {is_codes_and_categories, {"categorical", "", NULL, element_categorical, NULL}},
    {is_frame_group, {"dataframe", "", NULL, NULL, element_frame}},
};

static scw_status find_by_name(const encoding **out, hid_t element)
{
    scw_status st = SCW_OK;
    char *type = NULL, *version = NULL;
    const char *known = NULL;

    TRY(h5_attr_string(&type, element, "encoding-type"));
    TRY(h5_attr_string(&version, element, "encoding-version"));
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        if (strcmp(encodings[i].type, type) != 0) continue;
        known = encodings[i].version;
        if (strcmp(known, version) != 0) continue;
        const encoding *row = &encodings[i];
        bool dataset = row->read_matrix == element_dense || row->read_column == element_array_column;
        if (dataset != (h5_kind_of(element) == H5_DATASET))
            BREAK(RULE_ENCODING_FITS, SCW_EFORMAT, "%s: is a %s, but its encoding is '%s'",
                  h5_where(element), dataset ? "group" : "dataset", type);
        *out = row;
        goto done;
    }
    if (known)
        BREAK(RULE_ENCODING_READ, SCW_EUNSUPPORTED,
              "%s: encoding '%s' version %s; this build reads version %s", h5_where(element), type,
              version, known);
    BREAK(RULE_ENCODING_READ, SCW_EUNSUPPORTED, "%s: encoding '%s' is not read by this build",
          h5_where(element), type);
done:
    mem_free(type);
    mem_free(version);
    return st;
}

static scw_status find_h5sparse(const encoding **out, hid_t element)
{
    static const encoding csr = {"csr_matrix", "", element_csr, NULL, NULL};
    static const encoding csc = {"csc_matrix", "", element_csc, NULL, NULL};
    scw_status st = SCW_OK;
    char *format = NULL;

    TRY(h5_attr_string(&format, element, "h5sparse_format"));
    *out = strcmp(format, "csr") == 0 ? &csr : strcmp(format, "csc") == 0 ? &csc : NULL;
    if (!*out)
        FAIL(SCW_EUNSUPPORTED, "%s: h5sparse_format '%s', expected csr or csc", h5_where(element),
             format);
done:
    mem_free(format);
    return st;
}

scw_status registry_find(const encoding **out, hid_t element)
{
    *out = NULL;
    if (h5_has_attr(element, "encoding-type") && h5_has_attr(element, "encoding-version"))
        return find_by_name(out, element);
    if (h5_has_attr(element, "h5sparse_format")) return find_h5sparse(out, element);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (!rules[i].holds(element)) continue;
        *out = &rules[i].row;
        return SCW_OK;
    }
    return rule_broken(NULL, RULE_ENCODING_READ, SCW_EUNSUPPORTED, "%s: a group of an unknown kind",
                       h5_where(element));
}

scw_status registry_read_matrix(matrix *out, hid_t element, int64_t n_rows, int64_t n_cols,
                                bool exact)
{
    scw_status st = SCW_OK;
    const encoding *row;

    *out = (matrix){0};
    TRY(registry_find(&row, element));
    if (!row->read_matrix)
        BREAK(RULE_ENCODING_READ, SCW_EFORMAT, "%s: is a %s, expected a matrix", h5_where(element), row->type);
    TRY(row->read_matrix(out, element, n_rows, n_cols, exact));
done:
    return st;
}

scw_status registry_read_column(column *out, hid_t element, const char *name, hid_t parent)
{
    scw_status st = SCW_OK;
    const encoding *row;

    *out = (column){0};
    TRY(registry_find(&row, element));
    if (!row->read_column)
        FAIL(SCW_EUNSUPPORTED, "%s: is a %s, expected a column", h5_where(element), row->type);
    TRY(row->read_column(out, element, name, parent));
done:
    return st;
}

scw_status registry_read_frame(frame *out, hid_t element, hid_t parent, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    const encoding *row;

    *out = (frame){0};
    TRY(registry_find(&row, element));
    if (!row->read_frame)
        BREAK(RULE_ENCODING_READ, SCW_EFORMAT, "%s: is a %s, expected a data frame", h5_where(element), row->type);
    TRY(row->read_frame(out, element, parent, hooks));
done:
    return st;
}
