/* SPDX-License-Identifier: BSD-3-Clause */
/* What encoders read of the modalities (models/modality_input.h), as part of a model file. Tensors:
 * "input.<modality>.loadings", ".offset" and, not in all, ".ceiling". Metadata:
 *
 *   modalities  each with n_inputs, how many scores its encoders read, and unit_rows */
#ifndef TASK_INPUT_FILE_H
#define TASK_INPUT_FILE_H

#include "models/modality_input.h"
#include "task/model_file.h"

/* input [modalities of m]. */
SCW_CHECKED scw_status input_file_describe(json_t *facts, const scw_model *m,
                                           const modality_input *input);
SCW_CHECKED scw_status input_file_write(model_writer *w, const scw_model *m, const modality_input *input);
SCW_CHECKED scw_status input_file_read(modality_input *input, const scw_model *m,
                                       const model_reader *from);

/* A tensor "<what>.<first>.<second>" [rows, cols], nothing for NULL; and into new memory [n], NULL if it
 * is not there and need not be. */
SCW_CHECKED scw_status input_file_add(model_writer *w, const float *data, int64_t rows, int64_t cols,
                                      const char *what, const char *first, const char *second);
SCW_CHECKED scw_status input_file_load(float **out, const model_reader *from, int64_t n,
                                       bool required, const char *what, const char *first,
                                       const char *second);

#endif
