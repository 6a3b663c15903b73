/* SPDX-License-Identifier: BSD-3-Clause */
/* Making multimodal files. */
#ifndef IO_WRITE_H5MU_H
#define IO_WRITE_H5MU_H

#include "data/dataset.h"
#include "io/h5.h"

#define H5MU_USERBLOCK 512 /* the first bytes of the file say "MuData" */

/* Write a data set as a new .h5mu, atomically. Each modality gets its rows of X, its features and its
 * cells; obs columns named "<modality>:<key>" become column <key> of that modality's obs. `record`: a
 * JSON object for uns['scweave'], or NULL. */
SCW_CHECKED scw_status dataset_write_h5mu(const scw_dataset *d, const char *record,
                                          const char *path);

/* A set of one modality as a new .h5ad, atomically. SCW_EINVAL when there are several. */
SCW_CHECKED scw_status dataset_write_h5ad(const scw_dataset *d, const char *record,
                                          const char *path);

/* The same into a file that is open; its user block is the caller's. */
SCW_CHECKED scw_status dataset_write_h5mu_into(hid_t file, const scw_dataset *d);
/* The same as the root of an .h5ad. SCW_EINVAL when the set has several modalities. */
SCW_CHECKED scw_status dataset_write_h5ad_into(hid_t file, const scw_dataset *d);

/* The set of several files, or of other formats, as one .h5mu or .h5ad; what is native is copied as it
 * stands (write_results.c). */
SCW_CHECKED scw_status dataset_write_native(const scw_dataset *d, const char *path, bool h5ad,
                                            const scw_hooks *hooks);

/* Everything of an h5mu but the content of /mod/<name>: attributes, the order of modalities, obs, var
 * and the maps between them. The group /mod is made where absent. `var_names[k]`: features of modality k. */
SCW_CHECKED scw_status h5mu_write_frame_of(hid_t file, const scw_dataset *d, const frame *obs,
                                           const strings *const *var_names);
/* Take one more modality into the frame of an h5mu whose /mod/<name> is there: the order of the
 * modalities, /obsmap, /var with its maps. row_of_obs [n_obs]. */
SCW_CHECKED scw_status h5mu_add_maps(hid_t file, const char *name, int64_t n_obs,
                                     const int64_t *row_of_obs, const strings *var_names,
                                     const scw_hooks *hooks);
/* The same around modalities that are copies of files: their features as they stand there. */
SCW_CHECKED scw_status h5mu_write_around(hid_t file, const scw_dataset *d);
/* Write the text into the user block of a closed file. */
SCW_CHECKED scw_status h5mu_write_userblock(const char *path);
/* Columns of obs that belong to no single modality: those without a "<modality>:" prefix. Borrowed
 * columns; free the array only. */
SCW_CHECKED scw_status h5mu_global_columns(frame *out, const scw_dataset *d);

#endif
