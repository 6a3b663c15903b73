/* SPDX-License-Identifier: BSD-3-Clause */
/* A data set in memory: one obs axis, named modalities, each with a presence mask.
 *
 *            obs axis (n_obs cells)
 *   rna  [ 0 1 2 3 . . 4 ]   row_of_obs: which row of the modality's matrix is this cell, -1: the
 *   adt  [ . 0 1 2 3 4 . ]               cell lacks the modality (absent is not zero)
 */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include <stdint.h>

#include "data/blocks.h"
#include "data/frame.h"
#include "data/matrix.h"
#include "scweave/dataset.h"

/* A matrix beside X, in the group of that name: "layers", "obsm", "varm", "obsp", "varp". */
typedef struct modality_array {
    const char *group; /* a constant */
    char *name;
    matrix x;
} modality_array;

typedef struct modality {
    char *name;          /* "rna", "adt", "atac", or what the file says */
    frame var;           /* features */
    matrix x;            /* rows of this modality's own cells; with a store only their shape */
    row_store *store;    /* where the rows are, NULL: in x */
    char *layer;         /* what x was read from: "raw" or the name of a layer; NULL: X */
    int64_t *row_of_obs; /* [n_obs] */
    int64_t n_present;   /* how many entries of row_of_obs are >= 0 */
    modality_array *arrays; /* only where the whole file was asked for, to write it again */
    int n_arrays;
} modality;

/* Where a modality was read from; kept for writing the results. */
typedef struct dataset_file {
    char *path;
    bool native;    /* results go into a copy of it */
    int n_parts;    /* how many modalities it gave */
    char *modality; /* name given to the h5ad's modality; NULL for h5mu */
    char *wanted, *layer, *batch; /* what scw_source said */
} dataset_file;

struct scw_dataset {
    int64_t n_obs;
    frame obs;
    int n_modalities;
    modality *modalities;
    int n_files;
    dataset_file *files;
    bool stacked; /* several batches of one modality: no file holds the cells of the set */
    scw_rows rows;
    scw_join join; /* with these options it was read */
    char *var_names, *batch_key;
    int64_t memory_bytes; /* what the matrices of all files may take; 0: anything */
    char *spill_folder;
};

void modality_clear(modality *m);
/* Forget where the rows are; x is theirs from now on. */
void modality_close_store(modality *m);
/* Takes *x over. */
SCW_CHECKED scw_status modality_add_array(modality *m, const char *group, const char *name,
                                          matrix *x);

/* Its rows in blocks, wherever they are. The modality must outlive the reader. */
SCW_CHECKED scw_status modality_rows(block_reader **out, const modality *m);
/* The same for writing them again: values as the file has them, of a matrix in memory what it has. */
SCW_CHECKED scw_status modality_rows_exact(block_reader **out, const modality *m);
/* CSR copy of the listed rows, as matrix_rows_csr gives it. SCW_ENOMEM, naming --mem, when rows that are
 * not in memory do not fit. */
SCW_CHECKED scw_status modality_take(matrix *out, const modality *m, const int64_t *rows,
                                     int64_t n_rows);
/* The whole matrix: m->x itself, or read into *room. SCW_ENOMEM names its size and --mem. */
SCW_CHECKED scw_status modality_load(const matrix **out, matrix *room, const modality *m);

/* Modality called `name`, or NULL. */
const modality *dataset_find_modality(const scw_dataset *d, const char *name);

/* obs column called `key`; for h5mu also "<modality>:<key>" and, when the global frame lacks the key,
 * the column of the one modality that has it (the reader has merged those into `obs`).
 * SCW_ENOTFOUND lists the columns there are. */
SCW_CHECKED scw_status dataset_obs_column(const column **out, const scw_dataset *d,
                                          const char *key);

#endif
