/* SPDX-License-Identifier: BSD-3-Clause */
/* The readers that the registry's rows name. */
#ifndef IO_ELEMENT_H
#define IO_ELEMENT_H

#include "io/registry.h"

/* element_matrix.c */
scw_status element_dense(matrix *out, hid_t element, int64_t n_rows, int64_t n_cols, bool exact);
scw_status element_csr(matrix *out, hid_t element, int64_t n_rows, int64_t n_cols, bool exact);
scw_status element_csc(matrix *out, hid_t element, int64_t n_rows, int64_t n_cols, bool exact);
/* The vectors indptr, indices and data of a group as a CSR matrix of n_major rows, whatever these
 * mean; not yet canonical. */
SCW_CHECKED scw_status element_compressed(matrix *out, hid_t group, int64_t n_major,
                                          int64_t n_minor, bool exact);
/* The values of a matrix from a dataset of as many numbers. */
SCW_CHECKED scw_status element_values(matrix *m, hid_t dataset, const h5_info *info);
/* Rows and columns of a dense array, for a matrix of n_cols columns (-1: any). */
SCW_CHECKED scw_status element_dense_shape(int64_t shape[2], hid_t element, const h5_info *info,
                                           int64_t n_cols);
/* Rows and columns that a sparse element declares. */
SCW_CHECKED scw_status element_sparse_shape(int64_t shape[2], hid_t element);
/* The vectors of n_major rows: how long they are (indptr, indices, data). `sink` as in rule_broken: NULL
 * ends with the first rule that is broken. */
SCW_CHECKED scw_status element_check_lengths(const rule_sink *sink, const char *indptr,
                                             const char *data, const int64_t n[3], int64_t n_major);
/* p[0 .. n], the values of indptr from position `from`. */
SCW_CHECKED scw_status element_check_pointers(const rule_sink *sink, const char *where,
                                              const int64_t *p, int64_t from, int64_t n,
                                              int64_t n_entries);
/* SCW_EFORMAT: not of the expected shape (-1: any), or out of range. */
SCW_CHECKED scw_status element_check_shape(hid_t element, const int64_t shape[2], int64_t n_rows,
                                           int64_t n_cols);

/* element_column.c */
scw_status element_array_column(column *out, hid_t element, const char *name, hid_t parent);
scw_status element_categorical(column *out, hid_t element, const char *name, hid_t parent);
scw_status element_legacy_categorical(column *out, hid_t element, const char *name, hid_t parent);
scw_status element_nullable(column *out, hid_t element, const char *name, hid_t parent);

/* element_frame.c */
scw_status element_frame(frame *out, hid_t element, hid_t parent, const scw_hooks *hooks);
scw_status element_records_frame(frame *out, hid_t element, hid_t parent, const scw_hooks *hooks);
/* The same without looking for categories in `uns`: the records as they are stored. */
SCW_CHECKED scw_status element_records_as_stored(frame *out, hid_t element);
/* Only the index of a frame's group. */
SCW_CHECKED scw_status element_frame_index(frame *out, hid_t group);
/* Names of its columns in order; without "column-order", by name. */
SCW_CHECKED scw_status element_column_order(strings *out, hid_t group, const char *index_name);
/* Name under which a frame's group stores its index. */
SCW_CHECKED scw_status element_index_name(char **out, hid_t group);

#endif
