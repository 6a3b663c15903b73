/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/input_file.h"

#include <string.h>

#include "base/alloc.h"

scw_status input_file_describe(json_t *facts, const scw_model *m, const modality_input *input)
{
    scw_status st = SCW_OK;
    json_t *modalities = json_object_get(facts, "modalities");

    for (int k = 0; k < m->n_modalities; k++) {
        json_t *row = json_array_get(modalities, (size_t)k);
        TRY(model_file_fact(row, "n_inputs", json_integer(input[k].width)));
        TRY(model_file_fact(row, "unit_rows", json_boolean(input[k].unit_rows)));
    }
done:
    return st;
}

scw_status input_file_add(model_writer *w, const float *data, int64_t rows, int64_t cols,
                          const char *what, const char *first, const char *second)
{
    const safetensor t = {.n_dims = rows > 1 ? 2 : 1,
                          .dim = {rows > 1 ? rows : cols, cols},
                          .size = rows * cols,
                          .data = data};

    return data ? model_writer_add(w, &t, "%s.%s.%s", what, first, second) : SCW_OK;
}

scw_status input_file_write(model_writer *w, const scw_model *m, const modality_input *input)
{
    scw_status st = SCW_OK;

    for (int k = 0; k < m->n_modalities; k++) {
        const modality_input *in = &input[k];
        const char *name = m->modality[k].name;
        TRY(input_file_add(w, in->loadings, in->n_vars, in->width, "input", name, "loadings"));
        TRY(input_file_add(w, in->offset, 1, in->width, "input", name, "offset"));
        TRY(input_file_add(w, in->ceiling, 1, in->n_vars, "input", name, "ceiling"));
    }
done:
    return st;
}

scw_status input_file_load(float **out, const model_reader *from, int64_t n, bool required,
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

static scw_status read_one(modality_input *in, const scw_model *m, int k, const model_reader *from)
{
    scw_status st = SCW_OK;
    const model_modality *x = &m->modality[k];
    const json_t *row = json_array_get(from->modalities, (size_t)k);
    const int64_t width = json_integer_value(json_object_get(row, "n_inputs"));

    const json_t *unit_rows = json_object_get(row, "unit_rows");

    if (!json_is_boolean(unit_rows) || width < 1 || width > x->features.n)
        FAIL(SCW_EFORMAT, "%s: the model's description of modality '%s' is damaged", from->path,
             x->name);
    in->n_vars = x->features.n;
    in->width = width;
    in->unit_rows = json_is_true(unit_rows);
    TRY(input_file_load(&in->loadings, from, in->n_vars * width, true, "input", x->name, "loadings"));
    TRY(input_file_load(&in->offset, from, width, true, "input", x->name, "offset"));
    TRY(input_file_load(&in->ceiling, from, in->n_vars, !in->unit_rows, "input", x->name, "ceiling"));
done:
    return st;
}

scw_status input_file_read(modality_input *input, const scw_model *m, const model_reader *from)
{
    scw_status st = SCW_OK;

    for (int k = 0; k < m->n_modalities; k++) TRY(read_one(&input[k], m, k, from));
done:
    return st;
}
