/* SPDX-License-Identifier: BSD-3-Clause */
#include "task/calibration_file.h"

#include <math.h>
#include <string.h>


json_t *calibration_to_json(const calibration *c)
{
    return json_pack("{s:I, s:I, s:f, s:f, s:[f, f], s:[f, f], s:[f, f]}", "cells",
                     (json_int_t)c->n, "scores", (json_int_t)c->n_scores, "temperature",
                     c->temperature, "accuracy", c->accuracy, "log_loss", c->log_loss[0],
                     c->log_loss[1], "ece", c->ece[0], c->ece[1], "log_distance", c->location,
                     c->spread);
}

scw_status calibration_write(model_writer *w, const char *prefix, const calibration *c)
{
    scw_status st = SCW_OK;
    const int64_t d = c->width, k = c->n_classes, q = c->n_scores;

    if (c->n == 0) return SCW_OK;
    TRY(model_writer_add(w,
                         &(safetensor){.n_dims = 1, .dim = {q}, .size = q, .data = c->conformity},
                         "%s.conformity", prefix));
    TRY(model_writer_add(w, &(safetensor){.n_dims = 1, .dim = {q}, .size = q, .data = c->novelty},
                         "%s.novelty", prefix));
    TRY(model_writer_add(
        w, &(safetensor){.n_dims = 2, .dim = {d, d}, .size = d * d, .data = c->whiten}, "%s.whiten",
        prefix));
    TRY(model_writer_add(
        w, &(safetensor){.n_dims = 2, .dim = {k, d}, .size = k * d, .data = c->centre}, "%s.centre",
        prefix));
done:
    return st;
}

static bool pair(double out[2], const json_t *from, const char *key)
{
    const json_t *list = json_object_get(from, key);

    for (size_t k = 0; k < 2; k++)
        out[k] = json_number_value(json_array_get(list, k));
    return json_array_size(list) == 2 && isfinite(out[0]) && isfinite(out[1]);
}

static scw_status fill(float *to, const safetensors_file *f, const char *path, const char *prefix,
                       const char *name, int64_t n)
{
    scw_status st = SCW_OK;
    textbuf text = {0};

    TRY(text_add(&text, "%s.%s", prefix, name));
    const safetensor *t = safetensors_find(f, text_get(&text));
    if (!t || t->size != n)
        FAIL(SCW_EFORMAT, "%s: tensor '%s' is %s, expected %lld values", path, text_get(&text),
             t ? "of another size" : "missing", (long long)n);
    memcpy(to, t->data, (size_t)n * sizeof *to);
done:
    text_clear(&text);
    return st;
}

scw_status calibration_load(calibration *out, const json_t *figures, const safetensors_file *f,
                            const char *path, const char *prefix, int64_t n_classes, int64_t width)
{
    scw_status st = SCW_OK;
    calibration read = {0};
    int64_t n_scores = json_integer_value(json_object_get(figures, "scores"));

    if (!figures) return SCW_OK;
    read.n = json_integer_value(json_object_get(figures, "cells"));
    read.temperature = json_real_value(json_object_get(figures, "temperature"));
    read.accuracy = json_real_value(json_object_get(figures, "accuracy"));
    double distance[2];
    if (!pair(read.log_loss, figures, "log_loss") || !pair(read.ece, figures, "ece") ||
        !pair(distance, figures, "log_distance") || read.n < 1 || n_scores < 1 ||
        n_scores > CALIBRATION_MAX_SCORES || n_scores > read.n ||
        !(read.temperature > 0.0) || !(distance[1] > 0.0))
        FAIL(SCW_EFORMAT, "%s: the model's calibration is damaged", path);
    TRY(calibration_init(out, n_scores, n_classes, width));
    TRY(fill(out->conformity, f, path, prefix, "conformity", n_scores));
    TRY(fill(out->novelty, f, path, prefix, "novelty", n_scores));
    TRY(fill(out->whiten, f, path, prefix, "whiten", width * width));
    TRY(fill(out->centre, f, path, prefix, "centre", n_classes * width));
    out->n = read.n;
    out->temperature = read.temperature;
    out->accuracy = read.accuracy;
    for (int k = 0; k < 2; k++) {
        out->log_loss[k] = read.log_loss[k];
        out->ece[k] = read.ece[k];
    }
    out->location = distance[0];
    out->spread = distance[1];
done:
    if (st != SCW_OK) calibration_clear(out);
    return st;
}
