/* SPDX-License-Identifier: BSD-3-Clause */
/* Matching the rows of two embeddings, batch by batch; four engines, one result.
 *
 * Cost of a pair: 1 - cos, or half the squared distance. On rows of length one they are the same. */
#ifndef EMBED_MATCH_H
#define EMBED_MATCH_H

#include "data/matrix.h"
#include "scweave/match.h"

typedef struct match_input {
    const float *x, *y;              /* [n_x, d], [n_y, d]; rows that are not finite are not matched */
    int64_t n_x, n_y, d;
    const int32_t *batch_x, *batch_y; /* codes of n_batches, -1: not matched; NULL, both: one batch */
    int32_t n_batches;
} match_input;

/* out: CSR [n_x, n_y] of weights > 0, rows of which sum to 1 (transport: to at most 1) or are empty.
 * Errors and cost: scw_match_cells. */
SCW_CHECKED scw_status match_rows(matrix *out, const match_input *input,
                                  const scw_match_options *options, const scw_hooks *hooks);

/* out [nnz of p]: 1 - cos (1 to a row of zeros) or the Euclidean distance of each entry's pair. */
void match_distances(double *out, const matrix *p, const match_input *input, int metric);

/* ---------------------------------------------------------------- between the engines' files */

/* The cells of one batch, without those that cannot be matched. */
typedef struct match_batch {
    int64_t n_x, n_y, d;
    float *x, *y; /* [n_x, d], [n_y, d] */
    bool cosine;
} match_batch;

/* Rows as costs need them: cost_ij = half_i + half_j - row_i . row_j. */
typedef struct cost_rows {
    int64_t n, d;
    double *rows; /* [n, d]; of length one for the cosine */
    double *half; /* [n] half the squared length; 1/2 throughout for the cosine */
} cost_rows;

SCW_CHECKED scw_status cost_rows_init(cost_rows *r, const float *x, int64_t n, int64_t d,
                                      bool cosine);
void cost_rows_clear(cost_rows *r);
/* out [n_a, n_b]: costs of n_a rows of a from first_a with n_b rows of b from first_b, ld numbers
 * apart. On the calling thread, between dense_enter and dense_leave. */
void cost_block(double *out, int64_t ld, const cost_rows *a, int64_t first_a, int64_t n_a,
                const cost_rows *b, int64_t first_b, int64_t n_b);

/* Each adds the entries of a batch to `out`, whose rows and columns are the batch's. */
typedef scw_status match_engine(matrix_builder *out, const match_batch *batch,
                                const scw_match_options *options, const scw_hooks *hooks);
match_engine match_shared, match_mutual, match_transport, match_assignment;

#endif
