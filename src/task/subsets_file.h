/* SPDX-License-Identifier: BSD-3-Clause */
/* The paths for subsets of the modalities in a model's file: metadata "subsets", a JSON array of
 * {modalities: [names], penalty, calibration}, and tensors "subset.<k>.*". Older files have none. */
#ifndef TASK_SUBSETS_FILE_H
#define TASK_SUBSETS_FILE_H

#include "models/matilda_model.h"
#include "task/model_file.h"

/* *out: NULL where the model has no paths. */
SCW_CHECKED scw_status subsets_to_json(json_t **out, const matilda_model *m);

/* Paths with zero maps for what the file says; the caller then reads m->subsets.p. SCW_EFORMAT:
 * damaged. `list`: the JSON array, or NULL: none. */
SCW_CHECKED scw_status subsets_from_json(matilda_model *m, const json_t *list, const char *path);
/* Their calibrations, from the same array. */
SCW_CHECKED scw_status subsets_load_calibration(matilda_model *m, const json_t *list,
                                                const safetensors_file *f, const char *path);
/* Adds the calibrations' tensors. */
SCW_CHECKED scw_status subsets_write(model_writer *w, const matilda_model *m);

#endif
