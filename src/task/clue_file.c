/* SPDX-License-Identifier: BSD-3-Clause */
/* What CLUE's model file has beside that of every kind (task/model_file.c). Tensors: both sets of
 * parameters, "input.<modality>.loadings", ".offset", ".ceiling" (models/clue_input.h) and
 * "interval.<from>.<to>" (models/clue_translation.h), the last not in all. Metadata:
 *
 *   modalities  each with n_inputs, how many scores its encoders read */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "task/clue.h"

scw_status clue_describe(json_t *facts, const scw_model *base)
{
    scw_status st = SCW_OK;
    const clue_model *m = (const clue_model *)base;
    json_t *modalities = json_object_get(facts, "modalities");

    for (int k = 0; k < base->n_modalities; k++)
        TRY(model_file_fact(json_array_get(modalities, (size_t)k), "n_inputs",
                            json_integer(m->input[k].width)));
done:
    return st;
}

static scw_status add(model_writer *w, const float *data, int64_t rows, int64_t cols, const char *what,
                      const char *first, const char *second)
{
    const safetensor t = {.n_dims = rows > 1 ? 2 : 1,
                          .dim = {rows > 1 ? rows : cols, cols},
                          .size = rows * cols,
                          .data = data};

    return data ? model_writer_add(w, &t, "%s.%s.%s", what, first, second) : SCW_OK;
}

scw_status clue_write(model_writer *w, const scw_model *base)
{
    scw_status st = SCW_OK;
    const clue_model *m = (const clue_model *)base;

    TRY(model_writer_params(w, &m->net.p));
    TRY(model_writer_params(w, &m->net.adversary));
    TRY(model_writer_prep(w, base));
    for (int k = 0; k < base->n_modalities; k++) {
        const clue_input *in = &m->input[k];
        const char *name = base->modality[k].name;
        TRY(add(w, in->loadings, in->n_vars, in->width, "input", name, "loadings"));
        TRY(add(w, in->offset, 1, in->width, "input", name, "offset"));
        TRY(add(w, in->ceiling, 1, in->n_vars, "input", name, "ceiling"));
        for (int q = 0; q < base->n_modalities; q++)
            TRY(add(w, m->spread[k][q], CLUE_LEVELS, base->modality[q].features.n, "interval", name,
                    base->modality[q].name));
    }
done:
    return st;
}

/* ------------------------------------------------------------------------------------- load */

static scw_status load(float **out, const model_reader *from, int64_t n, bool required,
                       const char *what, const char *first, const char *second)
{
    scw_status st = SCW_OK;
    textbuf name = {0};

    TRY(text_add(&name, "%s.%s.%s", what, first, second));
    const safetensor *t = safetensors_find(from->file, text_get(&name));
    if (!t && !required) goto done;
    if (!t || t->size != n)
        FAIL(SCW_EFORMAT, "%s: tensor '%s' is %s, expected %lld values", from->path, text_get(&name),
             t ? "of another size" : "missing", (long long)n);
    TRY(mem_new(out, n));
    memcpy(*out, t->data, (size_t)n * sizeof **out);
done:
    text_clear(&name);
    return st;
}

static scw_status load_input(clue_model *m, int k, const model_reader *from)
{
    scw_status st = SCW_OK;
    const model_modality *x = &m->base.modality[k];
    const json_t *row = json_array_get(from->modalities, (size_t)k);
    const int64_t width = json_integer_value(json_object_get(row, "n_inputs"));
    clue_input *in = &m->input[k];

    if (width < 1 || width > x->features.n)
        FAIL(SCW_EFORMAT, "%s: the model's description of modality '%s' is damaged", from->path,
             x->name);
    in->n_vars = x->features.n;
    in->width = width;
    in->unit_rows = x->kind == MODALITY_ATAC;
    TRY(load(&in->loadings, from, in->n_vars * width, true, "input", x->name, "loadings"));
    TRY(load(&in->offset, from, width, true, "input", x->name, "offset"));
    TRY(load(&in->ceiling, from, in->n_vars, !in->unit_rows, "input", x->name, "ceiling"));
done:
    return st;
}

/* The file must hold every parameter before memory is asked for them. */
static scw_status check_size(const clue_config *c, const safetensors_file *f, const char *path)
{
    double have = 0.0, want = 0.0;
    const double trunks = c->share_encoders ? 1.0 : c->n_modalities;

    for (int64_t k = 0; k < f->n; k++) have += (double)f->tensors[k].size;
    for (int k = 0; k < c->n_modalities; k++) {
        const double deep = c->encoder_depth > 0, hidden = (double)c->encoder_width;
        want += trunks * deep * hidden * ((double)c->modality[k].n_in + hidden * (c->encoder_depth - 1));
        want += (double)c->modality[k].n_vars *
                (double)(c->decoder_depth > 0 ? c->decoder_width : c->z_dim);
    }
    if (want <= have) return SCW_OK;
    return status_fail(SCW_EFORMAT, "%s: the tensors are smaller than the options say", path);
}

scw_status clue_read(scw_model *base, const model_reader *from)
{
    scw_status st = SCW_OK;
    clue_model *m = (clue_model *)base;
    clue_config config;

    for (int k = 0; k < base->n_modalities; k++) TRY(load_input(m, k, from));
    clue_config_of(&config, m);
    TRY(check_size(&config, from->file, from->path));
    st = clue_net_init(&m->net, &config, 1);
    if (st == SCW_EINVAL) st = status_prefix(SCW_EFORMAT, "%s", from->path);
    TRY(st);
    TRY(model_file_params(&m->net.p, from->file, from->path));
    TRY(model_file_params(&m->net.adversary, from->file, from->path));
    for (int k = 0; k < base->n_modalities; k++)
        for (int q = 0; q < base->n_modalities; q++)
            TRY(load(&m->spread[k][q], from, CLUE_LEVELS * base->modality[q].features.n, false,
                     "interval", base->modality[k].name, base->modality[q].name));
done:
    return st;
}
