/* SPDX-License-Identifier: BSD-3-Clause */
/* From counts to the network's input: library size, logarithm, scaling. Fitted on training cells,
 * saved with the model, applied to a query; a cell's input never depends on which other cells share
 * its file (except `matilda-file`, the published behaviour).
 *
 * The result is affine-sparse (kernel/kernel.h): a sparse y and vectors a, b (per cell), c, t (per
 * feature) with x_ij = a_i c_j y_ij + b_i + t_j. Nothing is densified. */
#ifndef PREP_TRANSFORM_H
#define PREP_TRANSFORM_H

#include <stdbool.h>

#include "base/text.h"
#include "data/packed_rows.h"
#include "scweave/hooks.h"

typedef enum transform_kind {
    /* y = log2(x s̄ / s_i + 1), then z-score of each cell over its features (specs 3.2) */
    TRANSFORM_MATILDA = 0,
    /* y = log1p(x T / s_i), T the median library size of training cells; centred per feature */
    TRANSFORM_LOG,
    /* y = log1p(x / exp(mean_j log1p x_ij)): centred log ratio of each cell; centred per feature */
    TRANSFORM_CLR,
    /* y = log1p(1e4 x/s_i idf_j), idf_j = N / n_j from training cells; centred per feature */
    TRANSFORM_TFIDF
} transform_kind;

#define TRANSFORM_CHOICES "matilda|log|clr|tfidf"
const char *transform_name(transform_kind kind);

typedef struct transform {
    transform_kind kind;
    int64_t n_vars;
    double target;      /* library size that cells are scaled to */
    double block_scale; /* all features are multiplied by this: 1 / sqrt(total variance) or 1 */
    float *mean_count;  /* [n_vars] mean training count: how much of a library a feature holds */
    float *idf;         /* [n_vars] TFIDF only */
    float *center;      /* [n_vars] training mean of y; NULL for MATILDA */
} transform;

typedef struct transform_options {
    transform_kind kind;
    bool unit_variance; /* scale the block to a total variance of one */
    double target;      /* LOG: library size to scale to; 0: the median of the training cells */
} transform_options;

/* `counts`: CSR training cells x features. */
SCW_CHECKED scw_status transform_fit(transform *out, const matrix *counts,
                                     const transform_options *options);
/* The same of cells that pass block by block, twice: the same bits. */
SCW_CHECKED scw_status transform_fit_rows(transform *out, block_reader *counts,
                                          const transform_options *options,
                                          const scw_hooks *hooks);
SCW_CHECKED scw_status transform_copy(transform *out, const transform *from);
void transform_clear(transform *t);

/* Cells ready for the network. */
typedef struct prepared {
    matrix y;         /* CSR; of packed cells only the shape and indptr */
    row_list packed;  /* the counts that y is made of when it is asked for; .packed NULL: y is there */
    const transform *prep; /* by this */
    float *row_scale; /* a [n_rows] or NULL */
    float *row_shift; /* b [n_rows] or NULL */
    float *col_scale; /* c [n_cols] or NULL */
    float *col_shift; /* t [n_cols] or NULL */
    float *present;   /* [n_rows] 1, or 0 where the cell lacks the modality; NULL: all present */
    int64_t n_empty;  /* present cells without a single count: they enter as the training mean */
} prepared;

/* `counts`: CSR, columns in the order of the fit. `has_feature` [n_vars] or NULL: 0 where the query
 * lacks the feature; it then enters at its training mean, and the library target shrinks by the
 * share that the missing features held in training. `present` [n_rows] or NULL.
 * `file_target`: for MATILDA, use the mean library size of these very cells, as the authors do. */
SCW_CHECKED scw_status transform_apply(prepared *out, const transform *t, const matrix *counts,
                                       const uint8_t *has_feature, const uint8_t *present,
                                       bool file_target);
void prepared_clear(prepared *p);

/* The same for counts that stay packed, in the order of the list: what is a number a cell is kept, y is
 * made of the counts whenever cells are gathered. `t` and what the list points to must outlive *out. */
SCW_CHECKED scw_status transform_apply_packed(prepared *out, const transform *t,
                                              const row_list *counts, const uint8_t *present,
                                              const scw_hooks *hooks);
/* y of counts, in their place; all features are there. */
void transform_values(const transform *t, matrix *counts);
scw_status transform_map(row_block *counts, const void *t); /* the same as a step of prep/pass.h */
/* y of the listed cells of p block by block. p must outlive the reader. */
SCW_CHECKED scw_status prepared_reader(block_reader **out, const prepared *p, const int64_t *rows,
                                       int64_t n);

/* Counts fit for training or a query? SCW_EDATA names the modality and what is wrong: NaN,
 * infinite, negative, or (unless allowed) fractional values. */
SCW_CHECKED scw_status transform_check_counts(const matrix *counts, const char *modality,
                                              bool allow_fractional);
SCW_CHECKED scw_status transform_check_summary(const matrix_summary *s, const char *modality,
                                               bool allow_fractional);

#endif
