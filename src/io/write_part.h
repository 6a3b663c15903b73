/* SPDX-License-Identifier: BSD-3-Clause */
/* What a task adds to one modality, written into its group. */
#ifndef IO_WRITE_PART_H
#define IO_WRITE_PART_H

#include "data/dataset.h"
#include "data/results.h"
#include "io/h5.h"

/* All parts into the open file: the root is the one modality of an h5ad, otherwise they stand under
 * /mod. A part that is new becomes a modality of an h5mu. */
SCW_CHECKED scw_status write_parts(hid_t file, const scw_results *r, const scw_dataset *d,
                                   const scw_hooks *hooks);

/* Do modalities of the set and groups of its files fit each other? Asked before long work.
 * SCW_EUNSUPPORTED when an .h5ad holds features of several kinds in one matrix. */
SCW_CHECKED scw_status write_parts_check(const scw_dataset *d);

/* Bytes that the parts take at most. */
int64_t write_parts_bytes(const scw_results *r);

/* A frame or arrays stored as records, before 2020, become a group, which can take columns of any
 * kind. Does nothing to others (convert_records.c). */
SCW_CHECKED scw_status convert_frame_records(hid_t file, const char *name, const scw_hooks *hooks);
SCW_CHECKED scw_status convert_array_records(hid_t file, const char *name);

#endif
