/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of the report of scw_inspect. All heap failures inside jansson show as SCW_ENOMEM. */
#ifndef IO_INSPECT_H
#define IO_INSPECT_H

#include <jansson.h>

#include "data/dataset.h"
#include "io/input.h"
#include "scweave/hooks.h"

/* Set a key, taking over the value; a NULL value is a lack of memory. */
SCW_CHECKED scw_status inspect_set(json_t *object, const char *key, json_t *value);
/* JSON string of any bytes; what is not UTF-8 becomes '?'. */
json_t *inspect_text(const char *text);
SCW_CHECKED scw_status inspect_problem(json_t *problems, const char *severity, const char *element,
                                       const char *format, ...) SCW_PRINTF(4, 5);

/* Object for a column: kind, missing values, categories with their most frequent values. */
SCW_CHECKED scw_status inspect_column(json_t **out, const column *c);
/* Looks for columns that could be labels; *any is set if there is one. Problems: classes of one cell. */
SCW_CHECKED scw_status inspect_labels(bool *any, json_t *problems, const frame *obs,
                                      const char *where);
/* Encoding, version and type of an element, into `object`. */
SCW_CHECKED scw_status inspect_encoding(json_t *object, hid_t element);
/* Into the object of a matrix: values, sparsity; what is odd about them goes to problems. A large one is
 * looked at in parts (inspect_matrix.c). */
SCW_CHECKED scw_status inspect_matrix(json_t *object, json_t *problems, hid_t element,
                                      int64_t n_obs, int64_t n_vars, const char *where,
                                      const scw_hooks *hooks);
/* The same of a modality that was read. */
SCW_CHECKED scw_status inspect_values(json_t *object, json_t *problems, const modality *m,
                                      const char *where);
/* The whole report on an open file. */
SCW_CHECKED scw_status inspect_file(json_t **out, const input *in, const scw_hooks *hooks);

#endif
