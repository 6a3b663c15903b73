/* SPDX-License-Identifier: BSD-3-Clause */
/* File formats: how a file is recognised and which reader takes it apart into modalities. */
#ifndef IO_FORMATS_H
#define IO_FORMATS_H

#include "data/join.h"
#include "io/h5.h"
#include "io/input.h"
#include "scweave/dataset.h"

/* What a file gave: its modalities and, if it has one, the obs frame over all of them. */
typedef struct file_parts {
    dataset_part *parts;
    int n_parts;
    frame global;
    bool has_global;
} file_parts;

void file_parts_clear(file_parts *f);

typedef enum read_depth {
    READ_VALUES = 0, /* for computing: matrices of floats */
    READ_WHOLE,      /* to be written again: matrices with `exact`, and layers and arrays beside X */
    READ_FRAMES      /* names and columns; matrices have only their shape */
} read_depth;

/* How a file is to be read. */
typedef struct read_request {
    const scw_source *source;
    const scw_read_options *options; /* never NULL */
    read_depth depth; /* READ_FRAMES: only text and the formats that are native know it */
    const scw_hooks *hooks;
    const rule_sink *faults; /* text: broken lines are told here and passed over; NULL: one is enough */
} read_request;

/* To add a format: write its reader, add a row in formats.c and one in docs/formats.md. A reader that
 * yields one matrix with its obs and var ends with parts_add, which names and splits modalities. */
typedef struct file_format {
    const char *name;
    const char *looks; /* how a user knows it, for the list of what can be read */
    bool (*recognises)(const input *in);
    scw_status (*read)(file_parts *out, const input *in, const read_request *q);
    bool holds_all; /* the file is a whole multimodal set with names of its own */
    bool native;    /* results go into a copy of the file */
} file_format;

/* The row for an open input; SCW_EFORMAT, which lists what can be read, when nothing recognises it. */
SCW_CHECKED scw_status format_find(const file_format **out, const input *in);

/* ------------------------------------------------------------------------------- readers */

/* read_h5ad.c, read_h5mu.c */
bool is_h5ad(const input *in);
bool is_h5mu(const input *in);
scw_status read_h5ad(file_parts *out, const input *in, const read_request *q);
scw_status read_h5mu(file_parts *out, const input *in, const read_request *q);
/* read_tenx.c: Cell Ranger's HDF5 files, of version 3 and before; its list of molecules is refused. */
bool is_tenx(const input *in);
bool is_tenx_old(const input *in);
bool is_molecules(const input *in);
scw_status read_tenx(file_parts *out, const input *in, const read_request *q);
scw_status read_tenx_old(file_parts *out, const input *in, const read_request *q);
scw_status read_molecules(file_parts *out, const input *in, const read_request *q);
/* read_triplet.c: matrix.mtx, features.tsv (or genes.tsv, peaks.bed) and barcodes.tsv in a folder or
 * an archive; or a matrix.mtx with the others beside it, or alone. */
bool is_triplet(const input *in);
bool is_mtx(const input *in);
scw_status read_triplet(file_parts *out, const input *in, const read_request *q);
scw_status read_mtx_file(file_parts *out, const input *in, const read_request *q);

/* read_loom.c: dense matrices of features x cells */
bool is_loom(const input *in);
bool is_matilda(const input *in);
scw_status read_loom(file_parts *out, const input *in, const read_request *q);
scw_status read_matilda(file_parts *out, const input *in, const read_request *q);
/* The groups of a file before version 3: a genome each. */
SCW_CHECKED scw_status tenx_genomes(strings *out, hid_t file);
/* The attribute of a loom file that names its cells or features; NULL: none does. */
const char *loom_names(const strings *attrs, bool cells);
/* read_table.c; lists of places in the genome are refused. */
bool is_table(const input *in);
bool is_places(const input *in);
scw_status read_places(file_parts *out, const input *in, const read_request *q);
scw_status read_table(file_parts *out, const input *in, const read_request *q);

/* ------------------------------------------------------------------------------- parts.c */

/* Take over one matrix with its cells and features as one modality or, when var['feature_types'] has
 * several kinds, as one for each: "rna", "adt", "atac", or the kind in lower case. With a name from
 * the user: all under that name or, of several kinds, the one so called. Features of one name get
 * numbers. *part is emptied. */
SCW_CHECKED scw_status parts_add(file_parts *out, dataset_part *part, const char *where,
                                 const read_request *q);
/* The part's names as they are needed: options->var_names, features made unique with a note, cells
 * unique (SCW_EDATA), neither of them none. */
SCW_CHECKED scw_status parts_check(dataset_part *part, const char *where, const read_request *q);
/* "rna", "adt", "atac" or another name for what var['feature_types'] says; several kinds: `kinds` are
 * the modalities in order of appearance and code[j] that of feature j. One or none: kinds->n is 1. */
SCW_CHECKED scw_status feature_kinds(strings *kinds, int32_t **code, const frame *var);
/* SCW_EDATA naming the first name that occurs twice. */
SCW_CHECKED scw_status check_unique(const strings *names, const char *what, const char *where,
                                    const char *remedy);

/* ------------------------------------------------------------------------------- h5ad, h5mu */

/* One annotated matrix, the root of an h5ad or a modality of an h5mu. `layer` as in scw_source. */
SCW_CHECKED scw_status read_anndata(dataset_part *out, hid_t group, const char *layer,
                                    const read_request *q);
/* Where the matrix and the features of a layer stand in the group. SCW_ENOTFOUND lists what there is. */
SCW_CHECKED scw_status anndata_paths(char **x, char **var, hid_t group, const char *layer);
/* Names of the modalities of an h5mu in their stated order. */
SCW_CHECKED scw_status h5mu_modalities(strings *out, hid_t mod);
/* 0: the modalities share cells, 1: they share features, -1: both. */
SCW_CHECKED scw_status h5mu_axis(int64_t *out, hid_t file);
/* Rows from /obsmap/<name> for the cells of `global`, -1: absent. *rows is NULL when there is no map or
 * it does not fit the names (said in the log), so that names must decide. */
SCW_CHECKED scw_status h5mu_read_map(int64_t **rows, hid_t file, const char *name,
                                     const frame *own, const frame *global,
                                     const scw_hooks *hooks);

/* The options with what the matrices of all files may take, which is never 0. */
scw_read_options read_budget(const scw_read_options *options);
/* share[k] of the memory for each of n matrices that take size[k]: what fits into an equal share gets what
 * it takes and its copies (doubles; rows of a matrix in a file, in another order), and the others share
 * the rest equally. */
void read_shares(int64_t *share, const int64_t *size, int64_t n, int64_t memory);

/* Recognise, read and join; for callers that already hold the open inputs. options->memory_bytes is
 * shared by the files, and within an h5mu by its matrices, as read_shares does it; 0: all is read into
 * memory. */
SCW_CHECKED scw_status dataset_read(scw_dataset **out, const input *inputs,
                                    const scw_source *sources, int n_sources,
                                    const scw_read_options *options, const scw_hooks *hooks);
SCW_CHECKED scw_status dataset_read_as(scw_dataset **out, const input *inputs,
                                       const scw_source *sources, int n_sources,
                                       const scw_read_options *options, read_depth depth,
                                       const scw_hooks *hooks);
/* The files of a set once more, whole. */
SCW_CHECKED scw_status dataset_read_again(scw_dataset **out, const scw_dataset *d,
                                          const scw_hooks *hooks);

#endif
