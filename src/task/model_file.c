/* SPDX-License-Identifier: BSD-3-Clause */
/* A model on disk: one safetensors file. Tensors are the parameters, under their names, and the
 * state of the transforms ("prep.<modality>.center"). Metadata, each a text:
 *
 *   format      "scweave-model-1"
 *   version     of the program that wrote it
 *   model       name of the kind
 *   options     JSON object, every option of the kind as text; those about batches only where there
 *               are any, so that other files stay as they were before there were such options
 *   classes     JSON array, in the order of the classifier's outputs; of kinds that learn classes
 *   modalities  JSON array of {name, kind, features, transform, target, block_scale} and what the kind
 *               adds
 *   record      JSON object, how it was trained
 *   batches     JSON array, of the training cells, in the order of the decoders' columns; not in all
 *
 * and what the kind adds (models/kind.h): matilda_file.c, say. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "io/safetensors.h"
#include "scweave/version.h"
#include "task/model_file.h"

#define FORMAT "scweave-model-1"

/* ------------------------------------------------------------------------------- json parts */

static scw_status need(const void *p)
{
    return p ? SCW_OK : status_fail(SCW_ENOMEM, "out of memory in the description of a model");
}

static scw_status strings_to_json(json_t **out, const strings *s)
{
    scw_status st = SCW_OK;

    *out = json_array();
    TRY(need(*out));
    for (int64_t i = 0; i < s->n; i++)
        if (json_array_append_new(*out, json_string(s->at[i])) != 0)
            FAIL(SCW_EDATA, "name '%s' is not valid UTF-8", s->at[i]);
done:
    return st;
}

scw_status model_file_options(json_t **out, const scw_model_kind *kind, const void *options,
                              bool batches)
{
    scw_status st = SCW_OK;

    *out = json_object();
    TRY(need(*out));
    for (const scw_option *o = kind->options; o->type != SCW_OPTION_END; o++) {
        char *value = NULL;
        if (!batches && strcmp(o->group, "Batches") == 0) continue;
        TRY(scw_options_get(&value, kind->options, options, o->name));
        int failed = value && json_object_set_new(*out, o->name, json_string(value)) != 0;
        mem_free(value);
        if (failed) TRY(need(NULL));
    }
done:
    if (st != SCW_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return st;
}

static scw_status modalities_to_json(json_t **out, const scw_model *m)
{
    scw_status st = SCW_OK;

    *out = json_array();
    TRY(need(*out));
    for (int k = 0; k < m->n_modalities; k++) {
        const model_modality *x = &m->modality[k];
        json_t *features = NULL;
        TRY(strings_to_json(&features, &x->features));
        json_t *row = json_pack("{s:s, s:s, s:o, s:s, s:f, s:f}", "name", x->name, "kind",
                                modality_kind_name(x->kind), "features", features, "transform",
                                transform_name(x->prep.kind), "target", x->prep.target,
                                "block_scale", x->prep.block_scale);
        TRY(need(row));
        if (json_array_append_new(*out, row) != 0) TRY(need(NULL));
    }
done:
    return st;
}

scw_status model_file_fact(json_t *facts, const char *key, json_t *value)
{
    if (value && json_object_set_new(facts, key, value) == 0) return SCW_OK;
    return need(NULL);
}

scw_status model_file_put(json_t *metadata, const char *key, json_t *value)
{
    scw_status st = SCW_OK;
    char *dumped = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);

    TRY(need(dumped));
    if (json_object_set_new(metadata, key, json_string(dumped)) != 0) TRY(need(NULL));
done:
    free(dumped);
    json_decref(value);
    return st;
}

/* All that there is to say about a model, by the keys of the metadata. */
static scw_status list_facts(json_t **out, const scw_model *m)
{
    scw_status st = SCW_OK;
    json_t *part = NULL;

    *out = json_object();
    TRY(need(*out));
    TRY(model_file_options(&part, m->kind, model_options(m), m->batches.n > 0));
    TRY(model_file_fact(*out, "options", part));
    if (m->classes.n > 0) {
        TRY(strings_to_json(&part, &m->classes));
        TRY(model_file_fact(*out, "classes", part));
    }
    TRY(modalities_to_json(&part, m));
    TRY(model_file_fact(*out, "modalities", part));
    TRY(model_file_fact(*out, "record", json_incref(m->record)));
    if (m->batches.n > 0) {
        TRY(strings_to_json(&part, &m->batches));
        TRY(model_file_fact(*out, "batches", part));
    }
    TRY(m->kind->ops->describe(*out, m));
done:
    return st;
}

static scw_status build_metadata(json_t **out, const scw_model *m)
{
    scw_status st = SCW_OK;
    json_t *facts = NULL, *value;
    const char *key;

    *out = json_pack("{s:s, s:s, s:s}", "format", FORMAT, "version", scw_version(), "model",
                     m->kind->name);
    TRY(need(*out));
    TRY(list_facts(&facts, m));
    json_object_foreach(facts, key, value) TRY(model_file_put(*out, key, json_incref(value)));
done:
    json_decref(facts);
    return st;
}

/* ------------------------------------------------------------------------------------- save */

scw_status model_writer_add(model_writer *w, const safetensor *t, const char *name, ...)
{
    scw_status st = SCW_OK;
    textbuf text = {0};
    va_list args;

    va_start(args, name);
    TRY(text_add_list(&text, name, args));
    if (w->n == w->capacity) {
        const int64_t capacity = w->capacity ? 2 * w->capacity : 64;
        TRY(mem_resize(&w->tensors, capacity));
        w->capacity = capacity;
    }
    TRY(strings_add(&w->names, text_get(&text)));
    w->tensors[w->n++] = *t;
done:
    va_end(args);
    text_clear(&text);
    return st;
}

scw_status model_writer_params(model_writer *w, const params *of)
{
    scw_status st = SCW_OK;

    for (int k = 0; k < of->n; k++) {
        const param *p = &of->at[k];
        safetensor t = {.n_dims = p->n_dims, .size = p->size, .data = of->value + p->offset};
        memcpy(t.dim, p->dim, sizeof t.dim);
        TRY(model_writer_add(w, &t, "%s", p->name));
    }
done:
    return st;
}

scw_status model_writer_prep(model_writer *w, const scw_model *m)
{
    scw_status st = SCW_OK;

    for (int k = 0; k < m->n_modalities; k++) {
        const model_modality *x = &m->modality[k];
        const float *parts[] = {x->prep.mean_count, x->prep.center, x->prep.idf};
        const char *const names[] = {"mean_count", "center", "idf"};
        const int64_t n = x->features.n;
        for (int q = 0; q < 3; q++)
            if (parts[q])
                TRY(model_writer_add(
                    w, &(safetensor){.n_dims = 1, .dim = {n}, .size = n, .data = parts[q]},
                    "prep.%s.%s", x->name, names[q]));
    }
done:
    return st;
}

static void model_writer_clear(model_writer *w)
{
    mem_free(w->tensors);
    strings_clear(&w->names);
    *w = (model_writer){0};
}

scw_status scw_model_save(const scw_model *m, const char *path)
{
    scw_status st = SCW_OK;
    model_writer w = {0};
    json_t *metadata = NULL;

    TRY(build_metadata(&metadata, m));
    TRY(m->kind->ops->write(&w, m));
    for (int64_t k = 0; k < w.n; k++)
        w.tensors[k].name = w.names.at[k];
    TRY(safetensors_write(path, w.tensors, w.n, metadata));
done:
    model_writer_clear(&w);
    json_decref(metadata);
    return st;
}

scw_status model_fingerprint(char out[FINGERPRINT], const scw_model *m)
{
    scw_status st = SCW_OK;
    model_writer w = {0};
    json_t *facts = NULL;
    char *text = NULL;

    TRY(list_facts(&facts, m));
    text = json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS);
    TRY(need(text));
    TRY(m->kind->ops->write(&w, m));
    uint64_t h = hash_text(hash_text(HASH_START, m->kind->name), text);
    for (int64_t k = 0; k < w.n; k++) {
        h = hash_text(h, w.names.at[k]);
        h = hash_bytes(h, w.tensors[k].data, w.tensors[k].size * (int64_t)sizeof *w.tensors[k].data);
    }
    (void)snprintf(out, FINGERPRINT, "%016" PRIx64, h);
done:
    model_writer_clear(&w);
    json_decref(facts);
    free(text);
    return st;
}

/* ------------------------------------------------------------------------------------- load */

scw_status model_file_part(json_t **out, const safetensors_file *f, const char *path,
                           const char *key, bool array)
{
    const char *text = safetensors_text(f, key);

    *out = text ? json_loads(text, 0, NULL) : NULL;
    if (array ? json_is_array(*out) : json_is_object(*out)) return SCW_OK;
    return status_fail(SCW_EFORMAT, "%s: the model file has no valid '%s'", path, key);
}

static scw_status strings_from_json(strings *out, const json_t *array, const char *path)
{
    scw_status st = SCW_OK;
    size_t i;
    json_t *item;

    json_array_foreach((json_t *)(uintptr_t)array, i, item)
    {
        if (!json_is_string(item)) FAIL(SCW_EFORMAT, "%s: a name in the model is no text", path);
        TRY(strings_add(out, json_string_value(item)));
    }
done:
    return st;
}

static scw_status load_options(scw_model *m, const safetensors_file *f, const char *path)
{
    scw_status st = SCW_OK;
    json_t *options = NULL, *value;
    const char *name;

    TRY(model_file_part(&options, f, path, "options", false));
    json_object_foreach(options, name, value)
    {
        const char *text = json_string_value(value);
        if (!text) FAIL(SCW_EFORMAT, "%s: option '%s' is no text", path, name);
        st = scw_options_set(m->kind->options, (char *)m + m->kind->ops->options, name, text);
        if (st != SCW_OK) {
            st = status_prefix(SCW_EFORMAT, "%s: made by another version", path);
            goto done;
        }
    }
done:
    json_decref(options);
    return st;
}

bool model_file_word(int *out, const char *word, const char *(*name_of)(int), int n)
{
    for (*out = 0; word && *out < n; ++*out)
        if (strcmp(name_of(*out), word) == 0) return true;
    return false;
}

static const char *kind_word(int k)
{
    return modality_kind_name((modality_kind)k);
}

static const char *transform_word(int k)
{
    return transform_name((transform_kind)k);
}

static scw_status load_vector(float **out, const safetensors_file *f, const char *path,
                              const char *of, const char *part, int64_t n, bool required)
{
    scw_status st = SCW_OK;
    textbuf name = {0};

    TRY(text_add(&name, "prep.%s.%s", of, part));
    const safetensor *t = safetensors_find(f, text_get(&name));
    if (!t && !required) goto done;
    if (!t || t->size != n)
        FAIL(SCW_EFORMAT, "%s: tensor '%s' is %s, expected %lld values", path, text_get(&name),
             t ? "of another size" : "missing", (long long)n);
    TRY(mem_new(out, n));
    memcpy(*out, t->data, (size_t)n * sizeof **out);
done:
    text_clear(&name);
    return st;
}

static scw_status load_modality(scw_model *m, const json_t *row, const safetensors_file *f,
                                const char *path)
{
    scw_status st = SCW_OK;
    const char *name = json_string_value(json_object_get(row, "name"));
    int kind, prep;

    if (m->n_modalities == MODEL_MAX_MODALITIES || !name || strlen(name) >= MODEL_NAME ||
        !model_file_word(&kind, json_string_value(json_object_get(row, "kind")), kind_word, 3) ||
        !model_file_word(&prep, json_string_value(json_object_get(row, "transform")),
                         transform_word, 4))
        FAIL(SCW_EFORMAT, "%s: the model's description of a modality is damaged", path);
    model_modality *x = &m->modality[m->n_modalities];
    TRY(mem_strdup(&x->name, name));
    m->n_modalities++;
    x->kind = (modality_kind)kind;
    TRY(strings_from_json(&x->features, json_object_get(row, "features"), path));
    int64_t n = x->features.n;
    x->prep = (transform){.kind = (transform_kind)prep, .n_vars = n};
    x->prep.target = json_real_value(json_object_get(row, "target"));
    x->prep.block_scale = json_real_value(json_object_get(row, "block_scale"));
    if (n == 0 || !(x->prep.target > 0.0))
        FAIL(SCW_EFORMAT, "%s: the model's description of modality '%s' is damaged", path, name);
    TRY(load_vector(&x->prep.mean_count, f, path, name, "mean_count", n, true));
    TRY(load_vector(&x->prep.center, f, path, name, "center", n, prep != TRANSFORM_MATILDA));
    TRY(load_vector(&x->prep.idf, f, path, name, "idf", n, prep == TRANSFORM_TFIDF));
done:
    return st;
}

scw_status model_file_holds(const safetensors_file *f, const char *path, double n)
{
    double have = 0.0;

    for (int64_t k = 0; k < f->n; k++) have += (double)f->tensors[k].size;
    if (n <= have) return SCW_OK;
    return status_fail(SCW_EFORMAT, "%s: the tensors are smaller than the options say", path);
}

scw_status model_file_params(params *to, const safetensors_file *f, const char *path)
{
    scw_status st = SCW_OK;

    for (int k = 0; k < to->n; k++) {
        const param *p = &to->at[k];
        const safetensor *t = safetensors_find(f, p->name);
        if (!t || t->n_dims != p->n_dims || t->size != p->size)
            FAIL(SCW_EFORMAT, "%s: tensor '%s' is %s", path, p->name,
                 t ? "of another shape than the options say" : "missing");
        memcpy(to->value + p->offset, t->data, (size_t)p->size * sizeof(real));
    }
done:
    return st;
}

scw_status model_file_optional(json_t **out, const safetensors_file *f, const char *path,
                               const char *key, bool array)
{
    return safetensors_text(f, key) ? model_file_part(out, f, path, key, array) : SCW_OK;
}

static scw_status load_description(scw_model *m, const safetensors_file *f, const char *path)
{
    scw_status st = SCW_OK;
    json_t *classes = NULL, *batches = NULL, *modalities = NULL, *row;
    size_t i;

    TRY(load_options(m, f, path));
    TRY(model_file_optional(&classes, f, path, "classes", true));
    if (classes) TRY(strings_from_json(&m->classes, classes, path));
    TRY(model_file_optional(&batches, f, path, "batches", true));
    if (batches) TRY(strings_from_json(&m->batches, batches, path));
    TRY(model_file_part(&modalities, f, path, "modalities", true));
    json_array_foreach(modalities, i, row) TRY(load_modality(m, row, f, path));
    if (m->n_modalities == 0) FAIL(SCW_EFORMAT, "%s: the model has no modalities", path);
    json_decref(m->record);
    TRY(model_file_part(&m->record, f, path, "record", false));
    TRY(m->kind->ops->read(m, &(model_reader){f, path, modalities}));
done:
    json_decref(classes);
    json_decref(batches);
    json_decref(modalities);
    return st;
}

scw_status scw_model_load(scw_model **out, const char *path)
{
    scw_status st = SCW_OK;
    safetensors_file f = {0};
    scw_model *m = NULL;
    char *options = NULL;

    *out = NULL;
    TRY(safetensors_read(&f, path));
    const char *format = safetensors_text(&f, "format"), *name = safetensors_text(&f, "model");
    if (!format || !name)
        FAIL(SCW_EFORMAT, "%s: is a safetensors file but not a scweave model", path);
    if (strcmp(format, FORMAT) != 0)
        FAIL(SCW_EUNSUPPORTED, "%s: model format '%s', this version reads '%s'", path, format,
             FORMAT);
    const scw_model_kind *kind = scw_model_kind_find(name);
    if (!kind) FAIL(SCW_EUNSUPPORTED, "%s: model kind '%s' is unknown to this version", path, name);
    TRY(mem_new(&options, (int64_t)kind->options_size));
    TRY(scw_options_init(kind->options, options));
    TRY(model_new(&m, kind, options));
    TRY(load_description(m, &f, path));
    *out = m;
    m = NULL;
done:
    scw_model_free(m);
    mem_free(options);
    safetensors_clear(&f);
    return st;
}

scw_status scw_model_describe(char **out_json, const scw_model *m)
{
    scw_status st = SCW_OK;
    json_t *all = NULL;
    char *dumped = NULL, fingerprint[FINGERPRINT];

    *out_json = NULL;
    TRY(list_facts(&all, m));
    TRY(model_fingerprint(fingerprint, m));
    if (json_object_set_new(all, "model", json_string(m->kind->name)) != 0 ||
        json_object_set_new(all, "fingerprint", json_string(fingerprint)) != 0)
        TRY(need(NULL));
    dumped = json_dumps(all, JSON_INDENT(1) | JSON_SORT_KEYS);
    TRY(need(dumped));
    TRY(mem_strdup(out_json, dumped));
done:
    free(dumped);
    json_decref(all);
    return st;
}
