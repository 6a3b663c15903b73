/* SPDX-License-Identifier: BSD-3-Clause */
/* File formats: how a file is recognised and which reader takes it apart into modalities. */
#ifndef IO_FORMATS_H
#define IO_FORMATS_H

#include "data/join.h"
#include "io/h5.h"
#include "scweave/dataset.h"

/* What a file gave: its modalities and, if it has one, the obs frame over all of them. */
typedef struct file_parts {
    dataset_part *parts;
    int n_parts;
    frame global;
    bool has_global;
} file_parts;

void file_parts_clear(file_parts *f);

typedef struct file_format {
    const char *name;
    bool (*recognises)(hid_t file);
    /* NULL: recognised, so that the message can say what the file is, but not read. */
    scw_status (*read)(file_parts *out, hid_t file, const scw_source *source,
                       const scw_read_options *options, const scw_hooks *hooks);
    bool holds_all; /* the file is a whole multimodal set: nothing can be joined to it */
} file_format;

/* The row for an open file; SCW_EFORMAT when nothing recognises it. */
SCW_CHECKED scw_status format_find(const file_format **out, hid_t file);

/* read_h5ad.c, read_h5mu.c */
scw_status read_h5ad(file_parts *out, hid_t file, const scw_source *source,
                     const scw_read_options *options, const scw_hooks *hooks);
scw_status read_h5mu(file_parts *out, hid_t file, const scw_source *source,
                     const scw_read_options *options, const scw_hooks *hooks);

/* One annotated matrix, the root of an h5ad or a modality of an h5mu. `name`: the modality's, or NULL:
 * told from var['feature_types']. `layer` as in scw_source. */
SCW_CHECKED scw_status read_anndata(dataset_part *out, hid_t group, const char *name,
                                    const char *layer, const scw_read_options *options,
                                    const scw_hooks *hooks);
/* "rna", "adt" or "atac" by what var says the features are; "rna" when it says nothing. */
SCW_CHECKED scw_status guess_modality(char **out, const frame *var, const char *where,
                                      const scw_hooks *hooks);
/* Where the matrix and the features of a layer stand in the group. SCW_ENOTFOUND lists what there is. */
SCW_CHECKED scw_status anndata_paths(char **x, char **var, hid_t group, const char *layer);
/* SCW_EDATA naming the first name that occurs twice. */
SCW_CHECKED scw_status check_unique(const strings *names, const char *what, const char *where,
                                    const char *remedy);
/* Names of the modalities of an h5mu in their stated order. */
SCW_CHECKED scw_status h5mu_modalities(strings *out, hid_t mod);

/* SCW_EUNSUPPORTED when the modalities share features instead of cells. */
SCW_CHECKED scw_status h5mu_check_axis(hid_t file);
/* Rows from /obsmap/<name> for the cells of `global`, -1: absent. *rows is NULL when there is no map or
 * it does not fit the names (said in the log), so that names must decide. */
SCW_CHECKED scw_status h5mu_read_map(int64_t **rows, hid_t file, const char *name,
                                     const frame *own, const frame *global,
                                     const scw_hooks *hooks);

/* Open, recognise, read and join; for callers that already hold the open files. */
SCW_CHECKED scw_status dataset_read(scw_dataset **out, const hid_t *files,
                                    const scw_source *sources, int n_sources,
                                    const scw_read_options *options, const scw_hooks *hooks);

#endif
