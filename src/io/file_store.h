/* SPDX-License-Identifier: BSD-3-Clause */
/* A matrix as part of a data set: in memory if it takes no more than its share, else left in the file. */
#ifndef IO_FILE_STORE_H
#define IO_FILE_STORE_H

#include "data/dataset.h"
#include "io/formats.h"

/* Rows and columns of a matrix element, and the bytes that it takes in memory, without reading it. */
SCW_CHECKED scw_status element_measure(int64_t shape[2], int64_t *bytes, hid_t element,
                                       int64_t n_cols);

/* m->x, or m->store with the shape and the type of the values in m->x. q->options->memory_bytes is this
 * matrix's share; 0: all it takes. */
SCW_CHECKED scw_status file_store_read(modality *m, hid_t element, int64_t n_rows, int64_t n_cols,
                                       const read_request *q);

/* The same of the vectors of a group that has no encoding: n_rows rows, canonical or not. */
SCW_CHECKED scw_status file_store_read_vectors(modality *m, hid_t group, int64_t n_rows,
                                               int64_t n_cols, const read_request *q);

#endif
