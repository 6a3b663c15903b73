/* SPDX-License-Identifier: BSD-3-Clause */
/* Which cell of one set is which cell of another, where both have places in one space (docs/match.md). */
#ifndef SCWEAVE_MATCH_H
#define SCWEAVE_MATCH_H

#include <stdint.h>

#include "dataset.h"
#include "neighbors.h"
#include "options.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum scw_match_engine {
    SCW_MATCH_SHARED = 0, /* shared nearest neighbours, as in the NeurIPS 2021 competition */
    SCW_MATCH_TRANSPORT,  /* entropic optimal transport */
    SCW_MATCH_ASSIGNMENT, /* one to one, of the least total cost */
    SCW_MATCH_MUTUAL      /* mutual nearest neighbours */
} scw_match_engine;

typedef struct scw_match_options {
    int engine;          /* scw_match_engine */
    int metric;          /* scw_distance: cosine unless said */
    int64_t neighbors;   /* shared, mutual: k */
    double entropy;      /* transport: weight of the entropy, of costs scaled to [0, 1] */
    int64_t iterations;  /* transport: the most there are */
    double tolerance;    /* transport: error of the rows' sums, all together, at which it ends */
    int64_t keep;        /* transport: entries kept of a row, the largest */
} scw_match_options;

SCW_API const scw_option *scw_match_option_table(void);

/* One side: cells with an embedding. */
typedef struct scw_match_side {
    const scw_dataset *data; /* read from files */
    const char *use;         /* array of obsm: KEY, or MODALITY:KEY; with `features` the name of the
                              * modality, NULL: the only one */
} scw_match_side;

typedef struct scw_match_request {
    scw_match_side a, b;   /* both may be the same data set */
    const char *batch_key; /* obs column of both: only cells of one batch are matched; NULL: all are */
    int threads;           /* 0: all cores */
    const char *command;   /* recorded in the output; may be NULL */
    int features;          /* 1: match by the features that the two modalities share: normalised counts,
                            * each feature to mean 0 and variance 1 on either side */
    const char *map;       /* with `features`: table of two columns, features of a and of b that are one
                            * and the same; NULL: those of the same name */
} scw_match_request;

typedef struct scw_match scw_match;

/* Match the cells of a with those of b. Cells without an embedding, or whose batch the other side
 * lacks, get no match. The same bits for any number of threads. options NULL: the defaults.
 * Errors: SCW_EINVAL, SCW_ENOTFOUND (array, column), SCW_EDATA (arrays of different width, no cell),
 * SCW_ENOMEM (assignment: 4 bytes a pair of cells of a batch), SCW_ECANCELLED. Cost: with n_a, n_b cells
 * of a batch and d numbers, O(n_a n_b d) (transport: in each iteration), memory O(n_a + n_b); assignment
 * O(n^3) at worst. */
SCW_API SCW_CHECKED scw_status scw_match_cells(scw_match **out, const scw_match_request *request,
                                               const scw_match_options *options,
                                               const scw_hooks *hooks);
SCW_API void scw_match_free(scw_match *match);

/* JSON: {"n_a", "n_b", "n_matched_a", "n_matched_b": cells with an entry, "n_entries"} and, where cells of
 * both sides have the same names, how often those are found: "by_name": {"n_pairs", "match_probability",
 * "top1", "auroc", "aupr"} (docs/evaluate.md). Free with scw_free. */
SCW_API SCW_CHECKED scw_status scw_match_describe(char **out_json, const scw_match *match);

/* A new .h5ad, written atomically: a row (obs) for each cell of a, a column (var) for each of b, X the
 * sparse weights; a row with matches sums to 1 (transport: to at most 1). uns['scweave'] has the
 * settings. */
SCW_API SCW_CHECKED scw_status scw_match_write(const scw_match *match, const char *path,
                                               const scw_hooks *hooks);

/* The same as a table, a line for each entry, in the order of a's cells and from large to small
 * weight: cell_a, cell_b, weight, distance, and batch where batches are told apart. Separated by commas
 * when the path ends in .csv, by tabs otherwise. Written atomically. */
SCW_API SCW_CHECKED scw_status scw_match_write_pairs(const scw_match *match, const char *path);

/* ----------------------------------------------------- one space, without a network */

typedef struct scw_cca_options {
    int64_t components;
    double ridge; /* share of the mean variance added to each, of either side */
    double library; /* that RNA counts are scaled to before the logarithm; 0: chosen by cross-validation */
} scw_cca_options;

SCW_API const scw_option *scw_cca_option_table(void);

typedef struct scw_cca_request {
    const char *first, *second; /* names of the modalities; NULL, both: the two there are */
    const char *key;            /* name of the result; NULL: "X_cca" */
    const char *splits;         /* table with the columns cell and fold; NULL: all cells are learned from */
    const char *fold;           /* cells of this fold, and those the table lacks, are not learned from */
    int threads;
    const char *command;        /* recorded beside the result; may be NULL */
} scw_cca_request;

/* Canonical correlation of two modalities, learned from the cells that have both: the baseline of every
 * model that puts modalities into one space. Read are 50 components of log counts (RNA) or of
 * TF-IDF (chromatin), and log ratios (protein), fitted on the same cells. Without a library size RNA counts
 * are scaled to the one of 100 to 10,000 under which held-out cells, in five folds of those cells, find their
 * partners best. Adds obsm[key] to both modalities, for all their cells, and uns['cca'] with the settings, the
 * library size among them, and the correlations; for a key X_NAME, uns['NAME'].
 * Errors: SCW_EINVAL, SCW_ENOTFOUND (modality, fold), SCW_EDATA (no counts, fewer than two cells with
 * both). Cost: that of the components, of RNA six times where the library size is chosen. The same bits
 * for any number of threads. */
SCW_API SCW_CHECKED scw_status scw_dataset_cca(scw_results **out, const scw_dataset *dataset,
                                               const scw_cca_request *request,
                                               const scw_cca_options *options,
                                               const scw_hooks *hooks);

#ifdef __cplusplus
}
#endif
#endif
