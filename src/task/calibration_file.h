/* SPDX-License-Identifier: BSD-3-Clause */
/* A calibration in a model's file: figures as JSON, arrays as tensors "<prefix>.<name>", where the
 * prefix is "calibration" or "subset.<k>.calibration". An answer without calibration has neither. */
#ifndef TASK_CALIBRATION_FILE_H
#define TASK_CALIBRATION_FILE_H

#include "models/calibration.h"
#include "task/model_file.h"

/* NULL: out of memory. */
json_t *calibration_to_json(const calibration *c);
/* Adds the tensors, borrowed from c; nothing when there is no calibration. */
SCW_CHECKED scw_status calibration_write(model_writer *w, const char *prefix, const calibration *c);

/* Without figures (NULL): none, and success. SCW_EFORMAT: damaged. */
SCW_CHECKED scw_status calibration_load(calibration *out, const json_t *figures,
                                        const safetensors_file *f, const char *path,
                                        const char *prefix, int64_t n_classes, int64_t width);

#endif
