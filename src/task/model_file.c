/* SPDX-License-Identifier: BSD-3-Clause */
/* A model on disk: one safetensors file. Tensors are the parameters, under their names, and the
 * state of the transforms ("prep.<modality>.center"). Metadata, each a text:
 *
 *   format      "scweave-model-1"
 *   version     of the program that wrote it
 *   model       name of the kind
 *   options     JSON object, every option of the kind as text; those about batches only where there are
 *               any, so that other files stay as they were before there were such options
 *   classes     JSON array, in the order of the classifier's outputs
 *   modalities  JSON array of {name, kind, features, transform, target, block_scale, components,
 *               likelihood}; without the last, as older files are, there are no count decoders
 *   record      JSON object, how it was trained
 *   batches     JSON array, of the training cells, in the order of the decoders' columns; not in all
 *   calibration JSON object, how far it can be trusted (task/calibration_file.h); not in all
 *   subsets     JSON array, answers for cells that lack a modality (task/subsets_file.h); likewise */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "io/safetensors.h"
#include "models/model.h"
#include "scweave/version.h"
#include "task/calibration_file.h"
#include "task/model_file.h"
#include "task/subsets_file.h"

#define FORMAT "scweave-model-1"
#define PREP_TENSORS 3

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
        json_t *row = json_pack("{s:s, s:s, s:o, s:s, s:f, s:f, s:I, s:s}", "name", x->name, "kind",
                                modality_kind_name(x->kind), "features", features, "transform",
                                transform_name(x->prep.kind), "target", x->prep.target,
                                "block_scale", x->prep.block_scale, "components",
                                (json_int_t)m->net.config.modality[k].n_components, "likelihood",
                                count_kind_name(m->counts.head[k].kind));
        TRY(need(row));
        if (json_array_append_new(*out, row) != 0) TRY(need(NULL));
    }
done:
    return st;
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

static scw_status build_metadata(json_t **out, const scw_model *m)
{
    scw_status st = SCW_OK;
    json_t *part = NULL;

    *out = json_pack("{s:s, s:s, s:s}", "format", FORMAT, "version", scw_version(), "model",
                     m->kind->name);
    TRY(need(*out));
    TRY(model_file_options(&part, m->kind, &m->options, m->batches.n > 0));
    TRY(model_file_put(*out, "options", part));
    TRY(strings_to_json(&part, &m->classes));
    TRY(model_file_put(*out, "classes", part));
    TRY(modalities_to_json(&part, m));
    TRY(model_file_put(*out, "modalities", part));
    TRY(model_file_put(*out, "record", json_incref(m->record)));
    if (m->batches.n > 0) {
        TRY(strings_to_json(&part, &m->batches));
        TRY(model_file_put(*out, "batches", part));
    }
    if (m->calibration.n > 0) {
        part = calibration_to_json(&m->calibration);
        TRY(need(part));
        TRY(model_file_put(*out, "calibration", part));
    }
    TRY(subsets_to_json(&part, m));
    if (part) TRY(model_file_put(*out, "subsets", part));
done:
    return st;
}

/* ------------------------------------------------------------------------------------- save */

static scw_status add_prep(safetensor *to, strings *names, const char *of, const char *part,
                           const float *data, int64_t n)
{
    scw_status st = SCW_OK;
    textbuf name = {0};

    TRY(text_add(&name, "prep.%s.%s", of, part));
    TRY(strings_add(names, text_get(&name)));
    *to = (safetensor){.n_dims = 1, .dim = {n}, .size = n, .data = data};
done:
    text_clear(&name);
    return st;
}

static scw_status add_params(safetensor *tensors, int64_t *n, strings *names, const params *of)
{
    scw_status st = SCW_OK;

    for (int k = 0; k < of->n; k++) {
        const param *p = &of->at[k];
        TRY(strings_add(names, p->name));
        safetensor *t = &tensors[(*n)++];
        *t = (safetensor){.n_dims = p->n_dims, .size = p->size, .data = of->value + p->offset};
        memcpy(t->dim, p->dim, sizeof t->dim);
    }
done:
    return st;
}

static scw_status collect(safetensor *tensors, int64_t *n, strings *names, const scw_model *m)
{
    scw_status st = SCW_OK;

    *n = 0;
    TRY(add_params(tensors, n, names, &m->net.p));
    TRY(add_params(tensors, n, names, &m->counts.p));
    TRY(add_params(tensors, n, names, &m->subsets.p));
    TRY(add_params(tensors, n, names, &m->means.p));
    for (int k = 0; k < m->n_modalities; k++) {
        const model_modality *x = &m->modality[k];
        const float *parts[PREP_TENSORS] = {x->prep.mean_count, x->prep.center, x->prep.idf};
        const char *const part_names[PREP_TENSORS] = {"mean_count", "center", "idf"};
        for (int q = 0; q < PREP_TENSORS; q++)
            if (parts[q])
                TRY(add_prep(&tensors[(*n)++], names, x->name, part_names[q], parts[q],
                             x->features.n));
    }
    TRY(calibration_tensors(tensors, n, names, "calibration", &m->calibration));
    TRY(subsets_tensors(tensors, n, names, m));
    for (int64_t k = 0; k < *n; k++)
        tensors[k].name = names->at[k];
done:
    return st;
}

scw_status scw_model_save(const scw_model *m, const char *path)
{
    scw_status st = SCW_OK;
    safetensor *tensors = NULL;
    strings names = {0};
    json_t *metadata = NULL;
    int64_t n;

    TRY(build_metadata(&metadata, m));
    TRY(mem_new(&tensors, m->net.p.n + m->counts.p.n + m->subsets.p.n + m->means.p.n +
                              PREP_TENSORS * m->n_modalities +
                              CALIBRATION_TENSORS * (1 + m->subsets.n)));
    TRY(collect(tensors, &n, &names, m));
    TRY(safetensors_write(path, tensors, n, metadata));
done:
    mem_free(tensors);
    strings_clear(&names);
    json_decref(metadata);
    return st;
}

/* ------------------------------------------------------------------------------------- load */

static scw_status parse_part(json_t **out, const safetensors_file *f, const char *path,
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

    TRY(parse_part(&options, f, path, "options", false));
    json_object_foreach(options, name, value)
    {
        const char *text = json_string_value(value);
        if (!text) FAIL(SCW_EFORMAT, "%s: option '%s' is no text", path, name);
        st = scw_options_set(m->kind->options, &m->options, name, text);
        if (st != SCW_OK) {
            st = status_prefix(SCW_EFORMAT, "%s: made by another version", path);
            goto done;
        }
    }
done:
    json_decref(options);
    return st;
}

static bool word_index(int *out, const char *word, const char *(*name_of)(int), int n)
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

static scw_status load_modality(scw_model *m, int64_t *components, const json_t *row,
                                const safetensors_file *f, const char *path)
{
    scw_status st = SCW_OK;
    const char *name = json_string_value(json_object_get(row, "name"));
    int kind, prep;

    if (m->n_modalities == MODEL_MAX_MODALITIES || !name || strlen(name) >= 64 ||
        !word_index(&kind, json_string_value(json_object_get(row, "kind")), kind_word, 3) ||
        !word_index(&prep, json_string_value(json_object_get(row, "transform")), transform_word, 4))
        FAIL(SCW_EFORMAT, "%s: the model's description of a modality is damaged", path);
    model_modality *x = &m->modality[m->n_modalities];
    TRY(mem_strdup(&x->name, name));
    components[m->n_modalities++] = json_integer_value(json_object_get(row, "components"));
    x->kind = (modality_kind)kind;
    TRY(strings_from_json(&x->features, json_object_get(row, "features"), path));
    int64_t n = x->features.n;
    x->prep = (transform){.kind = (transform_kind)prep, .n_vars = n};
    x->prep.target = json_real_value(json_object_get(row, "target"));
    x->prep.block_scale = json_real_value(json_object_get(row, "block_scale"));
    if (n == 0 || !(x->prep.target > 0.0) || components[m->n_modalities - 1] < 0 ||
        components[m->n_modalities - 1] > n)
        FAIL(SCW_EFORMAT, "%s: the model's description of modality '%s' is damaged", path, name);
    TRY(load_vector(&x->prep.mean_count, f, path, name, "mean_count", n, true));
    TRY(load_vector(&x->prep.center, f, path, name, "center", n, prep != TRANSFORM_MATILDA));
    TRY(load_vector(&x->prep.idf, f, path, name, "idf", n, prep == TRANSFORM_TFIDF));
done:
    return st;
}

static const char *likelihood_word(int k)
{
    return count_kind_name((count_kind)k);
}

static scw_status load_likelihood(count_kind *out, const json_t *row, const char *path)
{
    const json_t *value = json_object_get(row, "likelihood");
    int kind = COUNT_NONE;

    if (value && !word_index(&kind, json_string_value(value), likelihood_word, 3))
        return status_fail(SCW_EFORMAT, "%s: a modality's likelihood is unknown to this version",
                           path);
    *out = (count_kind)kind;
    return SCW_OK;
}

static scw_status load_parameters(params *to, const safetensors_file *f, const char *path)
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

/* The file must hold every parameter before memory is asked for them. */
static scw_status check_size(const matilda_config *c, const count_kind *likelihood,
                             const safetensors_file *f, const char *path)
{
    int64_t have = 0, want = 0;

    for (int64_t k = 0; k < f->n; k++)
        have += f->tensors[k].size;
    for (int k = 0; k < c->n_modalities; k++)
        want += c->modality[k].n_vars * (c->z_dim + c->n_batches) *
                (likelihood[k] == COUNT_NONE ? 1 : 2);
    if (want <= have) return SCW_OK;
    return status_fail(SCW_EFORMAT, "%s: the tensors are smaller than the options say", path);
}

/* The count decoders, where the model has any. */
static scw_status load_counts(scw_model *m, const count_kind *likelihood, const safetensors_file *f,
                              const char *path)
{
    scw_status st = SCW_OK;
    count_head_options heads[MODEL_MAX_MODALITIES];
    bool any = false;

    for (int k = 0; k < m->n_modalities; k++) {
        heads[k] = (count_head_options){m->modality[k].name, likelihood[k],
                                        m->modality[k].features.n};
        any = any || likelihood[k] != COUNT_NONE;
    }
    if (!any) {
        m->options.likelihood = LIKELIHOOD_GAUSSIAN; /* older files do not say so */
        goto done;
    }
    TRY(count_heads_init(&m->counts, heads, m->n_modalities,
                         m->options.z_dim + model_n_batches(m)));
    TRY(load_parameters(&m->counts.p, f, path));
done:
    return st;
}

/* A part that not every file has; *out stays NULL without it. */
static scw_status parse_optional(json_t **out, const safetensors_file *f, const char *path,
                                 const char *key, bool array)
{
    return safetensors_text(f, key) ? parse_part(out, f, path, key, array) : SCW_OK;
}

/* Class means, which older files lack. */
static scw_status load_means(scw_model *m, const safetensors_file *f, const char *path)
{
    scw_status st = SCW_OK;

    TRY(class_means_init(&m->means, &m->net.config));
    if (m->means.n > 0 && safetensors_find(f, m->means.p.at[0].name))
        TRY(load_parameters(&m->means.p, f, path));
    else
        class_means_clear(&m->means);
done:
    return st;
}

/* Calibrations, and the answers for cells that lack a modality. */
static scw_status load_answers(scw_model *m, const safetensors_file *f, const char *path)
{
    scw_status st = SCW_OK;
    json_t *figures = NULL, *list = NULL;

    TRY(parse_optional(&figures, f, path, "calibration", false));
    TRY(calibration_load(&m->calibration, figures, f, path, "calibration", m->classes.n,
                         m->options.z_dim));
    TRY(parse_optional(&list, f, path, "subsets", true));
    TRY(subsets_from_json(m, list, path));
    TRY(load_parameters(&m->subsets.p, f, path));
    TRY(subsets_load_calibration(m, list, f, path));
done:
    json_decref(figures);
    json_decref(list);
    return st;
}

static scw_status load_description(scw_model *m, const safetensors_file *f, const char *path)
{
    scw_status st = SCW_OK;
    json_t *classes = NULL, *batches = NULL, *modalities = NULL, *record = NULL, *row;
    int64_t components[MODEL_MAX_MODALITIES];
    count_kind likelihood[MODEL_MAX_MODALITIES];
    matilda_config config;
    size_t i;

    TRY(load_options(m, f, path));
    TRY(parse_part(&classes, f, path, "classes", true));
    TRY(strings_from_json(&m->classes, classes, path));
    TRY(parse_optional(&batches, f, path, "batches", true));
    if (batches) TRY(strings_from_json(&m->batches, batches, path));
    TRY(parse_part(&modalities, f, path, "modalities", true));
    json_array_foreach(modalities, i, row)
    {
        TRY(load_modality(m, components, row, f, path));
        TRY(load_likelihood(&likelihood[i], row, path));
    }
    if (m->n_modalities == 0 || m->classes.n < 2)
        FAIL(SCW_EFORMAT, "%s: the model has no modalities or classes", path);
    TRY(parse_part(&record, f, path, "record", false));
    json_decref(m->record);
    m->record = json_incref(record);
    model_config(m, components, &config);
    TRY(check_size(&config, likelihood, f, path));
    TRY(matilda_net_init(&m->net, &config, 1));
    TRY(load_parameters(&m->net.p, f, path));
    TRY(load_answers(m, f, path));
    TRY(load_means(m, f, path));
    TRY(load_counts(m, likelihood, f, path));
done:
    json_decref(classes);
    json_decref(batches);
    json_decref(modalities);
    json_decref(record);
    return st;
}

scw_status scw_model_load(scw_model **out, const char *path)
{
    scw_status st = SCW_OK;
    safetensors_file f = {0};
    scw_model *m = NULL;
    matilda_options options;

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
    TRY(scw_options_init(kind->options, &options));
    TRY(model_new(&m, kind, &options));
    TRY(load_description(m, &f, path));
    *out = m;
    m = NULL;
done:
    scw_model_free(m);
    safetensors_clear(&f);
    return st;
}

scw_status scw_model_describe(char **out_json, const scw_model *m)
{
    scw_status st = SCW_OK;
    json_t *all = NULL, *part = NULL;
    char *dumped = NULL;

    *out_json = NULL;
    all = json_pack("{s:s, s:O}", "model", m->kind->name, "record", m->record);
    TRY(need(all));
    TRY(model_file_options(&part, m->kind, &m->options, m->batches.n > 0));
    if (json_object_set_new(all, "options", part) != 0) TRY(need(NULL));
    TRY(strings_to_json(&part, &m->classes));
    if (json_object_set_new(all, "classes", part) != 0) TRY(need(NULL));
    if (m->batches.n > 0) {
        TRY(strings_to_json(&part, &m->batches));
        if (json_object_set_new(all, "batches", part) != 0) TRY(need(NULL));
    }
    TRY(modalities_to_json(&part, m));
    if (json_object_set_new(all, "modalities", part) != 0) TRY(need(NULL));
    if (m->calibration.n > 0 &&
        json_object_set_new(all, "calibration", calibration_to_json(&m->calibration)) != 0)
        TRY(need(NULL));
    TRY(subsets_to_json(&part, m));
    if (part && json_object_set_new(all, "subsets", part) != 0) TRY(need(NULL));
    dumped = json_dumps(all, JSON_INDENT(1) | JSON_SORT_KEYS);
    TRY(need(dumped));
    TRY(mem_strdup(out_json, dumped));
done:
    free(dumped);
    json_decref(all);
    return st;
}
