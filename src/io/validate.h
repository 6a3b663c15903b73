/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of scw_validate: each looks at one kind of element, in as little memory as it can, and tells of
 * every rule of data/rules.h that is broken. What a reader checks is checked here by the same function. */
#ifndef IO_VALIDATE_H
#define IO_VALIDATE_H

#include <jansson.h>

#include "data/frame.h"
#include "io/formats.h"
#include "scweave/validate.h"

typedef struct validation {
    const char *path;
    const char *whole; /* the element that is the whole file: "/" of HDF5, else "" */
    json_t *root, *findings;
    int64_t most;   /* findings listed of a rule */
    int64_t memory; /* for blocks of matrices */
    const scw_hooks *hooks;
    rule_sink sink; /* what others find goes to `findings` */
    int64_t n_of[N_RULES], n_errors, n_warnings;
} validation;

/* validate.c */

/* The whole report on an open file; *valid: no errors. */
SCW_CHECKED scw_status validate_file(json_t **out, bool *valid, const input *in,
                                     const scw_validate_options *options, const scw_hooks *hooks);
/* The report on a file that could not be opened, if that is the file's fault; else `failure`. */
SCW_CHECKED scw_status validate_unopened(json_t **out, const char *path, scw_status failure);

/* A finding: at most one of a rule for an element. */
SCW_CHECKED scw_status validate_find(validation *v, rule_id id, const char *element,
                                     const char *format, ...) SCW_PRINTF(4, 5);
/* A failure to read `element` is a finding of the rule it names, or of `otherwise`; a failure of this
 * program is passed on. SCW_OK stays what it is. */
SCW_CHECKED scw_status validate_failure(validation *v, scw_status failure, rule_id otherwise,
                                        const char *element);
/* Text that had to be repaired since the last call, at `element`. */
SCW_CHECKED scw_status validate_text(validation *v, const char *element);
/* Names of an axis: there are some, none is empty, none occurs twice. */
SCW_CHECKED scw_status validate_names(validation *v, const strings *names, bool cells,
                                      const char *element);

/* validate_matrix.c */

/* What was seen of the values of a matrix. */
typedef struct value_tally {
    bool known; /* they were looked at */
    int64_t n, n_nan, n_infinite, n_negative, n_fractional;
} value_tally;

/* A dataset or a group of vectors, of n_rows x n_cols (-1: any). */
SCW_CHECKED scw_status validate_matrix(value_tally *out, validation *v, hid_t element,
                                       const char *path, int64_t n_rows, int64_t n_cols);
/* The vectors indptr, indices and data of a group, of n_major rows. */
SCW_CHECKED scw_status validate_vectors(value_tally *out, validation *v, hid_t group,
                                        const char *path, int64_t n_major, int64_t n_minor);
/* The rules about values of the matrix at `path`. */
SCW_CHECKED scw_status validate_finite(validation *v, const value_tally *t, const char *path);

/* validate_frame.c */

/* A frame and its columns. out: its names, NULL: not asked for; n_rows -1: any. */
SCW_CHECKED scw_status validate_frame(frame *out, validation *v, hid_t parent, const char *name,
                                      const char *path, int64_t n_rows);
/* One column, as long as its frame (-1: any). */
SCW_CHECKED scw_status validate_column(validation *v, hid_t element, const char *name, hid_t parent,
                                       const char *path, int64_t n);

/* validate_anndata.c, validate_h5mu.c, validate_other.c */

/* One annotated matrix, below `prefix`, "/" or "/mod/rna/". obs: its names. */
SCW_CHECKED scw_status validate_anndata(frame *obs, validation *v, hid_t group, const char *prefix);
/* What a dictionary holds; n_rows, n_cols: shape of its arrays, -1: any. */
SCW_CHECKED scw_status validate_dict(validation *v, hid_t parent, const char *name,
                                     const char *path, int64_t n_rows, int64_t n_cols, int depth);
SCW_CHECKED scw_status validate_h5mu(validation *v, hid_t file);
SCW_CHECKED scw_status validate_tenx(validation *v, const input *in);
SCW_CHECKED scw_status validate_tenx_old(validation *v, const input *in);
SCW_CHECKED scw_status validate_loom(validation *v, const input *in);
SCW_CHECKED scw_status validate_matilda(validation *v, const input *in);

#endif
