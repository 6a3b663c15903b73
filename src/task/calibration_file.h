/* SPDX-License-Identifier: BSD-3-Clause */
/* A model's calibration in its file: figures as JSON (metadata "calibration"), arrays as tensors
 * "calibration.<name>". A model without calibration has neither. */
#ifndef TASK_CALIBRATION_FILE_H
#define TASK_CALIBRATION_FILE_H

#include "io/safetensors.h"
#include "models/calibration.h"

#define CALIBRATION_TENSORS 4

/* NULL: out of memory. */
json_t *calibration_to_json(const calibration *c);
/* The tensors, borrowed from c; how many: 0 when there is no calibration. */
int calibration_tensors(safetensor out[CALIBRATION_TENSORS], const calibration *c);

/* Of a file without calibration: none, and success. SCW_EFORMAT: damaged. */
SCW_CHECKED scw_status calibration_load(calibration *out, const safetensors_file *f,
                                        const char *path, int64_t n_classes, int64_t width);

#endif
