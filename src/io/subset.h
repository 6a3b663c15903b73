/* SPDX-License-Identifier: BSD-3-Clause */
/* A copy of a file with some of its cells and features.
 *
 * What belongs to an axis is cut along it, in the type it is stored in and without being
 * understood: rows of data sets are moved as bytes, rows or columns of sparse matrices as entries.
 * The rest is copied. Everything passes in pieces of a few megabytes. */
#ifndef IO_SUBSET_H
#define IO_SUBSET_H

#include "data/dataset.h"
#include "io/h5.h"

/* What is kept of one axis. */
typedef struct axis_choice {
    int64_t n_before;
    int64_t n;     /* how many are kept */
    int64_t *kept; /* [n] ascending */
} axis_choice;

/* From a mask [n_before]; NULL: all are kept. */
SCW_CHECKED scw_status axis_choice_of(axis_choice *out, const uint8_t *mask, int64_t n_before);
void axis_choice_clear(axis_choice *a);

/* The set's file, without the cells whose keep_obs [n_obs] is 0, and without the features of
 * modality `which` whose keep_var is 0. Atomically. Several files, and other formats than .h5ad and .h5mu,
 * become one file beside `path` first. */
SCW_CHECKED scw_status dataset_write_subset(const scw_dataset *d, const uint8_t *keep_obs,
                                            int which, const uint8_t *keep_var, const char *path,
                                            const scw_hooks *hooks);

/* subset_element.c: the element `name` of `from`, cut along its first axis and, where `second` is
 * not NULL, its second, written as the same name in `to`. */
SCW_CHECKED scw_status subset_element(hid_t to, hid_t from, const char *name,
                                      const axis_choice *first, const axis_choice *second,
                                      const scw_hooks *hooks);
/* The rows of a frame. */
SCW_CHECKED scw_status subset_frame(hid_t to, hid_t from, const char *name, const axis_choice *rows,
                                    const scw_hooks *hooks);
/* All attributes but references. */
SCW_CHECKED scw_status subset_attributes(hid_t to, hid_t from);

#endif
