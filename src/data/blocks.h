/* SPDX-License-Identifier: BSD-3-Clause */
/* A matrix of any size as blocks of rows: what streams through preprocessing, conversion, training.
 *
 *      rows 0 .. 4095    ─┐
 *      rows 4096 .. 8191  ├─> row_block: canonical CSR of those rows; its buffers are used again
 *      ...               ─┘
 *
 * Where the rows come from is a table of functions: a matrix in memory (here) or an element of a file
 * (src/io), compressed by rows, by columns, or dense. A reader gives any range of rows, in any order;
 * in ascending order it is fastest. One thread at a time uses a reader. */
#ifndef DATA_BLOCKS_H
#define DATA_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "data/matrix.h"

#define BLOCK_READER_ROWS 4096 /* rows of a block of what is not read from a file of unknown width */

typedef struct row_block {
    int64_t from; /* row of the whole matrix that is row 0 here */
    matrix x;     /* CSR [n, n_cols], canonical, zeros of dense storage dropped. With `exact`, its
                   * values are NULL. */
    double *exact; /* [nnz] what the file stores, for readers that were opened so; else NULL */
    int64_t n_unsorted, n_repeated; /* rows that had to be sorted; that held a column twice */
    int64_t room_rows, room_values; /* capacity of the buffers */
} row_block;

void row_block_clear(row_block *b);
/* Make room for n rows (or values), keeping what is there and growing by halves; for readers. */
SCW_CHECKED scw_status row_block_reserve(row_block *b, int64_t n_rows, int64_t n_values,
                                         bool exact);

/* Sort the entries of each row by column and add up duplicates, in the order of the file. SCW_EFORMAT
 * when a column is out of range; row numbers in messages are those of the whole matrix. */
SCW_CHECKED scw_status row_block_canonical(row_block *b);

typedef struct block_reader block_reader;

typedef struct block_reader_kind {
    const char *name; /* "memory", "csr", "csc", "dense", ... */
    /* Rows [from, from + n), in range, into the block. */
    scw_status (*read)(row_block *out, block_reader *r, int64_t from, int64_t n);
    void (*close)(block_reader *r); /* frees `state` */
    /* Rows [from, from + n), in range, will be asked for next: begin with them. NULL: no use of it. */
    void (*ahead)(block_reader *r, int64_t from, int64_t n);
} block_reader_kind;

struct block_reader {
    const block_reader_kind *kind;
    void *state;
    int64_t n_rows, n_cols;
    int64_t nnz;        /* stored entries; -1: only reading tells */
    int64_t block_rows; /* how many rows to ask for at a time, at least 1 */
    bool exact;         /* blocks hold `exact` instead of float values */
};

/* Rows [from, from + n) into *out (zeroed at first; used again by later calls). SCW_EINVAL: rows out
 * of range; else what the file gives: SCW_EFORMAT, SCW_EIO, SCW_ENOMEM. */
SCW_CHECKED scw_status block_reader_read(row_block *out, block_reader *r, int64_t from, int64_t n);

/* A hint: these rows will be asked for next. They are decoded in a thread of its own while the caller
 * works on what it has. Without effect where it is of no use. */
void block_reader_ahead(block_reader *r, int64_t from, int64_t n);

/* The block after *out, read ahead, or the first when it is still zeroed; *more is false past the last. */
SCW_CHECKED scw_status block_reader_next(row_block *out, block_reader *r, bool *more);

void block_reader_free(block_reader *r); /* NULL-safe */

/* CSR copy of the listed rows, in any order; a row number of -1 gives an empty row. Rows that lie close
 * together are read together. SCW_ENOMEM when the result takes more than `most_bytes`. Not for
 * readers that are `exact`. */
SCW_CHECKED scw_status block_reader_take(matrix *out, block_reader *r, const int64_t *rows,
                                         int64_t n_rows, int64_t most_bytes);

/* Rows that are not in memory: what opens readers over them. */
typedef struct row_store {
    scw_status (*open)(block_reader **out, const struct row_store *s, bool exact);
    void (*close)(struct row_store *s); /* frees it */
    int n_more;                         /* that use it beside the first: row_store_share */
    bool dense;                         /* the file holds zeros too */
    int64_t bytes;                      /* what the whole matrix would take in memory */
    int64_t memory_bytes;               /* what may be taken */
    const char *folder;                 /* for temporary files, NULL: where they go by default */
    block_reader *reader;               /* kept open by modality_take, NULL: not yet needed */
} row_store;

/* One more user of the store. */
row_store *row_store_share(row_store *s);
/* One less; the last frees it. NULL-safe. */
void row_store_close(row_store *s);

/* Over a matrix in memory, which is borrowed; of exact values where the matrix has them. */
SCW_CHECKED scw_status block_reader_of_matrix(block_reader **out, const matrix *m);

#endif
