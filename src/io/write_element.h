/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing elements in the encodings of the registry. Files this project makes from nothing use the
 * current encodings; a frame that is already in an older one gets new columns in its own. */
#ifndef IO_WRITE_ELEMENT_H
#define IO_WRITE_ELEMENT_H

#include "data/frame.h"
#include "data/matrix.h"
#include "data/results.h"
#include "io/h5.h"

SCW_CHECKED scw_status write_encoding(hid_t object, const char *type, const char *version);
/* Open the group `name`, made as a dict if absent. */
SCW_CHECKED scw_status write_open_dict(hid_t *out, hid_t parent, const char *name);

SCW_CHECKED scw_status write_frame(hid_t parent, const char *name, const frame *f);
/* In the encoding of anndata 0.7, which every later version reads too. */
SCW_CHECKED scw_status write_legacy_frame(hid_t parent, const char *name, const frame *f);
/* Add a column to the group of a frame, or replace it; the column order is kept up to date. */
SCW_CHECKED scw_status write_into_frame(hid_t group, const column *c);
SCW_CHECKED scw_status write_matrix(hid_t parent, const char *name, const matrix *m);
/* An array of obsm, replaced if there; a frame when its columns have names. */
SCW_CHECKED scw_status write_obsm(hid_t obsm, const results_array *a, const strings *index);
/* A JSON object as the dict `name`, replaced if there. */
SCW_CHECKED scw_status write_record(hid_t parent, const char *name, const char *json);

/* A ranking of features as a dict of records (write_ranking.c), replaced if there. */
SCW_CHECKED scw_status write_ranking(hid_t uns, const results_ranking *r);

/* Name under which a key is stored: '/' separates levels in HDF5, so it becomes '_'. */
SCW_CHECKED scw_status write_safe_key(char **out, const char *key);

/* How numbers of a type lie in files; a constant of HDF5's. */
hid_t write_number_type(number_type t);

#endif
