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

int calibration_tensors(safetensor out[CALIBRATION_TENSORS], const calibration *c)
{
    const int64_t d = c->width;

    if (c->n == 0) return 0;
    out[0] = (safetensor){.name = "calibration.conformity", .n_dims = 1, .dim = {c->n_scores},
                          .size = c->n_scores, .data = c->conformity};
    out[1] = (safetensor){.name = "calibration.novelty", .n_dims = 1, .dim = {c->n_scores},
                          .size = c->n_scores, .data = c->novelty};
    out[2] = (safetensor){.name = "calibration.whiten", .n_dims = 2, .dim = {d, d}, .size = d * d,
                          .data = c->whiten};
    out[3] = (safetensor){.name = "calibration.centre", .n_dims = 2, .dim = {c->n_classes, d},
                          .size = c->n_classes * d, .data = c->centre};
    return CALIBRATION_TENSORS;
}

static bool pair(double out[2], const json_t *from, const char *key)
{
    const json_t *list = json_object_get(from, key);

    for (size_t k = 0; k < 2; k++)
        out[k] = json_number_value(json_array_get(list, k));
    return json_array_size(list) == 2 && isfinite(out[0]) && isfinite(out[1]);
}

static scw_status fill(float *to, const safetensors_file *f, const char *path, const char *name,
                       int64_t n)
{
    const safetensor *t = safetensors_find(f, name);

    if (!t || t->size != n)
        return status_fail(SCW_EFORMAT, "%s: tensor '%s' is %s, expected %lld values", path, name,
                           t ? "of another size" : "missing", (long long)n);
    memcpy(to, t->data, (size_t)n * sizeof *to);
    return SCW_OK;
}

scw_status calibration_load(calibration *out, const safetensors_file *f, const char *path,
                            int64_t n_classes, int64_t width)
{
    scw_status st = SCW_OK;
    calibration read = {0};
    const char *text = safetensors_text(f, "calibration");
    json_t *figures = text ? json_loads(text, 0, NULL) : NULL;
    int64_t n_scores = json_integer_value(json_object_get(figures, "scores"));

    if (!text) return SCW_OK;
    read.n = json_integer_value(json_object_get(figures, "cells"));
    read.temperature = json_real_value(json_object_get(figures, "temperature"));
    read.accuracy = json_real_value(json_object_get(figures, "accuracy"));
    double distance[2];
    if (!pair(read.log_loss, figures, "log_loss") || !pair(read.ece, figures, "ece") ||
        !pair(distance, figures, "log_distance") || read.n < 1 || n_scores < 1 || n_scores > CALIBRATION_MAX_SCORES || n_scores > read.n ||
        !(read.temperature > 0.0) || !(distance[1] > 0.0))
        FAIL(SCW_EFORMAT, "%s: the model's calibration is damaged", path);
    TRY(calibration_init(out, n_scores, n_classes, width));
    TRY(fill(out->conformity, f, path, "calibration.conformity", n_scores));
    TRY(fill(out->novelty, f, path, "calibration.novelty", n_scores));
    TRY(fill(out->whiten, f, path, "calibration.whiten", width * width));
    TRY(fill(out->centre, f, path, "calibration.centre", n_classes * width));
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
    json_decref(figures);
    if (st != SCW_OK) calibration_clear(out);
    return st;
}
