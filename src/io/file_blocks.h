/* SPDX-License-Identifier: BSD-3-Clause */
/* Block readers (data/blocks.h) over matrices in files: csr, csc, dense, and entries in any order.
 *
 *     csr, dense   fetched in ranges, decoded on all cores, the next block in a thread of its own
 *     csc, entries scattered once into groups of rows; what does not fit in memory goes to a spill file
 *
 * Nothing in a file is trusted: see io/h5.h; indptr must not decrease nor leave its entries, indices
 * must be in range, block by block. A reader keeps its datasets open; the thread that calls it is the
 * only one that calls HDF5. */
#ifndef IO_FILE_BLOCKS_H
#define IO_FILE_BLOCKS_H

#include "data/blocks.h"
#include "io/h5.h"
#include "scweave/hooks.h"

#define BLOCKS_DEFAULT_MEMORY ((int64_t)256 << 20)

typedef struct block_options {
    int64_t memory_bytes; /* what a reader may hold at a time; 0: BLOCKS_DEFAULT_MEMORY. One row, and
                           * one chunk of the file, must fit all the same. */
    const char *folder;   /* where a spill file goes; NULL: the default of base/spill.h */
    bool exact;           /* values as double */
    bool bare;            /* the element is the csr vectors of n_rows rows, without an encoding */
    const scw_hooks *hooks; /* NULL or asked for cancellation; borrowed as long as the reader */
} block_options;

/* A dataset (dense) or a group (csr, csc) as anndata encodes them. n_rows, n_cols: the expected shape,
 * or -1: any. `options` may be NULL. The element may be closed by the caller, its file not. */
SCW_CHECKED scw_status block_reader_of_element(block_reader **out, hid_t element, int64_t n_rows,
                                               int64_t n_cols, const block_options *options);
/* The same with a file handle of its own; `element` is a path in the file. */
SCW_CHECKED scw_status block_reader_open(block_reader **out, const char *path, const char *element,
                                         int64_t n_rows, int64_t n_cols,
                                         const block_options *options);
/* As the element is stored: a csc matrix is not turned, its rows here are its columns and *by_columns is
 * true. Nothing is spilled. */
SCW_CHECKED scw_status block_reader_as_stored(block_reader **out, bool *by_columns, hid_t element,
                                              const block_options *options);

/* Three vectors that need not lie together or be named as anndata does. Row i of n_major holds entries
 * indptr[i] .. indptr[i + 1]. by_columns: these "rows" are the columns of the matrix, which comes out
 * transposed. A 10x matrix (shape genes x cells, by genes) has its cells in indptr, so it is read with
 * n_major = cells, n_minor = genes, by_columns false. */
typedef struct compressed_vectors {
    hid_t indptr, indices, data;
    int64_t n_major, n_minor;
    bool by_columns;
} compressed_vectors;
SCW_CHECKED scw_status block_reader_of_vectors(block_reader **out, const compressed_vectors *v,
                                               const block_options *options);

/* Entries in any order, as an mtx file lists them; equal positions are added up. */
typedef struct entry_source {
    void *self;
    /* At most `room` entries; *n = 0: there are no more. */
    scw_status (*next)(void *self, int64_t *n, int32_t *rows, int32_t *cols, double *values,
                       int64_t room);
    void (*close)(void *self); /* NULL: nothing to do */
} entry_source;
/* The source is read through, once, by the first read. n_entries is what is expected, for the sizes
 * of groups. The reader closes the source, also when this fails. */
SCW_CHECKED scw_status block_reader_of_entries(block_reader **out, int64_t n_rows, int64_t n_cols,
                                               int64_t n_entries, const entry_source *source,
                                               const block_options *options);

/* blocks_compressed.c, blocks_dense.c: the kinds one by one. */
SCW_CHECKED scw_status block_reader_of_csr(block_reader **out, const compressed_vectors *v,
                                           const block_options *options);
SCW_CHECKED scw_status block_reader_of_dense(block_reader **out, hid_t dataset, int64_t n_cols,
                                             const block_options *options);

/* How many rows of `row_bytes` fit, from 1 to n_rows, and no more than is of use. */
int64_t blocks_rows(int64_t memory_bytes, double row_bytes, int64_t n_rows);

#endif
