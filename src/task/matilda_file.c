/* SPDX-License-Identifier: BSD-3-Clause */
/* What Matilda's model file has beside that of every kind (task/model_file.c). Tensors: count decoders,
 * paths for subsets, class means, calibrations. Metadata:
 *
 *   modalities  each with components, likelihood; without the last, as older files are, there are no
 *               count decoders
 *   calibration JSON object, how far it can be trusted (task/calibration_file.h); not in all
 *   subsets     JSON array, answers for cells that lack a modality (task/subsets_file.h); likewise */
#include <string.h>

#include "task/calibration_file.h"
#include "task/matilda.h"
#include "task/subsets_file.h"

/* ------------------------------------------------------------------------------------- save */

scw_status matilda_describe(json_t *facts, const scw_model *base)
{
    scw_status st = SCW_OK;
    const matilda_model *m = (const matilda_model *)base;
    json_t *modalities = json_object_get(facts, "modalities"), *list = NULL;

    for (int k = 0; k < base->n_modalities; k++) {
        json_t *row = json_array_get(modalities, (size_t)k);
        TRY(model_file_fact(row, "components",
                            json_integer(m->net.config.modality[k].n_components)));
        TRY(model_file_fact(row, "likelihood",
                            json_string(count_kind_name(m->counts.head[k].kind))));
    }
    if (m->calibration.n > 0)
        TRY(model_file_fact(facts, "calibration", calibration_to_json(&m->calibration)));
    TRY(subsets_to_json(&list, m));
    if (list) TRY(model_file_fact(facts, "subsets", list));
done:
    return st;
}

scw_status matilda_write(model_writer *w, const scw_model *base)
{
    scw_status st = SCW_OK;
    const matilda_model *m = (const matilda_model *)base;

    TRY(model_writer_params(w, &m->net.p));
    TRY(model_writer_params(w, &m->counts.p));
    TRY(model_writer_params(w, &m->subsets.p));
    TRY(model_writer_params(w, &m->means.p));
    TRY(model_writer_prep(w, base));
    TRY(calibration_write(w, "calibration", &m->calibration));
    TRY(subsets_write(w, m));
done:
    return st;
}

/* ------------------------------------------------------------------------------------- load */

static const char *likelihood_word(int k)
{
    return count_kind_name((count_kind)k);
}

static scw_status load_likelihood(count_kind *out, const json_t *row, const char *path)
{
    const json_t *value = json_object_get(row, "likelihood");
    int kind = COUNT_NONE;

    if (value && !model_file_word(&kind, json_string_value(value), likelihood_word, 3))
        return status_fail(SCW_EFORMAT, "%s: a modality's likelihood is unknown to this version",
                           path);
    *out = (count_kind)kind;
    return SCW_OK;
}

/* Of its parameters at least so many. */
static double least_size(const matilda_config *c, const count_kind *likelihood)
{
    double want = 0.0;

    for (int k = 0; k < c->n_modalities; k++)
        want += (double)c->modality[k].n_vars * (double)(c->z_dim + c->n_batches) *
                (likelihood[k] == COUNT_NONE ? 1 : 2);
    return want;
}

/* The count decoders, where the model has any. */
static scw_status load_counts(matilda_model *m, const count_kind *likelihood,
                              const safetensors_file *f, const char *path)
{
    scw_status st = SCW_OK;
    count_head_options heads[MODEL_MAX_MODALITIES];
    bool any = false;

    for (int k = 0; k < m->base.n_modalities; k++) {
        heads[k] = (count_head_options){m->base.modality[k].name, likelihood[k],
                                        m->base.modality[k].features.n};
        any = any || likelihood[k] != COUNT_NONE;
    }
    if (!any) {
        m->options.likelihood = LIKELIHOOD_GAUSSIAN; /* older files do not say so */
        goto done;
    }
    TRY(count_heads_init(&m->counts, heads, m->base.n_modalities,
                         m->options.z_dim + model_n_batches(&m->base)));
    TRY(model_file_params(&m->counts.p, f, path));
done:
    return st;
}

/* Class means, which older files lack. */
static scw_status load_means(matilda_model *m, const safetensors_file *f, const char *path)
{
    scw_status st = SCW_OK;

    TRY(class_means_init(&m->means, &m->net.config));
    if (m->means.n > 0 && safetensors_find(f, m->means.p.at[0].name))
        TRY(model_file_params(&m->means.p, f, path));
    else
        class_means_clear(&m->means);
done:
    return st;
}

/* Calibrations, and the answers for cells that lack a modality. */
static scw_status load_answers(matilda_model *m, const safetensors_file *f, const char *path)
{
    scw_status st = SCW_OK;
    json_t *figures = NULL, *list = NULL;

    TRY(model_file_optional(&figures, f, path, "calibration", false));
    TRY(calibration_load(&m->calibration, figures, f, path, "calibration", m->base.classes.n,
                         m->options.z_dim));
    TRY(model_file_optional(&list, f, path, "subsets", true));
    TRY(subsets_from_json(m, list, path));
    TRY(model_file_params(&m->subsets.p, f, path));
    TRY(subsets_load_calibration(m, list, f, path));
done:
    json_decref(figures);
    json_decref(list);
    return st;
}

/* Widths of the projections and kinds of the count decoders. */
static scw_status load_modalities(int64_t *components, count_kind *likelihood, const scw_model *m,
                                  const model_reader *from)
{
    scw_status st = SCW_OK;

    for (int k = 0; k < m->n_modalities; k++) {
        const json_t *row = json_array_get(from->modalities, (size_t)k);
        components[k] = json_integer_value(json_object_get(row, "components"));
        if (components[k] < 0 || components[k] > m->modality[k].features.n)
            FAIL(SCW_EFORMAT, "%s: the model's description of modality '%s' is damaged", from->path,
                 m->modality[k].name);
        TRY(load_likelihood(&likelihood[k], row, from->path));
    }
done:
    return st;
}

scw_status matilda_read(scw_model *base, const model_reader *from)
{
    scw_status st = SCW_OK;
    matilda_model *m = (matilda_model *)base;
    int64_t components[MODEL_MAX_MODALITIES];
    count_kind likelihood[MODEL_MAX_MODALITIES];
    matilda_config config;

    TRY(load_modalities(components, likelihood, base, from));
    if (base->classes.n < 2) FAIL(SCW_EFORMAT, "%s: the model has no classes", from->path);
    matilda_config_of(m, components, &config);
    TRY(model_file_holds(from->file, from->path, least_size(&config, likelihood)));
    TRY(matilda_net_init(&m->net, &config, 1));
    TRY(model_file_params(&m->net.p, from->file, from->path));
    TRY(load_answers(m, from->file, from->path));
    TRY(load_means(m, from->file, from->path));
    TRY(load_counts(m, likelihood, from->file, from->path));
done:
    return st;
}
