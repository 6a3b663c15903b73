/* SPDX-License-Identifier: BSD-3-Clause */
/* What the preprocessing verbs share: modalities as streams, their batches, reports. */
#ifndef TASK_STREAMING_H
#define TASK_STREAMING_H

#include <jansson.h>

#include "data/blocks.h"
#include "data/dataset.h"
#include "data/results.h"

/* The rows of modality k, as stored. */
SCW_CHECKED scw_status streaming_open(block_reader **out, const scw_dataset *d, int k);

/* Position of the modality called `name`; with NULL the only one, or the one called `usual`.
 * SCW_ENOTFOUND lists them. */
SCW_CHECKED scw_status streaming_modality(int *out, const scw_dataset *d, const char *name,
                                          const char *usual);

/* obs column `key` in the order of the modality's own cells: codes [n] of its classes, whose number
 * is *n_batches; a missing value is a class of its own. *names may be NULL. */
SCW_CHECKED scw_status streaming_batches(int32_t **codes, int32_t *n_batches, strings *names,
                                         const scw_dataset *d, int k, const char *key);

/* Names by which people know the features: the index, or, where that holds Ensembl ids, a column
 * with symbols. [n_vars] borrowed texts; *copy owns them if need be. */
SCW_CHECKED scw_status streaming_symbols(const strings **out, strings *copy, const modality *m);

/* Text of a report for the caller, who frees it with scw_free; out NULL: nothing. */
SCW_CHECKED scw_status streaming_report(char **out, const json_t *report);
/* SCW_ENOMEM unless it is 0. */
SCW_CHECKED scw_status streaming_json(int failed);

/* Columns of numbers. */
SCW_CHECKED scw_status streaming_reals(column *out, const char *name, const double *values,
                                       int64_t n);
SCW_CHECKED scw_status streaming_ints(column *out, const char *name, const int64_t *values,
                                      int64_t n);
SCW_CHECKED scw_status streaming_bools(column *out, const char *name, const uint8_t *values,
                                       int64_t n);

#endif
