/* SPDX-License-Identifier: BSD-3-Clause */
/* The report of scw_validate: findings, and which of the validators looks at a file. */
#include "scweave/validate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/threads.h"
#include "io/h5_tree.h"
#include "io/inspect.h"
#include "io/validate.h"

#define MOST_LISTED 20

/* ------------------------------------------------------------------ findings */

/* Is the element one that no command reads? "/uns/...", "/mod/rna/obsp/...". */
static bool only_copied(const char *element)
{
    static const char *const groups[] = {"/uns", "/obsp", "/varp", "/varm", "/raw/varm"};

    if (strncmp(element, "/mod/", 5) == 0) {
        element = strchr(element + 5, '/');
        if (!element) return false;
    }
    for (size_t k = 0; k < sizeof groups / sizeof *groups; k++) {
        size_t n = strlen(groups[k]);
        if (strncmp(element, groups[k], n) == 0 && (element[n] == '/' || !element[n])) return true;
    }
    return false;
}

static bool is_listed(const validation *v, const char *name, const char *element)
{
    size_t k;
    const json_t *f;

    json_array_foreach(v->findings, k, f)
    {
        if (strcmp(json_string_value(json_object_get(f, "rule")), name) == 0 &&
            strcmp(json_string_value(json_object_get(f, "element")), element) == 0)
            return true;
    }
    return false;
}

static scw_status add(validation *v, rule_id id, const char *element, const char *found)
{
    scw_status st = SCW_OK;
    const rule_row *r = rule_get(id);
    const bool error = r->effect == RULE_REFUSES;
    json_t *one = NULL;

    if (is_listed(v, r->name, element)) goto done;
    v->n_errors += error;
    v->n_warnings += !error;
    if (++v->n_of[id] > v->most) goto done;
    one = json_object();
    if (!one || json_array_append_new(v->findings, one) != 0)
        FAIL(SCW_ENOMEM, "out of memory: report");
    TRY(inspect_set(one, "severity", json_string(error ? "error" : "warning")));
    TRY(inspect_set(one, "element", inspect_text(element)));
    TRY(inspect_set(one, "rule", json_string(r->name)));
    TRY(inspect_set(one, "found", inspect_text(found)));
    TRY(inspect_set(one, "expected", json_string(r->expected)));
    TRY(inspect_set(one, "action", json_string(only_copied(element) ? "copies it as it is"
                                                                    : r->action)));
done:
    return st;
}

scw_status validate_find(validation *v, rule_id id, const char *element, const char *format, ...)
{
    char text[1200];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return add(v, id, element, text);
}

/* Length of the element at the start of a message without its path: "/X/indptr" or, of text,
 * "barcodes.tsv: line 3"; 0: there is none. */
static size_t element_length(const char *text)
{
    const char *line = strstr(text, "line ");

    if (text[0] == '/') return strcspn(text, ":");
    if (line && (line == text || (line - text > 2 && line[-1] == ' ' && line[-2] == ':'))) {
        size_t digits = strspn(line + 5, "0123456789");
        if (digits && line[5 + digits] == ':') return (size_t)(line - text) + 5 + digits;
    }
    return 0;
}

/* "path: element: what was found", as failures are worded. `element`: where it is unless said. */
static scw_status take_message(validation *v, rule_id id, const char *message, const char *element)
{
    const size_t n = strlen(v->path);
    char where[600];
    const char *text = message;

    if (strncmp(text, v->path, n) == 0 && (text[n] == ':' || text[n] == '/'))
        text += n + 1 + (text[n] == ':');
    const size_t length = element_length(text);
    if (length && length < sizeof where - 1) {
        (void)snprintf(where, sizeof where, "%.*s", (int)length, text);
        element = where;
        text += length;
        text += strspn(text, ": ");
    }
    return add(v, id, element, text);
}

static scw_status take(void *user, rule_id id, const char *message)
{
    validation *v = user;

    return take_message(v, id, message, v->whole);
}

scw_status validate_failure(validation *v, scw_status failure, rule_id otherwise,
                            const char *element)
{
    char message[2048];

    if (failure == SCW_OK || failure == SCW_ENOMEM || failure == SCW_ECANCELLED ||
        failure == SCW_EINTERNAL || failure == SCW_EIO)
        return failure;
    (void)snprintf(message, sizeof message, "%s", scw_error_message());
    return take_message(v, rule_of_failure(otherwise), message, element);
}

scw_status validate_text(validation *v, const char *element)
{
    scw_status st = SCW_OK;
    h5_text_notes *notes = h5_text_notes_here();

    if (notes->n_latin1)
        TRY(validate_find(v, RULE_TEXT_UTF8, element, "%lld texts are not UTF-8",
                          (long long)notes->n_latin1));
    if (notes->n_nul)
        TRY(validate_find(v, RULE_TEXT_NUL, element, "%lld texts go on behind a NUL",
                          (long long)notes->n_nul));
done:
    *notes = (h5_text_notes){0};
    return st;
}

scw_status validate_names(validation *v, const strings *names, bool cells, const char *element)
{
    scw_status st = SCW_OK;
    name_index index = {0};
    int64_t n_empty = 0, n_again = 0, first = -1, second;

    if (names->n == 0)
        TRY(validate_find(v, RULE_AXIS_NOT_EMPTY, element, "has no %s", cells ? "cells" : "features"));
    TRY(name_index_build(&index, (const char *const *)names->at, names->n, &second));
    for (int64_t i = 0; i < names->n; i++) n_empty += names->at[i][0] == '\0';
    for (int64_t i = second >= 0 ? second : names->n; i < names->n; i++) {
        if (name_index_find(&index, names->at[i]) == i) continue;
        if (n_again++ == 0) first = i;
    }
    if (n_empty)
        TRY(validate_find(v, RULE_NAMES_FILLED, element, "%lld of %lld names are empty",
                          (long long)n_empty, (long long)names->n));
    if (n_again)
        TRY(validate_find(v, cells ? RULE_CELL_NAMES_UNIQUE : RULE_FEATURE_NAMES_UNIQUE, element,
                          "%lld of %lld %s have the name of an earlier one, e.g. '%.100s' in row %lld",
                          (long long)n_again, (long long)names->n, cells ? "cells" : "features",
                          names->at[first], (long long)first + 1));
done:
    name_index_clear(&index);
    return st;
}

/* ------------------------------------------------------------------ files */

/* An attribute that says which version wrote the file. */
static scw_status add_version(textbuf *out, hid_t file, const char *name, const char *key)
{
    scw_status st = SCW_OK;
    char *type = NULL, *version = NULL;

    if (!h5_has_attr(file, key)) goto done;
    if (h5_attr_string(&version, file, key) != SCW_OK) goto done;
    if (name && h5_has_attr(file, name)) (void)!h5_attr_string(&type, file, name);
    TRY(text_add(out, "%s%.60s%s%.60s", out->length ? ", " : "", type ? type : "", type ? " " : "",
                 version));
done:
    mem_free(type);
    mem_free(version);
    return st;
}

static scw_status find_version(validation *v, const input *in, const file_format *format)
{
    scw_status st = SCW_OK;
    textbuf version = {0};

    if (in->kind == INPUT_HDF5) {
        TRY(add_version(&version, in->hdf5, "encoding-type", "encoding-version"));
        TRY(add_version(&version, in->hdf5, "encoder", "encoder-version"));
        TRY(add_version(&version, in->hdf5, NULL, "software_version"));
        TRY(add_version(&version, in->hdf5, NULL, "LOOM_SPEC_VERSION"));
    }
    if (!version.length && format->native)
        TRY(text_add(&version, "before encodings had versions"));
    TRY(inspect_set(v->root, "version", inspect_text(text_get(&version))));
done:
    text_clear(&version);
    return st;
}

/* Text is read line by line, and no value is kept. */
static scw_status validate_lines(validation *v, const input *in, const file_format *format)
{
    static const scw_read_options options = {0};
    const scw_source source = {.path = in->path};
    scw_status st = SCW_OK;
    scw_hooks quiet = v->hooks ? *v->hooks : (scw_hooks){0};
    file_parts parts = {0};

    quiet.log = NULL;
    st = format->read(&parts, in,
                      &(read_request){&source, &options, READ_FRAMES, &quiet, &v->sink});
    TRY(validate_failure(v, st, RULE_READABLE, v->whole));
done:
    file_parts_clear(&parts);
    return st;
}

static scw_status validate_h5ad(validation *v, hid_t file)
{
    frame obs = {0};
    scw_status st = validate_anndata(&obs, v, file, "/");

    frame_clear(&obs);
    return st;
}

static scw_status look(validation *v, const input *in)
{
    static const struct {
        bool (*recognises)(const input *in);
        scw_status (*validate)(validation *v, const input *in);
    } others[] = {
        {is_tenx, validate_tenx},
        {is_tenx_old, validate_tenx_old},
        {is_loom, validate_loom},
        {is_matilda, validate_matilda},
    };
    scw_status st = SCW_OK;
    const file_format *format;

    *h5_text_notes_here() = (h5_text_notes){0};
    st = format_find(&format, in);
    TRY(validate_failure(v, st, RULE_FILE_KNOWN, v->whole));
    TRY(inspect_set(v->root, "format", json_string(format ? format->name : "")));
    if (!format) {
        TRY(inspect_set(v->root, "version", json_string("")));
        goto done;
    }
    TRY(find_version(v, in, format));
    if (in->kind == INPUT_HDF5) TRY(h5_tree_check(&v->sink, in->hdf5, v->hooks));
    if (format->native) {
        TRY(format->holds_all ? validate_h5mu(v, in->hdf5) : validate_h5ad(v, in->hdf5));
        goto done;
    }
    for (size_t k = 0; in->kind == INPUT_HDF5 && k < sizeof others / sizeof *others; k++)
        if (others[k].recognises(in)) {
            TRY(others[k].validate(v, in));
            goto done;
        }
    TRY(validate_lines(v, in, format));
done:
    return st;
}

static scw_status finish(json_t **out, validation *v)
{
    scw_status st = SCW_OK;
    json_t *more = json_object();

    TRY(inspect_set(v->root, "not_listed", more));
    TRY(inspect_set(v->root, "valid", json_boolean(v->n_errors == 0)));
    TRY(inspect_set(v->root, "n_errors", json_integer(v->n_errors)));
    TRY(inspect_set(v->root, "n_warnings", json_integer(v->n_warnings)));
    TRY(inspect_set(v->root, "findings", json_incref(v->findings)));
    for (int k = 0; k < N_RULES; k++)
        if (v->n_of[k] > v->most)
            TRY(inspect_set(more, rule_get((rule_id)k)->name, json_integer(v->n_of[k] - v->most)));
    *out = json_incref(v->root);
done:
    return st;
}

static scw_status begin(validation *v, const char *path)
{
    *v = (validation){.path = path, .whole = "", .most = MOST_LISTED, .root = json_object(),
                      .findings = json_array()};
    v->sink = (rule_sink){v, take};
    if (!v->root || !v->findings) return status_fail(SCW_ENOMEM, "out of memory: report");
    return inspect_set(v->root, "path", inspect_text(path));
}

static void end(validation *v)
{
    json_decref(v->findings);
    json_decref(v->root);
}

scw_status validate_file(json_t **out, bool *valid, const input *in,
                         const scw_validate_options *options, const scw_hooks *hooks)
{
    scw_status st = SCW_OK;
    validation v;

    *out = NULL;
    TRY(begin(&v, in->path));
    if (options && options->most_listed > 0) v.most = options->most_listed;
    v.memory = options && options->memory_bytes > 0 ? options->memory_bytes
                                                    : memory_available_bytes() / 2;
    v.hooks = hooks;
    if (in->kind == INPUT_HDF5) v.whole = "/";
    TRY(look(&v, in));
    TRY(finish(out, &v));
    *valid = v.n_errors == 0;
done:
    end(&v);
    return st;
}

scw_status validate_unopened(json_t **out, const char *path, scw_status failure)
{
    scw_status st = SCW_OK;
    validation v;

    if (failure != SCW_EFORMAT && failure != SCW_EUNSUPPORTED) return failure;
    char message[2048];
    (void)snprintf(message, sizeof message, "%s", scw_error_message());
    const rule_id id = rule_of_failure(RULE_FILE_WHOLE);
    TRY(begin(&v, path));
    TRY(inspect_set(v.root, "format", json_string("")));
    TRY(inspect_set(v.root, "version", json_string("")));
    TRY(take_message(&v, id, message, ""));
    TRY(finish(out, &v));
done:
    end(&v);
    return st;
}

int scw_rule_at(scw_rule *out, int k)
{
    if (k < 0 || k >= N_RULES) return 0;
    const rule_row *r = rule_get((rule_id)k);
    *out = (scw_rule){r->name, r->effect == RULE_REFUSES ? "error" : "warning", r->expected, r->action};
    return 1;
}
