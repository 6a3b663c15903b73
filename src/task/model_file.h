/* SPDX-License-Identifier: BSD-3-Clause */
/* What the model file and the checkpoint write alike. */
#ifndef TASK_MODEL_FILE_H
#define TASK_MODEL_FILE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"
#include "scweave/model.h"

/* Every option of a kind as text; those of the group Batches only with `batches`. */
SCW_CHECKED scw_status model_file_options(json_t **out, const scw_model_kind *kind,
                                          const void *options, bool batches);
/* Put a JSON value into the metadata as text; takes over `value`. */
SCW_CHECKED scw_status model_file_put(json_t *metadata, const char *key, json_t *value);

#endif
