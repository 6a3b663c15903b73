/* SPDX-License-Identifier: BSD-3-Clause */
/* Data sets: cells (obs) and named modalities, each with features (var), a matrix and a presence mask. */
#ifndef SCWEAVE_DATASET_H
#define SCWEAVE_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "hooks.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct scw_dataset scw_dataset;

/* One input file. */
typedef struct scw_source {
    const char *path;     /* .h5mu or .h5ad */
    const char *modality; /* name to give the modality of an .h5ad; NULL: "rna". Ignored for .h5mu */
    const char *layer;    /* matrix to read: NULL or "X", "raw", or the name of a layer */
    const char *batch;    /* which batch its cells are; NULL: the file's name. Files of one modality only */
} scw_source;

/* Which features a set of several files has. */
typedef enum scw_join {
    SCW_JOIN_INNER = 0, /* those that every file has, in the order of the first */
    SCW_JOIN_OUTER,     /* those of any file; what a file lacks is 0 */
    SCW_JOIN_REFERENCE  /* those of the first file; what another lacks is 0 */
} scw_join;

/* What the rows of tables and MatrixMarket files are. */
typedef enum scw_rows {
    SCW_ROWS_GUESS = 0, /* of a table what the names tell, else cells; of MatrixMarket features */
    SCW_ROWS_CELLS,
    SCW_ROWS_FEATURES
} scw_rows;

/* How files are read. Zeroed: the defaults. */
typedef struct scw_read_options {
    const char *var_names; /* column of var that names the features; NULL: their index */
    scw_join join;         /* features of several files of one modality */
    scw_rows rows;         /* of files that do not say it themselves */
    const char *batch_key; /* obs column that tells such files apart; NULL: "batch" */
    int64_t memory_bytes;  /* what matrices may take; 0: half of the memory that is free. One that takes
                            * more than its share stays in the file and is read in blocks. */
    const char *spill_folder; /* for temporary files that stand in for memory; NULL: /var/tmp */
    int matrices;          /* as many of its size does the work hold beside each other, and it gets so much
                            * less of memory_bytes; 0: one */
    int leave_matrices;    /* not 0: all matrices stay in the files, for work that passes over them once
                            * or not at all */
} scw_read_options;

/* Open and read one .h5mu, or one or more .h5ad files (joined by cell name: the union of their
 * cells, a cell absent from a file lacks that modality). Matrices are read as stored. `options` NULL:
 * the defaults.
 * Errors: SCW_EIO, SCW_EFORMAT, SCW_ENOTFOUND (layer), SCW_EDATA (duplicated names, empty). */
SCW_API SCW_CHECKED scw_status scw_dataset_open(scw_dataset **out, const scw_source *sources,
                                                int n_sources, const scw_read_options *options,
                                                const scw_hooks *hooks);
SCW_API void scw_dataset_free(scw_dataset *dataset);

SCW_API int64_t scw_dataset_n_obs(const scw_dataset *dataset);
SCW_API int scw_dataset_n_modalities(const scw_dataset *dataset);
/* Name, number of features and number of cells that have modality k; NULL or -1 when out of range. */
SCW_API const char *scw_dataset_modality_name(const scw_dataset *dataset, int k);
SCW_API int64_t scw_dataset_modality_n_vars(const scw_dataset *dataset, int k);
SCW_API int64_t scw_dataset_modality_n_present(const scw_dataset *dataset, int k);
/* Name of cell i; NULL when out of range. Borrowed. */
SCW_API const char *scw_dataset_obs_name(const scw_dataset *dataset, int64_t i);

typedef enum scw_compression {
    SCW_COMPRESSION_KEEP = 0, /* elements as they are stored, new ones with gzip */
    SCW_COMPRESSION_GZIP,
    SCW_COMPRESSION_LZF, /* larger and faster; h5py and Debian's anndata read it */
    SCW_COMPRESSION_NONE
} scw_compression;

typedef struct scw_convert_options {
    const char *to;       /* "h5ad", "h5mu", "mtx"; NULL: by the ending of the path, '/' for mtx */
    const char *modality; /* only this one; NULL: all */
    int merge;            /* modalities side by side in one matrix, told apart by feature_types */
    scw_compression compression;
    const scw_read_options *read; /* NULL: the defaults */
} scw_convert_options;

/* Write what scw_dataset_open would read as another file, atomically: .h5ad, .h5mu, or a folder with
 * matrix.mtx.gz, features.tsv.gz and barcodes.tsv.gz. From .h5ad and .h5mu to either of them every
 * element is copied as it is stored, also those this library does not read; from other formats, and
 * when files are stacked, numbers keep their type and every bit. `options` NULL: the defaults.
 * Errors: as scw_dataset_open; SCW_EINVAL (several modalities for one .h5ad). */
SCW_API SCW_CHECKED scw_status scw_convert(const scw_source *sources, int n_sources,
                                           const char *path, const scw_convert_options *options,
                                           const scw_hooks *hooks);

/* Report on files as one JSON document: shapes, encodings, sparsity, value ranges, obs columns with
 * their categories, and `problems` (each with severity, element, text). Reads nothing else than is
 * needed and works on files that scw_dataset_open refuses, as far as they can be read.
 * *out: newly allocated text, free with scw_free. */
SCW_API SCW_CHECKED scw_status scw_inspect(char **out, const char *path, const scw_hooks *hooks);

/* Write a simulated, labelled PBMC-like set (RNA + ADT + ATAC, two batches) as .h5mu; narrow:
 * markers and abundant genes and the peaks of markers only, a quarter of the features.
 * Seeded: the same arguments give the same bytes of data. */
SCW_API SCW_CHECKED scw_status scw_example_write(const char *path, int64_t n_obs, bool narrow,
                                                 uint64_t seed, const scw_hooks *hooks);

/* Can a file be written or replaced at `path`? Creates nothing that stays. Ask before long work, so
 * that a full or closed place is found out first. SCW_EIO with the reason if not. */
SCW_API SCW_CHECKED scw_status scw_output_check(const char *path);

/* ------------------------------------------------------------------------------- results */

/* What a task adds to the input: columns of obs, arrays of obsm, entries of uns['scweave']. */
typedef struct scw_results scw_results;

/* Write a copy of the data set's file with the results added, atomically. Everything the input held
 * is preserved. Several .h5ad sources become one .h5mu with a modality each. `path` may equal the
 * input path. Errors: SCW_EIO; the target is untouched on failure. */
SCW_API SCW_CHECKED scw_status scw_results_write(const scw_results *results,
                                                 const scw_dataset *dataset, const char *path,
                                                 const scw_hooks *hooks);
SCW_API void scw_results_free(scw_results *results);

typedef struct scw_obs_request {
    const char *table; /* a text file with a header, separated by tabs or commas */
    const char *key;   /* its column that says which cells a row is for; NULL: the first */
    const char *by;    /* obs column that the key is matched with; NULL: the names of the cells */
} scw_obs_request;

/* The other columns of a table as columns of obs: whole numbers, numbers or categories, as all their
 * values allow; empty cells, NA and NaN are missing, and so is what no row says. With `by`, rows are
 * for groups of cells: names for clusters. Errors: SCW_EIO, SCW_EFORMAT, SCW_EDATA (two rows with one
 * key), SCW_ENOTFOUND (no row for any cell). */
SCW_API SCW_CHECKED scw_status scw_obs_from_table(scw_results **out, const scw_dataset *dataset,
                                                  const scw_obs_request *request,
                                                  const scw_hooks *hooks);

#ifdef __cplusplus
}
#endif
#endif
